/* SPDX-License-Identifier: MIT */
#include "run/journal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "lib/test.h"
#include "text/json.h"

/* A new empty folder in the test's own. */
static char *folder_new(const char *name)
{
	char *folder = file_join(test_folder(), name);

	CHECK_INT(mkdir(folder, 0700), 0);
	return folder;
}

static void write_bytes(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "wbe");

	CHECK(file != NULL);
	if (!file)
		return;
	CHECK_INT(fwrite(bytes, 1, len, file), len);
	CHECK_INT(fclose(file), 0);
}

static void check_state(struct journal *j, const char *run, const char *step,
			enum journal_state want, const char *want_detail)
{
	auto_error struct error err = {0};
	auto_free char *detail = NULL;
	enum journal_state state = JOURNAL_FAILED;

	if (!CHECK_OK(journal_get(j, run, step, &state, &detail, &err), &err))
		return;
	CHECK_INT(state, want);
	CHECK_STR(detail, want_detail);
}

static void runs(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("runs");
	auto_journal struct journal *j = journal_open(folder, &err);
	auto_journal_run struct journal_run run = {0};
	auto_journal_run struct journal_run last = {0};

	if (!CHECK(j != NULL))
		return;
	TEST("an empty journal has no run");
	CHECK_ERROR(journal_current(j, false, &run, &err), &err, ERROR_NOT_FOUND, "no run is open");
	CHECK_ERROR(journal_current(j, true, &run, &err), &err, ERROR_NOT_FOUND, "no such run");

	TEST("a run begins once, and again with the same plan");
	CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{plan}", &err), &err);
	CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{plan}", &err), &err);

	TEST("with another plan it is refused");
	CHECK_ERROR(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{other}", &err), &err,
		    ERROR_REFUSED, "run 'r-1' was begun with another plan file");

	TEST("a second run is refused while one is open");
	CHECK_ERROR(journal_begin(j, "r-2", "repair", "10.18.0.0/16", "{two}", &err), &err,
		    ERROR_REFUSED, "run 'r-1' is open; 'resume' and 'finalize', or 'rollback'");

	TEST("the open run is found");
	if (CHECK_OK(journal_current(j, false, &run, &err), &err)) {
		CHECK_STR(run.id, "r-1");
		CHECK_STR(run.mode, "repair");
		CHECK_STR(run.to, "10.17.0.0/16");
		CHECK_STR(run.plan, "{plan}");
		CHECK_INT(run.state, JOURNAL_RUN_OPEN);
		CHECK(run.started_s > 0);
		CHECK_INT(run.ended_s, 0);
	}
	journal_run_release(&run);

	TEST("a run that is ended is no longer open, but the last one");
	CHECK_OK(journal_end(j, "r-1", &err), &err);
	CHECK_ERROR(journal_current(j, false, &run, &err), &err, ERROR_NOT_FOUND, "no run is open");
	if (CHECK_OK(journal_current(j, true, &last, &err), &err)) {
		CHECK_STR(last.id, "r-1");
		CHECK_INT(last.state, JOURNAL_RUN_FINALIZED);
		CHECK(last.ended_s >= last.started_s);
	}
	journal_run_release(&last);

	TEST("then another begins, and is the current one");
	CHECK_OK(journal_begin(j, "r-2", "repair", "10.18.0.0/16", "{two}", &err), &err);
	if (CHECK_OK(journal_current(j, true, &last, &err), &err))
		CHECK_STR(last.id, "r-2");
}

static void steps(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("steps");
	struct journal *j = journal_open(folder, &err);

	TEST("a step without a row is pending");
	if (!CHECK(j != NULL))
		return;
	CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{}", &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_PENDING, "");

	TEST("states replace each other");
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_INTENT, NULL, &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_INTENT, "");
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_FAILED, "it's \"no\"; --", &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_FAILED, "it's \"no\"; --");
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_DONE, NULL, &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_DONE, "");
	check_state(j, "r-1", "s02", JOURNAL_PENDING, "");
	check_state(j, "r-2", "s01", JOURNAL_PENDING, "");
	CHECK_STR(journal_state_name(JOURNAL_INTENT), "begun");

	TEST("states are there for the next process");
	CHECK_OK(journal_set(j, "r-1", "s02", JOURNAL_INTENT, NULL, &err), &err);
	journal_free(j);
	j = journal_open(folder, &err);
	if (CHECK(j != NULL)) {
		check_state(j, "r-1", "s01", JOURNAL_DONE, "");
		check_state(j, "r-1", "s02", JOURNAL_INTENT, "");
	}
	journal_free(j);
}

