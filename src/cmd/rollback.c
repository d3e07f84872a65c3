/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/consent.h"
#include "cmd/open_run.h"
#include "cmd/print.h"

struct rollback_settings {
	const char *to;
	const char *accept;
	bool adopt;
};

static const struct option rollback_options[] = {
	{"to", 0, "STAGE", OPTION_TEXT, offsetof(struct rollback_settings, to), NULL,
	 "go back to where this stage was done; without it, to the beginning"},
	{"accept", 0, "CODE,…", OPTION_TEXT, offsetof(struct rollback_settings, accept), NULL,
	 "consents by their codes, as for 'apply'; those given to it need not be given again"},
	{"adopt", 0, NULL, OPTION_FLAG, offsetof(struct rollback_settings, adopt), NULL,
	 "take the run over from the cluster: its state folder is lost, or elsewhere"},
	{0},
};

/* The first stage that is undone. */
static int rollback_from(const char *to, enum plan_stage *ret, struct error *err)
{
	enum plan_stage stage;

	*ret = PLAN_STAGE_TOURNIQUET;
	if (!to)
		return 0;
	if (plan_stage_require(to, &stage, err) < 0)
		return -1;
	if (stage >= PLAN_STAGE_DRAIN)
		return error_set(err, ERROR_USAGE, "nothing is undone by going back to '%s'", to);
	*ret = stage + 1;
	return 0;
}

static void rollback_say(const struct session *session, const struct open_run *open,
			 const struct rollback_settings *settings,
			 const struct executor_result *result)
{
	print_text("run %s: %zu step%s undone now", open->run.id, result->changed,
		   result->changed == 1 ? "" : "s");
	if (result->already)
		print_text(", %zu before", result->already);
	if (!settings->to) {
		print_text("; all is as it was before\n");
		return;
	}
	print_text("; it stands where '%s' was done\ngo on forwards with:\n  %s resume\n",
		   settings->to, session->program);
}

static int rollback_run(struct session *session, const struct command_input *input,
			struct error *err)
{
	const struct rollback_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_free char *cluster = NULL;
	auto_free char *question = NULL;
	struct executor_result result;
	enum plan_stage from;

	if (rollback_from(settings->to, &from, err) < 0 ||
	    consent_accept_check(settings->accept, err) < 0 || session_open_nodes(session, err) < 0)
		return -1;
	if (settings->adopt) {
		if (open_run_adopt(session, &open, err) < 0)
			return -1;
	} else if (open_run_current(session, /* any= */ true, &open, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_USAGE,
					 "no run of this cluster is known here; was it begun with "
					 "another --state-dir? --adopt takes it over from the "
					 "cluster");
		return -1;
	}
	cluster = session_cluster_line(session);
	log_info("%s", cluster);
	if (open_run_check_cluster(session, &open.plan, err) < 0)
		return -1;
	if (open.run.state == JOURNAL_RUN_FINALIZED)
		return error_set(err, ERROR_REFUSED,
				 "run %s is finished: the old addresses are gone, there is no way "
				 "back",
				 open.run.id);
	if (open.run.state == JOURNAL_RUN_ROLLED_BACK) {
		print_text("run %s is rolled back; there is nothing to do\n", open.run.id);
		return 0;
	}
	question = alloc_format("undoing what run %s did%s%s", open.run.id,
				settings->to ? " after the stage " : "",
				settings->to ? settings->to : "");
	if (session_consent(session, question, err) < 0 ||
	    open_run_rollback(session, &open, from, &result, err) < 0)
		return -1;
	rollback_say(session, &open, settings, &result);
	return 0;
}

const struct command command_rollback = {
	.name = "rollback",
	.arguments = "",
	.summary = "take back what the open run did",
	.details =
		"Brings back the bytes of every file and the address of every Service, in the "
		"order in\n"
		"which that is safe; what was started with new addresses meanwhile is restarted. "
		"Killed,\n"
		"it goes on when called again; 'resume' turns it round. Not after 'finalize' has "
		"begun.\n"
		"Example:\n\n"
		"  kubectl renumber rollback --to configuration",
	.options = rollback_options,
	.settings_size = sizeof(struct rollback_settings),
	.flags = COMMAND_MUTATES,
	.run = rollback_run,
};
