/* SPDX-License-Identifier: MIT */
#include "plan/planner.h"

/* A repair has no time for it: each of its steps keeps what it changes. */
static void preflight_snapshot(struct planner *p)
{
	plan_step_why(plan_add(p->plan, PLAN_STAGE_PREFLIGHT, "snapshot", "cluster", json_object()),
		      "a person can go back by hand with it");
}

void planner_preflight(struct planner *p)
{
	if (!planner_migrates(p))
		return;
	preflight_snapshot(p);
	planner_canary(p);
}
