/* SPDX-License-Identifier: MIT */
#include "run/screen.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "plan/estimate.h"

static const struct screen_view view = {
	.stage = "services",
	.stage_number = 5,
	.stage_count = 10,
	.step_number = 12,
	.step_count = 48,
	.done = 11,
	.step_text = "move Service/default/web from 10.96.1.2 to 10.17.1.2",
	.waiting = "kube-proxy of cp2",
	.step_ms = 4000,
	.elapsed_ms = 250000,
	.remaining_ms = 360000,
};

static size_t render(const struct screen_view *v, size_t columns, bool colour, struct buffer *out)
{
	size_t widths[SCREEN_LINES_MAX];
	size_t lines = screen_render(v, columns, colour, out, widths);

	for (size_t i = 0; i < lines; i++)
		CHECK(widths[i] <= (columns > 8 ? columns - 3 : 5));
	return lines;
}

static void test_lines(void)
{
	auto_buffer struct buffer out = {0};

	TEST("without probes: where it stands, the step, ^C");
	CHECK_INT(render(&view, 120, false, &out), 3);
	CHECK_STR(buffer_cstr(&out),
		  "services 5/10 · step 12/48 · 2/min · 4 min 10 s, about 6 min 0 s left\n"
		  "▸ move Service/default/web from 10.96.1.2 to 10.17.1.2: kube-proxy of cp2 (4.0 "
		  "s)\n"
		  "^C finishes the step in hand and stops; 'resume' goes on");
	CHECK(!strchr(buffer_cstr(&out), '\033'));
}

static void test_probes(void)
{
	struct run_probe_summary probes = {.nodes = 3};
	struct screen_view with = view;
	auto_buffer struct buffer out = {0};
	auto_buffer struct buffer coloured = {0};

	with.probes = &probes;
	probes.old[RUN_PROBE_API] = (struct run_probe_count){.ok = 1234567, .watched = true};
	probes.old[RUN_PROBE_DNS] = (struct run_probe_count){
		.ok = 12, .failed = 3, .last_gap_ms = 1234, .watched = true};
	probes.node_ports = (struct run_probe_count){.ok = 5, .watched = true};
	TEST("old addresses by kind; new ones only once they are watched");
	CHECK_INT(render(&with, 120, false, &out), 4);
	CHECK(strstr(buffer_cstr(&out),
		     "\nold  API 1,234,567 ok  DNS 12 ok 3 failed (last gap 1.2 s)"
		     "  NodePorts 5 ok\n"));
	probes.new_[RUN_PROBE_API] = (struct run_probe_count){.ok = 1, .watched = true};
	buffer_clear(&out);
	CHECK_INT(render(&with, 120, false, &out), 5);
	CHECK(strstr(buffer_cstr(&out), "\nnew  API 1 ok\n"));

	TEST("failures are red where colours are wanted");
	render(&with, 120, true, &coloured);
	CHECK(strstr(buffer_cstr(&coloured), "\033[31m 3 failed\033[0m"));
}

static void test_widths(void)
{
	static const size_t widths[] = {77, 20, 0};
	auto_buffer struct buffer out = {0};

	for (size_t columns = 1; columns < 100; columns += 7) {
		TEST("%zu columns", columns);
		buffer_clear(&out);
		CHECK_INT(render(&view, columns, true, &out), 3);
	}
	TEST("rows of a terminal that was made narrower");
	CHECK_INT(screen_rows(widths, 3, 80), 3);
	CHECK_INT(screen_rows(widths, 3, 40), 4);
	CHECK_INT(screen_rows(widths, 3, 10), 11);
	CHECK_INT(screen_rows(widths, 3, 0), 3);
}

static void test_estimate(void)
{
	auto_plan struct plan plan = {.mode = PLAN_MIGRATE};
	struct screen_pace paces[] = {{"flip", 30000, 3}};
	int64_t roll_ms;

	plan_add(&plan, PLAN_STAGE_SERVICES, "flip", "a", json_object());
	plan_add(&plan, PLAN_STAGE_SERVICES, "flip", "b", json_object());
	plan_add(&plan, PLAN_STAGE_DEFAULTS, "roll", "cp1", json_object());
	plan_add(&plan, PLAN_STAGE_FINALIZE, "forget", "x", json_object());
	roll_ms = plan_step_seconds(&plan.steps[2]) * 1000;
	TEST("what is left is estimated by what came before");
	CHECK(roll_ms > 5000);
	CHECK_INT(screen_estimate(&plan, 0, PLAN_STAGE_DRAIN, NULL, 0), 2 * 1000 + roll_ms);
	CHECK_INT(screen_estimate(&plan, 1, PLAN_STAGE_DRAIN, paces, 1), 10000 + roll_ms);
	CHECK_INT(screen_estimate(&plan, 1, PLAN_STAGE_SERVICES, paces, 1), 10000);
	CHECK_INT(screen_estimate(&plan, 4, PLAN_STAGE_FINALIZE, paces, 1), 0);
}

static void test_breaks(void)
{
	auto_buffer struct buffer out = {0};
	struct screen_view broken = view;

	broken.waiting = "denied:\n\tnot now\r";
	TEST("a text with line breaks stays one line: what is drawn can be taken away");
	CHECK_INT(render(&broken, 120, false, &out), 3);
	CHECK(strstr(buffer_cstr(&out), ": denied:  not now ") != NULL);
	CHECK(!strchr(buffer_cstr(&out), '\t'));
	CHECK(!strchr(buffer_cstr(&out), '\r'));
}

int main(void)
{
	test_lines();
	test_probes();
	test_widths();
	test_estimate();
	test_breaks();
	return test_done();
}
