/* SPDX-License-Identifier: MIT */
#ifndef LIB_STEP_CASE_H
#define LIB_STEP_CASE_H

#include "lib/fake_api.h"
#include "step/step.h"

/* A step at work on a scripted API server: no nodes, what it keeps stays in memory, waits pass. */
struct step_case {
	struct fake_api *api;
	struct kube_config config;
	struct step_context context;
	json_t *kept; /* object; borrowed by the case: several may share one */
};

/* `plan` and `kept` (NULL: the step keeps nothing) stay the caller's. */
void step_case_open(struct step_case *c, const struct fake_step *script, size_t count,
		    const struct plan *plan, json_t *kept);
/* Checks that the script was followed to its end. */
void step_case_close(struct step_case *c);

#endif
