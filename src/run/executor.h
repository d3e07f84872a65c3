/* SPDX-License-Identifier: MIT */
#ifndef RUN_EXECUTOR_H
#define RUN_EXECUTOR_H

#include "kube/client.h"
#include "node/pool.h"
#include "plan/plan.h"
#include "run/journal.h"
#include "run/probe_judge.h"

/*
 * Carries a plan out, step by step, through the journal:
 *
 *	check (there already? -> done) -> intent -> apply -> verify -> done
 *
 * A process killed at any instant leaves steps that are done, at most one that is begun, and steps
 * that are pending; executing the same plan again goes on from there.
 */
struct executor_options {
	struct kube_client *kube;
	struct node_pool *pool;	 /* NULL: nodes are not reached */
	struct journal *journal; /* run begun */
	const struct plan *plan;
	const char *folder;    /* state folder of the cluster, for lock and backups */
	enum plan_stage from;  /* stages before it are not looked at */
	enum plan_stage until; /* the last stage done, finalize only when named */
	bool dry_run;	       /* looks what is there, changes nothing, not even the journal */
	bool force_lock;
	bool adopt;		       /* the run may be taken over from who mirrored it last */
	struct judge_limit max_failed; /* what a migration's probes may lose */
	int64_t window_ms;	       /* how long the drain watches connections */
	bool live;		       /* stderr is a terminal to draw on */
	bool colour;		       /* and it wants colours */
	/* Called once, when the tourniquet is done or where there is none: what must hold before
	 * anything else changes. NULL: nothing. */
	int (*gate)(void *data, struct error *err);
	void *gate_data;
};

struct executor_result {
	size_t changed; /* steps that had an effect now */
	size_t already; /* steps whose effect was there */
	size_t pending; /* steps of stages that were not asked for */
	size_t waiting; /* steps whose nodes cannot be reached now */
};

/* ERROR_REFUSED: nothing was changed. ERROR_STOPPED, ERROR_INTERRUPTED: part of it is done, and
 * `resume` goes on. */
must_check int executor_run(const struct executor_options *options, struct executor_result *ret,
			    struct error *err);

/*
 * Undoes the steps of stage `options->from` and later that had an effect, in the order of
 * plan/undo.h; the run's state says "rolling back" until it is done, and ROLLED_BACK when `from` is
 * the first stage. Killed or failed, it is called again, or executor_run goes on forwards instead.
 *
 * ERROR_REFUSED: finalize has begun, or the way back does not lead there; nothing was changed.
 * ret->changed: steps undone now; ret->already: undone before; ret->pending: steps that stay done.
 */
must_check int executor_rollback(const struct executor_options *options,
				 struct executor_result *ret, struct error *err);

#endif
