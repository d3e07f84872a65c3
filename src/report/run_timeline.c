/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "report/html.h"
#include "report/run_report.h"

/*
 * The probes over time: a row for each target, a bar where it was watched, a mark where a request
 * failed; above them the stages. Time in which nothing was probed (between apply and a resume the
 * next day) is cut out. Colours are classes of the page's style; every mark has a title.
 */
enum {
	LABEL = 250, /* width of the names on the left */
	PLOT = 640,
	COUNT = 110, /* of the numbers on the right */
	WIDTH = LABEL + PLOT + COUNT,
	HEAD = 44, /* stages and times */
	ROW = 20,
	BAR = 12,
	BREAK = 12, /* of time that was cut out */
	SPANS_MAX = 24,
};

#define CUT_MS 120000

struct timeline_span {
	int64_t begin_ms;
	int64_t end_ms;
	int64_t left; /* in the plot, units of the viewBox */
	int64_t width;
};

struct timeline {
	const struct run_report *report;
	struct timeline_span spans[SPANS_MAX];
	size_t count;
	struct buffer *out;
};

static void timeline_cover(struct timeline *t, int64_t begin, int64_t end)
{
	struct timeline_span *last = t->count ? &t->spans[t->count - 1] : NULL;

	if (last && (begin - last->end_ms < CUT_MS || t->count == SPANS_MAX)) {
		if (end > last->end_ms)
			last->end_ms = end;
		return;
	}
	t->spans[t->count++] = (struct timeline_span){.begin_ms = begin, .end_ms = end};
}

static void timeline_lay_out(struct timeline *t)
{
	int64_t room = PLOT - BREAK * ((int64_t)t->count - 1);
	int64_t total = 0;
	int64_t left = LABEL;

	for (size_t i = 0; i < t->count; i++)
		total += t->spans[i].end_ms - t->spans[i].begin_ms;
	for (size_t i = 0; i < t->count; i++) {
		struct timeline_span *span = &t->spans[i];

		span->left = left;
		span->width = total ? room * (span->end_ms - span->begin_ms) / total : room;
		left += span->width + BREAK;
	}
}

/* Hundredths of a unit; what lies in a cut or outside goes to the nearest edge. */
static int64_t timeline_x(const struct timeline *t, int64_t at_ms)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct timeline_span *span = &t->spans[i];
		int64_t length = span->end_ms - span->begin_ms;

		if (at_ms < span->begin_ms)
			return span->left * 100;
		if (at_ms <= span->end_ms)
			return span->left * 100 +
			       (length ? span->width * 100 * (at_ms - span->begin_ms) / length : 0);
	}
	return (t->spans[t->count - 1].left + t->spans[t->count - 1].width) * 100;
}

static void timeline_number(struct buffer *out, const char *name, int64_t hundredths)
{
	buffer_format(out, " %s=\"%lld.%02lld\"", name, (long long)hundredths / 100,
		      (long long)hundredths % 100);
}

/* A bar from begin to end, at least a hair wide. */
static void timeline_bar(const struct timeline *t, const char *class_, int64_t begin, int64_t end,
			 int64_t y, int64_t height, int64_t least)
{
	int64_t left = timeline_x(t, begin);
	int64_t width = timeline_x(t, end) - left;

	buffer_format(t->out, "<rect class=\"%s\"", class_);
	timeline_number(t->out, "x", left);
	timeline_number(t->out, "width", width < least ? least : width);
	buffer_format(t->out, " y=\"%lld\" height=\"%lld\">", (long long)y, (long long)height);
}

/* "16:01:30", with the day where it is another than before. */
static char *timeline_clock(int64_t at_ms, bool day)
{
	auto_free char *text = clock_format(at_ms / 1000);

	return day ? alloc_format("%.5s %.8s", text + 5, text + 11) : alloc_text_n(text + 11, 8);
}

/* ---- head ---- */

