/* SPDX-License-Identifier: MIT */
#include "run/executor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "run/executor_part.h"
#include "step/copies.h"

static struct executor *executor_of(struct step_context *context)
{
	return context->data;
}

static int executor_keep(struct step_context *context, const struct plan_step *step,
			 const char *name, const json_t *document, struct error *err)
{
	const struct executor *e = executor_of(context);

	return journal_keep(e->options->journal, e->options->plan->run, step->id, name, document,
			    err);
}

static json_t *executor_kept(struct step_context *context, const struct plan_step *step,
			     const char *name)
{
	const struct executor *e = executor_of(context);

	return journal_kept(e->options->journal, e->options->plan->run, step->id, name);
}

#define EXECUTOR_FOLLOW_MS 5000
#define EXECUTOR_FOLLOW_FAILED_MS 20000

/* Endpoints that we copied follow their originals, whatever step is under way. It is nothing to end
 * a step for: a server that restarts answers the next time. */
static void executor_follow(struct executor *e)
{
	auto_error struct error problem = {0};
	size_t changed = 0;

	if (e->options->dry_run || clock_monotonic_ms() < e->follow_ms)
		return;
	e->follow_ms = clock_monotonic_ms() + EXECUTOR_FOLLOW_MS;
	if (step_copies_follow(&e->context, &changed, &problem) < 0) {
		log_debug("endpoints are not followed now: %s", error_text(&problem));
		e->follow_ms = clock_monotonic_ms() + EXECUTOR_FOLLOW_FAILED_MS;
	} else if (changed) {
		log_info("  … %zu slice%s of aliases brought in step with the originals", changed,
			 changed == 1 ? "" : "s");
	}
}

static int executor_tick(struct step_context *context, struct error *err)
{
	struct executor *e = executor_of(context);

	if (interrupt_requested())
		return error_set(err, ERROR_INTERRUPTED, "stopped by request");
	if (run_lock_renew(&e->lock, err) < 0)
		return -1;
	screen_tick(e->screen, e->probe);
	executor_follow(e);
	return run_probe_tick(e->probe, err);
}

__attribute__((format(printf, 2, 3))) static void executor_say(struct step_context *context,
							       const char *fmt, ...)
{
	struct executor *e = executor_of(context);
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	screen_wait(e->screen, buffer_cstr(&text));
}

static int64_t executor_moved_at(struct step_context *context)
{
	const struct executor *e = executor_of(context);

	return run_moved_at(e->options->journal, e->options->plan);
}

void executor_show_begin(struct executor *e, const struct plan_step *step,
			 const struct step_kind *kind)
{
	auto_buffer struct buffer line = {0};

	kind->describe(step, &line);
	screen_begin(e->screen, step, buffer_cstr(&line));
	run_probe_begin(e->probe, step);
}

void executor_show_step(struct executor *e, const struct plan_step *step,
			const struct step_kind *kind, const char *mark, int64_t took_ms)
{
	auto_buffer struct buffer line = {0};

	kind->describe(step, &line);
	screen_end(e->screen, step, mark, buffer_cstr(&line), took_ms);
}

/* What a failure in the middle means for the person: which step, and that nothing is lost. */
static int executor_failed(struct executor *e, const struct plan_step *step,
			   const struct step_kind *kind, struct error *err)
{
	auto_buffer struct buffer line = {0};
	auto_error struct error problem = {0};
	auto_free char *message = NULL;

	kind->describe(step, &line);
	if (!e->options->dry_run &&
	    journal_set(e->options->journal, e->options->plan->run, step->id,
			err->kind == ERROR_INTERRUPTED ? JOURNAL_INTENT : JOURNAL_FAILED,
			error_text(err), &problem) < 0)
		log_warning("%s", error_text(&problem));
	if (err->kind == ERROR_INTERRUPTED)
		return error_set(err, ERROR_INTERRUPTED,
				 "stopped by request at step %s (%s); all before it is done, "
				 "'resume' goes on",
				 step->id, buffer_cstr(&line));
	error_wrap(err, "step %s (%s)", step->id, buffer_cstr(&line));
	if (err->kind == ERROR_REFUSED && e->result.changed == 0)
		return -1;
	message = alloc_format("%s; what is done stays and is safe, remove the cause and 'resume'",
			       error_text(err));
	return error_set(err, ERROR_STOPPED, "%s", message);
}

