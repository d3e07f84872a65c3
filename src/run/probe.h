/* SPDX-License-Identifier: MIT */
#ifndef RUN_PROBE_H
#define RUN_PROBE_H

#include "kube/client.h"
#include "node/pool.h"
#include "plan/plan.h"
#include "run/journal_probe.h"
#include "run/probe_judge.h"

/*
 * The probes of a run: while a migration is carried out, every node asks old and new addresses at
 * a steady pace, and what fails without the step in hand explaining it ends the run at a safe
 * place. Old addresses are asked until the drain, new ones from their flip on, node ports all the
 * time.
 *
 *	struct run_probe *probe = run_probe_new(&options, err);
 *	for each step:
 *		if (run_probe_verdict(probe, err) < 0) …
 *		run_probe_begin(probe, step);
 *		… run_probe_tick(probe, err) in waits …
 *		run_probe_end(probe, step, done);
 *	run_probe_free(probe);
 *
 * Every function takes NULL, which probes nothing. What cannot be probed (a node that does not
 * answer, an address that never did) is said once and left out. A node that the pool does not
 * reach is not asked.
 */
struct run_probe;

struct run_probe_options {
	struct kube_client *kube;
	struct node_pool *pool; /* NULL: no probes */
	struct journal *journal;
	const struct plan *plan;
	struct judge_limit limit;
};

/* NULL without an error for a plan that is no migration, and when nodes are not reached: said by
 * log_info. Asks nobody before the first step begins. */
struct run_probe *run_probe_new(const struct run_probe_options *options);

/* The step in hand, before its effect. Starts the probes at the first call. */
void run_probe_begin(struct run_probe *probe, const struct plan_step *step);

/* The step is undone next: the addresses that it moved Services to end. */
void run_probe_undo(struct run_probe *probe, const struct plan_step *step);

/* After it: when it was done, the new addresses that it moved Services to are watched. */
void run_probe_end(struct run_probe *probe, const struct plan_step *step, bool done);

/* Looks at the nodes' numbers, at most once a second. ERROR_STOPPED when the limit was passed and
 * the step in hand did not end soon after. */
must_check int run_probe_tick(struct run_probe *probe, struct error *err);

/* ERROR_STOPPED when the limit was passed; said once, then forgotten. */
must_check int run_probe_verdict(struct run_probe *probe, struct error *err);

/* Ends the probes on the nodes and writes the last numbers. */
void run_probe_free(struct run_probe *probe);

/* When the run gave default/kubernetes its new address, wall seconds; 0: it did not. */
int64_t run_moved_at(struct journal *journal, const struct plan *plan);

/* ---- for the screen ---- */

enum run_probe_class { RUN_PROBE_API, RUN_PROBE_DNS, RUN_PROBE_SERVICE, RUN_PROBE_CLASSES };

/* "API", "DNS", "Services". */
const char *run_probe_class_name(enum run_probe_class class_);

struct run_probe_count {
	uint64_t ok;
	uint64_t failed;    /* not explained */
	uint64_t explained; /* failed by the nature of the step in hand */
	int64_t last_gap_ms;
	int64_t last_failed_ms; /* wall clock, 0: none failed */
	bool watched;
};

struct run_probe_summary {
	struct run_probe_count old[RUN_PROBE_CLASSES];
	struct run_probe_count new_[RUN_PROBE_CLASSES];
	struct run_probe_count node_ports;
	size_t nodes; /* that ask */
};

/* False when nothing is probed. */
bool run_probe_summary(const struct run_probe *probe, struct run_probe_summary *ret);

#endif
