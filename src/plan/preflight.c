/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan/planner.h"

#define PREFLIGHT_RIGHTS "rights"

/* A repair has no time for it: each of its steps keeps what it changes. */
static void preflight_snapshot(struct planner *p)
{
	plan_step_why(plan_add(p->plan, PLAN_STAGE_PREFLIGHT, "snapshot", "cluster", json_object()),
		      "a person can go back by hand with it");
}

/* After the tourniquet: in a repair nothing comes before that. */
static void preflight_rights(struct planner *p)
{
	plan_step_why(
		plan_add(p->plan, PLAN_STAGE_PREFLIGHT, PREFLIGHT_RIGHTS, "cluster", json_object()),
		"a right that is missing is told now, not half-way");
}

bool planner_is_idle(const struct planner *p)
{
	const struct plan *plan = p->plan;

	return plan->count == 0 ||
	       (plan->count == 1 && strcmp(plan->steps[0].kind, PREFLIGHT_RIGHTS) == 0);
}

void planner_preflight(struct planner *p)
{
	preflight_rights(p);
	if (!planner_migrates(p))
		return;
	preflight_snapshot(p);
	planner_canary(p);
}
