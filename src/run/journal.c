/* SPDX-License-Identifier: MIT */
#include "run/journal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "text/json.h"

#define JOURNAL_VERSION 2

struct journal {
	sqlite3 *db;
	char *path;
};

static const char journal_schema[] =
	"CREATE TABLE IF NOT EXISTS run(id TEXT PRIMARY KEY, mode TEXT NOT NULL, target TEXT NOT "
	"NULL,"
	" plan TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
	" state INTEGER NOT NULL DEFAULT 0, back_to TEXT NOT NULL DEFAULT '');"
	"CREATE TABLE IF NOT EXISTS step(run TEXT NOT NULL, id TEXT NOT NULL, state INTEGER NOT "
	"NULL,"
	" at INTEGER NOT NULL, detail TEXT, PRIMARY KEY(run, id));"
	"CREATE TABLE IF NOT EXISTS kept(run TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL,"
	" document TEXT NOT NULL, PRIMARY KEY(run, step, name));"
	"CREATE TABLE IF NOT EXISTS event(seq INTEGER PRIMARY KEY, run TEXT NOT NULL,"
	" step TEXT NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, detail TEXT);";

const char *journal_state_name(enum journal_state state)
{
	static const char *const names[] = {
		[JOURNAL_PENDING] = "pending", [JOURNAL_INTENT] = "begun",
		[JOURNAL_DONE] = "done",       [JOURNAL_FAILED] = "failed",
		[JOURNAL_WAITING] = "waiting", [JOURNAL_UNDOING] = "undoing",
		[JOURNAL_UNDONE] = "undone",   [JOURNAL_FOUND] = "found",
	};

	return names[state];
}

bool journal_state_holds(enum journal_state state)
{
	return state == JOURNAL_DONE || state == JOURNAL_FOUND;
}

bool journal_state_touched(enum journal_state state)
{
	return state == JOURNAL_INTENT || state == JOURNAL_DONE || state == JOURNAL_FAILED ||
	       state == JOURNAL_UNDOING;
}

/* From version to version + 1. Version 1 had a step that was found done as done, with this detail. */
static const char *const journal_migrations[JOURNAL_VERSION] = {
	[1] = "ALTER TABLE run ADD COLUMN back_to TEXT NOT NULL DEFAULT '';"
	      "UPDATE step SET state = 7 WHERE state = 2 AND detail = 'it was so already';",
};

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

/* 0 is a database that was made a moment ago, with the tables of now. */
static int journal_migrate(struct journal *j, int version, struct error *err)
{
	auto_free char *stamp = alloc_format("PRAGMA user_version = %d", JOURNAL_VERSION);

	if (version == 0)
		return journal_execute(j, stamp, err);
	for (; version < JOURNAL_VERSION; version++) {
		const char *change = journal_migrations[version] ? journal_migrations[version] : "";
		auto_free char *sql = alloc_format("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; "
						   "COMMIT;",
						   change, version + 1);

		if (journal_execute(j, sql, err) < 0) {
			sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
			return -1;
		}
	}
	return 0;
}

