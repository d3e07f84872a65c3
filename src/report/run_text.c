/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "report/run_report.h"
#include "text/json.h"

/* Failed requests listed one by one; JSON has all. */
#define TEXT_FAILURES 100

static void text_heading(enum table_style style, const char *title, struct buffer *out)
{
	buffer_format(out, style == TABLE_MARKDOWN ? "\n## %s\n\n" : "\n%s\n", title);
}

static void text_fact(enum table_style style, const char *name, const char *value,
		      struct buffer *out)
{
	if (!value || !*value)
		return;
	if (style == TABLE_MARKDOWN)
		buffer_format(out, "- %s: %s\n", name, value);
	else
		buffer_format(out, "%-10s %s\n", name, value);
}

static void text_head(const struct run_report *r, enum table_style style, struct buffer *out)
{
	auto_free char *result = run_report_result(r);
	auto_free char *from = run_report_from(r);
	auto_free char *begun = clock_format(r->run.started_s);
	auto_free char *ended = r->run.ended_s ? clock_format(r->run.ended_s) : NULL;
	auto_free char *availability = run_report_availability(r);

	if (style == TABLE_MARKDOWN)
		buffer_format(out, "# Run %s: Services from %s to %s\n\n", r->run.id, from,
			      r->run.to);
	text_fact(style, "cluster", r->plan.server, out);
	text_fact(style, "identity", r->plan.cluster_uid, out);
	text_fact(style, "run", r->run.id, out);
	text_fact(style, "mode", r->run.mode, out);
	text_fact(style, "from", from, out);
	text_fact(style, "to", r->run.to, out);
	text_fact(style, "operator", json_path_text(r->operator_, "host"), out);
	text_fact(style, "begun", begun, out);
	text_fact(style, "ended", ended, out);
	text_fact(style, "result", result, out);
	text_fact(style, "requests", availability, out);
}

static void text_probes(const struct run_report *r, enum table_style style, struct buffer *out)
{
	static const char *const titles[] = {"ADDRESS",	    "SERVICE", "ROLE",
					     "OK",	    "FAILED",  "EXPLAINED",
					     "LONGEST GAP", "MEAN",    "GREATEST"};
	auto_table struct table t = {.titles = titles, .columns = 9};

	if (!r->history.target_count)
		return;
	text_heading(style, "Availability", out);
	for (size_t i = 0; i < r->history.target_count; i++) {
		const struct run_report_target *target = &r->targets[i];

		table_cellf(&t, "%s:%lld %s", target->target->address,
			    (long long)target->target->port, target->target->kind);
		table_cell(&t, target->target->service);
		table_cell(&t, probe_role_name(target->target->role));
		table_cellf(&t, "%lld", (long long)target->ok);
		table_cellf(&t, "%lld", (long long)target->failed);
		table_cellf(&t, "%lld", (long long)target->explained);
		table_cellf(&t, "%lld ms", (long long)target->gap_ms);
		table_cellf(&t, "%lld ms", (long long)target->mean_ms);
		table_cellf(&t, "%lld ms", (long long)target->max_ms);
	}
	table_print(&t, style, out);
}

static void text_failures(const struct run_report *r, enum table_style style, struct buffer *out)
{
	static const char *const titles[] = {"TIME", "ADDRESS", "NODE",
					     "TOOK", "WHY",	"STEP IN HAND"};
	auto_table struct table t = {.titles = titles, .columns = 6};
	size_t count = r->history.failure_count;

	if (!count)
		return;
	text_heading(style, "Failed requests", out);
	for (size_t i = 0; i < count && i < TEXT_FAILURES; i++) {
		const struct journal_failure *f = &r->history.failures[i];
		auto_free char *at = clock_format(f->at_ms / 1000);

		table_cellf(&t, "%.19s.%03d", at, (int)(f->at_ms % 1000));
		table_cell(&t, f->target);
		table_cell(&t, f->node);
		table_cellf(&t, "%lld ms", (long long)f->took_ms);
		table_cell(&t, f->why);
		table_cellf(&t, "%s%s", f->step, f->explained ? " (explains it)" : "");
	}
	table_print(&t, style, out);
	if (count > TEXT_FAILURES)
		buffer_format(out, "%s%zu more are in -o json\n",
			      style == TABLE_MARKDOWN ? "\n" : "", count - TEXT_FAILURES);
}

static void text_steps(const struct run_report *r, enum table_style style, struct buffer *out)
{
	static const char *const titles[] = {"STAGE", "STEP", "STATE", "BEGUN", "TOOK", "WHAT"};
	auto_table struct table t = {.titles = titles, .columns = 6};

	text_heading(style, "Steps", out);
	for (size_t i = 0; i < r->plan.count; i++) {
		const struct run_report_step *s = &r->steps[i];
		auto_free char *begun = s->begun_s ? clock_format(s->begun_s) : NULL;
		auto_free char *took = s->begun_s && s->ended_s
					       ? clock_duration((s->ended_s - s->begun_s) * 1000)
					       : NULL;

		table_cell(&t, plan_stage_name(s->step->stage));
		table_cell(&t, s->step->id);
		table_cell(&t, journal_state_name(s->state));
		table_cell(&t, begun);
		table_cell(&t, took);
		table_cell(&t, s->text);
	}
	table_print(&t, style, out);
}

static void text_remains(const struct run_report *r, enum table_style style, struct buffer *out)
{
	const json_t *note;
	size_t i;

	if (json_array_size(r->plan.notes))
		text_heading(style, "Notes of the plan", out);
	json_array_foreach(r->plan.notes, i, note)
		buffer_format(out, "%s%s\n", style == TABLE_MARKDOWN ? "- " : "  ",
			      json_string_value(note) ? json_string_value(note) : "");
}

void run_report_print(const struct run_report *r, enum table_style style, struct buffer *out)
{
	text_head(r, style, out);
	text_probes(r, style, out);
	text_failures(r, style, out);
	text_steps(r, style, out);
	text_remains(r, style, out);
	/* what servers, nodes and plans said goes to a terminal */
	log_filter(out->ptr);
}
