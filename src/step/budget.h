/* SPDX-License-Identifier: MIT */
#ifndef STEP_BUDGET_H
#define STEP_BUDGET_H

#include "step/step.h"

/*
 * PodDisruptionBudgets speak to evictions; a controller that replaces its Pods does not ask them
 * (pkg/controller/deployment, statefulset, daemon). So we ask before we have Pods replaced.
 *
 * Waits until each budget over Pods with these labels (of a template in namespace `space`) allows
 * one more to go. One that never does, because it wants all of them, is left to the controller's
 * update strategy. ERROR_NETWORK after ten minutes, with the budget's name and counts.
 */
must_check int step_budget_await(struct step_context *context, const char *space,
				 const json_t *labels, struct error *err);

#endif
