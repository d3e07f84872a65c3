/* SPDX-License-Identifier: MIT */
#include "run/screen.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define SCREEN_DRAW_MS 200
#define SCREEN_PLAIN_MS 30000
#define SCREEN_COLUMNS 80
/* A stage with more steps than this is one line on a terminal, not one for each. */
#define SCREEN_STEPS_SHOWN 12

struct screen {
	struct screen_options options;
	int64_t begun_ms;
	int64_t drawn_ms;
	int64_t said_ms; /* a plain line */

	enum plan_stage stage;
	bool stage_shown;
	int64_t stage_ms;
	size_t stage_done;
	size_t stage_number;
	size_t stage_count;

	const struct plan_step *step; /* NULL: between two */
	char *step_text;	      /* owned */
	char *waiting;		      /* owned or NULL */
	int64_t step_ms;
	size_t done;

	struct screen_pace *paces; /* owned */
	size_t pace_count;
	size_t pace_capacity;

	/* what is drawn */
	size_t widths[SCREEN_LINES_MAX];
	size_t lines;
};

static size_t screen_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return SCREEN_COLUMNS;
	return size.ws_col;
}

/* Takes the drawing away; the cursor stands where it began. */
static void screen_clear(void *data)
{
	struct screen *s = data;
	size_t rows;

	if (!s->lines)
		return;
	/* a terminal that was made narrower has wrapped our lines */
	rows = screen_rows(s->widths, s->lines, screen_columns());
	if (rows > 1)
		fprintf(stderr, "\033[%zuA", rows - 1);
	fputs("\r\033[J", stderr);
	s->lines = 0;
}

struct screen *screen_new(const struct screen_options *options)
{
	struct screen *s = ALLOC_NEW(struct screen);

	s->options = *options;
	s->begun_ms = clock_monotonic_ms();
	for (size_t stage = 0; stage < PLAN_STAGE_COUNT; stage++)
		s->stage_count += stage <= options->until &&
				  plan_count_stage(options->plan, (enum plan_stage)stage) > 0;
	if (options->live)
		log_before(screen_clear, s);
	return s;
}

static bool screen_is_long(const struct screen *s, enum plan_stage stage)
{
	return s->options.live && !log_is_verbose() &&
	       plan_count_stage(s->options.plan, stage) > SCREEN_STEPS_SHOWN;
}

static void screen_end_stage(struct screen *s)
{
	auto_free char *took = clock_duration(clock_monotonic_ms() - s->stage_ms);

	if (s->stage_shown && s->stage_done && screen_is_long(s, s->stage))
		log_info("  √ %zu step%s (%s)", s->stage_done, s->stage_done == 1 ? "" : "s", took);
}

void screen_free(struct screen *s)
{
	if (!s)
		return;
	screen_end_stage(s);
	screen_clear(s);
	if (s->options.live)
		log_before(NULL, NULL);
	free(s->step_text);
	free(s->waiting);
	free(s->paces);
	free(s);
}

static void screen_begin_stage(struct screen *s, enum plan_stage stage)
{
	size_t steps = plan_count_stage(s->options.plan, stage);

	if (s->stage_shown && s->stage == stage)
		return;
	screen_end_stage(s);
	log_info("%s: %s (%zu step%s)", plan_stage_name(stage), plan_stage_summary(stage), steps,
		 steps == 1 ? "" : "s");
	s->stage = stage;
	s->stage_shown = true;
	s->stage_ms = clock_monotonic_ms();
	s->stage_done = 0;
	s->stage_number = 0;
	for (size_t i = 0; i <= (size_t)stage; i++)
		s->stage_number += plan_count_stage(s->options.plan, (enum plan_stage)i) > 0;
}

void screen_begin(struct screen *s, const struct plan_step *step, const char *text)
{
	screen_begin_stage(s, step->stage);
	free(s->step_text);
	free(s->waiting);
	s->step_text = alloc_text(text);
	log_filter(s->step_text);
	s->waiting = NULL;
	s->step = step;
	s->step_ms = s->said_ms = clock_monotonic_ms();
}

static void screen_learn(struct screen *s, const char *kind, int64_t took_ms)
{
	for (size_t i = 0; i < s->pace_count; i++)
		if (strcmp(s->paces[i].kind, kind) == 0) {
			s->paces[i].total_ms += took_ms;
			s->paces[i].count++;
			return;
		}
	ALLOC_GROW(s->paces, s->pace_count, s->pace_capacity);
	s->paces[s->pace_count++] = (struct screen_pace){kind, took_ms, 1};
}

void screen_end(struct screen *s, const struct plan_step *step, const char *mark, const char *text,
		int64_t took_ms)
{
	auto_free char *took = took_ms >= 0 ? clock_duration(took_ms) : alloc_text("");

	s->step = NULL;
	s->stage_done++;
	s->done++;
	if (took_ms >= 0)
		screen_learn(s, step->kind, took_ms);
	if (screen_is_long(s, step->stage))
		return;
	log_info("  %s %s %s%s%s%s", mark, step->id, text, took_ms >= 0 ? " (" : "", took,
		 took_ms >= 0 ? ")" : "");
}

void screen_wait(struct screen *s, const char *text)
{
	free(s->waiting);
	s->waiting = alloc_text(text);
	log_filter(s->waiting);
}

static size_t screen_index(const struct screen *s)
{
	for (size_t i = 0; i < s->options.plan->count; i++)
		if (s->step == &s->options.plan->steps[i])
			return i;
	return 0;
}

static size_t screen_step_count(const struct screen *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->options.plan->count; i++)
		count += s->options.plan->steps[i].stage <= s->options.until;
	return count;
}

static void screen_draw(struct screen *s, const struct run_probe *probe)
{
	auto_buffer struct buffer out = {0};
	struct run_probe_summary summary;
	int64_t now = clock_monotonic_ms();
	size_t widths[SCREEN_LINES_MAX];
	size_t lines;
	int64_t left = screen_estimate(s->options.plan, screen_index(s), s->options.until, s->paces,
				       s->pace_count) -
		       (now - s->step_ms);
	struct screen_view view = {
		.stage = plan_stage_name(s->stage),
		.stage_number = s->stage_number,
		.stage_count = s->stage_count,
		.step_number = screen_index(s) + 1,
		.step_count = screen_step_count(s),
		.done = s->done,
		.step_text = s->step_text,
		.waiting = s->waiting,
		.step_ms = now - s->step_ms,
		.elapsed_ms = now - s->begun_ms,
		.remaining_ms = left > 0 ? left : 0,
		.probes = run_probe_summary(probe, &summary) ? &summary : NULL,
	};

	lines = screen_render(&view, screen_columns(), s->options.colour, &out, widths);
	screen_clear(s);
	fputs(buffer_cstr(&out), stderr);
	fflush(stderr);
	memcpy(s->widths, widths, sizeof(widths));
	s->lines = lines;
	s->drawn_ms = now;
}

static void screen_say_plain(struct screen *s)
{
	auto_free char *waited = clock_duration(clock_monotonic_ms() - s->step_ms);

	log_info("  … %s: %s (%s so far)", s->step->id, s->waiting ? s->waiting : s->step_text,
		 waited);
	s->said_ms = clock_monotonic_ms();
}

void screen_tick(struct screen *s, const struct run_probe *probe)
{
	int64_t now = clock_monotonic_ms();

	if (!s || !s->step)
		return;
	if (s->options.live && (!s->lines || now - s->drawn_ms >= SCREEN_DRAW_MS))
		screen_draw(s, probe);
	else if (!s->options.live && now - s->said_ms >= SCREEN_PLAIN_MS)
		screen_say_plain(s);
}
