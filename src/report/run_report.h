/* SPDX-License-Identifier: MIT */
#ifndef REPORT_RUN_REPORT_H
#define REPORT_RUN_REPORT_H

#include <jansson.h>

#include "base/buffer.h"
#include "plan/plan.h"
#include "report/table.h"
#include "run/journal_probe.h"

/*
 * What a run did and what its probes saw, from the journal alone: no cluster is asked, and a run
 * that was finished long ago is read like one under way.
 */
struct run_report_step {
	const struct plan_step *step; /* borrowed from the plan */
	char *text;		      /* owned: what it does, in one line */
	enum journal_state state;
	char *detail;	 /* owned, may be "" */
	int64_t begun_s; /* 0: never */
	int64_t ended_s; /* 0: not yet */
};

/* One target over all the run. */
struct run_report_target {
	const struct journal_target *target;
	int64_t ok;
	int64_t failed; /* not explained */
	int64_t explained;
	int64_t max_ms;
	int64_t mean_ms;
	int64_t gap_ms;
};

struct run_report {
	struct journal_run run;
	struct plan plan;
	struct journal_history history;
	json_t *operator_; /* {host, user, version, context}: who ran it; NULL: not known */
	json_t *evidence;  /* of the drain, as in `status`; NULL: it was not looked at */
	struct run_report_step *steps;
	struct run_report_target *targets;
	int64_t ended_s; /* of the last thing that happened */
	size_t done;	 /* steps */
	int64_t ok;	 /* requests */
	int64_t failed;
	int64_t explained;
};

/* Where the journal keeps who runs: under this step and name. */
#define RUN_REPORT_STEP "-"
#define RUN_REPORT_OPERATOR "operator"

/* Reads the run (NULL: the last one). ERROR_NOT_FOUND when there is none. */
must_check int run_report_read(struct journal *journal, const char *run, struct run_report *ret,
			       struct error *err);
void run_report_release(struct run_report *report);
#define auto_run_report __attribute__((cleanup(run_report_release)))

/* The step with this id; NULL: none (what is not in hand of a step). */
const struct run_report_step *run_report_step(const struct run_report *report, const char *id);

/* "finished", "open: 12 of 48 steps done", … Caller frees. */
char *run_report_result(const struct run_report *report);

/* Owned by nobody: "10.96.0.0/16" or "10.96.0.0/16, fd00::/108". Caller frees. */
char *run_report_from(const struct run_report *report);

/* One or two sentences about what its probes saw. Caller frees. */
char *run_report_availability(const struct run_report *report);

/* The document of `report -o json` (doc/json.md); a new reference. */
json_t *run_report_json(const struct run_report *report);

/* For people: tables in text or Markdown. */
void run_report_print(const struct run_report *report, enum table_style style, struct buffer *out);

/* One page, complete in itself: no script, nothing from elsewhere. */
void run_report_html(const struct run_report *report, struct buffer *out);

/* The time line of the probes as an SVG element; nothing when nothing was probed. */
void run_report_timeline(const struct run_report *report, struct buffer *out);

#endif
