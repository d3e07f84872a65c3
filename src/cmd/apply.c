/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/consent.h"
#include "cmd/open_run.h"
#include "cmd/print.h"
#include "step/step.h"

struct apply_settings {
	const char *until;
	bool dry_run;
	const char *max_failed;
	const char *window;
	const char *accept;
};

#define SETTING(field) offsetof(struct apply_settings, field)

static const struct option apply_options[] = {
	{"until", 0, "STAGE", OPTION_TEXT, SETTING(until), NULL,
	 "stop after this stage; 'resume' goes on (stages are listed by 'plan')"},
	{"dry-run", 0, NULL, OPTION_FLAG, SETTING(dry_run), NULL,
	 "look what would be done, change nothing"},
	{"max-failed", 0, "PERCENT", OPTION_TEXT, SETTING(max_failed), NULL,
	 "bear so many failed requests to an address within 10 s: 2% of them, or a number (default "
	 "5)"},
	{"accept", 0, "CODE,…", OPTION_TEXT, SETTING(accept), NULL,
	 "consents that the plan asks for, by their codes"},
	{"window", 0, "TIME", OPTION_TEXT, SETTING(window), NULL,
	 "watch connections to old addresses for TIME in the drain (default 60s)"},
	{0},
};

struct resume_settings {
	struct apply_settings apply;
	bool adopt;
};

static const struct option resume_options[] = {
	{"until", 0, "STAGE", OPTION_TEXT, SETTING(until), NULL,
	 "stop after this stage (stages are listed by 'plan')"},
	{"dry-run", 0, NULL, OPTION_FLAG, SETTING(dry_run), NULL,
	 "look what would be done, change nothing"},
	{"max-failed", 0, "PERCENT", OPTION_TEXT, SETTING(max_failed), NULL,
	 "bear so many failed requests to an address within 10 s: 2% of them, or a number (default "
	 "5)"},
	{"accept", 0, "CODE,…", OPTION_TEXT, SETTING(accept), NULL,
	 "consents that the plan asks for, by their codes"},
	{"window", 0, "TIME", OPTION_TEXT, SETTING(window), NULL,
	 "watch connections to old addresses for TIME in the drain (default 60s)"},
	{"adopt", 0, NULL, OPTION_FLAG, offsetof(struct resume_settings, adopt), NULL,
	 "take the run over from the cluster: its state folder is lost, or elsewhere"},
	{0},
};

static int apply_until(const char *text, enum plan_stage *ret, struct error *err)
{
	*ret = PLAN_STAGE_DRAIN;
	if (!text)
		return 0;
	if (plan_stage_require(text, ret, err) < 0)
		return -1;
	if (*ret == PLAN_STAGE_FINALIZE)
		return error_set(err, ERROR_USAGE, "'finalize' is a command of its own");
	return 0;
}

static int apply_limit(const struct apply_settings *settings, struct open_run *open,
		       struct error *err)
{
	int64_t window;

	open->window = settings->window;
	if (consent_accept_check(settings->accept, err) < 0 ||
	    open_run_window(settings->window, 0, &window, err) < 0)
		return -1;
	if (!settings->max_failed)
		return 0;
	open->limit_set = true;
	return judge_limit_parse(settings->max_failed, &open->limit, err);
}

static int apply_read(const char *file, struct plan *ret, char **ret_text, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_PLAN_FILE};

	if (access(file, F_OK) < 0 && errno == ENOENT)
		return error_set(err, ERROR_IO,
				 "there is no file '%s'; 'plan --to CIDR' or 'plan --repair', with "
				 "'--out %s', makes it",
				 file, file);
	if (file_read_own(file, LIMIT_PLAN_FILE, &text, err) < 0)
		return -1;
	if (plan_parse(ret, file, buffer_as_slice(&text), err) < 0)
		return -1;
	/* said before the first step, not when the run has come to it */
	for (size_t i = 0; i < ret->count; i++)
		if (!step_kind_find(ret->steps[i].kind))
			return error_set(err, ERROR_PARSE,
					 "'%s': step '%s' is of the unknown kind '%s'; the plan is "
					 "of another version",
					 file, ret->steps[i].id, ret->steps[i].kind);
	*ret_text = buffer_detach(&text);
	return 0;
}

/* Whether the plan's run was begun before. */
static bool apply_known(const struct open_run *open, struct journal_run *ret)
{
	auto_error struct error ignored = {0};

	return journal_current(open->journal, /* any= */ true, ret, &ignored) == 0 &&
	       strcmp(ret->id, open->plan.run) == 0;
}