static void timeline_stages(const struct timeline *t, int64_t height)
{
	const struct run_report *r = t->report;
	size_t shown = 0;

	for (int stage = 0; stage < PLAN_STAGE_COUNT; stage++) {
		int64_t begin = 0;
		int64_t end = 0;
		int64_t width;

		for (size_t i = 0; i < r->plan.count; i++) {
			const struct run_report_step *s = &r->steps[i];

			if ((int)s->step->stage != stage || !s->begun_s)
				continue;
			if (!begin || s->begun_s < begin)
				begin = s->begun_s;
			if (s->ended_s > end)
				end = s->ended_s;
		}
		if (!begin)
			continue;
		if (end < begin)
			end = r->ended_s;
		/* the journal knows seconds: a stage ends when the second is over */
		width = timeline_x(t, end * 1000 + 999) - timeline_x(t, begin * 1000);
		timeline_bar(t, shown++ % 2 ? "band odd" : "band", begin * 1000, end * 1000 + 999,
			     0, height, 0);
		buffer_format(t->out, "<title>%s</title></rect>",
			      plan_stage_name((enum plan_stage)stage));
		if (width / 100 < (int64_t)strlen(plan_stage_name((enum plan_stage)stage)) * 6)
			continue;
		buffer_text(t->out, "<text class=\"stage\"");
		timeline_number(t->out, "x", timeline_x(t, begin * 1000) + 300);
		buffer_format(t->out, " y=\"14\">%s</text>",
			      plan_stage_name((enum plan_stage)stage));
	}
}

/* Seconds between two marks of the axis, so that some eight fit. */
static int64_t timeline_tick_s(const struct timeline *t)
{
	static const int64_t ticks[] = {1,   2,	  5,	10,   30,   60,	   120,
					300, 600, 1800, 3600, 7200, 21600, 86400};
	int64_t total = 0;

	for (size_t i = 0; i < t->count; i++)
		total += t->spans[i].end_ms - t->spans[i].begin_ms;
	for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++)
		if (total / 1000 / ticks[i] <= 8)
			return ticks[i];
	return 604800;
}

static void timeline_axis(const struct timeline *t, int64_t height)
{
	int64_t tick = timeline_tick_s(t) * 1000;
	int64_t free_from = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct timeline_span *span = &t->spans[i];
		int64_t at = (span->begin_ms + tick - 1) / tick * tick;

		for (bool day = i > 0; at <= span->end_ms; at += tick) {
			auto_free char *text = timeline_clock(at, day);
			int64_t x = timeline_x(t, at);

			buffer_text(t->out, "<line class=\"tick\"");
			timeline_number(t->out, "x1", x);
			timeline_number(t->out, "x2", x);
			buffer_format(t->out, " y1=\"%d\" y2=\"%lld\"/>", HEAD - 8,
				      (long long)height);
			if (x < free_from)
				continue;
			buffer_text(t->out, "<text class=\"time\"");
			timeline_number(t->out, "x", x);
			buffer_format(t->out, " y=\"%d\">%s</text>", HEAD - 12, text);
			free_from = x + (day ? 8000 : 6000);
			day = false;
		}
		if (i)
			buffer_format(t->out,
				      "<line class=\"cut\" x1=\"%lld\" x2=\"%lld\" y1=\"0\" "
				      "y2=\"%lld\"><title>nothing was probed</title></line>",
				      (long long)span->left - BREAK / 2,
				      (long long)span->left - BREAK / 2, (long long)height);
	}
}

/* ---- rows ---- */

/* Where it was watched: neighbouring samples are one bar. */
static void timeline_watched(const struct timeline *t, const char *target, int64_t y)
{
	const struct journal_history *h = &t->report->history;
	int64_t begin = 0;
	int64_t end = 0;

	for (size_t i = 0; i <= h->sample_count; i++) {
		const struct journal_sample *s = i < h->sample_count ? &h->samples[i] : NULL;

		if (s && strcmp(s->target, target) != 0)
			continue;
		if (s && begin && s->begin_ms - end < 3000) {
			end = s->end_ms;
			continue;
		}
		if (begin) {
			timeline_bar(t, "ok", begin, end, y, BAR, 50);
			buffer_text(t->out, "</rect>");
		}
		begin = s ? s->begin_ms : 0;
		end = s ? s->end_ms : 0;
	}
}

/* Where much failed not every request is listed: the span is marked as a whole. */
static void timeline_dense(const struct timeline *t, const char *target, int64_t y)
{
	const struct journal_history *h = &t->report->history;

	for (size_t i = 0; i < h->sample_count; i++) {
		const struct journal_sample *s = &h->samples[i];
		int64_t asked = s->ok + s->failed;

		if (strcmp(s->target, target) != 0 || s->failed * 4 < asked)
			continue;
		timeline_bar(t, s->explained < s->failed ? "failed" : "explained", s->begin_ms,
			     s->end_ms, y + BAR / 4, BAR / 2, 50);
		buffer_format(t->out, "<title>%lld of %lld requests failed</title></rect>",
			      (long long)s->failed, (long long)asked);
	}
}

