/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/open_run.h"
#include "cmd/print.h"
#include "report/document.h"
#include "step/step.h"

#define STATUS_SHOWN 10

struct status_settings {
	const char *window;
};

static const struct option status_options[] = {
	{"window", 0, "TIME", OPTION_TEXT, offsetof(struct status_settings, window), NULL,
	 "watch for TIME who connects to old addresses (default: only who is connected)"},
	{0},
};

/* True when the run has moved a Service or kept an old address: then somebody may use one. */
static bool status_has_old(const struct open_run *open)
{
	for (size_t i = 0; i < open->plan.count; i++) {
		const char *kind = open->plan.steps[i].kind;
		auto_error struct error ignored = {0};
		enum journal_state state;

		if ((strncmp(kind, "alias", 5) == 0 || strncmp(kind, "flip", 4) == 0) &&
		    journal_get(open->journal, open->run.id, open->plan.steps[i].id, &state, NULL,
				&ignored) == 0 &&
		    journal_state_holds(state))
			return true;
	}
	return false;
}

/* What uses the aliases, as far as it can be seen; a cluster that cannot be looked at has a status
 * all the same. False: nothing to say. */
static bool status_evidence(struct session *session, struct open_run *open,
			    const struct status_settings *settings, struct evidence *ret)
{
	auto_error struct error err = {0};
	int64_t window = 0;

	if (!journal_run_is_open(&open->run) || !status_has_old(open))
		return false;
	if (open_run_window(settings->window, 0, &window, &err) == 0 &&
	    open_run_evidence(session, open, window, ret, &err) == 0)
		return true;
	log_warning("who uses the old addresses is not known: %s", error_text(&err));
	return false;
}

static int status_step_json(const struct open_run *open, const struct plan_step *step, json_t *list,
			    struct error *err)
{
	auto_free char *detail = NULL;
	enum journal_state state;

	if (journal_get(open->journal, open->run.id, step->id, &state, &detail, err) < 0)
		return -1;
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", step->id,
					      "stage", plan_stage_name(step->stage), "kind",
					      step->kind, "subject", step->subject, "state",
					      journal_state_name(state), "detail", detail));
	return 0;
}

static const char *status_run_state(const struct journal_run *run)
{
	static const char *const names[] = {
		[JOURNAL_RUN_OPEN] = "open",
		[JOURNAL_RUN_FINALIZED] = "finished",
		[JOURNAL_RUN_ROLLING_BACK] = "rolling-back",
		[JOURNAL_RUN_ROLLED_BACK] = "rolled-back",
	};

	return names[run->state];
}

static int status_json(const struct open_run *open, const struct evidence *evidence,
		       struct error *err)
{
	auto_json json_t *steps = json_array();
	auto_json json_t *document = NULL;
	auto_buffer struct buffer text = {0};

	for (size_t i = 0; i < open->plan.count; i++)
		if (status_step_json(open, &open->plan.steps[i], steps, err) < 0)
			return -1;
	document = json_pack("{s:i, s:s, s:s, s:s, s:s, s:O}", "schemaVersion", 1, "run",
			     open->run.id, "mode", open->run.mode, "to", open->run.to, "state",
			     status_run_state(&open->run), "steps", steps);
	json_object_set_new(document, "evidence", evidence ? evidence_json(evidence) : json_null());
	document_json(document, &text);
	fputs(buffer_cstr(&text), stdout);
	return 0;
}

static int status_line(const struct open_run *open, const struct plan_step *step, bool all,
		       struct error *err)
{
	static const char *const marks[] = {
		[JOURNAL_PENDING] = " ", [JOURNAL_INTENT] = "…",    [JOURNAL_DONE] = "√",
		[JOURNAL_FAILED] = "×",	 [JOURNAL_WAITING] = "⏸", [JOURNAL_UNDOING] = "↶",
		[JOURNAL_UNDONE] = " ",	 [JOURNAL_FOUND] = "="};
	const struct step_kind *kind = step_kind_find(step->kind);
	auto_buffer struct buffer line = {0};
	auto_free char *detail = NULL;
	enum journal_state state;

