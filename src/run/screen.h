/* SPDX-License-Identifier: MIT */
#ifndef RUN_SCREEN_H
#define RUN_SCREEN_H

#include "plan/plan.h"
#include "run/probe.h"

/*
 * What a person sees while a plan is carried out. On a terminal: lines that stay (a stage, a step, a
 * warning), and below them a few lines that are drawn anew in place. Otherwise plain lines: one for
 * each step, and one every 30 s of waiting.
 */
struct screen_options {
	const struct plan *plan;
	enum plan_stage until;
	bool live;   /* stderr is a terminal that can move its cursor */
	bool colour; /* and that wants colours */
};

struct screen;

struct screen *screen_new(const struct screen_options *options);
/* Takes the drawing away. NULL is fine. */
void screen_free(struct screen *screen);

/* A step begins; the first one of a stage announces the stage. */
void screen_begin(struct screen *screen, const struct plan_step *step, const char *text);
/* It is over: `mark` is what a line of it begins with ("√", "="), took_ms < 0 is not said. */
void screen_end(struct screen *screen, const struct plan_step *step, const char *mark,
		const char *text, int64_t took_ms);
/* What is waited for. */
void screen_wait(struct screen *screen, const char *text);
/* Called often: draws when it is time to. probe may be NULL. */
void screen_tick(struct screen *screen, const struct run_probe *probe);

/* ---- pure, for tests ---- */

struct screen_view {
	const char *stage;
	size_t stage_number; /* 1… of the stages that the plan has */
	size_t stage_count;
	size_t step_number;
	size_t step_count;
	size_t done; /* now: what the rate is made of */
	const char *step_text;
	const char *waiting; /* NULL: nothing */
	int64_t step_ms;
	int64_t elapsed_ms;
	int64_t remaining_ms;			/* < 0: unknown */
	const struct run_probe_summary *probes; /* NULL: none */
};

enum { SCREEN_LINES_MAX = 6 };

/* Appends the lines, each at most columns - 3 wide and without a line feed at the end of the last
 * one; gives their number. ret_widths has room for SCREEN_LINES_MAX. */
size_t screen_render(const struct screen_view *view, size_t columns, bool colour,
		     struct buffer *out, size_t ret_widths[]);

/* Terminal rows that lines of these widths take when the terminal is so wide now. */
size_t screen_rows(const size_t widths[], size_t count, size_t columns);

/* How long the steps of the plan from `index` on to the end of `until` take: by what steps of their
 * kind took so far, or usually take. */
struct screen_pace {
	const char *kind; /* borrowed */
	int64_t total_ms;
	size_t count;
};
int64_t screen_estimate(const struct plan *plan, size_t index, enum plan_stage until,
			const struct screen_pace *paces, size_t pace_count);

#endif
