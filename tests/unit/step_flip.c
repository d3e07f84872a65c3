/* SPDX-License-Identifier: MIT */
#include "step/flip.h"

#include <string.h>

#include "base/clock.h"
#include "lib/step_case.h"
#include "lib/test.h"

/* What a controller takes away between our look and our write is no failure of a flip. */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SLICE_VERSION "v1beta1"
#define SERVICE "/api/v1/namespaces/shop/services/web"
#define ENDPOINTS "/api/v1/namespaces/shop/endpoints/web"
#define SLICES "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices"
#define SELECTED SLICES "?limit=500&labelSelector=kubernetes.io%2Fservice-name%3Dweb"
#define MANAGER "?fieldManager=kubectl-renumber"
#define ONE_SLICE(name, label) \
	"{\"items\":[{\"metadata\":{\"name\":\"" name "\",\"labels\":{" label "}}}]}"
#define HEADLESS "\"service.kubernetes.io/headless\":\"\""
#define GONE "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"code\":404,\"message\":\"not found\"}"

static void check_finish(const struct fake_step *script, size_t count)
{
	auto_json json_t *original = json_pack("{s:{s:s}}", "spec", "clusterIP", "10.96.0.7");
	auto_json json_t *parameters = json_pack("{s:s, s:s, s:[s]}", "namespace", "shop", "name",
						 "web", "to", "10.17.0.7");
	const struct plan plan = {.mode = PLAN_REPAIR};
	const struct plan_step step = {.id = (char *)(uintptr_t) "s01",
				       .kind = (char *)(uintptr_t) "flip",
				       .subject = (char *)(uintptr_t) "test",
				       .parameters = parameters};
	struct step_case c;
	auto_error struct error err = {0};

	step_case_open(&c, script, count, &plan, NULL);
	memcpy(c.context.slice_version, SLICE_VERSION, sizeof(SLICE_VERSION));
	CHECK_OK(step_flip_finish(&c.context, &step, original, &err), &err);
	step_case_close(&c);
}

int main(void)
{
	const struct fake_step once[] = {
		{"PATCH", SERVICE MANAGER, "10.17.0.7", 200, NULL, "{}", 0},
		{"GET", ENDPOINTS, NULL, 200, NULL, "{\"metadata\":{\"labels\":{" HEADLESS "}}}",
		 0},
		{"PATCH", ENDPOINTS MANAGER, "null", 200, NULL, "{}", 0},
		{"GET", SELECTED, NULL, 200, NULL, ONE_SLICE("web-1", HEADLESS), 0},
		{"PATCH", SLICES "/web-1" MANAGER, "null", 200, NULL, "{}", 0},
	};
	const struct fake_step again[] = {
		{"PATCH", SERVICE MANAGER, "10.17.0.7", 200, NULL, "{}", 0},
		{"GET", ENDPOINTS, NULL, 404, NULL, GONE, 0},
		{"GET", SELECTED, NULL, 200, NULL, ONE_SLICE("web-1", HEADLESS), 0},
		{"PATCH", SLICES "/web-1" MANAGER, "null", 404, NULL, GONE, 0},
		{"GET", ENDPOINTS, NULL, 404, NULL, GONE, 0},
		{"GET", SELECTED, NULL, 200, NULL, ONE_SLICE("web-2", ""), 0},
	};

	clock_set_virtual(1000, 1764000000);
	TEST("labels that make proxies pass endpoints over are taken away");
	check_finish(once, COUNT(once));
	TEST("a slice that went meanwhile is looked for again");
	check_finish(again, COUNT(again));
	return test_done();
}
