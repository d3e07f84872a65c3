/* SPDX-License-Identifier: MIT */
#ifndef STEP_ALIAS_H
#define STEP_ALIAS_H

#include "step/step.h"

/* What the step kinds about aliases share. */

/* True when the Service's status has exactly these addresses. */
bool step_alias_claims(const json_t *service, const json_t *addresses);

/* Puts the step's parameter "addresses" into the status of the alias. */
must_check int step_alias_claim(struct step_context *context, const struct plan_step *step,
				struct error *err);

/* ERROR_REFUSED when the Service is not of this run. */
must_check int step_alias_owned(struct step_context *context, const struct kube_target *target,
				struct error *err);

#endif
