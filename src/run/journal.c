/* SPDX-License-Identifier: MIT */
#include "run/journal.h"

#include <sqlite3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

#define JOURNAL_VERSION 1

struct journal {
	sqlite3 *db;
	char *path;
};

static const char journal_schema[] =
	"CREATE TABLE IF NOT EXISTS run(id TEXT PRIMARY KEY, mode TEXT NOT NULL, target TEXT NOT "
	"NULL,"
	" plan TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
	" state INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE IF NOT EXISTS step(run TEXT NOT NULL, id TEXT NOT NULL, state INTEGER NOT "
	"NULL,"
	" at INTEGER NOT NULL, detail TEXT, PRIMARY KEY(run, id));"
	"CREATE TABLE IF NOT EXISTS kept(run TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL,"
	" document TEXT NOT NULL, PRIMARY KEY(run, step, name));"
	"CREATE TABLE IF NOT EXISTS event(seq INTEGER PRIMARY KEY, run TEXT NOT NULL,"
	" step TEXT NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, detail TEXT);";

const char *journal_state_name(enum journal_state state)
{
	static const char *const names[] = {"pending", "begun", "done", "failed"};

	return names[state];
}

static int journal_error(struct journal *j, const char *what, struct error *err)
{
	int code = sqlite3_errcode(j->db);

	return error_set(err,
			 code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ERROR_PARSE : ERROR_IO,
			 "cannot %s the journal '%s': %s", what, j->path, sqlite3_errmsg(j->db));
}

