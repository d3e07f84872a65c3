/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "plan/undo.h"
#include "run/executor.h"
#include "run/executor_part.h"

/* A server that read its new certificate before it was asked for: its step had no effect, but the way
 * back has to wait for it all the same. */
static bool rollback_is_wait(const struct plan_step *step, enum journal_state state)
{
	return state == JOURNAL_FOUND && strcmp(step->kind, "certificate-served") == 0;
}

/* Undone before, it took the cover of the way back away with it: one made anew would stay. */
static bool rollback_is_uncovered(const struct plan_step *step, enum journal_state state)
{
	return state == JOURNAL_UNDONE && strcmp(step->kind, "service-cidr-default") == 0;
}

/* Which steps had an effect; those undone before count, too: what only the way back has depends on
 * them. ERROR_REFUSED when finalize has begun. */
static int rollback_touched(const struct executor_options *options, bool *touched,
			    struct error *err)
{
	for (size_t i = 0; i < options->plan->count; i++) {
		const struct plan_step *step = &options->plan->steps[i];
		enum journal_state state;

		if (journal_get(options->journal, options->plan->run, step->id, &state, NULL, err) <
		    0)
			return -1;
		touched[i] = !rollback_is_uncovered(step, state) &&
			     (journal_state_touched(state) || state == JOURNAL_UNDONE ||
			      state == JOURNAL_WAITING || rollback_is_wait(step, state));
		if (step->stage == PLAN_STAGE_FINALIZE && state != JOURNAL_PENDING)
			return error_set(err, ERROR_REFUSED,
					 "'finalize' has begun to take the old addresses away: "
					 "there is no way back any more; 'finalize' goes on");
	}
	return 0;
}

/* What a failure on the way back means for the person. */
static int rollback_failed(struct executor *e, const struct plan_step *step,
			   const struct step_kind *kind, struct error *err)
{
	auto_buffer struct buffer line = {0};
	auto_free char *message = NULL;

	kind->describe(step, &line);
	if (err->kind == ERROR_INTERRUPTED)
		return error_set(err, ERROR_INTERRUPTED,
				 "stopped by request while step %s (%s) was being undone; "
				 "'rollback' goes on, 'resume' turns round",
				 step->id, buffer_cstr(&line));
	message = alloc_format("step %s (%s) is not undone: %s; remove the cause and 'rollback' "
			       "again, or go on forwards with 'resume'",
			       step->id, buffer_cstr(&line), error_text(err));
	return error_set(err,
			 err->kind == ERROR_REFUSED && !e->result.changed ? ERROR_REFUSED
									  : ERROR_STOPPED,
			 "%s", message);
}

static int rollback_effect(struct executor *e, const struct plan_step *step,
			   const struct step_kind *kind, struct error *err)
{
	int64_t end = clock_monotonic_ms() + EXECUTOR_PATIENCE_MS;

	while (kind->undo(&e->context, step, err) < 0) {
		if (err->kind != ERROR_NETWORK || clock_monotonic_ms() > end)
			return -1;
		e->context.say(&e->context, "%s; trying again", error_text(err));
		error_release(err);
		if (step_pause(&e->context, EXECUTOR_AGAIN_MS, err) < 0)
			return -1;
	}
	return 0;
}

/* A node that cannot be reached keeps what is on it; one that had waited for its step has nothing. */
static int rollback_unreached(struct executor *e, const struct plan_step *step, bool *ret_skip,
			      struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "info");
	auto_json json_t *reply = NULL;
	const char *node = step_optional_text(step, "node");

	*ret_skip = false;
	if (!node || !e->options->pool ||
	    node_call(e->options->pool, node, request, &reply, err) == 0)
		return 0;
	if (err->kind != ERROR_NETWORK)
		return -1;
	*ret_skip = true;
	log_warning("%s had waited for its node and does so still; it is taken for not done",
		    step->subject);
	error_release(err);
	return 0;
}

static int rollback_step(struct executor *e, const struct plan_step *step, bool nothing,
			 struct error *err)
{
	struct journal *journal = e->options->journal;
	const char *run = e->options->plan->run;
	int64_t begun = clock_monotonic_ms();
	const struct step_kind *kind;
	enum journal_state state;

