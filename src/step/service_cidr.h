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

#endif
