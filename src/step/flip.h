/* SPDX-License-Identifier: MIT */
#ifndef STEP_FLIP_H
#define STEP_FLIP_H

#include "step/step.h"

/* What the step kinds about flips share. `step` has the parameters of kind "flip". */

/* True between the legs. */
bool step_flip_is_parked(const json_t *service);

/* What the parked Service points to: the parameter "externalName", or the alias' DNS name. Caller
 * frees. */
char *step_flip_external_name(const struct plan_step *step);

/* For a Service that is parked (or has had its leg 2 already): leg 2 with patience, status and
 * labels. */
must_check int step_flip_finish(struct step_context *context, const struct plan_step *step,
				const json_t *original, struct error *err);

/* The journal's document of kind flip: the Service before leg 1. */
#define STEP_FLIP_KEPT "original"

/* Undoes a step of kind flip or flip-group. */
must_check int step_flip_back(struct step_context *context, const struct plan_step *step,
			      struct error *err);

#endif
