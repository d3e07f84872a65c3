/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/open_run.h"

struct finalize_settings {
	const char *accept;
};

static const struct option finalize_options[] = {
	{"accept", 0, "CODE", OPTION_CHOICE, offsetof(struct finalize_settings, accept), "in-use",
	 "take old addresses away although somebody uses them"},
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
		if (!journal_state_holds(state))
			return error_set(err, ERROR_REFUSED,
					 "step %s (%s) is not done yet; 'resume' first", step->id,
					 step->subject);
	}
	return 0;
}

static int finalize_check_unused(struct session *session, const struct finalize_settings *settings,
				 struct error *err)
{
	auto_cluster struct cluster *cluster = NULL;
	const struct cluster_dead_address *dead;
	auto_buffer struct buffer who = {0};
	size_t count;
	size_t used = 0;

	if (session_observe(session, &cluster, err) < 0)
		return -1;
	count = cluster_dead_addresses(cluster, &dead);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < dead[i].users.count && k < 5; k++)
			buffer_format(&who, "%s%s uses %s", who.len ? ", " : "",
				      dead[i].users.items[k], dead[i].address);
		used += dead[i].user_count;
	}
	if (used == 0)
		return 0;
	if (settings->accept) {
		log_warning("%zu still use an old address: %s", used, buffer_cstr(&who));
		return 0;
	}
	return error_set(err, ERROR_REFUSED,
			 "%zu still use an old address: %s; restart them, or take the addresses "
			 "away all the "
			 "same with --accept in-use",
			 used, buffer_cstr(&who));
}

static int finalize_run(struct session *session, const struct command_input *input,
			struct error *err)
{
	const struct finalize_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_free char *cluster = NULL;

	if (open_run_current(session, /* any= */ true, &open, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_USAGE,
					 "no run of this cluster is known here; was it begun with "
					 "another --state-dir?");
		return -1;
	}
	cluster = session_cluster_line(session);
	log_info("%s", cluster);
	if (open.run.state == JOURNAL_RUN_FINALIZED) {
		printf("run %s is finished; there is nothing to do\n", open.run.id);
		return 0;
	}
	if (finalize_check_done(&open, err) < 0 ||
	    finalize_check_unused(session, settings, err) < 0 ||
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
	.details =
		"Removes aliases, old certificate names, the old range and the backups on the "
		"nodes.\n"
		"Refuses while a container, a kubelet or the network plugin uses an old address.",
	.options = finalize_options,
	.settings_size = sizeof(struct finalize_settings),
	.flags = COMMAND_NEEDS_NODES | COMMAND_MUTATES,
	.run = finalize_run,
};
