/* SPDX-License-Identifier: MIT */
#ifndef LAB_SCENARIO_H
#define LAB_SCENARIO_H

#include "lab/lab.h"

/*
 * How a healthy cluster gets to where somebody finds it: the incident, step by step. A name is
 * "healthy", "incident-delete" and the like, with "-1.32" or "-dual-write" behind it for another
 * version of Kubernetes than the newest that is known.
 */

/* Fills version and regime. ERROR_USAGE when there is no such scenario. */
must_check int scenario_parse(const char *name, struct lab_options *options, struct error *err);

/* Plays it on the jumping clock. */
must_check int scenario_play(struct lab *lab, const char *name, struct error *err);

/* The i-th name; NULL behind the last one. */
const char *scenario_name(size_t i);
const char *scenario_summary(size_t i);

#endif
