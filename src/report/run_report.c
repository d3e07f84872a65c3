/* SPDX-License-Identifier: MIT */
#include "report/run_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "step/step.h"
#include "text/json.h"

static char *report_describe(const struct plan_step *step)
{
	const struct step_kind *kind = step_kind_find(step->kind);
	auto_buffer struct buffer line = {0};

	if (kind)
		kind->describe(step, &line);
	else
		buffer_format(&line, "%s %s", step->kind, step->subject);
	return buffer_detach(&line);
}

static void report_event(struct run_report *report, const struct journal_event *event)
{
	for (size_t i = 0; i < report->plan.count; i++) {
		struct run_report_step *step = &report->steps[i];

		if (strcmp(step->step->id, event->step) != 0)
			continue;
		if (!step->begun_s)
			step->begun_s = event->at_s;
		step->ended_s = event->state == JOURNAL_INTENT || event->state == JOURNAL_UNDOING
					? 0
					: event->at_s;
	}
	if (event->at_s > report->ended_s)
		report->ended_s = event->at_s;
}

static int report_steps(struct journal *journal, struct run_report *report, struct error *err)
{
	report->steps = alloc_array(report->plan.count + 1, sizeof(*report->steps));
	for (size_t i = 0; i < report->plan.count; i++) {
		struct run_report_step *step = &report->steps[i];

		step->step = &report->plan.steps[i];
		step->text = report_describe(step->step);
		if (journal_get(journal, report->run.id, step->step->id, &step->state,
				&step->detail, err) < 0)
			return -1;
		if (!report->evidence && strcmp(step->step->kind, "drain") == 0)
			report->evidence =
				journal_kept(journal, report->run.id, step->step->id, "evidence");
		report->done += step->state == JOURNAL_DONE || step->state == JOURNAL_FOUND;
	}
	for (size_t i = 0; i < report->history.event_count; i++)
		report_event(report, &report->history.events[i]);
	return 0;
}

static void report_sample(struct run_report *report, const struct journal_sample *sample,
			  int64_t *sums)
{
	for (size_t i = 0; i < report->history.target_count; i++) {
		struct run_report_target *target = &report->targets[i];

		if (strcmp(target->target->name, sample->target) != 0)
			continue;
		target->ok += sample->ok;
		target->failed += sample->failed - sample->explained;
		target->explained += sample->explained;
		sums[i] += sample->sum_ms;
		if (sample->max_ms > target->max_ms)
			target->max_ms = sample->max_ms;
		if (sample->gap_ms > target->gap_ms)
			target->gap_ms = sample->gap_ms;
	}
}

static void report_targets(struct run_report *report)
{
	auto_free int64_t *sums = alloc_array(report->history.target_count + 1, sizeof(*sums));

	report->targets = alloc_array(report->history.target_count + 1, sizeof(*report->targets));
	for (size_t i = 0; i < report->history.target_count; i++)
		report->targets[i].target = &report->history.targets[i];
	for (size_t i = 0; i < report->history.sample_count; i++)
		report_sample(report, &report->history.samples[i], sums);
	for (size_t i = 0; i < report->history.target_count; i++) {
		struct run_report_target *target = &report->targets[i];

		target->mean_ms = target->ok ? sums[i] / target->ok : 0;
		report->ok += target->ok;
		report->failed += target->failed;
		report->explained += target->explained;
	}
}

int run_report_read(struct journal *journal, const char *run, struct run_report *ret,
		    struct error *err)
{
	auto_run_report struct run_report report = {0};
	auto_free char *name = NULL;

	if (journal_find_run(journal, run, &report.run, err) < 0)
		return -1;
	name = alloc_format("journal's plan of run %s", report.run.id);
	if (plan_parse(&report.plan, name, slice_of(report.run.plan), err) < 0 ||
	    journal_history(journal, report.run.id, &report.history, err) < 0)
		return -1;
	report.operator_ =
		journal_kept(journal, report.run.id, RUN_REPORT_STEP, RUN_REPORT_OPERATOR);
	report.ended_s = report.run.started_s;
	if (report_steps(journal, &report, err) < 0)
		return -1;
	if (report.run.ended_s)
		report.ended_s = report.run.ended_s;
	report_targets(&report);
	*ret = report;
	report = (struct run_report){0};
	return 0;
}

void run_report_release(struct run_report *report)
{
	for (size_t i = 0; report->steps && i < report->plan.count; i++) {
		free(report->steps[i].text);
		free(report->steps[i].detail);
	}
	free(report->steps);
	free(report->targets);
	json_decref(report->operator_);
	json_decref(report->evidence);
	journal_history_release(&report->history);
	plan_release(&report->plan);
	journal_run_release(&report->run);
	*report = (struct run_report){0};
}

const struct run_report_step *run_report_step(const struct run_report *report, const char *id)
{
	for (size_t i = 0; i < report->plan.count; i++)
		if (strcmp(report->steps[i].step->id, id) == 0)
			return &report->steps[i];
	return NULL;
}

char *run_report_result(const struct run_report *report)
{
	switch (report->run.state) {
	case JOURNAL_RUN_FINALIZED:
		return alloc_text("finished");
	case JOURNAL_RUN_ROLLED_BACK:
		return alloc_text("rolled back: all is as it was");
	case JOURNAL_RUN_ROLLING_BACK:
		return alloc_text("open, on its way back");
	default:
		return alloc_format("open: %zu of %zu steps done", report->done,
				    report->plan.count);
	}
}

