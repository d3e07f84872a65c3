/* SPDX-License-Identifier: MIT */
#include "step/step.h"

#include <string.h>

#include "base/clock.h"
#include "lib/step_case.h"
#include "lib/test.h"

/* A restart that is killed on the way back, and resumed, restarts again, and so on. */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define DEPLOYMENT "/apis/apps/v1/namespaces/shop/deployments/web"
#define MANAGER "?fieldManager=kubectl-renumber"
#define NODES "/api/v1/nodes?limit=500"
#define STAMPED(at)                                                                     \
	"{\"metadata\":{\"generation\":1},\"spec\":{\"replicas\":1,\"template\":{"      \
	"\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/restartedAt\":\"" at    \
	"\"}}}},\"status\":{\"observedGeneration\":1,\"replicas\":1,\"readyReplicas\":" \
	"1,\"updatedReplicas\":1}}"
/* When the plan was made, and the turns: the virtual clock's. */
#define PLANNED "2025-11-24T15:00:00Z"
#define TURN(n) "2025-11-24T16:0" n ":00Z"

static json_t *kept;

/* The Deployment bears `was`; the step has to stamp it with `want`. */
static void check_turn(bool back, const char *was, const char *want, const char *becomes)
{
	auto_json json_t *parameters = json_pack(
		"{s:s, s:[{s:s, s:s, s:s, s:s}]}", "at", PLANNED, "workloads", "subject",
		"Deployment/shop/web", "kind", "Deployment", "namespace", "shop", "name", "web");
	const struct fake_step script[] = {
		{"GET", DEPLOYMENT, NULL, 200, NULL, was, 0},
		{"GET", NODES, NULL, 200, NULL, "{\"items\":[]}", 0},
		{"PATCH", DEPLOYMENT MANAGER, want, 200, NULL, "{}", 0},
		{"GET", DEPLOYMENT, NULL, 200, NULL, becomes, 0},
		{"GET", NODES, NULL, 200, NULL, "{\"items\":[]}", 0},
	};
	struct plan_step step = {.id = (char *)(uintptr_t) "s01",
				 .kind = (char *)(uintptr_t) "restart",
				 .subject = (char *)(uintptr_t) "test",
				 .parameters = parameters};
	const struct step_kind *kind = step_kind_find("restart");
	struct step_case c;
	const struct plan plan = {.mode = PLAN_REPAIR};
	struct error err = {0};

	step_case_open(&c, script, COUNT(script), &plan, kept);
	CHECK_OK((back ? kind->undo : kind->apply)(&c.context, &step, &err), &err);
	step_case_close(&c);
}

int main(void)
{
	kept = json_object();
	clock_set_virtual(1000, 1764000000); /* 16:00:00 */
	TEST("a restart stamps its workloads with the plan's time");
	check_turn(false, STAMPED("2025-01-01T00:00:00Z"), PLANNED, STAMPED(PLANNED));
	TEST("the way back restarts them again");
	check_turn(true, STAMPED(PLANNED), TURN("0"), STAMPED(TURN("0")));
	clock_set_virtual(61000, 1764000060);
	TEST("killed there and resumed: forwards again, for Services have moved again");
	check_turn(false, STAMPED(TURN("0")), TURN("1"), STAMPED(TURN("1")));
	clock_set_virtual(121000, 1764000120);
	TEST("and back again");
	check_turn(true, STAMPED(TURN("1")), TURN("2"), STAMPED(TURN("2")));
	json_decref(kept);
	return test_done();
}
