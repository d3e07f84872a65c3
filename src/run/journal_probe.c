/* SPDX-License-Identifier: MIT */
#include "run/journal_probe.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const char probe_schema[] =
	"CREATE TABLE IF NOT EXISTS probe_target(run TEXT NOT NULL, name TEXT NOT NULL,"
	" role INTEGER NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,"
	" address TEXT NOT NULL, port INTEGER NOT NULL, PRIMARY KEY(run, name));"
	"CREATE TABLE IF NOT EXISTS probe_sample(run TEXT NOT NULL, target TEXT NOT NULL,"
	" begun INTEGER NOT NULL, ended INTEGER NOT NULL, ok INTEGER NOT NULL,"
	" failed INTEGER NOT NULL, explained INTEGER NOT NULL, max_ms INTEGER NOT NULL,"
	" sum_ms INTEGER NOT NULL, gap_ms INTEGER NOT NULL, step TEXT NOT NULL);"
	"CREATE INDEX IF NOT EXISTS probe_sample_run ON probe_sample(run, begun);"
	"CREATE TABLE IF NOT EXISTS probe_failure(run TEXT NOT NULL, target TEXT NOT NULL,"
	" node TEXT NOT NULL, at INTEGER NOT NULL, took_ms INTEGER NOT NULL, why TEXT NOT NULL,"
	" step TEXT NOT NULL, explained INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS probe_failure_run ON probe_failure(run, at);";

const char *probe_role_name(enum probe_role role)
{
	static const char *const names[] = {"old", "new", "node-port"};

	return names[role];
}

static int probe_error(struct journal *j, const char *what, struct error *err)
{
	sqlite3 *db = journal_handle(j);
	int code = sqlite3_errcode(db);

	return error_set(err,
			 code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ERROR_PARSE : ERROR_IO,
			 "cannot %s the journal '%s': %s", what, sqlite3_db_filename(db, "main"),
			 sqlite3_errmsg(db));
}

static int probe_execute(struct journal *j, const char *sql, struct error *err)
{
	if (sqlite3_exec(journal_handle(j), sql, NULL, NULL, NULL) != SQLITE_OK)
		return probe_error(j, "write", err);
	return 0;
}

static void probe_finish(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define auto_statement __attribute__((cleanup(probe_finish)))

/* A value to bind: a text, or a number when the text is NULL. */
struct probe_value {
	const char *text;
	int64_t number;
};
#define TEXT(t) ((struct probe_value){(t), 0})
#define NUMBER(n) ((struct probe_value){NULL, (n)})

static int probe_insert(struct journal *j, const char *sql, const struct probe_value *values,
			int count, struct error *err)
{
	auto_statement sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(journal_handle(j), sql, -1, &s, NULL) != SQLITE_OK)
		return probe_error(j, "write", err);
	for (int i = 0; i < count; i++) {
		if (values[i].text)
			sqlite3_bind_text(s, i + 1, values[i].text, -1, SQLITE_STATIC);
		else
			sqlite3_bind_int64(s, i + 1, values[i].number);
	}
	return sqlite3_step(s) == SQLITE_DONE ? 0 : probe_error(j, "write", err);
}

int journal_probe_target(struct journal *j, const char *run, const struct journal_target *target,
			 struct error *err)
{
	const struct probe_value values[] = {
		TEXT(run),
		TEXT(target->name),
		NUMBER(target->role),
		TEXT(target->kind),
		TEXT(target->service),
		TEXT(target->address),
		NUMBER(target->port),
	};

	if (probe_execute(j, probe_schema, err) < 0)
		return -1;
	return probe_insert(j,
			    "INSERT OR IGNORE INTO probe_target VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
			    values, 7, err);
}

static int probe_add_sample(struct journal *j, const char *run, const struct journal_sample *s,
			    struct error *err)
{
	const struct probe_value values[] = {
		TEXT(run),	   TEXT(s->target),   NUMBER(s->begin_ms),  NUMBER(s->end_ms),
		NUMBER(s->ok),	   NUMBER(s->failed), NUMBER(s->explained), NUMBER(s->max_ms),
		NUMBER(s->sum_ms), NUMBER(s->gap_ms), TEXT(s->step),
	};

	return probe_insert(j,
			    "INSERT INTO probe_sample VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
			    "?10, ?11)",
			    values, 11, err);
}