/* A look that gets no answer is repeated: API servers and kubelets restart under our hands. */
int executor_check(struct executor *e, const struct plan_step *step, const struct step_kind *kind,
		   bool *ret_done, struct error *err)
{
	int64_t end = clock_monotonic_ms() + EXECUTOR_PATIENCE_MS;

	while (kind->check(&e->context, step, ret_done, err) < 0) {
		if (err->kind != ERROR_NETWORK || clock_monotonic_ms() > end)
			return -1;
		executor_say(&e->context, "%s; looking again", error_text(err));
		error_release(err);
		if (step_pause(&e->context, EXECUTOR_AGAIN_MS, err) < 0)
			return -1;
	}
	return 0;
}

/* An answer that was lost may have been a success: look, and only then do it again. */
int executor_effect(struct executor *e, const struct plan_step *step, const struct step_kind *kind,
		    struct error *err)
{
	int64_t end = clock_monotonic_ms() + EXECUTOR_PATIENCE_MS;
	bool done = false;

	while (kind->apply(&e->context, step, err) < 0) {
		if (err->kind != ERROR_NETWORK || clock_monotonic_ms() > end)
			return -1;
		executor_say(&e->context, "%s; trying again", error_text(err));
		error_release(err);
		if (step_pause(&e->context, EXECUTOR_AGAIN_MS, err) < 0 ||
		    executor_check(e, step, kind, &done, err) < 0)
			return -1;
		if (done)
			return 0;
	}
	return 0;
}

int executor_hop(const struct executor *e, const struct plan_step *step, const char *command,
		 struct error *err)
{
	const char *node = step_optional_text(step, "node");

	if (!node || !e->options->pool || node_pool_may_reach(e->options->pool, node))
		return 0;
	return error_set(err, ERROR_STOPPED,
			 "step %s (%s) is next, on another node; all before it is done; go on with "
			 "'%s --adopt --nodes-via local' on node '%s'",
			 step->id, step->kind, command, node);
}

/* Nodes that are down keep only their own steps waiting, where nothing else depends on them. */
static bool executor_may_wait(const struct plan_step *step)
{
	return (step->stage == PLAN_STAGE_NODES || strcmp(step->kind, "forget") == 0) &&
	       step_optional_text(step, "node");
}

/* *ret_waits: its node cannot be reached; that is recorded. */
static int executor_wait(struct executor *e, const struct plan_step *step,
			 const struct step_kind *kind, bool *ret_waits, struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "info");
	auto_json json_t *reply = NULL;

	*ret_waits = false;
	if (!e->options->pool || !executor_may_wait(step) ||
	    node_call(e->options->pool, step_optional_text(step, "node"), request, &reply, err) ==
		    0)
		return 0;
	if (err->kind != ERROR_NETWORK) {
		error_release(err); /* the step itself says it better */
		return 0;
	}
	*ret_waits = true;
	e->result.waiting++;
	executor_show_step(e, step, kind, "⏸", -1);
	log_warning("step %s stays pending: %s; 'resume' does it when the node is back", step->id,
		    error_text(err));
	if (e->options->dry_run) {
		error_release(err);
		return 0;
	}
	{
		auto_free char *detail = alloc_text(error_text(err));

		error_release(err);
		return journal_set(e->options->journal, e->options->plan->run, step->id,
				   JOURNAL_WAITING, detail, err);
	}
}

/* What looks at all nodes looks again when one of them came back. */
static bool executor_looks_again(const struct executor *e, const struct plan_step *step)
{
	return e->caught_up &&
	       (strcmp(step->kind, "restart-rest") == 0 || strcmp(step->kind, "drain") == 0);
}

static int executor_prove(struct executor *e, const struct plan_step *step,
			  const struct step_kind *kind, struct error *err)
{
	bool done = false;

	if (kind->verify)
		return kind->verify(&e->context, step, err);
	if (executor_check(e, step, kind, &done, err) < 0)
		return -1;
	if (done)
		return 0;
	return error_set(err, ERROR_CONFLICT,
			 "done, but what is there now is something else; did somebody change it?");
}

static int executor_apply(struct executor *e, const struct plan_step *step,
			  const struct step_kind *kind, struct error *err)
{
	struct journal *journal = e->options->journal;
	const char *run = e->options->plan->run;

	if (journal_set(journal, run, step->id, JOURNAL_INTENT, NULL, err) < 0 ||
	    executor_effect(e, step, kind, err) < 0 || executor_prove(e, step, kind, err) < 0)
		return -1;
	return journal_set(journal, run, step->id, JOURNAL_DONE, NULL, err);
}

