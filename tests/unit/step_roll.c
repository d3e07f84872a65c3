/* SPDX-License-Identifier: MIT */
#include "step/step.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kube/config.h"
#include "lib/fake_api.h"
#include "lib/test.h"
#include "step/converge.h"
#include "step/keep_out.h"
#include "text/json.h"

/* What the steps of a roll say to an API server, against scripts of what it answers. */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ADMISSION "/apis/admissionregistration.k8s.io/v1/"
#define POLICIES ADMISSION "validatingadmissionpolicies"
#define BINDINGS ADMISSION "validatingadmissionpolicybindings"
#define WEBHOOKS ADMISSION "validatingwebhookconfigurations"
#define MANAGER "?fieldManager=kubectl-renumber"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/"
#define NOT_FOUND "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"not found\"}"
#define TAKEN "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\",\"message\":\"exists\"}"

struct world {
	struct fake_api *api;
	struct kube_config config;
	struct plan plan;
	struct step_context context;
};

static int world_tick(struct step_context *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void world_say(struct step_context *context,
							    const char *fmt, ...)
{
	(void)context;
	(void)fmt;
}

static void world_open(struct world *w, const struct fake_step *steps, size_t count)
{
	struct error err = {0};

	w->api = fake_api_start(steps, count, NULL, NULL);
	w->config = (struct kube_config){
		.context = alloc_text("test"),
		.server = alloc_format("http://127.0.0.1:%u", fake_api_port(w->api)),
	};
	w->plan.run = alloc_text("r1");
	w->context = (struct step_context){
		.kube = kube_client_open(&w->config, NULL, &err),
		.plan = &w->plan,
		.tick = world_tick,
		.say = world_say,
	};
	CHECK(w->context.kube != NULL);
}

static void world_close(struct world *w)
{
	kube_client_free(w->context.kube);
	fake_api_stop(w->api);
	kube_config_release(&w->config);
	plan_release(&w->plan);
}

static struct plan_step step_of(const char *kind, json_t *parameters)
{
	return (struct plan_step){.id = (char *)(uintptr_t) "s01",
				  .kind = (char *)(uintptr_t)kind,
				  .subject = (char *)(uintptr_t) "test",
				  .parameters = parameters};
}

static void check_step(const char *kind, const char *how, bool apply, bool want,
		       const struct fake_step *script, size_t count)
{
	auto_json json_t *parameters = json_pack("{s:s}", "how", how);
	struct plan_step step = step_of(kind, parameters);
	const struct step_kind *found = step_kind_find(kind);
	struct error err = {0};
	struct world w = {0};
	bool done = !want;

	CHECK(found != NULL);
	if (!found)
		return;
	world_open(&w, script, count);
	if (apply) {
		CHECK_OK(found->apply(&w.context, &step, &err), &err);
	} else {
		CHECK_OK(found->check(&w.context, &step, &done, &err), &err);
		CHECK_INT(done, want);
	}
	world_close(&w);
}

static void test_freeze(void)
{
	static const struct fake_step missing[] = {
		{"GET", BINDINGS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
	};
	static const struct fake_step bound[] = {
		{"GET", BINDINGS "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
	};
	static const struct fake_step unbound[] = {
		{"GET", BINDINGS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", POLICIES "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
	};
	static const struct fake_step none[] = {
		{"GET", BINDINGS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", POLICIES "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
	};
	static const struct fake_step kept[] = {
		{"GET", BINDINGS "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", POLICIES "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
	};
	static const struct fake_step unserved[] = {
		{"POST", POLICIES MANAGER, NULL, 404, NULL, NOT_FOUND, 0},
		{"POST", WEBHOOKS MANAGER, "\"operator\":\"DoesNotExist\"", 201, NULL, "{}", 0},
	};
	static const struct fake_step there[] = {
		{"GET", WEBHOOKS "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
	};
	static const struct fake_step policy[] = {
		{"POST", POLICIES MANAGER, "'system:apiserver'", 201, NULL, "{}", 0},
		{"POST", BINDINGS MANAGER, "\"validationActions\":[\"Deny\"]", 201, NULL, "{}", 0},
	};
	static const struct fake_step webhook[] = {
		{"POST", WEBHOOKS MANAGER,
		 "\"name\":\"services-are-frozen-for-some-minutes.kubectl-renumber.io\"", 409, NULL,
		 TAKEN, 0},
	};
	static const struct fake_step thaw[] = {
		{"DELETE", BINDINGS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
		{"DELETE", POLICIES "/kubectl-renumber-freeze", NULL, 200, NULL, "{}", 0},
		{"DELETE", WEBHOOKS "/kubectl-renumber-freeze", NULL, 404, NULL, NOT_FOUND, 0},
	};

	TEST("freeze is to be done when the policy is not bound");
	check_step("freeze", "policy", false, false, missing, COUNT(missing));
	TEST("thaw is done when the policy is gone, too");
	check_step("thaw", "policy", false, true, none, COUNT(none));
	TEST("not when it lost its binding only");
	check_step("thaw", "policy", false, false, unbound, COUNT(unbound));
	TEST("freeze is done when the policy is bound, thaw is not");
	check_step("freeze", "policy", false, true, bound, COUNT(bound));
	check_step("thaw", "policy", false, false, kept, COUNT(kept));
	TEST("freeze by webhook where policies are not served");
	check_step("freeze", "policy", true, true, unserved, COUNT(unserved));
	TEST("freeze is done when the webhook is there");
	check_step("freeze", "webhook", false, true, there, COUNT(there));
	TEST("freeze by policy spares the API servers");
	check_step("freeze", "policy", true, true, policy, COUNT(policy));
	TEST("freeze by webhook, once more after a crash");
	check_step("freeze", "webhook", true, true, webhook, COUNT(webhook));
	TEST("thaw removes what is left of it");
	check_step("thaw", "policy", true, true, thaw, COUNT(thaw));
}

static void check_listed(const char *what, const char *slice, const char *endpoints, bool want)
{
	const struct fake_step script[] = {
		{"GET", "/apis/discovery.k8s.io", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", SLICES "default/endpointslices/kubernetes", NULL, 200, NULL, slice, 0},
		{"GET", "/api/v1/namespaces/default/endpoints/kubernetes", NULL, 200, NULL,
		 endpoints, 0},
	};
	struct error err = {0};
	struct world w = {0};
	bool listed = !want;

	TEST("%s", what);
	world_open(&w, script, COUNT(script));
	CHECK_OK(step_keep_out_listed(&w.context, "10.1.15.122", &listed, &err), &err);
	CHECK_INT(listed, want);
	world_close(&w);
}

#define SLICE_OF(a) \
	"{\"endpoints\":[{\"addresses\":[\"10.1.15.121\"]},{\"addresses\":[\"" a "\"]}]}"
#define ENDPOINTS_OF(a) \
	"{\"subsets\":[{\"addresses\":[{\"ip\":\"10.1.15.121\"},{\"ip\":\"" a "\"}]}]}"

static void test_listed(void)
{
	check_listed("an API server is back when both objects have it", SLICE_OF("10.1.15.122"),
		     ENDPOINTS_OF("10.1.15.122"), true);
	check_listed("not when proxies have not", SLICE_OF("10.1.15.12"),
		     ENDPOINTS_OF("10.1.15.122"), false);
	check_listed("not when the old kind of object has not", SLICE_OF("10.1.15.122"),
		     "{\"subsets\":null}", false);
}

/* A step that was stopped anywhere is seen not to be done: what is left of it has to go. */
static void check_present(const char *name, const char *webhook, const char *space, bool expected)
{
	const struct fake_step script[] = {
		{"GET", WEBHOOKS "/kubectl-renumber-keep-out", NULL, webhook ? 200 : 404, NULL,
		 webhook ? webhook : NOT_FOUND, 0},
		{"GET", "/apis/admissionregistration.k8s.io", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", "/api/v1/namespaces/default", NULL, 200, NULL, space, 0},
	};
	auto_error struct error err = {0};
	struct world w = {0};
	bool present = !expected;

	TEST("%s", name);
	world_open(&w, script, COUNT(script));
	CHECK_OK(step_keep_out_present(&w.context, &present, &err), &err);
	CHECK_INT(present, expected);
	world_close(&w);
}

static void test_present(void)
{
	check_present("nothing is left", NULL, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", false);
	check_present("a webhook is left", "{}", "{\"metadata\":{}}", true);
	check_present("only the namespace's label is left", NULL,
		      "{\"metadata\":{\"labels\":{\"kubectl-renumber/keep-out\":\"true\"}}}", true);
}

#define CANARY "/api/v1/namespaces/kube-system/services/renumber-converge"
#define CANARY_SLICES SLICES "kube-system/endpointslices"
#define NODES                                                                                 \
	"{\"items\":[{\"metadata\":{\"name\":\"cp1\"},\"status\":{\"conditions\":[{\"type\":" \
	"\"Ready\",\"status\":\"True\"}]}},{\"metadata\":{\"name\":\"w1\"},\"status\":{"      \
	"\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}]}"
#define NODES_DOWN                                                                           \
	"{\"items\":[{\"metadata\":{\"name\":\"w1\"},\"status\":{\"conditions\":[{\"type\":" \
	"\"Ready\",\"status\":\"Unknown\"}]}}]}"

/* Gives how long it took on the virtual clock. */
static int64_t check_converge(const struct fake_step *script, size_t count)
{
	auto_json json_t *servers = json_pack("[{s:s, s:s, s:i}, {s:s, s:s, s:i}]", "node", "cp1",
					      "address", "10.1.15.121", "port", 6443, "node", "cp2",
					      "address", "10.1.15.122", "port", 6443);
	int64_t begun = clock_monotonic_ms();
	struct error err = {0};
	struct world w = {0};

	world_open(&w, script, count);
	CHECK_OK(step_converge(&w.context, servers, "10.1.15.121", &err), &err);
	world_close(&w);
	return clock_monotonic_ms() - begun;
}

/* Nodes are not reached here: time stands in for the proof, and only where a node is Ready. */
static void test_converge(void)
{
	static const struct fake_step first[] = {
		{"GET", CANARY, NULL, 404, NULL, NOT_FOUND, 0},
		{"POST", "/api/v1/namespaces/kube-system/services" MANAGER, "\"name\":\"p16\"", 201,
		 NULL, "{}", 0},
		{"GET", CANARY, NULL, 200, NULL, "{\"spec\":{\"clusterIP\":\"10.96.0.77\"}}", 0},
		{"GET", "/apis/discovery.k8s.io", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", CANARY_SLICES "/renumber-converge-1", NULL, 404, NULL, NOT_FOUND, 0},
		{"POST", CANARY_SLICES MANAGER, "\"addresses\":[\"10.1.15.122\"]", 201, NULL, "{}",
		 0},
		{"GET", "/api/v1/nodes?limit=500", NULL, 200, NULL, NODES, 0},
	};
	static const struct fake_step again[] = {
		{"GET", CANARY, NULL, 200, NULL, "{}", 0},
		{"GET", CANARY, NULL, 200, NULL, "{\"spec\":{\"clusterIP\":\"10.96.0.77\"}}", 0},
		{"GET", "/apis/discovery.k8s.io", NULL, 404, NULL, NOT_FOUND, 0},
		{"GET", CANARY_SLICES "/renumber-converge-1", NULL, 200, NULL,
		 "{\"metadata\":{\"resourceVersion\":\"7\"},\"ports\":[{\"name\":\"p16\"}]}", 0},
		{"PUT", CANARY_SLICES "/renumber-converge-1" MANAGER, "\"name\":\"p1\"", 200, NULL,
		 "{}", 0},
		{"GET", "/api/v1/nodes?limit=500", NULL, 200, NULL, NODES_DOWN, 0},
	};

	TEST("convergence: behind the port stands a server that stays, blind nodes get time");
	CHECK(check_converge(first, COUNT(first)) >= 5000);
	TEST("convergence: after the last port comes the first, nodes that are down are left out");
	CHECK(check_converge(again, COUNT(again)) < 5000);
}

int main(void)
{
	clock_set_virtual(1000, 1764000000);
	test_freeze();
	test_listed();
	test_present();
	test_converge();
	return test_done();
}