static void documents(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("kept");
	auto_journal struct journal *j = journal_open(folder, &err);
	auto_json json_t *first = json_pack("{s:s}", "uid", "u-1");
	auto_json json_t *second = json_pack("{s:s}", "uid", "u-2");
	auto_json json_t *found = NULL;

	TEST("the first document under a name stays");
	if (!CHECK(j != NULL))
		return;
	CHECK(journal_kept(j, "r-1", "s01", "service") == NULL);
	CHECK_OK(journal_keep(j, "r-1", "s01", "service", first, &err), &err);
	CHECK_OK(journal_keep(j, "r-1", "s01", "service", second, &err), &err);
	found = journal_kept(j, "r-1", "s01", "service");
	CHECK(json_equal(found, first));
	CHECK(journal_kept(j, "r-1", "s02", "service") == NULL);
	CHECK(journal_kept(j, "r-2", "s01", "service") == NULL);
	CHECK(journal_kept(j, "r-1", "s01", "slices") == NULL);
}

static void check_not_opened(const char *folder, enum error_kind kind, const char *text)
{
	auto_error struct error err = {0};
	auto_journal struct journal *j = journal_open(folder, &err);

	CHECK(j == NULL);
	CHECK_INT(err.kind, kind);
	CHECK(strstr(error_text(&err), text) != NULL);
	if (!strstr(error_text(&err), text))
		CHECK_STR(error_text(&err), text);
	CHECK(!strchr(error_text(&err), '\n'));
}

static void damage(void)
{
	static const char garbage[] = "this is no database, but it is long enough to be read as "
				      "the head of one: 0123456789 0123456789 0123456789";
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("damaged");
	auto_free char *path = file_join(folder, "journal.db");
	auto_free char *elsewhere = file_join(folder, "elsewhere.db");
	struct journal *j;

	TEST("a file that is no journal");
	write_bytes(path, garbage, sizeof(garbage) - 1);
	check_not_opened(folder, ERROR_PARSE, "journal.db'");

	TEST("it is left as it was");
	{
		auto_buffer struct buffer now = {0};

		CHECK_OK(file_read(path, 4096, &now, &err), &err);
		CHECK_MEM(now.ptr, now.len, garbage, sizeof(garbage) - 1);
	}

	TEST("an empty file, left by a full disk, becomes a journal");
	write_bytes(path, "", 0);
	j = journal_open(folder, &err);
	if (CHECK(j != NULL))
		CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{}", &err), &err);
	journal_free(j);

	TEST("a torn file");
	{
		struct stat info;

		CHECK_INT(stat(path, &info), 0);
		CHECK(info.st_size > 8192);
		CHECK_INT(truncate(path, info.st_size / 2), 0);
		check_not_opened(folder, ERROR_PARSE, "journal.db'");
	}

	TEST("a link is not followed");
	CHECK_INT(rename(path, elsewhere), 0);
	CHECK_INT(symlink(elsewhere, path), 0);
	check_not_opened(folder, ERROR_IO, "cannot open the journal");

	TEST("a folder in its place");
	CHECK_INT(unlink(path), 0);
	CHECK_INT(mkdir(path, 0700), 0);
	check_not_opened(folder, ERROR_IO, "cannot open the journal");
}

static void newer(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("newer");
	auto_free char *path = file_join(folder, "journal.db");
	sqlite3 *db = NULL;

	TEST("a journal of a newer version");
	journal_free(journal_open(folder, &err));
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	check_not_opened(folder, ERROR_PARSE, "was written by a newer version");
}

/* A journal of version 1, as it was written then, with a step that was found done. */
static const char version_1[] =
	"CREATE TABLE run(id TEXT PRIMARY KEY, mode TEXT NOT NULL, target TEXT NOT NULL,"
	" plan TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
	" state INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE step(run TEXT NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL,"
	" at INTEGER NOT NULL, detail TEXT, PRIMARY KEY(run, id));"
	"CREATE TABLE kept(run TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL,"
	" document TEXT NOT NULL, PRIMARY KEY(run, step, name));"
	"CREATE TABLE event(seq INTEGER PRIMARY KEY, run TEXT NOT NULL, step TEXT NOT NULL,"
	" at INTEGER NOT NULL, state INTEGER NOT NULL, detail TEXT);"
	"INSERT INTO run VALUES('r-1', 'repair', '10.17.0.0/16', '{}', 7, 0, 0);"
	"INSERT INTO step VALUES('r-1', 's01', 2, 8, 'it was so already');"
	"INSERT INTO step VALUES('r-1', 's02', 2, 8, NULL);"
	"PRAGMA user_version = 1;";

