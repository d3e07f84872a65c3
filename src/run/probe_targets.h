/* SPDX-License-Identifier: MIT */
#ifndef RUN_PROBE_TARGETS_H
#define RUN_PROBE_TARGETS_H

#include <jansson.h>

#include "plan/plan.h"
#include "run/journal_probe.h"

/*
 * What a run watches: default/kubernetes, kube-dns, and a few of the other Services that move, at
 * their old and their new address, and these Services' node ports. Pure.
 */
enum { PROBE_SAMPLE_SERVICES = 6 };

/* The address of a node-port target is each node's own. */
#define PROBE_EACH_NODE "each node"

struct probe_targets {
	struct journal_target *items; /* owned */
	size_t count;
	size_t capacity;
	char *domain; /* owned: the cluster's DNS domain */
};

/* From the plan's map and the Services (list of objects; NULL: only API and DNS). */
void probe_targets_of(const struct plan *plan, const json_t *services, struct probe_targets *ret);
void probe_targets_release(struct probe_targets *targets);

/* Whether this step, when it is done, has moved a Service to the address. */
bool probe_step_moves_to(const struct plan_step *step, const char *address);

/* Whether requests to the target that fail during the step are the step's nature: it restarts the
 * API server, which is the only one or which nothing keeps clients away from; or it restarts the Pods
 * that answer there. */
bool probe_step_explains(const struct plan_step *step, const struct journal_target *target,
			 size_t control_planes);

/* Milliseconds between two requests of one node: the servers see the sum of all nodes. */
int64_t probe_pace_ms(const char *kind, size_t nodes);

#endif
