/* SPDX-License-Identifier: MIT */
#ifndef STEP_STEP_H
#define STEP_STEP_H

#include "base/error.h"
#include "kube/client.h"
#include "node/pool.h"
#include "plan/plan.h"

/*
 * What a step may use, and how it keeps what it will need later. The executor (run/) fills it; the
 * functions behind the pointers write to the journal before they return.
 */
struct step_context {
	struct kube_client *kube;
	struct node_pool *pool; /* NULL: nodes are not reached */
	const struct plan *plan;
	const char *backup_folder; /* objects as they were, for a person; 0700 */

	/* Keeps a document under a name for this step, durably, before the effect that needs it.
	 * The first one under a name stays: a resumed step finds what was there before it began. */
	int (*keep)(struct step_context *context, const struct plan_step *step, const char *name,
		    const json_t *document, struct error *err);
	/* The kept document, a new reference; NULL when there is none. */
	json_t *(*kept)(struct step_context *context, const struct plan_step *step,
			const char *name);
	/* Called in waits: renews the lock, redraws progress; -1 when the user asks to stop. */
	int (*tick)(struct step_context *context, struct error *err);
	/* A sentence about what is waited for, for the screen. */
	__attribute__((format(printf, 2, 3))) void (*say)(struct step_context *context,
							  const char *fmt, ...);
	/* When default/kubernetes got its new address, wall seconds; 0: not in this run. NULL: 0. */
	int64_t (*moved_at)(struct step_context *context);
	int64_t window_ms;	/* how long connections to old addresses are watched */
	char slice_version[32]; /* in which EndpointSlices are served; empty: not asked yet */
	void *data;		/* the executor's */
};

struct step_right;

/*
 * A step kind is a const struct in a file of its own and a row in step/table.c. Every function can
 * be called again after a crash at any instant.
 */
struct step_kind {
	const char *name;
	/* What it writes to the API server (step/rights.h); NULL: nothing. */
	const struct step_right *rights;
	/* Appends one line for a person: "move Service default/web from 10.96.1.2 to 10.17.1.2". */
	void (*describe)(const struct plan_step *step, struct buffer *out);
	/* Whether the effect is there already. Reads only. */
	int (*check)(struct step_context *context, const struct plan_step *step, bool *ret_done,
		     struct error *err);
	/* Makes it so. ERROR_REFUSED when the cluster forbids it and nothing was changed. */
	int (*apply)(struct step_context *context, const struct plan_step *step, struct error *err);
	/* Proves it; NULL: check does. */
	int (*verify)(struct step_context *context, const struct plan_step *step,
		      struct error *err);
	/*
	 * Brings back what was before, and proves it. NULL: the step leaves nothing to take back (it
	 * waits, looks, or proves). Called for a step that is done, that was begun and killed at any
	 * instant, that failed, and again after an undo that was killed or failed itself. Uses what
	 * apply kept (context->kept) and the run's backups on nodes; what was kept is dropped when
	 * undo has succeeded. Traffic counts as on the way there: whoever uses an old or a new
	 * address keeps being answered. When somebody else changed the object since: ERROR_REFUSED
	 * that says so and where the original is; nothing of theirs is overwritten.
	 *
	 * Steps are undone in the order of plan/undo.h, not always backwards.
	 */
	int (*undo)(struct step_context *context, const struct plan_step *step, struct error *err);
};

/* NULL: there is no such kind. */
const struct step_kind *step_kind_find(const char *name);

/* All kinds, from 0; NULL behind the last. */
const struct step_kind *step_kind_at(size_t i);

/* ---- for step kinds ---- */

/* A parameter; ERROR_PARSE naming step and member when it is missing or empty. Borrowed. */
must_check int step_text(const struct plan_step *step, const char *name, const char **ret,
			 struct error *err);
/* "" and NULL when it is missing. */
const char *step_optional_text(const struct plan_step *step, const char *name);

/* The object, a new reference, or *ret NULL when it is not there. */
must_check int step_find(struct step_context *context, const struct kube_target *target,
			 json_t **ret, struct error *err);

/* Waits until `done` says so, asking every interval_ms, at most timeout_ms. ERROR_NETWORK "… still
 * not …" naming `what` after that; network errors of `done` itself are waited out. */
typedef int (*step_condition)(struct step_context *context, const struct plan_step *step,
			      bool *ret_done, struct error *err);
must_check int step_wait(struct step_context *context, const struct plan_step *step,
			 step_condition done, int64_t interval_ms, int64_t timeout_ms,
			 const char *what, struct error *err);

/* A check of kinds whose effect leaves nothing behind (a proof, a look, a wait): it is never there
 * already. */
int step_never_there(struct step_context *context, const struct plan_step *step, bool *ret_done,
		     struct error *err);
/* The verify that goes with it: apply has proved it. -1 when the user asks to stop. */
int step_proved_by_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err);

/* Sleeps and ticks. */
must_check int step_pause(struct step_context *context, int64_t ms, struct error *err);

/* Writes `object` to the run's backup folder as NAME.json (0600), once. */
must_check int step_backup_object(struct step_context *context, const char *name,
				  const json_t *object, struct error *err);

/* ERROR_REFUSED when the nodes are not reached (--nodes-via none). */
must_check int step_need_nodes(struct step_context *context, const struct plan_step *step,
			       struct error *err);

/* The document under which a step that was undone before finds since when (a text, RFC 3339). */
#define STEP_KEPT_UNDONE "undone"

#endif
