/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "plan/make.h"
#include "text/json.h"

/*
 * tests/data/plan/CASE: an observation (as in tests/data/doctor), request.json where it differs
 * from "--to 10.17.0.0/16", and plan: what `plan --to` makes of it, in order, as "STAGE KIND
 * SUBJECT" with what tells of its parameters, or one line "refused MESSAGE".
 */
struct migrate_case {
	json_t *request; /* owned, may be NULL */
	json_t *observation;
	struct cluster *cluster;
	struct plan plan;
};

static void migrate_release(struct migrate_case *c)
{
	json_decref(c->request);
	json_decref(c->observation);
	cluster_free(c->cluster);
	plan_release(&c->plan);
}

static json_t *migrate_request(const char *dir)
{
	auto_free char *path = alloc_format("%s/request.json", dir);
	auto_free char *text = NULL;

	if (access(test_path(path), R_OK) != 0)
		return NULL;
	text = test_file(path, NULL);
	return json_loads(text, 0, NULL);
}

static int migrate_make(struct migrate_case *c, struct error *err)
{
	const char *restart = json_path_text(c->request, "restart");
	const char *to = json_path_text(c->request, "to");
	struct plan_request request = {
		.mode = PLAN_MIGRATE,
		.to = to ? to : "10.17.0.0/16",
		.run = "r-20261122-230000-abcdef",
		.created_at = "2026-11-22T23:00:00Z",
		.restart = restart ? restart : "none",
		.nodes_reached = true,
	};

	if (cluster_build(c->observation, &c->cluster, err) < 0)
		return -1;
	return plan_make(c->cluster, &request, &c->plan, err);
}

static void outline_list(struct buffer *out, const json_t *parameters, const char *name)
{
	const json_t *list = json_object_get(parameters, name);
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return;
	buffer_format(out, " %s=", name);
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (!text)
			text = json_path_text(item, "value");
		if (!text)
			text = json_path_text(item, "subject");
		buffer_format(out, "%s%s", i ? "," : "", text ? text : "?");
	}
}

static void outline_step(struct buffer *out, const struct plan_step *step)
{
	static const char *const texts[] = {"mechanism", "clusterIP", "range", "keepOut"};
	static const char *const lists[] = {"addresses", "from", "to",	"flags",     "cidrs",
					    "add",	 "new",	 "dns", "workloads", "remove"};

	buffer_format(out, "%s %s %s", plan_stage_name(step->stage), step->kind, step->subject);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = json_path_text(step->parameters, texts[i]);

		if (text)
			buffer_format(out, " %s=%s", texts[i], text);
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		outline_list(out, step->parameters, lists[i]);
	buffer_char(out, '\n');
}

/* The steps are numbered without a gap, and no stage comes after one that it precedes. */
static void check_order(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		auto_free char *id = alloc_format("s%02zu", i + 1);

		CHECK_STR(plan->steps[i].id, id);
		CHECK(i == 0 || plan->steps[i].stage >= plan->steps[i - 1].stage);
	}
}

static void check_round_trip(const struct plan *plan)
{
	auto_json json_t *document = plan_to_json(plan);
	auto_free char *text = json_dumps(document, JSON_INDENT(1));
	auto_error struct error err = {0};
	auto_plan struct plan again = {0};
	auto_json json_t *second = NULL;

	if (!CHECK_OK(plan_parse(&again, "move.plan", slice_of(text), &err), &err))
		return;
	CHECK_INT(again.mode, PLAN_MIGRATE);
	second = plan_to_json(&again);
	CHECK(json_equal(document, second));
}

static void migrate(const char *dir)
{
	auto_free char *path = alloc_format("%s/plan", dir);
	auto_free char *expected = test_file(path, NULL);
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer got = {0};

	c.request = migrate_request(dir);
	c.observation = observation_case_read(dir);
	if (migrate_make(&c, &err) < 0) {
		CHECK_INT(err.kind, ERROR_REFUSED);
		buffer_format(&got, "refused %s\n", error_text(&err));
	} else {
		for (size_t i = 0; i < c.plan.count; i++)
			outline_step(&got, &c.plan.steps[i]);
		check_order(&c.plan);
		check_round_trip(&c.plan);
	}
	CHECK_STR(buffer_cstr(&got), expected);
}

int main(void)
{
	test_each_case("plan", migrate);
	return test_done();
}
