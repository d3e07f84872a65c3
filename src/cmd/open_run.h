/* SPDX-License-Identifier: MIT */
#ifndef CMD_OPEN_RUN_H
#define CMD_OPEN_RUN_H

#include "cmd/session.h"
#include "plan/plan.h"
#include "run/executor.h"
#include "run/journal.h"
#include "step/evidence.h"

/* The run of a cluster with its journal and plan: what apply, resume, status and finalize share. */
struct open_run {
	char *folder; /* state folder of the cluster */
	struct journal *journal;
	struct journal_run run;
	struct plan plan;
	const char *window; /* --window, NULL: not given; borrowed */
	bool limit_set;	    /* --max-failed was given */
	struct judge_limit limit;
	bool adopt;	/* the run may be taken over from elsewhere */
	size_t waiting; /* steps that wait for nodes that cannot be reached, after execution */
};

/* Opens the journal of the session's cluster only. */
must_check int open_run_journal(struct session *session, struct open_run *ret, struct error *err);

/* Opens the journal and the run that is open (or with `any` the last one), and reads its plan.
 * ERROR_NOT_FOUND when there is none. */
must_check int open_run_current(struct session *session, bool any, struct open_run *ret,
				struct error *err);

/* Takes the run that stands in the cluster over into this state folder, and opens it. What this
 * folder knows of it is kept where nobody else went on with it since. */
must_check int open_run_adopt(struct session *session, struct open_run *ret, struct error *err);

/* True when 'finalize' has begun. */
must_check int open_run_is_ending(const struct open_run *open, bool *ret, struct error *err);
/* After the last stage: ends the run, and takes what stands of it in the cluster away, unless nodes
 * are waited for; says what to do next. */
must_check int open_run_end(const struct session *session, const struct open_run *open,
			    struct error *err);

/* ERROR_REFUSED unless the plan was made for the session's cluster. */
must_check int open_run_check_cluster(const struct session *session, const struct plan *plan,
				      struct error *err);

/* Executes stages `from` to `until` and says what came of it. Gives the exit status, or -1. */
int open_run_execute(struct session *session, struct open_run *open, enum plan_stage from,
		     enum plan_stage until, bool dry_run, struct error *err);

/* Undoes stage `from` and later ones. */
must_check int open_run_rollback(struct session *session, struct open_run *open,
				 enum plan_stage from, struct executor_result *ret,
				 struct error *err);

/* The value of --window, `missing` when it was not given. ERROR_USAGE. */
must_check int open_run_window(const char *text, int64_t missing_ms, int64_t *ret_ms,
			       struct error *err);

/* Looks at cluster and nodes: who uses old addresses of this run? */
must_check int open_run_evidence(struct session *session, struct open_run *open, int64_t window_ms,
				 struct evidence *ret, struct error *err);

void open_run_release(struct open_run *open);
#define auto_open_run __attribute__((cleanup(open_run_release)))

#endif