char *run_report_from(const struct run_report *report)
{
	auto_buffer struct buffer text = {0};
	const json_t *range;
	size_t i;

	json_array_foreach(report->plan.from, i, range)
		buffer_format(&text, "%s%s", i ? ", " : "",
			      json_string_value(range) ? json_string_value(range) : "");
	return buffer_detach(&text);
}

char *run_report_availability(const struct run_report *report)
{
	long long all = report->ok + report->failed + report->explained;

	if (!report->history.target_count)
		return alloc_text("Nothing was probed during this run.");
	if (!report->failed && !report->explained)
		return alloc_format("None of %lld requests failed.", all);
	if (!report->explained)
		return alloc_format("%lld of %lld requests failed.", (long long)report->failed,
				    all);
	return alloc_format("%lld of %lld requests failed; %lld more while the step in hand "
			    "restarted what answers.",
			    (long long)report->failed, all, (long long)report->explained);
}

/* ---- JSON ---- */

static json_t *report_time(int64_t wall_s)
{
	auto_free char *text = wall_s ? clock_format(wall_s) : NULL;

	return text ? json_string(text) : json_null();
}

static json_t *report_text(const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	return value ? value : json_null(); /* what is no UTF-8 is no JSON */
}

static json_t *report_steps_json(const struct run_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->plan.count; i++) {
		const struct run_report_step *s = &report->steps[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "id",
				  s->step->id, "stage", plan_stage_name(s->step->stage), "kind",
				  s->step->kind, "subject", s->step->subject, "text",
				  report_text(s->text), "state", journal_state_name(s->state),
				  "detail", report_text(s->detail), "begunAt",
				  report_time(s->begun_s), "endedAt", report_time(s->ended_s)));
	}
	return list;
}

static json_t *report_targets_json(const struct run_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->history.target_count; i++) {
		const struct run_report_target *t = &report->targets[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				  "name", t->target->name, "role", probe_role_name(t->target->role),
				  "kind", t->target->kind, "service", t->target->service, "address",
				  t->target->address, "port", (json_int_t)t->target->port, "ok",
				  (json_int_t)t->ok, "failed", (json_int_t)t->failed, "explained",
				  (json_int_t)t->explained, "maxMs", (json_int_t)t->max_ms,
				  "meanMs", (json_int_t)t->mean_ms, "gapMs",
				  (json_int_t)t->gap_ms));
	}
	return list;
}

static json_t *report_samples_json(const struct run_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->history.sample_count; i++) {
		const struct journal_sample *s = &report->history.samples[i];

		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "target",
					s->target, "beginMs", (json_int_t)s->begin_ms, "endMs",
					(json_int_t)s->end_ms, "ok", (json_int_t)s->ok, "failed",
					(json_int_t)(s->failed - s->explained), "explained",
					(json_int_t)s->explained, "maxMs", (json_int_t)s->max_ms,
					"gapMs", (json_int_t)s->gap_ms, "step", s->step));
	}
	return list;
}

static json_t *report_failures_json(const struct run_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->history.failure_count; i++) {
		const struct journal_failure *f = &report->history.failures[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:I, s:I, s:o, s:s, s:b}", "target",
						f->target, "node", report_text(f->node), "atMs",
						(json_int_t)f->at_ms, "tookMs",
						(json_int_t)f->took_ms, "why", report_text(f->why),
						"step", f->step, "explained", (int)f->explained));
	}
	return list;
}

static const char *report_state(const struct run_report *report)
{
	static const char *const names[] = {
		[JOURNAL_RUN_OPEN] = "open",
		[JOURNAL_RUN_FINALIZED] = "finished",
		[JOURNAL_RUN_ROLLING_BACK] = "rolling-back",
		[JOURNAL_RUN_ROLLED_BACK] = "rolled-back",
	};

	return names[report->run.state];
}

json_t *run_report_json(const struct run_report *report)
{
	auto_free char *result = run_report_result(report);
	json_t *probes =
		json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "ok", (json_int_t)report->ok, "failed",
			  (json_int_t)report->failed, "explained", (json_int_t)report->explained,
			  "targets", report_targets_json(report), "samples",
			  report_samples_json(report), "failures", report_failures_json(report));

	return json_pack(
		"{s:i, s:s, s:s, s:s, s:O, s:s, s:{s:s, s:s}, s:O?, s:s, s:s, s:o, s:o, s:i, s:i, "
		"s:o, s:O, s:O, s:O?, s:o}",
		"schemaVersion", 1, "run", report->run.id, "mode", report->run.mode, "regime",
		report->plan.regime ? report->plan.regime : "unknown", "from", report->plan.from,
		"to", report->run.to, "cluster", "server", report->plan.server, "uid",
		report->plan.cluster_uid, "operator", report->operator_, "state",
		report_state(report), "result", result, "begunAt",
		report_time(report->run.started_s), "endedAt", report_time(report->run.ended_s),
		"stepsDone", (int)report->done, "stepCount", (int)report->plan.count, "steps",
		report_steps_json(report), "map", report->plan.map, "notes", report->plan.notes,
		"evidence", report->evidence, "probes", probes);
}