static int probe_add_failure(struct journal *j, const char *run, const struct journal_failure *f,
			     struct error *err)
{
	const struct probe_value values[] = {
		TEXT(run),	    TEXT(f->target), TEXT(f->node), NUMBER(f->at_ms),
		NUMBER(f->took_ms), TEXT(f->why),    TEXT(f->step), NUMBER(f->explained),
	};

	return probe_insert(j, "INSERT INTO probe_failure VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
			    values, 8, err);
}

static int probe_add_all(struct journal *j, const char *run, const struct journal_sample *samples,
			 size_t sample_count, const struct journal_failure *failures,
			 size_t failure_count, struct error *err)
{
	if (probe_execute(j, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (size_t i = 0; i < sample_count; i++)
		if (probe_add_sample(j, run, &samples[i], err) < 0)
			return -1;
	for (size_t i = 0; i < failure_count; i++)
		if (probe_add_failure(j, run, &failures[i], err) < 0)
			return -1;
	return probe_execute(j, "COMMIT", err);
}

int journal_probe_add(struct journal *j, const char *run, const struct journal_sample *samples,
		      size_t sample_count, const struct journal_failure *failures,
		      size_t failure_count, struct error *err)
{
	if (probe_add_all(j, run, samples, sample_count, failures, failure_count, err) == 0)
		return 0;
	sqlite3_exec(journal_handle(j), "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int journal_done_at(struct journal *j, const char *run, const char *step, int64_t *ret_s,
		    struct error *err)
{
	auto_statement sqlite3_stmt *s = NULL;
	int result;

	if (sqlite3_prepare_v2(journal_handle(j),
			       "SELECT at FROM step WHERE run = ?1 AND id = ?2 AND state = ?3", -1,
			       &s, NULL) != SQLITE_OK)
		return probe_error(j, "read", err);
	sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, step, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 3, JOURNAL_DONE);
	result = sqlite3_step(s);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return probe_error(j, "read", err);
	*ret_s = result == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	return 0;
}

/* ---- reading back ---- */

struct history {
	struct journal_history *out;
	size_t event_capacity;
	size_t target_capacity;
	size_t sample_capacity;
	size_t failure_capacity;
	/* Steps, nodes and reasons come again and again: each text is kept once. */
	char **texts;
	size_t text_count;
	size_t text_capacity;
};

struct history_texts {
	char **items;
	size_t count;
};

static const char *history_text(struct history *h, sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	if (!text)
		text = "";
	for (size_t i = h->text_count; i > 0 && h->text_count - i < 256; i--)
		if (strcmp(h->texts[i - 1], text) == 0)
			return h->texts[i - 1];
	ALLOC_GROW(h->texts, h->text_count, h->text_capacity);
	h->texts[h->text_count] = alloc_text(text);
	return h->texts[h->text_count++];
}

static char *history_copy(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return alloc_text(text ? text : "");
}

static void history_event(struct history *h, sqlite3_stmt *s)
{
	int state = sqlite3_column_int(s, 2);

	ALLOC_GROW(h->out->events, h->out->event_count, h->event_capacity);
	h->out->events[h->out->event_count++] = (struct journal_event){
		.step = history_copy(s, 0),
		.at_s = sqlite3_column_int64(s, 1),
		.state = (enum journal_state)state,
		.detail = history_copy(s, 3),
	};
}

static void history_target(struct history *h, sqlite3_stmt *s)
{
	int role = sqlite3_column_int(s, 1);

	ALLOC_GROW(h->out->targets, h->out->target_count, h->target_capacity);
	h->out->targets[h->out->target_count++] = (struct journal_target){
		.name = history_copy(s, 0),
		.role = role == PROBE_NEW	  ? PROBE_NEW
			: role == PROBE_NODE_PORT ? PROBE_NODE_PORT
						  : PROBE_OLD,
		.kind = history_copy(s, 2),
		.service = history_copy(s, 3),
		.address = history_copy(s, 4),
		.port = sqlite3_column_int64(s, 5),
	};
}

static void history_sample(struct history *h, sqlite3_stmt *s)
{
	ALLOC_GROW(h->out->samples, h->out->sample_count, h->sample_capacity);
	h->out->samples[h->out->sample_count++] = (struct journal_sample){
		.target = history_text(h, s, 0),
		.begin_ms = sqlite3_column_int64(s, 1),
		.end_ms = sqlite3_column_int64(s, 2),
		.ok = sqlite3_column_int64(s, 3),
		.failed = sqlite3_column_int64(s, 4),
		.explained = sqlite3_column_int64(s, 5),
		.max_ms = sqlite3_column_int64(s, 6),
		.sum_ms = sqlite3_column_int64(s, 7),
		.gap_ms = sqlite3_column_int64(s, 8),
		.step = history_text(h, s, 9),
	};
}

static void history_failure(struct history *h, sqlite3_stmt *s)
{
	ALLOC_GROW(h->out->failures, h->out->failure_count, h->failure_capacity);
	h->out->failures[h->out->failure_count++] = (struct journal_failure){
		.target = history_text(h, s, 0),
		.node = history_text(h, s, 1),
		.at_ms = sqlite3_column_int64(s, 2),
		.took_ms = sqlite3_column_int64(s, 3),
		.why = history_text(h, s, 4),
		.step = history_text(h, s, 5),
		.explained = sqlite3_column_int(s, 6) != 0,
	};
}

static const struct {
	const char *table;
	const char *sql;
	void (*take)(struct history *h, sqlite3_stmt *s);
} history_queries[] = {
	{"event", "SELECT step, at, state, detail FROM event WHERE run = ?1 ORDER BY seq",
	 history_event},
	{"probe_target",
	 "SELECT name, role, kind, service, address, port FROM probe_target WHERE run = ?1 "
	 "ORDER BY rowid",
	 history_target},
	{"probe_sample",
	 "SELECT target, begun, ended, ok, failed, explained, max_ms, sum_ms, gap_ms, step FROM "
	 "probe_sample WHERE run = ?1 ORDER BY begun, rowid",
	 history_sample},
	{"probe_failure",
	 "SELECT target, node, at, took_ms, why, step, explained FROM probe_failure WHERE run = ?1 "
	 "ORDER BY at, rowid",
	 history_failure},
};

static bool history_has_table(struct journal *j, const char *table)
{
	auto_statement sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(journal_handle(j),
			       "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", -1,
			       &s, NULL) != SQLITE_OK)
		return true; /* the query itself will say what is wrong */
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	return sqlite3_step(s) != SQLITE_DONE;
}

static int history_query(struct journal *j, size_t which, const char *run, struct history *h,
			 struct error *err)
{
	auto_statement sqlite3_stmt *s = NULL;
	int result;

	if (!history_has_table(j, history_queries[which].table))
		return 0;
	if (sqlite3_prepare_v2(journal_handle(j), history_queries[which].sql, -1, &s, NULL) !=
	    SQLITE_OK)
		return probe_error(j, "read", err);
	sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
	while ((result = sqlite3_step(s)) == SQLITE_ROW)
		history_queries[which].take(h, s);
	return result == SQLITE_DONE ? 0 : probe_error(j, "read", err);
}

int journal_history(struct journal *j, const char *run, struct journal_history *ret,
		    struct error *err)
{
	struct history h = {.out = ret};
	struct history_texts *kept;
	int result = 0;

	*ret = (struct journal_history){0};
	for (size_t i = 0; result == 0 && i < sizeof(history_queries) / sizeof(history_queries[0]);
	     i++)
		result = history_query(j, i, run, &h, err);
	kept = ALLOC_NEW(struct history_texts);
	*kept = (struct history_texts){h.texts, h.text_count};
	ret->memory = kept;
	return result;
}

void journal_history_release(struct journal_history *history)
{
	struct history_texts *texts = history->memory;

	for (size_t i = 0; i < history->event_count; i++) {
		free(history->events[i].step);
		free(history->events[i].detail);
	}
	for (size_t i = 0; i < history->target_count; i++) {
		free(history->targets[i].name);
		free(history->targets[i].kind);
		free(history->targets[i].service);
		free(history->targets[i].address);
	}
	for (size_t i = 0; texts && i < texts->count; i++)
		free(texts->items[i]);
	if (texts)
		free(texts->items);
	free(texts);
	free(history->events);
	free(history->targets);
	free(history->samples);
	free(history->failures);
	*history = (struct journal_history){0};
}
