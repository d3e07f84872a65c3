/* SPDX-License-Identifier: MIT */
#ifndef STEP_ALIAS_H
#define STEP_ALIAS_H

#include "step/step.h"

/* What the step kinds about aliases share. `step` has the parameters of kind "alias". */

/* True when the address stands in the alias' status, false when it is the alias' clusterIP. */
bool step_alias_by_status(const struct plan_step *step);

/* True when the Service's status has exactly these addresses. */
bool step_alias_claims(const json_t *service, const json_t *addresses);

/* The alias as it is created; `original` is the spec of what it stands in for. A new reference. */
json_t *step_alias_object(const struct step_context *context, const struct plan_step *step,
			  const json_t *original, bool with_address);

/* Creates it; one of this run that is there already is fine, ERROR_REFUSED for another one. */
must_check int step_alias_create(struct step_context *context, const struct plan_step *step,
				 const json_t *original, struct error *err);

/* Whether the slices are there that step_alias_slices() writes; true where a controller writes them. A
 * Service without them takes an address and answers nobody. */
must_check int step_alias_has_slices(struct step_context *context, const struct plan_step *step,
				     bool *ret, struct error *err);

/* Writes the slices that nobody else does: those of "endpoints", copies where "copyEndpoints". */
must_check int step_alias_slices(struct step_context *context, const struct plan_step *step,
				 const json_t *original, struct error *err);

/* Writes copies of the slices of the original for the alias, which need not be there yet. */
must_check int step_alias_copy_slices(struct step_context *context, const struct plan_step *step,
				      struct error *err);

/* Puts the step's parameter "addresses" into the status of the alias. */
json_t *step_alias_claim_patch(const struct plan_step *step);
/* The same with the first `count` of them only. */
json_t *step_alias_claim_some_patch(const struct plan_step *step, size_t count);
/* Writes such a patch, with patience. */
must_check int step_alias_write_claim(struct step_context *context, const struct plan_step *step,
				      const json_t *patch, struct error *err);
must_check int step_alias_claim(struct step_context *context, const struct plan_step *step,
				struct error *err);

/* ERROR_REFUSED when the Service is not of this run. */
must_check int step_alias_owned(struct step_context *context, const struct kube_target *target,
				struct error *err);

#endif