static int journal_execute(struct journal *j, const char *sql, struct error *err)
{
	if (sqlite3_exec(j->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return journal_error(j, "write", err);
	return 0;
}

static int journal_user_version(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return version;
}

static int journal_prepare(struct journal *j, struct error *err)
{
	auto_free char *stamp = alloc_format("PRAGMA user_version = %d", JOURNAL_VERSION);
	int version;

	sqlite3_busy_timeout(j->db, 5000);
	version = journal_user_version(j->db);
	if (version < 0)
		return journal_error(j, "read", err);
	if (version > JOURNAL_VERSION)
		return error_set(err, ERROR_PARSE,
				 "the journal '%s' was written by a newer version; use that one",
				 j->path);
	/* Each write is on disk when the call returns: that is what a journal is for. */
	if (journal_execute(j, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;", err) < 0 ||
	    journal_execute(j, journal_schema, err) < 0)
		return -1;
	return version == JOURNAL_VERSION ? 0 : journal_execute(j, stamp, err);
}

struct journal *journal_open(const char *folder, struct error *err)
{
	auto_journal struct journal *j = ALLOC_NEW(struct journal);

	j->path = file_join(folder, "journal.db");
	if (sqlite3_open_v2(j->path, &j->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
			    NULL) != SQLITE_OK) {
		journal_error(j, "open", err);
		return NULL;
	}
	if (journal_prepare(j, err) < 0)
		return NULL;
	return steal(j);
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	sqlite3_close(j->db);
	free(j->path);
	free(j);
}

/* Binds texts in order (NULL stays NULL) and gives the prepared statement. */
static sqlite3_stmt *journal_statement(struct journal *j, const char *sql,
				       const char *const texts[], int count)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(j->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	for (int i = 0; i < count; i++)
		sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC);
	return statement;
}

static void journal_finish(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define auto_statement __attribute__((cleanup(journal_finish)))

static int journal_write(struct journal *j, const char *sql, const char *const texts[], int count,
			 struct error *err)
{
	auto_statement sqlite3_stmt *statement = journal_statement(j, sql, texts, count);

	if (!statement || sqlite3_step(statement) != SQLITE_DONE)
		return journal_error(j, "write", err);
	return 0;
}

static char *journal_column(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return alloc_text(text ? (const char *)text : "");
}

static void journal_read_run(sqlite3_stmt *s, struct journal_run *ret)
{
	*ret = (struct journal_run){
		.id = journal_column(s, 0),
		.mode = journal_column(s, 1),
		.to = journal_column(s, 2),
		.plan = journal_column(s, 3),
		.started_s = sqlite3_column_int64(s, 4),
		.ended_s = sqlite3_column_int64(s, 5),
		.state = (enum journal_run_state)sqlite3_column_int(s, 6),
	};
}

static int journal_find(struct journal *j, const char *where, const char *text,
			struct journal_run *ret, struct error *err)
{
	auto_free char *sql =
		alloc_format("SELECT id, mode, target, plan, started, ended, state FROM run "
			     "%s ORDER BY started DESC, rowid DESC LIMIT 1",
			     where);
	auto_statement sqlite3_stmt *s = journal_statement(j, sql, &text, text ? 1 : 0);
	int result;

	if (!s)
		return journal_error(j, "read", err);
	result = sqlite3_step(s);
	if (result == SQLITE_DONE)
		return error_set(err, ERROR_NOT_FOUND, "there is no such run in '%s'", j->path);
	if (result != SQLITE_ROW)
		return journal_error(j, "read", err);
	journal_read_run(s, ret);
	return 0;
}

int journal_current(struct journal *j, bool any, struct journal_run *ret, struct error *err)
{
	if (journal_find(j, "WHERE state = 0", NULL, ret, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	if (!any)
		return error_set(err, ERROR_NOT_FOUND, "no run is open");
	error_release(err);
	return journal_find(j, "", NULL, ret, err);
}

void journal_run_release(struct journal_run *run)
{
	free(run->id);
	free(run->mode);
	free(run->to);
	free(run->plan);
	*run = (struct journal_run){0};
}

int journal_begin(struct journal *j, const char *run, const char *mode, const char *to,
		  const char *plan, struct error *err)
{
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	const char *texts[] = {run, mode, to, plan, now};
	auto_journal_run struct journal_run found = {0};

	if (journal_find(j, "WHERE id = ?1", run, &found, err) == 0) {
		if (strcmp(found.plan, plan) == 0)
			return 0;
		return error_set(err, ERROR_REFUSED, "run '%s' was begun with another plan file",
				 run);
	}
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	if (journal_find(j, "WHERE state = 0", NULL, &found, err) == 0)
		return error_set(
			err, ERROR_REFUSED,
			"run '%s' is open; 'resume' or 'finalize' it before another begins",
			found.id);
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	return journal_write(j,
			     "INSERT INTO run(id, mode, target, plan, started) "
			     "VALUES(?1, ?2, ?3, ?4, CAST(?5 AS INTEGER))",
			     texts, 5, err);
}

int journal_end(struct journal *j, const char *run, struct error *err)
{
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	const char *texts[] = {run, now};

	return journal_write(j,
			     "UPDATE run SET state = 1, ended = CAST(?2 AS INTEGER) WHERE id = ?1",
			     texts, 2, err);
}

int journal_set(struct journal *j, const char *run, const char *step, enum journal_state state,
		const char *detail, struct error *err)
{
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	auto_free char *number = alloc_format("%d", (int)state);
	const char *texts[] = {run, step, number, now, detail};

	if (journal_execute(j, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	if (journal_write(j,
			  "INSERT INTO step(run, id, state, at, detail) VALUES(?1, ?2, CAST(?3 AS "
			  "INTEGER),"
			  " CAST(?4 AS INTEGER), ?5) ON CONFLICT(run, id) DO UPDATE SET "
			  "state = excluded.state, at = excluded.at, detail = excluded.detail",
			  texts, 5, err) < 0 ||
	    journal_write(j,
			  "INSERT INTO event(run, step, state, at, detail) VALUES(?1, ?2,"
			  " CAST(?3 AS INTEGER), CAST(?4 AS INTEGER), ?5)",
			  texts, 5, err) < 0 ||
	    journal_execute(j, "COMMIT", err) < 0) {
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

int journal_get(struct journal *j, const char *run, const char *step, enum journal_state *ret,
		char **ret_detail, struct error *err)
{
	const char *texts[] = {run, step};
	auto_statement sqlite3_stmt *s = journal_statement(
		j, "SELECT state, detail FROM step WHERE run = ?1 AND id = ?2", texts, 2);
	int result = s ? sqlite3_step(s) : SQLITE_ERROR;

	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return journal_error(j, "read", err);
	*ret = result == SQLITE_ROW ? (enum journal_state)sqlite3_column_int(s, 0)
				    : JOURNAL_PENDING;
	if (ret_detail)
		*ret_detail = result == SQLITE_ROW ? journal_column(s, 1) : alloc_text("");
	return 0;
}

int journal_keep(struct journal *j, const char *run, const char *step, const char *name,
		 const json_t *document, struct error *err)
{
	auto_free char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *texts[] = {run, step, name, text};

	return journal_write(j,
			     "INSERT OR IGNORE INTO kept(run, step, name, document) "
			     "VALUES(?1, ?2, ?3, ?4)",
			     texts, 4, err);
}

json_t *journal_kept(struct journal *j, const char *run, const char *step, const char *name)
{
	const char *texts[] = {run, step, name};
	auto_statement sqlite3_stmt *s = journal_statement(
		j, "SELECT document FROM kept WHERE run = ?1 AND step = ?2 AND name = ?3", texts,
		3);

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		return NULL;
	return json_loads((const char *)sqlite3_column_text(s, 0), JSON_DECODE_ANY, NULL);
}