static void older(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("older");
	auto_free char *path = file_join(folder, "journal.db");
	auto_journal_run struct journal_run run = {0};
	struct journal *j;
	sqlite3 *db = NULL;

	TEST("a journal of version 1 is read on");
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (int i = 0; i < 2; i++) {
		j = journal_open(folder, &err);
		if (!CHECK_OK(j ? 0 : -1, &err))
			return;
		check_state(j, "r-1", "s01", JOURNAL_FOUND, "it was so already");
		check_state(j, "r-1", "s02", JOURNAL_DONE, "");
		if (CHECK_OK(journal_current(j, false, &run, &err), &err))
			CHECK_STR(run.back_to, "");
		journal_run_release(&run);
		journal_free(j);
	}
}

static void back(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("back");
	auto_journal struct journal *j = journal_open(folder, &err);
	auto_journal_run struct journal_run run = {0};
	auto_json json_t *original = json_pack("{s:s}", "uid", "u-1");
	auto_json json_t *later = json_pack("{s:s}", "uid", "u-2");
	auto_json json_t *found = NULL;
	auto_json json_t *stamp = NULL;

	TEST("a run on its way back is open, and says to where");
	if (!CHECK(j != NULL))
		return;
	CHECK_OK(journal_begin(j, "r-1", "migrate", "10.17.0.0/16", "{}", &err), &err);
	CHECK_OK(journal_keep(j, "r-1", "s01", "original", original, &err), &err);
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_DONE, NULL, &err), &err);
	CHECK_OK(journal_turn(j, "r-1", JOURNAL_RUN_ROLLING_BACK, "ranges", &err), &err);
	if (CHECK_OK(journal_current(j, false, &run, &err), &err)) {
		CHECK_INT(run.state, JOURNAL_RUN_ROLLING_BACK);
		CHECK_STR(run.back_to, "ranges");
	}
	journal_run_release(&run);

	TEST("a step that is being undone still has what it kept");
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_UNDOING, NULL, &err), &err);
	found = journal_kept(j, "r-1", "s01", "original");
	CHECK(json_equal(found, original));

	TEST("one that is undone keeps anew, and knows since when");
	CHECK_OK(journal_undone(j, "r-1", "s01", &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_UNDONE, "");
	CHECK(journal_kept(j, "r-1", "s01", "original") == NULL);
	stamp = journal_kept(j, "r-1", "s01", JOURNAL_KEPT_UNDONE);
	CHECK(json_is_string(stamp));
	CHECK_OK(journal_keep(j, "r-1", "s01", "original", later, &err), &err);
	json_decref(found);
	found = journal_kept(j, "r-1", "s01", "original");
	CHECK(json_equal(found, later));
	CHECK_OK(journal_undone(j, "r-1", "s01", &err), &err);

	TEST("a run that was rolled back whole is ended, and begins anew with the same plan");
	CHECK_OK(journal_turn(j, "r-1", JOURNAL_RUN_ROLLED_BACK, "", &err), &err);
	CHECK_ERROR(journal_current(j, false, &run, &err), &err, ERROR_NOT_FOUND, "no run is open");
	CHECK_OK(journal_begin(j, "r-1", "migrate", "10.17.0.0/16", "{}", &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_PENDING, "");
	CHECK(journal_kept(j, "r-1", "s01", JOURNAL_KEPT_UNDONE) == NULL);
	CHECK_OK(journal_current(j, false, &run, &err), &err);
}

static void elsewhere(void)
{
	auto_error struct error err = {0};
	auto_free char *one = folder_new("one");
	auto_free char *two = folder_new("two");
	auto_journal struct journal *a = journal_open(one, &err);
	auto_journal struct journal *b = journal_open(two, &err);
	auto_journal_run struct journal_run run = {0};
	auto_json json_t *original = json_pack("{s:s}", "uid", "u-1");
	auto_json json_t *document = NULL;
	auto_json json_t *again = NULL;

	TEST("what a run did goes from one journal to another");
	if (!CHECK(a && b))
		return;
	CHECK_OK(journal_begin(a, "r-1", "migrate", "10.17.0.0/16", "{plan}", &err), &err);
	CHECK_OK(journal_keep(a, "r-1", "s02", "original", original, &err), &err);
	CHECK_OK(journal_set(a, "r-1", "s01", JOURNAL_DONE, NULL, &err), &err);
	CHECK_OK(journal_set(a, "r-1", "s02", JOURNAL_FAILED, "no", &err), &err);
	CHECK_OK(journal_turn(a, "r-1", JOURNAL_RUN_ROLLING_BACK, "ranges", &err), &err);
	CHECK_OK(journal_export(a, "r-1", &document, &err), &err);
	CHECK_OK(journal_import(b, document, "{plan}", &err), &err);
	check_state(b, "r-1", "s01", JOURNAL_DONE, "");
	check_state(b, "r-1", "s02", JOURNAL_FAILED, "no");
	if (CHECK_OK(journal_current(b, false, &run, &err), &err)) {
		CHECK_STR(run.plan, "{plan}");
		CHECK_STR(run.back_to, "ranges");
		CHECK_INT(run.state, JOURNAL_RUN_ROLLING_BACK);
	}
	CHECK_OK(journal_export(b, "r-1", &again, &err), &err);
	CHECK(json_equal(document, again));

	TEST("a second time, too");
	CHECK_OK(journal_import(b, document, "{plan}", &err), &err);

	TEST("torn progress changes nothing");
	json_array_append_new(json_object_get(document, "steps"), json_pack("{s:s}", "id", "s03"));
	CHECK_ERROR(journal_import(b, document, "{plan}", &err), &err, ERROR_PARSE, "is torn");
	check_state(b, "r-1", "s01", JOURNAL_DONE, "");

	TEST("another open run is not pushed aside");
	json_object_set_new(document, "run", json_string("r-2"));
	CHECK_ERROR(journal_import(b, document, "{plan}", &err), &err, ERROR_REFUSED,
		    "run 'r-1' is open here");
}

/* As another user, root may write everywhere: a folder that is not there serves for both. */
static void unwritable(void)
{
	auto_free char *missing = file_join(test_folder(), "missing");
	auto_free char *folder = folder_new("readonly");

	TEST("a folder that is not there");
	check_not_opened(missing, ERROR_IO, "cannot open the journal");

	TEST("a folder that may not be written");
	CHECK_INT(chmod(folder, 0500), 0);
	if (geteuid() != 0)
		check_not_opened(folder, ERROR_IO, "cannot open the journal");
	CHECK_INT(chmod(folder, 0700), 0);
}

/* What another process holds is waited for, and then said. */
static void full(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("full");
	auto_free char *path = file_join(folder, "journal.db");
	auto_journal struct journal *j = journal_open(folder, &err);
	sqlite3 *db = NULL;

	TEST("a write that cannot be made is an error, and leaves what was there");
	if (!CHECK(j != NULL))
		return;
	CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{}", &err), &err);
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_INTENT, NULL, &err), &err);
	/* the database refuses the second of the two writes of a state */
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "ALTER TABLE event RENAME TO away", NULL, NULL, NULL),
		  SQLITE_OK);
	CHECK_ERROR(journal_set(j, "r-1", "s01", JOURNAL_DONE, NULL, &err), &err, ERROR_IO,
		    "cannot write the journal");
	check_state(j, "r-1", "s01", JOURNAL_INTENT, "");
	CHECK_INT(sqlite3_exec(db, "ALTER TABLE away RENAME TO event", NULL, NULL, NULL),
		  SQLITE_OK);
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_DONE, NULL, &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_DONE, "");
	TEST("what somebody hid in the journal is not carried out");
	CHECK_INT(sqlite3_exec(db,
			       "CREATE TRIGGER theirs AFTER INSERT ON event BEGIN "
			       "UPDATE step SET state = 0; END",
			       NULL, NULL, NULL),
		  SQLITE_OK);
	sqlite3_close(db);
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_FAILED, NULL, &err), &err);
	check_state(j, "r-1", "s01", JOURNAL_FAILED, "");
}

