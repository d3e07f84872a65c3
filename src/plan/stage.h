/* SPDX-License-Identifier: MIT */
#ifndef PLAN_STAGE_H
#define PLAN_STAGE_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Stages are the user's handle on a run: --until names one. In the order in which they are done; a
 * repair begins with the tourniquet.
 */
enum plan_stage {
	PLAN_STAGE_TOURNIQUET,
	PLAN_STAGE_PREFLIGHT,
	PLAN_STAGE_CERTIFICATES,
	PLAN_STAGE_CONFIGURATION,
	PLAN_STAGE_RANGES,
	PLAN_STAGE_SERVICES,
	PLAN_STAGE_DEFAULTS,
	PLAN_STAGE_NODES,
	PLAN_STAGE_WORKLOADS,
	PLAN_STAGE_DRAIN,
	PLAN_STAGE_FINALIZE, /* by the command of that name only */
};
#define PLAN_STAGE_COUNT (PLAN_STAGE_FINALIZE + 1)

/* "tourniquet", … */
const char *plan_stage_name(enum plan_stage stage);
/* What it does, in a few words for a person. */
const char *plan_stage_summary(enum plan_stage stage);
bool plan_stage_parse(const char *name, enum plan_stage *ret);
/* The same for what a user typed: the error names all stages up to the drain. */
int plan_stage_require(const char *name, enum plan_stage *ret, struct error *err);

#endif
