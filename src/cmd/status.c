/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/open_run.h"
#include "step/step.h"

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
		[JOURNAL_RUN_ROLLING_BACK] = "rolling back",
		[JOURNAL_RUN_ROLLED_BACK] = "rolled back",
	};

	return names[run->state];
}

static int status_json(const struct open_run *open, struct error *err)
{
	auto_json json_t *steps = json_array();
	auto_json json_t *document = NULL;
	auto_free char *text = NULL;

	for (size_t i = 0; i < open->plan.count; i++)
		if (status_step_json(open, &open->plan.steps[i], steps, err) < 0)
			return -1;
	document = json_pack("{s:i, s:s, s:s, s:s, s:s, s:O}", "schemaVersion", 1, "run",
			     open->run.id, "mode", open->run.mode, "to", open->run.to, "state",
			     status_run_state(&open->run), "steps", steps);
	text = json_dumps(document, JSON_INDENT(2));
	puts(text);
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
		printf("  %s %s %-13s %s%s%s\n", marks[state], step->id,
		       plan_stage_name(step->stage), buffer_cstr(&line),
		       *detail && !journal_state_holds(state) ? ": " : "",
		       journal_state_holds(state) ? "" : detail);
	return journal_state_holds(state);
}

static int status_text(const struct session *session, const struct open_run *open,
		       struct error *err)
{
	auto_free char *cluster = session_cluster_line(session);
	auto_free char *begun = clock_format(open->run.started_s);
	bool open_ = journal_run_is_open(&open->run);
	bool back = open->run.state == JOURNAL_RUN_ROLLING_BACK;
	size_t done = 0;

	printf("%s\nrun:     %s (%s to %s, begun %s) is %s\n", cluster, open->run.id,
	       open->run.mode, open->run.to, begun, status_run_state(&open->run));
	for (size_t i = 0; open_ && i < open->plan.count; i++) {
		int result = status_line(open, &open->plan.steps[i],
					 session->output == SESSION_WIDE, err);

		if (result < 0)
			return -1;
		done += (size_t)result;
	}
	if (open_)
		printf("%zu of %zu steps done\n", done, open->plan.count);
	if (back) {
		printf("on its way back to %s%s%s; go on with:\n  %s rollback%s%s\nor turn round "
		       "with:\n  %s resume\n",
		       *open->run.back_to ? "'" : "",
		       *open->run.back_to ? open->run.back_to : "the beginning",
		       *open->run.back_to ? "'" : "", session->program,
		       *open->run.back_to ? " --to " : "", open->run.back_to, session->program);
		return 0;
	}
	if (open_ && done + plan_count_stage(&open->plan, PLAN_STAGE_FINALIZE) < open->plan.count)
		printf("go on with:\n  %s resume\n", session->program);
	else if (open_)
		printf("when no container uses an old address any more:\n  %s finalize\n",
		       session->program);
	return 0;
}

static int status_run(struct session *session, const struct command_input *input, struct error *err)
{
	auto_open_run struct open_run open = {0};
	int result;

	(void)input;
	if (open_run_current(session, /* any= */ true, &open, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		if (session->output == SESSION_JSON)
			puts("{\"schemaVersion\":1,\"run\":null}");
		else
			puts("no run of this cluster is known here");
		return 0;
	}
	result = session->output == SESSION_JSON ? status_json(&open, err)
						 : status_text(session, &open, err);
	if (result < 0)
		return -1;
	return journal_run_is_open(&open.run) ? EXIT_FINDINGS : 0;
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "where the run stands and what remains",
	.details = "Exit status 2 while a run is open. -o wide lists the steps that are done, too.",
	.flags = COMMAND_NEEDS_CLUSTER,
	.run = status_run,
};