int executor_kind(const struct plan_step *step, const struct step_kind **ret, struct error *err)
{
	const struct step_kind *kind = step_kind_find(step->kind);

	if (!kind)
		return error_set(
			err, ERROR_PARSE,
			"step %s is of the unknown kind '%s'; the plan is of another version",
			step->id, step->kind);
	*ret = kind;
	return 0;
}

/* A step recorded as done is left alone, so that a finished plan applied again reads nothing but the
 * journal. */
static int executor_step(struct executor *e, const struct plan_step *step, struct error *err)
{
	const struct step_kind *kind;
	enum journal_state state = JOURNAL_PENDING;
	int64_t begun = clock_monotonic_ms();
	bool done = false;
	bool waits = false;

	if (executor_kind(step, &kind, err) < 0)
		return -1;
	if (!e->options->dry_run && journal_get(e->options->journal, e->options->plan->run,
						step->id, &state, NULL, err) < 0)
		return -1;
	if (journal_state_holds(state) && !executor_looks_again(e, step)) {
		e->result.already++;
		return 0;
	}
	if (run_probe_verdict(e->probe, err) < 0)
		return -1;
	if (!e->options->dry_run && executor_hop(e, step, "resume", err) < 0)
		return -1;
	executor_show_begin(e, step, kind);
	if (executor_wait(e, step, kind, &waits, err) < 0 || waits)
		return waits ? 0 : -1;
	if (executor_tick(&e->context, err) < 0 || executor_check(e, step, kind, &done, err) < 0)
		return executor_failed(e, step, kind, err);
	if (e->options->dry_run) {
		executor_show_step(e, step, kind, done ? "=" : "+", -1);
		done ? e->result.already++ : e->result.changed++;
		return 0;
	}
	if (done && state == JOURNAL_PENDING) {
		executor_show_step(e, step, kind, "=", -1);
		e->result.already++;
		return journal_set(e->options->journal, e->options->plan->run, step->id,
				   JOURNAL_FOUND, "it was so already", err);
	}
	if (executor_apply(e, step, kind, err) < 0) {
		run_probe_end(e->probe, step, /* done= */ false);
		return executor_failed(e, step, kind, err);
	}
	run_probe_end(e->probe, step, /* done= */ true);
	e->result.changed++;
	e->caught_up = e->caught_up || state == JOURNAL_WAITING;
	executor_show_step(e, step, kind, "√", clock_monotonic_ms() - begun);
	return 0;
}

/* Passed once in a run: from then on what differs is what the run itself changed. */
#define EXECUTOR_GATE_STEP "-"
#define EXECUTOR_GATE_NAME "gate"

static int executor_gate_passed(struct executor *e, struct error *err)
{
	auto_json json_t *passed = json_true();

	e->gate_passed = true;
	if (e->options->dry_run)
		return 0;
	return journal_keep(e->options->journal, e->options->plan->run, EXECUTOR_GATE_STEP,
			    EXECUTOR_GATE_NAME, passed, err);
}

static int executor_gate(struct executor *e, const struct plan_step *step, struct error *err)
{
	auto_json json_t *passed = NULL;
	auto_free char *message = NULL;

	if (e->gate_passed || step->stage == PLAN_STAGE_TOURNIQUET)
		return 0;
	passed = journal_kept(e->options->journal, e->options->plan->run, EXECUTOR_GATE_STEP,
			      EXECUTOR_GATE_NAME);
	if (passed || !e->options->gate || e->options->gate(e->options->gate_data, err) == 0)
		return passed ? 0 : executor_gate_passed(e, err);
	if (!e->result.changed || err->kind != ERROR_REFUSED)
		return -1;
	message =
		alloc_format("%s; only old addresses were made to answer, nothing else was changed",
			     error_text(err));
	return error_set(err, ERROR_STOPPED, "%s", message);
}

int executor_mirror(struct executor *e, struct error *err)
{
	const char *run = e->options->plan->run;
	auto_journal_run struct journal_run recorded = {0};
	auto_error struct error problem = {0};
	auto_free char *holder = NULL;
	int64_t sequence = 0;

	if (e->options->dry_run || e->mirror.kube)
		return 0;
	if (mirror_holder(e->options->kube, run, &holder, &sequence, &problem) < 0)
		log_debug("%s", error_text(&problem));
	error_release(&problem);
	if (holder && strcmp(holder, e->lock.holder) != 0 && !e->options->adopt)
		return error_set(err, ERROR_REFUSED,
				 "run '%s' was taken over by '%s' since; go on there, or take it "
				 "over with 'resume --adopt'",
				 run, holder);
	e->mirror = (struct mirror){.kube = e->options->kube,
				    .run = run,
				    .holder = e->lock.holder,
				    .sequence = sequence};
	if (journal_current(e->options->journal, /* any= */ false, &recorded, &problem) < 0 ||
	    mirror_plan(&e->mirror, recorded.plan, &problem) < 0)
		log_warning("the plan is not mirrored in the cluster, only here: %s",
			    error_text(&problem));
	mirror_progress(&e->mirror, e->options->journal, /* now= */ true);
	return 0;
}

