/* SPDX-License-Identifier: MIT */
#ifndef PLAN_ESTIMATE_H
#define PLAN_ESTIMATE_H

#include "plan/plan.h"

/* What a plan comes to, finalize left out. */
struct plan_sum {
	size_t services;    /* that move */
	size_t api_servers; /* that are restarted */
	size_t kubelets;    /* the same */
	size_t workloads;   /* the same, as far as they are known now */
	int64_t seconds;    /* about, from what the steps took on real clusters */
};

struct plan_sum plan_sum(const struct plan *plan);

/* How long one step usually takes, in seconds; 0: next to nothing. */
int64_t plan_step_seconds(const struct plan_step *step);

#endif
