/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/print.h"
#include "report/document.h"
#include "report/run_report.h"

struct report_settings {
	const char *html;
};

static const struct option report_options[] = {
	{"html", 0, "FILE", OPTION_TEXT, offsetof(struct report_settings, html), NULL,
	 "write one self-contained page with the time line of the probes"},
	{0},
};

/* The journal that has the run, or (`run` NULL) the one whose last run began last. One that cannot be
 * read is said and passed over: it may be another cluster's. */
struct report_search {
	const char *run;
	char *folder; /* owned; NULL: none yet */
	int64_t started_s;
	size_t damaged;
	struct error problem; /* of the first of these */
};

static void report_pass(struct report_search *search, const char *folder, struct error *problem)
{
	log_warning("passing over the journal in '%s': %s", folder, error_text(problem));
	if (search->damaged++ == 0)
		error_take(&search->problem, problem);
}

static void report_try(struct report_search *search, const char *folder)
{
	auto_error struct error err = {0};
	auto_free char *path = file_join(folder, "journal.db");
	auto_journal struct journal *journal = NULL;
	auto_journal_run struct journal_run run = {0};

	if (!file_exists(path))
		return;
	journal = journal_open(folder, &err);
	if (!journal || journal_find_run(journal, search->run, &run, &err) < 0) {
		if (err.kind != ERROR_NOT_FOUND)
			report_pass(search, folder, &err);
		return;
	}
	if (search->folder &&
	    (run.started_s < search->started_s ||
	     (run.started_s == search->started_s && strcmp(folder, search->folder) > 0)))
		return;
	free(search->folder);
	search->folder = alloc_text(folder);
	search->started_s = run.started_s;
}

static void report_close(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int report_search(struct report_search *search, const char *root, struct error *err)
{
	__attribute__((cleanup(report_close))) DIR *folder = opendir(root);
	const struct dirent *entry;

	if (!folder && errno != ENOENT)
		return error_errno(err, "cannot look into '%s'", root);
	while (folder && (entry = readdir(folder))) {
		auto_free char *path = file_join(root, entry->d_name);

		if (entry->d_name[0] != '.')
			report_try(search, path);
	}
	if (search->folder)
		return 0;
	if (search->damaged)
		return error_move(err, &search->problem);
	if (search->run)
		return error_set(err, ERROR_USAGE, "there is no run '%s' in '%s'", search->run,
				 root);
	return error_set(err, ERROR_USAGE,
			 "no run is known in '%s'; was it begun with another --state-dir?", root);
}

static int report_write_html(const struct run_report *report, const char *file, struct error *err)
{
	auto_buffer struct buffer out = {0};
	struct stat st;

	/* The page is renamed to its place: root's /dev/stdout would be gone. */
	if (lstat(file, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_USAGE, "'%s' is not a regular file", file);
	run_report_html(report, &out);
	if (buffer_check(&out, "the page", err) < 0 ||
	    file_replace(file, out.ptr, out.len, 0644, 0, err) < 0)
		return error_wrap(err, "cannot write the report");
	print_text("run %s: %s\n", report->run.id, file);
	return 0;
}

static int report_print(const struct session *session, const struct run_report *report,
			struct error *err)
{
	auto_buffer struct buffer out = {0};

	if (session->output == SESSION_JSON || session->output == SESSION_YAML) {
		auto_json json_t *document = run_report_json(report);

		if (session->output == SESSION_JSON)
			document_json(document, &out);
		else
			document_yaml(document, &out);
	} else {
		run_report_print(report,
				 session->output == SESSION_MARKDOWN ? TABLE_MARKDOWN : TABLE_TEXT,
				 &out);
	}
	if (buffer_check(&out, "the report", err) < 0)
		return -1;
	print_out(session, &out);
	return 0;
}

static int report_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct report_settings *settings = input->settings;
	struct report_search search = {.run = input->words[0]};
	auto_free char *root = session_state_root(session, err);
	auto_journal struct journal *journal = NULL;
	auto_run_report struct run_report report = {0};
	auto_free char *folder = NULL;
	int result;

	if (!root)
		return -1;
	result = report_search(&search, root, err);
	error_release(&search.problem);
	folder = search.folder;
	if (result < 0)
		return -1;
	journal = journal_open(folder, err);
	if (!journal || run_report_read(journal, input->words[0], &report, err) < 0)
		return -1;
	if (settings->html)
		return report_write_html(&report, settings->html, err);
	return report_print(session, &report, err);
}

const struct command command_report = {
	.name = "report",
	.arguments = "[RUN]",
	.summary = "what a run did and what its probes saw",
	.details = "Steps with their times, the availability of old and new addresses, and each "
		   "failed\n"
		   "request with the step in hand: of the last run, or of RUN. Reads the journal "
		   "only; no\n"
		   "cluster is asked. Example:\n\n"
		   "  kubectl renumber report --html change-4711.html",
	.options = report_options,
	.settings_size = sizeof(struct report_settings),
	.max_words = 1,
	.run = report_run,
};
