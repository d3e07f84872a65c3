/* SPDX-License-Identifier: MIT */
#include "step/alias.h"

#include "base/clock.h"
#include "lib/step_case.h"
#include "lib/test.h"

/* An alias that an earlier attempt made: the server refuses its address, which it has itself. */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SERVICES "/api/v1/namespaces/shop/services"
#define MANAGER "?fieldManager=kubectl-renumber"
#define TAKEN                                                                             \
	"{\"kind\":\"Status\",\"reason\":\"Invalid\",\"code\":422,\"message\":\"Service " \
	"\\\"web-renumber-previous\\\" is invalid: spec.clusterIPs: Invalid value: "      \
	"[\\\"10.96.0.7\\\"]: failed to allocate IP 10.96.0.7: provided IP is already "   \
	"allocated\"}"
#define GONE "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404,\"message\":\"not found\"}"
#define OF_RUN(run) "{\"metadata\":{\"labels\":{\"kubectl-renumber/run\":\"" run "\"}}}"

static void check_create(const struct fake_step *script, size_t count, const char *problem)
{
	auto_json json_t *original = json_pack("{s:[{s:i}]}", "ports", "port", 80);
	auto_json json_t *parameters = json_pack(
		"{s:s, s:s, s:s, s:s, s:[s]}", "namespace", "shop", "name", "web-renumber-previous",
		"of", "web", "mechanism", "clusterip", "addresses", "10.96.0.7");
	const struct plan plan = {.mode = PLAN_MIGRATE, .run = (char *)(uintptr_t) "r-1"};
	const struct plan_step step = {.id = (char *)(uintptr_t) "s01",
				       .kind = (char *)(uintptr_t) "alias",
				       .subject = (char *)(uintptr_t) "test",
				       .parameters = parameters};
	struct step_case c;
	auto_error struct error err = {0};

	step_case_open(&c, script, count, &plan, NULL);
	if (problem)
		CHECK_ERROR(step_alias_create(&c.context, &step, original, &err), &err, ERROR_API,
			    problem);
	else
		CHECK_OK(step_alias_create(&c.context, &step, original, &err), &err);
	step_case_close(&c);
}

int main(void)
{
	const struct fake_step refused = {"POST", SERVICES MANAGER, NULL, 422, NULL, TAKEN, 0};
	const struct fake_step ours[] = {
		refused,
		{"GET", SERVICES "/web-renumber-previous", NULL, 200, NULL, OF_RUN("r-1"), 0}};
	const struct fake_step theirs[] = {
		refused,
		{"GET", SERVICES "/web-renumber-previous", NULL, 200, NULL, OF_RUN("r-2"), 0}};
	const struct fake_step nobodys[] = {
		refused, {"GET", SERVICES "/web-renumber-previous", NULL, 404, NULL, GONE, 0}};

	clock_set_virtual(1000, 1764000000);
	TEST("an address that the alias has itself is no refusal");
	check_create(ours, COUNT(ours), NULL);
	TEST("one that an alias of another run has is");
	check_create(theirs, COUNT(theirs), "already allocated");
	TEST("one that somebody else has is");
	check_create(nobodys, COUNT(nobodys), "already allocated");
	return test_done();
}
