/* SPDX-License-Identifier: MIT */
#ifndef RUN_EXECUTOR_PART_H
#define RUN_EXECUTOR_PART_H

#include "run/executor.h"
#include "run/lock.h"
#include "run/mirror.h"
#include "run/probe.h"
#include "run/screen.h"
#include "step/step.h"

/* What the files of the executor share; private to run/. */
struct executor {
	const struct executor_options *options;
	struct step_context context;
	struct run_lock lock;
	struct executor_result result;
	char *backups; /* folder */
	struct screen *screen;
	struct run_probe *probe; /* NULL: nothing is probed */
	struct mirror mirror;	 /* its client is NULL until it begins */
	bool gate_passed;
	int64_t follow_ms; /* of the clock; when copied endpoints are looked at again */
	bool caught_up;	   /* a step that had waited for its node is done now */
};

/* Fills the context, takes the lock; executor_close releases both, also after a failure. */
must_check int executor_open(struct executor *e, const struct executor_options *options,
			     struct error *err);
void executor_close(struct executor *e);
#define auto_executor __attribute__((cleanup(executor_close)))

/* Begins to mirror the run in the cluster. ERROR_REFUSED when somebody else took it over since this
 * state folder was written; that it cannot be mirrored is said and no error. */
must_check int executor_mirror(struct executor *e, struct error *err);

/* ERROR_STOPPED naming `command` and the node to go on at, when the step works on a node that --nodes-via local
 * does not reach from here. */
must_check int executor_hop(const struct executor *e, const struct plan_step *step,
			    const char *command, struct error *err);

/* On the screen, and for the probes: this step is in hand. */
void executor_show_begin(struct executor *e, const struct plan_step *step,
			 const struct step_kind *kind);
/* One line about a step that is over; took_ms < 0: without its time. */
void executor_show_step(struct executor *e, const struct plan_step *step,
			const struct step_kind *kind, const char *mark, int64_t took_ms);

/* A look, repeated for a minute while no answer comes. */
must_check int executor_check(struct executor *e, const struct plan_step *step,
			      const struct step_kind *kind, bool *ret_done, struct error *err);
/* The effect, tried again for a minute after network errors. */
must_check int executor_effect(struct executor *e, const struct plan_step *step,
			       const struct step_kind *kind, struct error *err);

/* ERROR_PARSE when the kind is unknown. */
must_check int executor_kind(const struct plan_step *step, const struct step_kind **ret,
			     struct error *err);

/* How long what gets no answer is repeated, and how often. */
#define EXECUTOR_PATIENCE_MS 60000
#define EXECUTOR_AGAIN_MS 1000

#endif
