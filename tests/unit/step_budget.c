/* SPDX-License-Identifier: MIT */
#include "step/budget.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kube/config.h"
#include "lib/fake_api.h"
#include "lib/test.h"

/* A restart begins when the PodDisruptionBudgets over its Pods let one more go. */

#define GROUP(version)                                                                         \
	"{\"kind\":\"APIGroup\",\"name\":\"policy\",\"versions\":[{"                           \
	"\"groupVersion\":\"policy/" version "\",\"version\":\"" version "\"}],"               \
	"\"preferredVersion\":{\"groupVersion\":\"policy/" version "\",\"version\":\"" version \
	"\"}}"
#define RESOURCES(version)                                                          \
	"{\"kind\":\"APIResourceList\",\"groupVersion\":\"policy/" version          \
	"\",\"resources\":[{\"name\":\"poddisruptionbudgets\",\"namespaced\":true," \
	"\"kind\":\"PodDisruptionBudget\",\"verbs\":[\"list\"]}]}"
#define BUDGETS(version) "/apis/policy/" version "/namespaces/shop/poddisruptionbudgets?limit=500"
#define BUDGET(selector, allowed, healthy, desired, expected)                              \
	"{\"items\":[{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\"},"             \
	"\"spec\":{\"selector\":" selector "},\"status\":{\"disruptionsAllowed\":" allowed \
	",\"currentHealthy\":" healthy ",\"desiredHealthy\":" desired                      \
	",\"expectedPods\":" expected "}}]}"
#define WEB "{\"matchLabels\":{\"app\":\"web\"}}"

static char said[512];

static int tick(struct step_context *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct step_context *context, const char *fmt,
						      ...)
{
	va_list args;

	(void)context;
	va_start(args, fmt);
	vsnprintf(said, sizeof(said), fmt, args);
	va_end(args);
}

static int await(const struct fake_step *script, size_t count, struct error *err)
{
	auto_json json_t *labels = json_pack("{s:s}", "app", "web");
	struct fake_api *api = fake_api_start(script, count, NULL, NULL);
	struct kube_config config = {
		.context = alloc_text("test"),
		.server = alloc_format("http://127.0.0.1:%u", fake_api_port(api))};
	struct step_context context = {
		.kube = kube_client_open(&config, NULL, err), .tick = tick, .say = say};
	int result;

	said[0] = '\0';
	result = step_budget_await(&context, "shop", labels, err);
	kube_client_free(context.kube);
	fake_api_stop(api);
	kube_config_release(&config);
	return result;
}

static const struct {
	const char *name;
	const char *version;
	const char *budget;
} free_rows[] = {
	{"one may go", "v1", BUDGET(WEB, "1", "3", "2", "3")},
	{"all are wanted: the update strategy decides", "v1", BUDGET(WEB, "0", "3", "3", "3")},
	{"it has no Pods", "v1", BUDGET(WEB, "0", "0", "0", "0")},
	{"of other Pods", "v1", BUDGET("{\"matchLabels\":{\"app\":\"db\"}}", "0", "1", "2", "3")},
	{"an empty selector is none in v1beta1", "v1beta1", BUDGET("{}", "0", "1", "2", "3")},
};

static void test_free(void)
{
	for (size_t i = 0; i < sizeof(free_rows) / sizeof(free_rows[0]); i++) {
		bool beta = free_rows[i].version[2] != '\0';
		const struct fake_step script[] = {
			{"GET", "/apis/policy", NULL, 200, NULL,
			 beta ? GROUP("v1beta1") : GROUP("v1"), 0},
			{"GET", beta ? "/apis/policy/v1beta1" : "/apis/policy/v1", NULL, 200, NULL,
			 beta ? RESOURCES("v1beta1") : RESOURCES("v1"), 0},
			{"GET", beta ? BUDGETS("v1beta1") : BUDGETS("v1"), NULL, 200, NULL,
			 free_rows[i].budget, 0},
		};
		struct error err = {0};

		TEST("%s", free_rows[i].name);
		CHECK_OK(await(script, 3, &err), &err);
		CHECK_STR(said, "");
	}
}

static void test_waits(void)
{
	static const struct fake_step script[] = {
		{"GET", "/apis/policy", NULL, 200, NULL, GROUP("v1"), 0},
		{"GET", "/apis/policy/v1", NULL, 200, NULL, RESOURCES("v1"), 0},
		{"GET", BUDGETS("v1"), NULL, 200, NULL, BUDGET("{}", "0", "1", "2", "3"), 0},
		{"GET", BUDGETS("v1"), NULL, 200, NULL, BUDGET("{}", "1", "3", "2", "3"), 0},
	};
	struct error err = {0};

	TEST("none may go now: it waits, and says for what");
	CHECK_OK(await(script, 4, &err), &err);
	CHECK_STR(said, "waiting: PodDisruptionBudget shop/web allows no Pod to go: 1 of 3 are "
			"healthy, 2 have to be");
}

static void test_unserved(void)
{
	static const struct fake_step script[] = {
		{"GET", "/apis/policy", NULL, 404, NULL, "{\"kind\":\"Status\",\"code\":404}", 0}};
	struct error err = {0};

	TEST("a server without budgets");
	CHECK_OK(await(script, 1, &err), &err);
}

int main(void)
{
	clock_set_virtual(1000, 1764000000);
	test_free();
	test_waits();
	test_unserved();
	return test_done();
}