/* The nodes come last: on a broken cluster the seconds until the old address answers count, and the
 * pool connects to a node only when a step needs it. */
static int apply_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct apply_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_free char *text = NULL;
	auto_free char *question = NULL;
	auto_free char *cluster = NULL;
	auto_journal_run struct journal_run run = {0};
	enum plan_stage until;
	bool known;

	if (apply_until(settings->until, &until, err) < 0 ||
	    apply_limit(settings, &open, err) < 0 ||
	    apply_read(input->words[0], &open.plan, &text, err) < 0 ||
	    session_open_nodes(session, err) < 0 ||
	    open_run_check_cluster(session, &open.plan, err) < 0 ||
	    open_run_journal(session, &open, err) < 0)
		return -1;
	cluster = session_cluster_line(session);
	log_info("%s", cluster);
	known = apply_known(&open, &run);
	if (known && run.state == JOURNAL_RUN_FINALIZED) {
		print_text("run %s is finished; there is nothing to do\n", open.plan.run);
		return 0;
	}
	if (!settings->dry_run) {
		size_t steps = open.plan.count - plan_count_stage(&open.plan, PLAN_STAGE_FINALIZE);

		question = alloc_format("carrying out %zu step%s on this cluster", steps,
					steps == 1 ? "" : "s");
		if ((!known && consent_check(session, &open.plan, settings->accept, err) < 0) ||
		    session_consent(session, question, err) < 0 ||
		    journal_begin(open.journal, open.plan.run,
				  open.plan.mode == PLAN_REPAIR ? "repair" : "migrate",
				  open.plan.to, text, err) < 0)
			return -1;
	}
	return open_run_execute(session, &open, PLAN_STAGE_TOURNIQUET, until, settings->dry_run,
				err);
}

const struct command command_apply = {
	.name = "apply",
	.arguments = "FILE",
	.summary = "carry a plan out",
	.details = "Does the steps of the plan in FILE, each one recorded before and after. ^C "
		   "finishes the\n"
		   "step in hand and stops; 'resume' goes on from there, after a crash, too. "
		   "Example:\n\n"
		   "  kubectl renumber apply repair.plan",
	.options = apply_options,
	.settings_size = sizeof(struct apply_settings),
	.min_words = 1,
	.max_words = 1,
	.flags = COMMAND_MUTATES,
	.run = apply_run,
};

/* ---- resume ---- */

static int resume_open(struct session *session, const struct resume_settings *settings,
		       struct open_run *ret, struct error *err)
{
	if (settings->adopt)
		return open_run_adopt(session, ret, err);
	if (open_run_current(session, /* any= */ false, ret, err) == 0)
		return 0;
	if (err->kind == ERROR_NOT_FOUND)
		return error_set(err, ERROR_USAGE,
				 "no run of this cluster is open here; was it begun with another "
				 "--state-dir? Elsewhere, or with a lost one, 'resume --adopt' "
				 "takes it over from the cluster");
	return -1;
}

static int resume_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct resume_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_free char *cluster = NULL;
	enum plan_stage until;
	bool ending = false;

	if (apply_until(settings->apply.until, &until, err) < 0 ||
	    apply_limit(&settings->apply, &open, err) < 0 || session_open_nodes(session, err) < 0 ||
	    resume_open(session, settings, &open, err) < 0)
		return -1;
	cluster = session_cluster_line(session);
	log_info("%s", cluster);
	if (open_run_check_cluster(session, &open.plan, err) < 0 ||
	    open_run_is_ending(&open, &ending, err) < 0)
		return -1;
	/* 'finalize' had been asked for, and goes on */
	if (ending)
		until = PLAN_STAGE_FINALIZE;
	if (open_run_execute(session, &open, PLAN_STAGE_TOURNIQUET, until, settings->apply.dry_run,
			     err) < 0)
		return -1;
	return ending && !settings->apply.dry_run ? open_run_end(session, &open, err) : 0;
}

const struct command command_resume = {
	.name = "resume",
	.arguments = "",
	.summary = "go on with the run that was stopped",
	.details =
		"Goes on where the open run of this cluster stopped, whatever stopped it: "
		"forwards, "
		"a\n"
		"rollback too. Plan and progress stand in the cluster as well: --adopt takes the "
		"run over\n"
		"when the state folder is lost or on another machine.",
	.options = resume_options,
	.settings_size = sizeof(struct resume_settings),
	.flags = COMMAND_MUTATES,
	.run = resume_run,
};