	if (journal_get(open->journal, open->run.id, step->id, &state, &detail, err) < 0)
		return -1;
	if (kind)
		kind->describe(step, &line);
	if (all || !journal_state_holds(state))
		print_text("  %s %s %-13s %s%s%s\n", marks[state], step->id,
			   plan_stage_name(step->stage), buffer_cstr(&line),
			   *detail && !journal_state_holds(state) ? ": " : "",
			   journal_state_holds(state) ? "" : detail);
	return journal_state_holds(state);
}

static void status_users(const struct session *session, const struct evidence *evidence)
{
	auto_buffer struct buffer text = {0};

	evidence_print(evidence, session->output == SESSION_WIDE ? SIZE_MAX : STATUS_SHOWN, &text);
	print_text("old addresses:\n%s", buffer_cstr(&text));
}

static int status_text(const struct session *session, const struct open_run *open,
		       const struct evidence *evidence, struct error *err)
{
	auto_free char *cluster = session_cluster_line(session);
	auto_free char *begun = clock_format(open->run.started_s);
	auto_free char *state = alloc_text(status_run_state(&open->run));
	bool open_ = journal_run_is_open(&open->run);
	bool back = open->run.state == JOURNAL_RUN_ROLLING_BACK;
	size_t done = 0;

	for (char *c = state; *c; c++)
		*c = *c == '-' ? ' ' : *c;
	print_text("%s\nrun:     %s (%s to %s, begun %s) is %s\n", cluster, open->run.id,
		   open->run.mode, open->run.to, begun, state);
	for (size_t i = 0; open_ && i < open->plan.count; i++) {
		int result = status_line(open, &open->plan.steps[i],
					 session->output == SESSION_WIDE, err);

		if (result < 0)
			return -1;
		done += (size_t)result;
	}
	if (open_)
		print_text("%zu of %zu steps done\n", done, open->plan.count);
	if (evidence)
		status_users(session, evidence);
	if (back) {
		print_text(
			"on its way back to %s%s%s; go on with:\n  %s rollback%s%s\nor turn round "
			"with:\n  %s resume\n",
			*open->run.back_to ? "'" : "",
			*open->run.back_to ? open->run.back_to : "the beginning",
			*open->run.back_to ? "'" : "", session->program,
			*open->run.back_to ? " --to " : "", open->run.back_to, session->program);
		return 0;
	}
	if (open_ && done + plan_count_stage(&open->plan, PLAN_STAGE_FINALIZE) < open->plan.count)
		print_text("go on with:\n  %s resume\n", session->program);
	else if (open_)
		print_text("when no container uses an old address any more:\n  %s finalize\n",
			   session->program);
	return 0;
}

static int status_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct status_settings *settings = input->settings;
	auto_open_run struct open_run open = {0};
	auto_evidence struct evidence evidence = {0};
	int64_t window;
	bool seen;
	int result;

	if (open_run_window(settings->window, 0, &window, err) < 0)
		return -1;
	if (open_run_current(session, /* any= */ true, &open, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		if (session->output == SESSION_JSON)
			puts("{\"schemaVersion\":1,\"run\":null}");
		else
			puts("no run of this cluster is known here\n"
			     "One that was begun elsewhere is taken over by 'resume --adopt'; "
			     "'doctor' says whether there is one.");
		return 0;
	}
	seen = status_evidence(session, &open, settings, &evidence);
	result = session->output == SESSION_JSON
			 ? status_json(&open, seen ? &evidence : NULL, err)
			 : status_text(session, &open, seen ? &evidence : NULL, err);
	if (result < 0)
		return -1;
	return journal_run_is_open(&open.run) ? EXIT_FINDINGS : 0;
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "where the run stands and what remains",
	.details = "Exit status 2 while a run is open. -o wide lists the steps that are done, too, "
		   "and "
		   "all\n"
		   "who use old addresses.",
	.options = status_options,
	.settings_size = sizeof(struct status_settings),
	.flags = COMMAND_NEEDS_CLUSTER,
	.run = status_run,
};