static void linked(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("linked");
	auto_free char *link = file_join(test_folder(), "link");
	auto_free char *inside = folder_new("linked-inside");
	auto_free char *path = file_join(inside, "journal.db");
	auto_journal struct journal *j = NULL;

	TEST("a folder may be reached by a link, as homes are; the journal is none");
	CHECK_INT(symlink(folder, link), 0);
	j = journal_open(link, &err);
	CHECK(j != NULL);
	CHECK_INT(symlink("/dev/null", path), 0);
	check_not_opened(inside, ERROR_IO, "cannot open the journal");
}

static void garbled(void)
{
	auto_error struct error err = {0};
	auto_free char *folder = folder_new("garbled");
	auto_journal struct journal *j = journal_open(folder, &err);
	auto_json json_t *document = NULL;

	TEST("a step whose detail is no UTF-8 is exported all the same");
	if (!CHECK(j != NULL))
		return;
	CHECK_OK(journal_begin(j, "r-1", "repair", "10.17.0.0/16", "{plan}", &err), &err);
	CHECK_OK(journal_set(j, "r-1", "s01", JOURNAL_FAILED, "ssh: \xff\xfe", &err), &err);
	CHECK_OK(journal_export(j, "r-1", &document, &err), &err);
	CHECK_INT(json_path_count(document, "steps"), 1);
	CHECK_INT(json_path_int(document, "steps.0.state", -1), JOURNAL_FAILED);
	CHECK_STR(json_path_text(document, "steps.0.detail"), "ssh: ??");
}

int main(void)
{
	runs();
	steps();
	documents();
	damage();
	newer();
	older();
	back();
	elsewhere();
	unwritable();
	full();
	linked();
	garbled();
	return test_done();
}
