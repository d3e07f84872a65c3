/* SPDX-License-Identifier: MIT */
#ifndef RUN_JOURNAL_H
#define RUN_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * What a run did, durably: one SQLite database (journal.db) in the cluster's state folder. The
 * intent of a step is on disk before its effect, the outcome after; documents that a step needs
 * to go on or back are kept beside. The layout is in doc/kubectl-renumber-journal.5.
 */
struct journal;

enum journal_state {
	JOURNAL_PENDING = 0, /* no row */
	JOURNAL_INTENT,	     /* begun; the effect may or may not be there */
	JOURNAL_DONE,
	JOURNAL_FAILED,	 /* begun and refused; looked at again by resume */
	JOURNAL_WAITING, /* its node could not be reached; resume tries again */
	JOURNAL_UNDOING, /* rollback began to undo it */
	JOURNAL_UNDONE,
	JOURNAL_FOUND, /* it was so before the run came to it: done, but not by us */
};

const char *journal_state_name(enum journal_state state);
/* True when the effect is there: done or found. */
bool journal_state_holds(enum journal_state state);
/* True when the run had, or may have had, an effect that is still there. */
bool journal_state_touched(enum journal_state state);

enum journal_run_state {
	JOURNAL_RUN_OPEN,
	JOURNAL_RUN_FINALIZED,
	JOURNAL_RUN_ROLLING_BACK, /* open, on its way back */
	JOURNAL_RUN_ROLLED_BACK,  /* ended: all is as it was */
};

struct journal_run {
	char *id; /* owned */
	char *mode;
	char *to;
	int64_t started_s;
	int64_t ended_s; /* 0: open */
	enum journal_run_state state;
	char *plan;    /* text of the plan as it was applied */
	char *back_to; /* the stage that a rollback goes back to; "": the beginning */
};

/* Not ended: it goes on or goes back. */
static inline bool journal_run_is_open(const struct journal_run *run)
{
	return run->state == JOURNAL_RUN_OPEN || run->state == JOURNAL_RUN_ROLLING_BACK;
}

/* Opens or creates folder/journal.db. ERROR_IO for a full or read-only disk, ERROR_PARSE when the
 * file is no journal or one of a newer version. */
must_check struct journal *journal_open(const char *folder, struct error *err);
void journal_free(struct journal *journal);

/* The database, for the files of this folder that keep tables of their own in it. Borrowed. */
struct sqlite3;
struct sqlite3 *journal_handle(const struct journal *journal);

/* Records the run; fine when it is there already with the same plan, ERROR_REFUSED with another. A
 * run that was rolled back whole begins anew: what was recorded of its steps is dropped. */
must_check int journal_begin(struct journal *journal, const char *run, const char *mode,
			     const char *to, const char *plan, struct error *err);
must_check int journal_end(struct journal *journal, const char *run, struct error *err);
/* Turns the run round: OPEN goes on, ROLLING_BACK goes back to the stage `back_to` ("": the
 * beginning), ROLLED_BACK ends it. */
must_check int journal_turn(struct journal *journal, const char *run, enum journal_run_state state,
			    const char *back_to, struct error *err);

/* The run that is open, or else (`any`) the last one; ERROR_NOT_FOUND when there is none. */
must_check int journal_current(struct journal *journal, bool any, struct journal_run *ret,
			       struct error *err);
/* The run with this id, NULL: the one that began last. ERROR_NOT_FOUND. */
must_check int journal_find_run(struct journal *journal, const char *run, struct journal_run *ret,
				struct error *err);
void journal_run_release(struct journal_run *run);

must_check int journal_set(struct journal *journal, const char *run, const char *step,
			   enum journal_state state, const char *detail, struct error *err);
/* JOURNAL_PENDING for a step without a row. *ret_detail (may be NULL) is the caller's. */
must_check int journal_get(struct journal *journal, const char *run, const char *step,
			   enum journal_state *ret, char **ret_detail, struct error *err);

/* Keeps the first document under (run, step, name). */
must_check int journal_keep(struct journal *journal, const char *run, const char *step,
			    const char *name, const json_t *document, struct error *err);
/* Records that the step is undone and drops what it kept, in one write: done again, it keeps what is
 * there then. Under the name JOURNAL_KEPT_UNDONE stands since when (RFC 3339). */
must_check int journal_undone(struct journal *journal, const char *run, const char *step,
			      struct error *err);
#define JOURNAL_KEPT_UNDONE "undone"

/* {"run", "mode", "to", "startedAt", "state", "backTo", "steps": [{id, state, at, detail}], "kept":
 * [{step, name, document}]}: what resume needs elsewhere, without the plan. A new reference. */
must_check int journal_export(struct journal *journal, const char *run, json_t **ret,
			      struct error *err);
/* Takes what journal_export gave, and the plan, as a run of this journal; ERROR_PARSE for anything
 * else, ERROR_REFUSED when another run is open here. What is known of this run is replaced. */
must_check int journal_import(struct journal *journal, const json_t *document, const char *plan,
			      struct error *err);

/* NULL when there is none or it cannot be read; a new reference. */
json_t *journal_kept(struct journal *journal, const char *run, const char *step, const char *name);

static inline void journal_cleanup(struct journal **journal)
{
	journal_free(*journal);
}
#define auto_journal __attribute__((cleanup(journal_cleanup)))
#define auto_journal_run __attribute__((cleanup(journal_run_release)))

#endif
