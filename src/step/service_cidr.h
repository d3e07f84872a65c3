/* SPDX-License-Identifier: MIT */
#ifndef STEP_SERVICE_CIDR_H
#define STEP_SERVICE_CIDR_H

#include "step/step.h"

/* What the step kinds about ServiceCIDRs share. */

/* From the parameters "api" and `member`. Borrowed from the step. */
must_check int step_service_cidr_target(const struct plan_step *step, const char *member,
					struct kube_target *ret, struct error *err);

/* Ready by its controller, and not being deleted. */
bool step_service_cidr_ready(const json_t *object);

/* Creates it with our label; one that exists is fine. */
must_check int step_service_cidr_create(struct step_context *context,
					const struct kube_target *target, const json_t *cidrs,
					struct error *err);

/* Creates it unless it is there, waits for one that is going to be gone, and until it is Ready. */
must_check int step_service_cidr_ensure(struct step_context *context, const struct plan_step *step,
					const struct kube_target *target, const json_t *cidrs,
					struct error *err);

/* Deletes it when it is of this run, and waits until it is gone. One that Services keep because they
 * got an address of it meanwhile stays Terminating, which is said and no error. */
must_check int step_service_cidr_remove(struct step_context *context,
					const struct kube_target *target, struct error *err);

#endif
