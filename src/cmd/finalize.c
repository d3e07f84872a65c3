/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/open_run.h"
#include "cmd/print.h"

struct finalize_settings {
	const char *accept;
	const char *window;
};

static const struct option finalize_options[] = {
	{"accept", 0, "CODE", OPTION_CHOICE, offsetof(struct finalize_settings, accept), "in-use",
	 "take old addresses away although somebody uses them"},
	{"window", 0, "TIME", OPTION_TEXT, offsetof(struct finalize_settings, window), NULL,
	 "watch for TIME who connects to old addresses (default 60s)"},
	{0},
};

/* Everything before this stage is done. */
static int finalize_check_done(const struct open_run *open, struct error *err)
{
	for (size_t i = 0; i < open->plan.count; i++) {
		const struct plan_step *step = &open->plan.steps[i];
		enum journal_state state;

		if (step->stage == PLAN_STAGE_FINALIZE)
			continue;
		if (journal_get(open->journal, open->run.id, step->id, &state, NULL, err) < 0)
			return -1;
		if (state == JOURNAL_WAITING)
			return error_set(err, ERROR_REFUSED,
					 "step %s (%s) waits for its node; bring the node back, "
					 "then 'resume'",
					 step->id, step->subject);
		if (!journal_state_holds(state))
			return error_set(err, ERROR_REFUSED,
					 "step %s (%s) is not done yet; 'resume' first, 'status' "
					 "says what remains",
					 step->id, step->subject);
	}
	return 0;
}

#define FINALIZE_SHOWN 8

/* Whoever uses an alias keeps it. In a repair, connections alone do not: what was dead before is
 * dialled by whatever tries for ever, and the containers that matter are known by what they hold. */
static int finalize_check_unused(struct session *session, const struct finalize_settings *settings,
				 struct open_run *open, struct error *err)
{
	auto_evidence struct evidence evidence = {0};
	bool connections = open->plan.mode == PLAN_MIGRATE;
	auto_free char *who = NULL;
	auto_free char *dns = NULL;
	size_t used;
	int64_t window;

	if (open_run_window(settings->window, connections ? EVIDENCE_WINDOW_MS : 0, &window, err) <
	    0)
		return -1;
	if (open_run_evidence(session, open, window, &evidence, err) < 0)
		return -1;
	for (size_t i = 0; i < evidence.blind_count; i++)
		log_warning("%s", evidence.blind[i]);
	used = evidence_used(&evidence, connections);
	who = evidence_who(&evidence, connections, FINALIZE_SHOWN);
	dns = evidence_loses_dns(&evidence, FINALIZE_SHOWN);
	if (used == 0)
		return 0;
	if (settings->accept) {
		log_warning("%zu still use%s an old address: %s", used, used == 1 ? "s" : "", who);
		if (dns)
			log_warning("without it these lose DNS: %s", dns);
		return 0;
	}
	return error_set(
		err, ERROR_REFUSED,
		"%zu still use%s an old address: %s%s%s; restart them, or take the addresses "
		"away all the same with --accept in-use",
		used, used == 1 ? "s" : "", who, dns ? "; without it these lose DNS: " : "",
		dns ? dns : "");
}

static int finalize_run(struct session *session, const struct command_input *input,
			struct error *err)
{
	const struct finalize_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_free char *cluster = NULL;
	int64_t window;

	if (open_run_window(settings->window, 0, &window, err) < 0)
		return -1;
	if (open_run_current(session, /* any= */ true, &open, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_USAGE,
					 "no run of this cluster is known here; was it begun with "
					 "another --state-dir? Elsewhere, or with a lost one, "
					 "'resume --adopt' takes it over from the cluster");
		return -1;
	}
	cluster = session_cluster_line(session);
	log_info("%s", cluster);
	if (open.run.state == JOURNAL_RUN_FINALIZED) {
		print_text("run %s is finished; there is nothing to do\n", open.run.id);
		return 0;
	}
	if (open.run.state == JOURNAL_RUN_ROLLED_BACK) {
		print_text("run %s is rolled back; there is nothing to take away\n", open.run.id);
		return 0;
	}
	if (finalize_check_done(&open, err) < 0 ||
	    finalize_check_unused(session, settings, &open, err) < 0 ||
	    session_consent(session, "taking the old addresses away for good", err) < 0)
		return -1;
	if (open_run_execute(session, &open, PLAN_STAGE_FINALIZE, PLAN_STAGE_FINALIZE,
			     /* dry_run= */ false, err) < 0 ||
	    open_run_end(session, &open, err) < 0)
		return -1;
	return 0;
}

const struct command command_finalize = {
	.name = "finalize",
	.arguments = "",
	.summary = "take the old addresses away when nobody uses them",
	.details = "Removes aliases, old certificate names, the old range and the backups on the "
		   "nodes.\n"
		   "Refuses while somebody uses an old address: a container by its environment or\n"
		   "resolv.conf, a kubelet or the network plugin by a file, or whoever connects to "
		   "it\n"
		   "while that is watched. Says who, and who would lose DNS.",
	.options = finalize_options,
	.settings_size = sizeof(struct finalize_settings),
	.flags = COMMAND_NEEDS_NODES | COMMAND_MUTATES,
	.run = finalize_run,
};
