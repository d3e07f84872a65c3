/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "plan/estimate.h"
#include "run/screen.h"

#define RED "\033[31m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* A line whose escape sequences take no room. */
struct screen_line {
	struct buffer *out;
	size_t width;
	size_t max;
	bool colour;
};

/* Puts as much as fits; a character counts as one column. What breaks lines is a blank: messages of
 * servers may have several, and what is drawn is taken away by its lines. */
static void line_put(struct screen_line *line, const char *text)
{
	for (const char *c = text; *c; c++) {
		bool begins = ((unsigned char)*c & 0xc0) != 0x80;
		bool control = (unsigned char)*c < 0x20;

		if (begins && line->width == line->max)
			return;
		line->width += begins;
		buffer_char(line->out, control ? ' ' : *c);
	}
}

static void line_paint(struct screen_line *line, const char *colour, const char *text)
{
	if (line->colour)
		buffer_text(line->out, colour);
	line_put(line, text);
	if (line->colour)
		buffer_text(line->out, PLAIN);
}

__attribute__((format(printf, 2, 3))) static void line_format(struct screen_line *line,
							      const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = alloc_vformat(fmt, args);
	va_end(args);
	line_put(line, text);
}

/* 1234567: "1,234,567". */
static void line_number(struct screen_line *line, uint64_t number)
{
	char digits[24];
	char text[32];
	size_t at = 0;
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	line_put(line, text);
}

static void view_head(struct screen_line *line, const struct screen_view *view)
{
	auto_free char *elapsed = clock_duration(view->elapsed_ms);

	line_paint(line, BOLD, view->stage);
	line_format(line, " %zu/%zu · step %zu/%zu", view->stage_number, view->stage_count,
		    view->step_number, view->step_count);
	if (view->done && view->elapsed_ms >= 1000)
		line_format(line, " · %lld/min",
			    (long long)view->done * 60000 / (long long)view->elapsed_ms);
	line_format(line, " · %s", elapsed);
	if (view->remaining_ms >= 0) {
		auto_free char *left = clock_duration(view->remaining_ms);

		line_format(line, ", about %s left", left);
	}
}

static void view_step(struct screen_line *line, const struct screen_view *view)
{
	auto_free char *took = clock_duration(view->step_ms);

	line_format(line, "▸ %s", view->step_text);
	if (view->waiting)
		line_format(line, ": %s", view->waiting);
	if (view->step_ms >= 2000)
		line_format(line, " (%s)", took);
}

static void view_count(struct screen_line *line, const char *name,
		       const struct run_probe_count *count)
{
	if (!count->watched)
		return;
	line_format(line, "  %s ", name);
	line_number(line, count->ok);
	line_put(line, " ok");
	if (count->failed) {
		auto_free char *text =
			alloc_format(" %llu failed", (unsigned long long)count->failed);

		line_paint(line, RED, text);
	}
	if (count->explained)
		line_format(line, " %llu explained", (unsigned long long)count->explained);
	if (count->failed + count->explained && count->last_gap_ms)
		line_format(line, " (last gap %lld.%lld s)", (long long)count->last_gap_ms / 1000,
			    (long long)count->last_gap_ms % 1000 / 100);
}

static bool view_watches(const struct run_probe_count *counts)
{
	for (size_t i = 0; i < RUN_PROBE_CLASSES; i++)
		if (counts[i].watched)
			return true;
	return false;
}

static void view_probes(struct screen_line *line, const char *title,
			const struct run_probe_count *counts,
			const struct run_probe_count *node_ports)
{
	line_put(line, title);
	for (size_t i = 0; i < RUN_PROBE_CLASSES; i++)
		view_count(line, run_probe_class_name((enum run_probe_class)i), &counts[i]);
	if (node_ports)
		view_count(line, "NodePorts", node_ports);
}

size_t screen_render(const struct screen_view *view, size_t columns, bool colour,
		     struct buffer *out, size_t ret_widths[])
{
	const struct run_probe_summary *probes = view->probes;
	size_t count = 0;

	for (size_t i = 0; i < SCREEN_LINES_MAX; i++) {
		struct screen_line line = {out, 0, columns > 8 ? columns - 3 : 5, colour};
		bool wanted = i == 0 || i == 1 || i == 4 || (i == 2 && probes) ||
			      (i == 3 && probes && view_watches(probes->new_));

		if (!wanted)
			continue;
		if (count)
			buffer_char(out, '\n');
		if (i == 0)
			view_head(&line, view);
		else if (i == 1)
			view_step(&line, view);
		else if (i == 2)
			view_probes(&line, "old", probes->old, &probes->node_ports);
		else if (i == 3)
			view_probes(&line, "new", probes->new_, NULL);
		else
			line_paint(&line, DIM,
				   "^C finishes the step in hand and stops; 'resume' goes on");
		ret_widths[count++] = line.width;
	}
	return count;
}

size_t screen_rows(const size_t widths[], size_t count, size_t columns)
{
	size_t rows = 0;

	for (size_t i = 0; i < count; i++)
		rows += widths[i] && columns ? (widths[i] + columns - 1) / columns : 1;
	return rows;
}

int64_t screen_estimate(const struct plan *plan, size_t index, enum plan_stage until,
			const struct screen_pace *paces, size_t pace_count)
{
	int64_t sum = 0;

	for (size_t i = index; i < plan->count; i++) {
		int64_t ms = plan_step_seconds(&plan->steps[i]) * 1000;

		if (plan->steps[i].stage > until)
			continue;
		for (size_t k = 0; k < pace_count; k++)
			if (paces[k].count && strcmp(paces[k].kind, plan->steps[i].kind) == 0)
				ms = paces[k].total_ms / (int64_t)paces[k].count;
		sum += ms;
	}
	return sum;
}
