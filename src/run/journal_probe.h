/* SPDX-License-Identifier: MIT */
#ifndef RUN_JOURNAL_PROBE_H
#define RUN_JOURNAL_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "run/journal.h"

/*
 * What the probes of a run saw, in tables of their own in the journal (doc/kubectl-renumber-journal.5):
 * one row for each target and span of a few seconds, and one for each failed request, up to a
 * ceiling. Read back whole by `report`.
 */
enum probe_role { PROBE_OLD, PROBE_NEW, PROBE_NODE_PORT };

/* "old", "new", "node-port". */
const char *probe_role_name(enum probe_role role);

struct journal_target {
	char *name; /* owned, as are the others: unique in the run */
	enum probe_role role;
	char *kind;    /* "tls", "dns", "tcp" */
	char *service; /* "default/kubernetes" */
	char *address; /* "10.96.0.1", or "each node" */
	int64_t port;
};

struct journal_sample {
	const char *target; /* borrowed: the target's name */
	int64_t begin_ms;   /* wall clock, as everywhere here */
	int64_t end_ms;
	int64_t ok;
	int64_t failed;	   /* all of them */
	int64_t explained; /* of those, the ones that the step in hand explains */
	int64_t max_ms;
	int64_t sum_ms;
	int64_t gap_ms;	  /* greatest on one node */
	const char *step; /* in hand at the end; "" none */
};

struct journal_failure {
	const char *target;
	const char *node;
	int64_t at_ms;
	int64_t took_ms;
	const char *why;
	const char *step;
	bool explained;
};

/* Creates the tables where they are missing, and remembers the target; known names stay. */
must_check int journal_probe_target(struct journal *journal, const char *run,
				    const struct journal_target *target, struct error *err);

/* All in one transaction. */
must_check int journal_probe_add(struct journal *journal, const char *run,
				 const struct journal_sample *samples, size_t sample_count,
				 const struct journal_failure *failures, size_t failure_count,
				 struct error *err);

/* When the step was done last, wall seconds; 0: it is not done. */
must_check int journal_done_at(struct journal *journal, const char *run, const char *step,
			       int64_t *ret_s, struct error *err);

/* ---- for reports ---- */

struct journal_event {
	char *step; /* owned, here and below */
	int64_t at_s;
	enum journal_state state;
	char *detail;
};

struct journal_history {
	struct journal_event *events; /* in order */
	size_t event_count;
	struct journal_target *targets;
	size_t target_count;
	struct journal_sample *samples; /* by time; texts owned by the history */
	size_t sample_count;
	struct journal_failure *failures; /* by time; texts owned by the history */
	size_t failure_count;
	void *memory; /* owned */
};

/* Everything of a run; a journal without probes gives empty lists. Release it in any case. */
must_check int journal_history(struct journal *journal, const char *run,
			       struct journal_history *ret, struct error *err);
void journal_history_release(struct journal_history *history);
#define auto_journal_history __attribute__((cleanup(journal_history_release)))

#endif