static void timeline_failures(const struct timeline *t, const char *target, int64_t y)
{
	const struct journal_history *h = &t->report->history;
	int64_t last = -1;

	for (size_t i = 0; i < h->failure_count; i++) {
		const struct journal_failure *f = &h->failures[i];
		auto_free char *at = timeline_clock(f->at_ms, /* day= */ false);
		int64_t x = timeline_x(t, f->at_ms);

		if (strcmp(f->target, target) != 0)
			continue;
		/* marks that would lie on one another are one */
		if (last >= 0 && x - last < 60)
			continue;
		last = x;
		timeline_bar(t, f->explained ? "explained" : "failed", f->at_ms,
			     f->at_ms + f->took_ms, y - 3, BAR + 6, 180);
		buffer_text(t->out, "<title>");
		html_format(t->out, "%s from %s: %s (step %s)", at, f->node, f->why, f->step);
		buffer_text(t->out, "</title></rect>");
	}
}

static void timeline_row(const struct timeline *t, const struct run_report_target *target,
			 int64_t y)
{
	const struct journal_target *info = target->target;

	buffer_format(t->out, "<text class=\"%s\" x=\"0\" y=\"%lld\">", "name",
		      (long long)y + BAR - 2);
	/* the beginning of a long name says less than its end */
	html_format(t->out, "%s%.22s", strlen(info->service) > 22 ? "…" : "",
		    strlen(info->service) > 22 ? info->service + strlen(info->service) - 22
					       : info->service);
	buffer_format(t->out, "</text><text class=\"address\" x=\"%d\" y=\"%lld\">", LABEL - 8,
		      (long long)y + BAR - 2);
	html_format(t->out, "%s:%lld", info->address, (long long)info->port);
	buffer_text(t->out, "</text>");
	timeline_watched(t, info->name, y);
	timeline_dense(t, info->name, y);
	timeline_failures(t, info->name, y);
	buffer_format(t->out, "<text class=\"%s\" x=\"%d\" y=\"%lld\">",
		      target->failed ? "count bad" : "count", WIDTH, (long long)y + BAR - 2);
	if (target->failed)
		buffer_format(t->out, "%lld failed", (long long)target->failed);
	else if (target->explained)
		buffer_format(t->out, "%lld explained", (long long)target->explained);
	else
		buffer_format(t->out, "%lld ok", (long long)target->ok);
	buffer_text(t->out, "</text>");
}

static int64_t timeline_rows(const struct timeline *t, bool draw)
{
	static const char *const titles[] = {[PROBE_OLD] = "Old addresses",
					     [PROBE_NEW] = "New addresses",
					     [PROBE_NODE_PORT] = "Node ports"};
	const struct run_report *r = t->report;
	int64_t y = HEAD;

	for (int role = PROBE_OLD; role <= PROBE_NODE_PORT; role++) {
		bool titled = false;

		for (size_t i = 0; i < r->history.target_count; i++) {
			if ((int)r->targets[i].target->role != role)
				continue;
			if (!titled && draw)
				buffer_format(t->out,
					      "<text class=\"group\" x=\"0\" y=\"%lld\">%s</text>",
					      (long long)y + BAR, titles[role]);
			y += titled ? 0 : ROW;
			titled = true;
			if (draw)
				timeline_row(t, &r->targets[i], y);
			y += ROW;
		}
		y += titled ? 6 : 0;
	}
	return y;
}

void run_report_timeline(const struct run_report *report, struct buffer *out)
{
	struct timeline t = {.report = report, .out = out};
	int64_t height;

	for (size_t i = 0; i < report->history.sample_count; i++)
		timeline_cover(&t, report->history.samples[i].begin_ms,
			       report->history.samples[i].end_ms);
	if (!t.count)
		return;
	timeline_lay_out(&t);
	height = timeline_rows(&t, /* draw= */ false);
	buffer_format(
		out,
		"<svg viewBox=\"0 0 %d %lld\" role=\"img\" aria-label=\"Availability of old and "
		"new addresses over time (UTC)\" xmlns=\"http://www.w3.org/2000/svg\">\n",
		WIDTH, (long long)height);
	timeline_stages(&t, height);
	timeline_axis(&t, height);
	timeline_rows(&t, /* draw= */ true);
	buffer_text(out, "\n</svg>\n");
}