	if (executor_kind(step, &kind, err) < 0 ||
	    journal_get(journal, run, step->id, &state, NULL, err) < 0)
		return -1;
	if (state == JOURNAL_UNDONE) {
		e->result.already++;
		return 0;
	}
	if (!nothing && kind->undo && executor_hop(e, step, "rollback", err) < 0)
		return -1;
	if (!nothing && state == JOURNAL_WAITING && rollback_unreached(e, step, &nothing, err) < 0)
		return -1;
	if (nothing || !kind->undo)
		return journal_undone(journal, run, step->id, err);
	if (run_probe_verdict(e->probe, err) < 0)
		return -1;
	executor_show_begin(e, step, kind);
	run_probe_undo(e->probe, step);
	if (e->context.tick(&e->context, err) < 0 ||
	    journal_set(journal, run, step->id, JOURNAL_UNDOING, NULL, err) < 0 ||
	    rollback_effect(e, step, kind, err) < 0)
		return rollback_failed(e, step, kind, err);
	run_probe_end(e->probe, step, /* done= */ false);
	if (journal_undone(journal, run, step->id, err) < 0)
		return -1;
	e->result.changed++;
	executor_show_step(e, step, kind, "↶", clock_monotonic_ms() - begun);
	return 0;
}

/* Not journaled: each of them looks first what is there. */
static int rollback_extra(struct executor *e, const struct plan_step *step, struct error *err)
{
	int64_t begun = clock_monotonic_ms();
	const struct step_kind *kind;
	bool done = false;

	if (executor_kind(step, &kind, err) < 0)
		return -1;
	executor_show_begin(e, step, kind);
	if (executor_check(e, step, kind, &done, err) < 0 ||
	    (!done && executor_effect(e, step, kind, err) < 0))
		return rollback_failed(e, step, kind, err);
	if (!done)
		executor_show_step(e, step, kind, "√", clock_monotonic_ms() - begun);
	return 0;
}

static int rollback_walk(struct executor *e, const struct plan_undo_order *order, struct error *err)
{
	for (size_t i = 0; i < order->count; i++) {
		const struct plan_undo_entry *entry = &order->items[i];
		int result = entry->action == PLAN_UNDO_EXTRA
				     ? rollback_extra(e, entry->step, err)
				     : rollback_step(e, entry->step,
						     entry->action == PLAN_UNDO_NOTHING, err);

		if (result < 0)
			return -1;
		mirror_progress(&e->mirror, e->options->journal, /* now= */ false);
	}
	return 0;
}

/* The node backups have served; one that cannot be reached keeps its own. */
static void rollback_forget(struct executor *e)
{
	for (size_t i = 0; e->options->pool && i < e->options->plan->count; i++) {
		const struct plan_step *step = &e->options->plan->steps[i];
		const struct step_kind *kind = step_kind_find(step->kind);
		auto_error struct error problem = {0};

		if (kind && strcmp(step->kind, "forget") == 0 &&
		    kind->apply(&e->context, step, &problem) < 0)
			log_warning("%s: the run's backups stay there: %s", step->subject,
				    error_text(&problem));
	}
}

static int rollback_end(struct executor *e, struct error *err)
{
	const struct executor_options *options = e->options;
	auto_error struct error problem = {0};

	if (options->from > PLAN_STAGE_TOURNIQUET)
		return journal_turn(options->journal, options->plan->run, JOURNAL_RUN_OPEN, "",
				    err);
	rollback_forget(e);
	e->mirror = (struct mirror){0};
	if (mirror_remove(options->kube, options->plan->run, &problem) < 0)
		log_warning("the run's ConfigMaps stay in kube-system: %s", error_text(&problem));
	return journal_turn(options->journal, options->plan->run, JOURNAL_RUN_ROLLED_BACK, "", err);
}

int executor_rollback(const struct executor_options *options, struct executor_result *ret,
		      struct error *err)
{
	auto_free bool *touched = alloc_array(options->plan->count + 1, sizeof(*touched));
	auto_plan_undo_order struct plan_undo_order order = {0};
	auto_executor struct executor e = {.lock = {.file = -1}};
	const char *back_to =
		options->from > PLAN_STAGE_TOURNIQUET ? plan_stage_name(options->from - 1) : "";

	if (rollback_touched(options, touched, err) < 0 ||
	    plan_undo_order(options->plan, options->from, touched, &order, err) < 0 ||
	    executor_open(&e, options, err) < 0 || executor_mirror(&e, err) < 0 ||
	    journal_turn(options->journal, options->plan->run, JOURNAL_RUN_ROLLING_BACK, back_to,
			 err) < 0 ||
	    rollback_walk(&e, &order, err) < 0 || rollback_end(&e, err) < 0)
		return -1;
	*ret = e.result;
	return 0;
}