/* A finished plan applied again writes nothing, and the tourniquet waits for nothing. */
static bool executor_wants_mirror(const struct executor *e, const struct plan_step *step)
{
	enum journal_state state = JOURNAL_PENDING;
	auto_error struct error ignored = {0};

	return step->stage != PLAN_STAGE_TOURNIQUET &&
	       (journal_get(e->options->journal, e->options->plan->run, step->id, &state, NULL,
			    &ignored) < 0 ||
		!journal_state_holds(state));
}

static int executor_steps(struct executor *e, struct error *err)
{
	const struct plan *plan = e->options->plan;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *step = &plan->steps[i];

		if (step->stage < e->options->from)
			continue;
		if (step->stage > e->options->until) {
			e->result.pending++;
			continue;
		}
		if (executor_gate(e, step, err) < 0 ||
		    (executor_wants_mirror(e, step) && executor_mirror(e, err) < 0) ||
		    executor_step(e, step, err) < 0)
			return -1;
		mirror_progress(&e->mirror, e->options->journal, /* now= */ false);
	}
	/* a resume in the drain has nothing else to do */
	e->follow_ms = 0;
	executor_follow(e);
	return 0;
}

int executor_open(struct executor *e, const struct executor_options *options, struct error *err)
{
	*e = (struct executor){
		.options = options,
		.lock = {.file = -1},
		.backups = alloc_format("%s/%s/objects", options->folder, options->plan->run),
		/* not before a tourniquet */
		.follow_ms = clock_monotonic_ms() + EXECUTOR_FOLLOW_MS,
	};
	e->context = (struct step_context){
		.kube = options->kube,
		.pool = options->pool,
		.plan = options->plan,
		.backup_folder = e->backups,
		.keep = executor_keep,
		.kept = executor_kept,
		.tick = executor_tick,
		.say = executor_say,
		.moved_at = executor_moved_at,
		.window_ms = options->window_ms,
		.data = e,
	};
	e->screen = screen_new(&(struct screen_options){
		.plan = options->plan,
		.until = options->until,
		.live = options->live && !options->dry_run,
		.colour = options->colour,
	});
	if (options->dry_run)
		return 0;
	e->probe = run_probe_new(&(struct run_probe_options){
		.kube = options->kube,
		.pool = options->pool,
		.journal = options->journal,
		.plan = options->plan,
		.limit = options->max_failed,
	});
	if (file_make_folder(e->backups, 0700, err) < 0)
		return -1;
	return run_lock_acquire(&e->lock, options->kube, options->folder, options->plan->run,
				options->force_lock, err);
}

void executor_close(struct executor *e)
{
	run_probe_free(e->probe);
	screen_free(e->screen);
	if (e->lock.held)
		mirror_progress(&e->mirror, e->options->journal, /* now= */ true);
	run_lock_release(&e->lock);
	free(e->backups);
	*e = (struct executor){.lock = {.file = -1}};
}

/* A run that was on its way back goes on forwards from where it stands. */
static int executor_turn_forward(struct executor *e, struct error *err)
{
	const char *run = e->options->plan->run;
	auto_journal_run struct journal_run found = {0};

	if (e->options->dry_run ||
	    journal_current(e->options->journal, /* any= */ false, &found, err) < 0) {
		error_release(err);
		return 0;
	}
	if (found.state != JOURNAL_RUN_ROLLING_BACK || strcmp(found.id, run) != 0)
		return 0;
	log_info("the rollback is turned round: the run goes on forwards");
	return journal_turn(e->options->journal, run, JOURNAL_RUN_OPEN, "", err);
}

int executor_run(const struct executor_options *options, struct executor_result *ret,
		 struct error *err)
{
	auto_executor struct executor e = {.lock = {.file = -1}};

	if (executor_open(&e, options, err) < 0 || executor_turn_forward(&e, err) < 0 ||
	    executor_steps(&e, err) < 0)
		return -1;
	*ret = e.result;
	return 0;
}