static int journal_prepare(struct journal *j, struct error *err)
{
	int version;

	sqlite3_busy_timeout(j->db, 5000);
	/* a file that somebody put there runs nothing of its own */
	sqlite3_db_config(j->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(j->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(j->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(j->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
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
	return journal_migrate(j, version, err);
}

struct journal *journal_open(const char *folder, struct error *err)
{
	auto_journal struct journal *j = ALLOC_NEW(struct journal);
	/* SQLite follows no link anywhere in the path, but homes are reached by some; what is not
	 * there fails below */
	auto_free char *real = realpath(folder, NULL);

	j->path = file_join(real ? real : folder, "journal.db");
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

struct sqlite3 *journal_handle(const struct journal *j)
{
	return j->db;
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
		.back_to = journal_column(s, 7),
	};
}

static int journal_find(struct journal *j, const char *where, const char *text,
			struct journal_run *ret, struct error *err)
{
	auto_free char *sql = alloc_format(
		"SELECT id, mode, target, plan, started, ended, state, back_to FROM run "
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

#define JOURNAL_WHERE_OPEN "WHERE state IN (0, 2)"

int journal_current(struct journal *j, bool any, struct journal_run *ret, struct error *err)
{
	if (journal_find(j, JOURNAL_WHERE_OPEN, NULL, ret, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	if (!any)
		return error_set(err, ERROR_NOT_FOUND, "no run is open");
	error_release(err);
	return journal_find(j, "", NULL, ret, err);
}

int journal_find_run(struct journal *j, const char *run, struct journal_run *ret, struct error *err)
{
	return journal_find(j, run ? "WHERE id = ?1" : "", run, ret, err);
}

void journal_run_release(struct journal_run *run)
{
	free(run->id);
	free(run->mode);
	free(run->to);
	free(run->plan);
	free(run->back_to);
	*run = (struct journal_run){0};
}

/* Several writes that are there together or not at all. */
static int journal_together(struct journal *j, const char *const sql[], size_t count,
			    const char *const texts[], int text_count, struct error *err)
{
	if (journal_execute(j, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (journal_write(j, sql[i], texts, text_count, err) < 0) {
			sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
			return -1;
		}
	}
	if (journal_execute(j, "COMMIT", err) < 0) {
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}

static int journal_again(struct journal *j, const char *run, struct error *err)
{
	static const char *const sql[] = {
		"DELETE FROM step WHERE run = ?1",
		"DELETE FROM kept WHERE run = ?1",
		("UPDATE run SET state = 0, ended = 0, back_to = '', "
		 "started = CAST(?2 AS INTEGER) WHERE id = ?1"),
	};
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	const char *texts[] = {run, now};

	return journal_together(j, sql, 3, texts, 2, err);
}

int journal_begin(struct journal *j, const char *run, const char *mode, const char *to,
		  const char *plan, struct error *err)
{
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	const char *texts[] = {run, mode, to, plan, now};
	auto_journal_run struct journal_run found = {0};

	if (journal_find(j, "WHERE id = ?1", run, &found, err) == 0) {
		if (strcmp(found.plan, plan) == 0)
			return found.state == JOURNAL_RUN_ROLLED_BACK ? journal_again(j, run, err)
								      : 0;
		return error_set(err, ERROR_REFUSED, "run '%s' was begun with another plan file",
				 run);
	}
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	if (journal_find(j, JOURNAL_WHERE_OPEN, NULL, &found, err) == 0)
		return error_set(
			err, ERROR_REFUSED,
			"run '%s' is open; 'resume' and 'finalize', or 'rollback', end it before "
			"another begins",
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

int journal_turn(struct journal *j, const char *run, enum journal_run_state state,
		 const char *back_to, struct error *err)
{
	bool ended = state == JOURNAL_RUN_FINALIZED || state == JOURNAL_RUN_ROLLED_BACK;
	auto_free char *now = alloc_format("%lld", ended ? (long long)clock_wall_s() : 0);
	auto_free char *number = alloc_format("%d", (int)state);
	const char *texts[] = {run, number, now, back_to};

	return journal_write(j,
			     "UPDATE run SET state = CAST(?2 AS INTEGER), "
			     "ended = CAST(?3 AS INTEGER), back_to = ?4 WHERE id = ?1",
			     texts, 4, err);
}

static const char journal_set_step[] =
	"INSERT INTO step(run, id, state, at, detail) VALUES(?1, ?2, CAST(?3 AS INTEGER),"
	" CAST(?4 AS INTEGER), ?5) ON CONFLICT(run, id) DO UPDATE SET "
	"state = excluded.state, at = excluded.at, detail = excluded.detail";
static const char journal_add_event[] =
	"INSERT INTO event(run, step, state, at, detail) VALUES(?1, ?2, CAST(?3 AS INTEGER),"
	" CAST(?4 AS INTEGER), ?5)";

int journal_set(struct journal *j, const char *run, const char *step, enum journal_state state,
		const char *detail, struct error *err)
{
	const char *const sql[] = {journal_set_step, journal_add_event};
	auto_free char *now = alloc_format("%lld", (long long)clock_wall_s());
	auto_free char *number = alloc_format("%d", (int)state);
	const char *texts[] = {run, step, number, now, detail};

	return journal_together(j, sql, 2, texts, 5, err);
}

int journal_undone(struct journal *j, const char *run, const char *step, struct error *err)
{
	static const char *const sql[] = {
		journal_set_step,
		journal_add_event,
		"DELETE FROM kept WHERE run = ?1 AND step = ?2",
		"INSERT INTO kept(run, step, name, document) "
		"VALUES(?1, ?2, '" JOURNAL_KEPT_UNDONE "', ?6)",
	};
	int64_t wall = clock_wall_s();
	auto_free char *now = alloc_format("%lld", (long long)wall);
	auto_free char *number = alloc_format("%d", (int)JOURNAL_UNDONE);
	auto_free char *stamp = clock_format(wall);
	auto_free char *quoted = alloc_format("\"%s\"", stamp);
	const char *texts[] = {run, step, number, now, NULL, quoted};

	return journal_together(j, sql, 4, texts, 6, err);
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

static int journal_export_rows(struct journal *j, const char *run, bool steps, json_t *list,
			       struct error *err)
{
	auto_statement sqlite3_stmt *s = journal_statement(
		j,
		steps ? "SELECT id, state, at, detail FROM step WHERE run = ?1 ORDER BY id"
		      : "SELECT step, name, document FROM kept WHERE run = ?1 ORDER BY step, name",
		&run, 1);
	int result = s ? SQLITE_ROW : SQLITE_ERROR;

	while (s && (result = sqlite3_step(s)) == SQLITE_ROW) {
		auto_free char *first = journal_column(s, 0);
		auto_free char *last = journal_column(s, steps ? 3 : 1);
		json_t *document;

		if (steps) {
			json_t *row = json_pack("{s:s, s:i, s:I}", "id", first, "state",
						sqlite3_column_int(s, 1), "at",
						(json_int_t)sqlite3_column_int64(s, 2));

			/* what ssh or a node said may be no UTF-8 */
			protocol_set_text(row, "detail", last);
			json_array_append_new(list, row);
			continue;
		}
		document =
			json_loads((const char *)sqlite3_column_text(s, 2), JSON_DECODE_ANY, NULL);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o}", "step", first, "name", last,
						"document", document ? document : json_null()));
	}
	return result == SQLITE_DONE ? 0 : journal_error(j, "read", err);
}

int journal_export(struct journal *j, const char *run, json_t **ret, struct error *err)
{
	auto_json json_t *steps = json_array();
	auto_json json_t *kept = json_array();
	auto_journal_run struct journal_run found = {0};

	if (journal_find(j, "WHERE id = ?1", run, &found, err) < 0 ||
	    journal_export_rows(j, run, /* steps= */ true, steps, err) < 0 ||
	    journal_export_rows(j, run, /* steps= */ false, kept, err) < 0)
		return -1;
	*ret = json_pack("{s:s, s:s, s:s, s:I, s:i, s:s, s:O, s:O}", "run", found.id, "mode",
			 found.mode, "to", found.to, "startedAt", (json_int_t)found.started_s,
			 "state", (int)found.state, "backTo", found.back_to, "steps", steps, "kept",
			 kept);
	return 0;
}

static int journal_import_run(struct journal *j, const json_t *document, const char *plan,
			      struct error *err)
{
	auto_free char *started =
		alloc_format("%lld", (long long)json_path_int(document, "startedAt", 0));
	auto_free char *state =
		alloc_format("%lld", (long long)json_path_int(document, "state", 0));
	const char *texts[] = {json_path_text(document, "run"),
			       json_path_text(document, "mode"),
			       json_path_text(document, "to"),
			       plan,
			       started,
			       state,
			       json_path_text(document, "backTo")};

	return journal_write(j,
			     "INSERT INTO run(id, mode, target, plan, started, state, back_to) "
			     "VALUES(?1, ?2, ?3, ?4, CAST(?5 AS INTEGER), CAST(?6 AS INTEGER), ?7)",
			     texts, 7, err);
}

static int journal_import_step(struct journal *j, const char *run, const json_t *row,
			       struct error *err)
{
	auto_free char *state = alloc_format("%lld", (long long)json_path_int(row, "state", -1));
	auto_free char *at = alloc_format("%lld", (long long)json_path_int(row, "at", 0));
	const char *texts[] = {run, json_path_text(row, "id"), state, at,
			       json_path_text(row, "detail")};
	int64_t number = json_path_int(row, "state", -1);

	if (!texts[1] || number <= JOURNAL_PENDING || number > JOURNAL_FOUND)
		return error_set(err, ERROR_PARSE, "the progress of run '%s' is torn", run);
	return journal_write(j, journal_set_step, texts, 5, err);
}

static int journal_import_rows(struct journal *j, const json_t *document, const char *plan,
			       struct error *err)
{
	const char *run = json_path_text(document, "run");
	const json_t *row;
	size_t i;

	for (size_t k = 0; k < 3; k++) {
		static const char *const sql[] = {"DELETE FROM run WHERE id = ?1",
						  "DELETE FROM step WHERE run = ?1",
						  "DELETE FROM kept WHERE run = ?1"};

		if (journal_write(j, sql[k], &run, 1, err) < 0)
			return -1;
	}
	if (journal_import_run(j, document, plan, err) < 0)
		return -1;
	json_array_foreach(json_object_get(document, "steps"), i, row) {
		if (journal_import_step(j, run, row, err) < 0)
			return -1;
	}
	json_array_foreach(json_object_get(document, "kept"), i, row) {
		const char *step = json_path_text(row, "step");
		const char *name = json_path_text(row, "name");

		if (!step || !name || !json_object_get(row, "document"))
			return error_set(err, ERROR_PARSE, "the progress of run '%s' is torn", run);
		if (journal_keep(j, run, step, name, json_object_get(row, "document"), err) < 0)
			return -1;
	}
	return 0;
}

int journal_import(struct journal *j, const json_t *document, const char *plan, struct error *err)
{
	const char *run = json_path_text(document, "run");
	auto_journal_run struct journal_run open = {0};
	int64_t state = json_path_int(document, "state", -1);

	if (!run || !json_path_text(document, "mode") || !json_path_text(document, "to") ||
	    !json_path_text(document, "backTo") || state < JOURNAL_RUN_OPEN ||
	    state > JOURNAL_RUN_ROLLED_BACK)
		return error_set(err, ERROR_PARSE, "this is no progress of a run");
	if (journal_current(j, /* any= */ false, &open, err) == 0 && strcmp(open.id, run) != 0)
		return error_set(err, ERROR_REFUSED, "run '%s' is open here; end it first",
				 open.id);
	error_release(err);
	if (journal_execute(j, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	if (journal_import_rows(j, document, plan, err) < 0 ||
	    journal_execute(j, "COMMIT", err) < 0) {
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}
