/* SPDX-License-Identifier: MIT */
#include "kube/client.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define STEPS(...) ((const struct fake_step[]){__VA_ARGS__})
#define COUNT(steps) (sizeof(steps) / sizeof((steps)[0]))

#define STATUS(code, reason, message)                                                              \
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" message \
	"\",\"reason\":\"" reason "\",\"code\":" #code "}"

static const struct kube_target dns = {
	.version = "v1", .plural = "services", .space = "kube-system", .name = "kube-dns"};
#define DNS "/api/v1/namespaces/kube-system/services/kube-dns"
static const struct kube_target pods = {.version = "v1", .plural = "pods"};

/* A server that plays a script and a client of it. */
struct world {
	struct fake_api *api;
	struct kube_config config;
	struct kube_client *kube;
};

static void world_open(struct world *w, const struct fake_step *steps, size_t count)
{
	struct error err = {0};

	w->api = fake_api_start(steps, count, NULL, NULL);
	w->config = (struct kube_config){
		.source = alloc_text("test"),
		.context = alloc_text("test"),
		.user = alloc_text("jane"),
		.server = alloc_format("http://127.0.0.1:%u", fake_api_port(w->api)),
		.compression = true,
	};
	secret_set(&w->config.token, "letmein", 7);
	w->kube = kube_client_open(&w->config, NULL, &err);
	if (!CHECK(w->kube != NULL))
		CHECK_OK(-1, &err);
}

static void world_close(struct world *w)
{
	kube_client_free(w->kube);
	fake_api_stop(w->api);
	kube_config_release(&w->config);
}

static void test_get(void)
{
	static const struct fake_step steps[] = {
		{"GET", DNS, "Authorization: Bearer letmein\r\n", 200, NULL, "{\"a\":1}",
		 FAKE_GZIP},
		{"GET", DNS, "User-Agent: kubectl-renumber/", 200, NULL, "{\"a\":2}", 0},
	};
	auto_json json_t *first = NULL, *second = NULL;
	struct error err = {0};
	struct world w;

	TEST("get: token, compression, one connection kept");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_get(w.kube, &dns, &first, &err), &err);
	CHECK_INT(json_path_int(first, "a", 0), 1);
	CHECK_OK(kube_client_get(w.kube, &dns, &second, &err), &err);
	CHECK_INT(json_path_int(second, "a", 0), 2);
	CHECK_INT(fake_api_connections(w.api), 1);
	world_close(&w);
}

/* Each status, the kind of error it becomes, and what is said. */
static void test_refusals(void)
{
	static const struct {
		int status;
		const char *body;
		enum error_kind kind;
		const char *says;
	} rows[] = {
		{404, STATUS(404, "NotFound", "services \\\"kube-dns\\\" not found"),
		 ERROR_NOT_FOUND,
		 "the API server answers 404 NotFound to GET " DNS
		 ": services \"kube-dns\" not found"},
		{409, STATUS(409, "Conflict", "the object has been modified"), ERROR_CONFLICT,
		 "the object has been modified"},
		{401, STATUS(401, "Unauthorized", "Unauthorized"), ERROR_API,
		 "user 'jane' of context 'test' is not let in by http://127.0.0.1:"},
		{403,
		 STATUS(403, "Forbidden", "services is forbidden: User \\\"jane\\\" cannot get"),
		 ERROR_API, "not allowed: services is forbidden: User \"jane\" cannot get"},
		{403, STATUS(403, "Forbidden", "admission webhook \\\"w\\\" denied the request"),
		 ERROR_API, "not allowed: admission webhook \"w\" denied the request"},
		{422, STATUS(422, "Invalid", "field is immutable"), ERROR_API,
		 "answers 422 Invalid to"},
		{400, "<html>\n<body>no Kubernetes", ERROR_API, "<html> <body>no Kubernetes"},
		{500, STATUS(500, "InternalError", "webhook"), ERROR_API, "500 InternalError"},
		{500, STATUS(500, "", "etcdserver: leader changed"), ERROR_NETWORK,
		 "leader changed"},
		{301, "", ERROR_API, "HTTP status 301"},
		{410, STATUS(410, "Expired", "too old"), ERROR_API, "410 Expired"},
		{409, "{\"kind\":\"Status\"", ERROR_CONFLICT, "{\"kind\":\"Status\""},
		{404, "", ERROR_NOT_FOUND, "answers 404 to GET " DNS},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake_step step = {"GET", DNS, NULL, rows[i].status, NULL, rows[i].body, 0};
		struct error err = {0};
		json_t *object = NULL;
		struct world w;

		TEST("status %d becomes '%s'", rows[i].status, rows[i].says);
		world_open(&w, &step, 1);
		CHECK_ERROR(kube_client_get(w.kube, &dns, &object, &err), &err, rows[i].kind,
			    rows[i].says);
		CHECK(object == NULL);
		world_close(&w);
	}
}

static void test_forbidden(void)
{
#define WHERE " (share/kubectl-renumber)"
	static const struct {
		const char *said;
		const char *becomes;
	} rows[] = {
		{"services \"a\" is forbidden: User \"jane\" cannot patch resource "
		 "\"services/status\" in API group \"\" in the namespace \"shop\"",
		 "user 'jane' may not patch services/status in namespace 'shop'; a role with this "
		 "right is in rbac-run.yaml" WHERE},
		{"x is forbidden: User \"jane\" cannot list resource \"daemonsets\" in API group "
		 "\"apps\" at the cluster scope",
		 "user 'jane' may not list daemonsets.apps; a role with this right is in "
		 "rbac-read.yaml" WHERE},
		{"forbidden: User \"jane\" cannot get path \"/version\"",
		 "user 'jane' may not get /version; a role with this right is in "
		 "rbac-read.yaml" WHERE},
		/* what no manifest of ours grants */
		{"secrets is forbidden: User \"jane\" cannot list resource \"secrets\" in API "
		 "group \"\" at the cluster scope",
		 "user 'jane' may not list secrets"},
		{"x is forbidden: User \"jane\" cannot list resource \"foos\" in API group "
		 "\"example.com\" at the cluster scope",
		 "user 'jane' may not list foos.example.com"},
		/* what the authorizer did not say */
		{"admission webhook \"w\" denied the request: you cannot do that",
		 "not allowed: admission webhook \"w\" denied the request: you cannot do that"},
		{"User \"jane\" cannot", "not allowed: User \"jane\" cannot"},
		{"User \"\" cannot list resource \"a\"",
		 "not allowed: User \"\" cannot list resource \"a\""},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kube_reply reply = {.status = 403,
					   .message = (char *)(uintptr_t)rows[i].said};
		auto_error struct error err = {0};

		TEST("403: %s", rows[i].becomes);
		CHECK(kube_reply_error(&reply, "GET /", "https://a", &err) == -1);
		CHECK_INT(err.kind, ERROR_API);
		CHECK_STR(error_text(&err), rows[i].becomes);
	}
}

static void test_reply(void)
{
	static const struct fake_step steps[] = {
		{"GET", DNS, NULL, 422, NULL,
		 "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"m\",\"details\":"
		 "{\"causes\":[{\"field\":\"spec.clusterIP\"}]}}",
		 0},
	};
	struct kube_request request = {.path = DNS};
	auto_kube_reply struct kube_reply reply = {0};
	struct error err = {0};
	struct world w;

	TEST("the caller sees status, reason and causes");
	world_open(&w, steps, COUNT(steps));
	CHECK_ERROR(kube_client_send(w.kube, &request, &reply, &err), &err, ERROR_API, "m");
	CHECK_INT(reply.status, 422);
	CHECK(reply.sent);
	CHECK_STR(reply.reason, "Invalid");
	CHECK_STR(json_path_text(reply.details, "causes.0.field"), "spec.clusterIP");
	world_close(&w);
}

/* What is tried again, and when. */
static void test_repeats(void)
{
	static const struct {
		const char *name;
		struct fake_step first;
		bool write;
		bool repeatable;
		bool again;
		int64_t waits_ms; /* 0: at once, on a new connection */
	} rows[] = {
		{"429 with Retry-After",
		 {.status = 429, .headers = "Retry-After: 3\r\n"},
		 true,
		 false,
		 true,
		 3000},
		{"429 without", {.status = 429}, true, false, true, 250},
		{"503 on a read", {.status = 503}, false, false, true, 250},
		{"503 on a write", {.status = 503}, true, false, false, 0},
		{"503 on a repeatable write", {.status = 503}, true, true, true, 250},
		{"500 with Retry-After",
		 {.status = 500, .headers = "Retry-After: 1\r\n"},
		 true,
		 false,
		 true,
		 1000},
		{"502 on a read", {.status = 502}, false, false, true, 250},
		{"504 on a read", {.status = 504}, false, false, true, 250},
		{"a cut connection on a read", {.fault = FAKE_CUT}, false, false, true, 0},
		{"a cut connection on a write", {.fault = FAKE_CUT}, true, false, false, 0},
		{"a cut connection on a repeatable write",
		 {.fault = FAKE_CUT},
		 true,
		 true,
		 true,
		 0},
		{"half a body on a read",
		 {.status = 200, .body = "{\"a\":1}", .fault = FAKE_CUT_BODY},
		 false,
		 false,
		 true,
		 250},
		{"half a body on a write",
		 {.status = 200, .body = "{\"a\":1}", .fault = FAKE_CUT_BODY},
		 true,
		 false,
		 false,
		 0},
		{"a wait longer than our patience",
		 {.status = 503, .headers = "Retry-After: 600\r\n"},
		 false,
		 false,
		 false,
		 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *method = rows[i].write ? "PUT" : "GET";
		struct fake_step steps[] = {
			{"GET", "/version", NULL, 200, NULL, "{}", 0}, /* it has answered before */
			rows[i].first,
			{method, DNS, NULL, 200, NULL, "{\"a\":2}", 0},
		};
		struct kube_request request = {.method = rows[i].write ? KUBE_PUT : KUBE_GET,
					       .path = DNS,
					       .body = rows[i].write ? SLICE("{}")
								     : (struct slice){0},
					       .repeatable = rows[i].repeatable};
		auto_kube_reply struct kube_reply reply = {0};
		struct error err = {0};
		struct world w;
		int64_t before;

		TEST("%s is %s", rows[i].name, rows[i].again ? "tried again" : "an error");
		steps[1].method = method;
		steps[1].path = DNS;
		world_open(&w, steps, rows[i].again ? 3 : 2);
		CHECK_OK(kube_client_get_raw(w.kube, "/version", &reply, &err), &err);
		before = clock_monotonic_ms();
		if (rows[i].again) {
			CHECK_OK(kube_client_send(w.kube, &request, &reply, &err), &err);
			CHECK_STR(buffer_cstr(&reply.body), "{\"a\":2}");
		} else {
			CHECK_ERROR(kube_client_send(w.kube, &request, &reply, &err), &err,
				    ERROR_NETWORK, "");
			CHECK(reply.sent);
		}
		CHECK_INT(clock_monotonic_ms() - before, rows[i].waits_ms);
		world_close(&w);
	}
}

static void test_back_off(void)
{
	struct fake_step steps[16];
	struct error err = {0};
	struct kube_request request = {.path = DNS};
	auto_kube_reply struct kube_reply reply = {0};
	int64_t before = clock_monotonic_ms();
	struct world w;

	TEST("back-off doubles up to 5 s and ends after 20 s");
	/* 0, .25, .75, 1.75, 3.75, 7.75, 12.75, 17.75 */
	for (size_t i = 0; i < 8; i++)
		steps[i] = (struct fake_step){
			"GET", DNS, NULL, 503, NULL, STATUS(503, "ServiceUnavailable", "starting"),
			0};
	world_open(&w, steps, 8);
	CHECK_ERROR(kube_client_send(w.kube, &request, &reply, &err), &err, ERROR_NETWORK,
		    "503 ServiceUnavailable");
	CHECK_INT(clock_monotonic_ms() - before, 17750);
	world_close(&w);
}

static void test_dead_idle_connection(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/version", NULL, 200, NULL, "{}", 0},
		{"PUT", DNS "?fieldManager=kubectl-renumber", NULL, 200, NULL, "{}", 0},
	};
	auto_kube_reply struct kube_reply reply = {0};
	auto_json json_t *object = json_object();
	struct error err = {0};
	struct world w;

	TEST("a write does not fail because an idle connection was closed");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_get_raw(w.kube, "/version", &reply, &err), &err);
	/* not by the server after its answer: the write could come before that */
	fake_api_drop(w.api);
	CHECK_OK(kube_client_replace(w.kube, &dns, object, NULL, NULL, &err), &err);
	world_close(&w);
}

static void test_unreachable(void)
{
	struct kube_config config = {.server = NULL, .context = (char *)(uintptr_t) "test"};
	auto_kube_client struct kube_client *kube = NULL;
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_request request = {.method = KUBE_PUT, .path = "/x", .body = SLICE("{}")};
	struct error err = {0};

	TEST("nobody listens");
	config.server = (char *)(uintptr_t) "https://127.0.0.1:1";
	kube = kube_client_open(&config, NULL, &err);
	CHECK_ERROR(kube_client_send(kube, &request, &reply, &err), &err, ERROR_NETWORK,
		    "cannot connect to https://127.0.0.1:1: Connection refused");
	CHECK(!reply.sent);
	CHECK_INT(reply.status, 0);
	kube_client_free(kube);

	TEST("a name without an address");
	config.server = (char *)(uintptr_t) "https://nobody.invalid:6443";
	kube = kube_client_open(&config, NULL, &err);
	CHECK_ERROR(kube_client_send(kube, &request, &reply, &err), &err, ERROR_NETWORK,
		    "cannot reach https://nobody.invalid:6443: the name 'nobody.invalid' has no "
		    "address");
	kube_client_free(kube);

	TEST("an address that is none");
	config.server = (char *)(uintptr_t) "https://[::1:6443";
	kube = kube_client_open(&config, NULL, &err);
	CHECK(kube == NULL);
	CHECK_ERROR(-1, &err, ERROR_USAGE, "the server address 'https://[::1:6443' is malformed");
}

static void test_silence(void)
{
	static const struct fake_step steps[] = {{"GET", DNS, NULL, 0, NULL, NULL, FAKE_SILENT}};
	struct kube_client_options options = {.request_timeout_ms = 200, .retry_ms = -1};
	struct kube_client *kube;
	json_t *object = NULL;
	struct error err = {0};
	struct world w;

	TEST("--request-timeout ends the wait for an answer");
	world_open(&w, steps, COUNT(steps));
	kube = kube_client_open(&w.config, &options, &err);
	CHECK_ERROR(kube_client_get(kube, &dns, &object, &err), &err, ERROR_NETWORK,
		    "no answer from http://127.0.0.1:");
	kube_client_free(kube);
	world_close(&w);
}

static void test_bad_answers(void)
{
	static const struct {
		const char *body;
		const char *says;
	} rows[] = {
		{"{\"kind\":\"Service\",", "answer to GET " DNS ":1:18: "},
		{"", "answer to GET " DNS ":1:1: "},
		{"[1]", "not a JSON object"},
		{"hello", "answer to GET " DNS ":1:"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake_step step = {"GET", DNS, NULL, 200, NULL, rows[i].body, 0};
		struct error err = {0};
		json_t *object = NULL;
		struct world w;

		TEST("malformed answer '%s'", rows[i].body);
		world_open(&w, &step, 1);
		CHECK_ERROR(kube_client_get(w.kube, &dns, &object, &err), &err, ERROR_PARSE,
			    rows[i].says);
		world_close(&w);
	}
}

/* --- lists ----------------------------------------------------------------------------------- */

#define PAGE(names, more, version)                                                       \
	"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":\"" more \
	"\",\"resourceVersion\":\"" version "\"},\"items\":[" names "]}"
#define POD(name) "{\"metadata\":{\"name\":\"" name "\"}}"

static void test_list(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/api/v1/pods?limit=2&labelSelector=a%3Db%2Cc", NULL, 200, NULL,
		 PAGE(POD("p1") "," POD("p2"), "next/1=", "7"), 0},
		{"GET", "/api/v1/pods?limit=2&labelSelector=a%3Db%2Cc&continue=next%2F1%3D", NULL,
		 200, NULL, PAGE(POD("p3"), "", "7"), 0},
	};
	struct kube_list_options options = {.label_selector = "a=b,c", .page_size = 2};
	auto_json json_t *items = NULL;
	char *version = NULL;
	struct error err = {0};
	struct world w;

	TEST("list: pages, selectors encoded, kinds completed");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_list(w.kube, &pods, &options, &items, &version, &err), &err);
	CHECK_INT(json_array_size(items), 3);
	CHECK_STR(json_path_text(items, "2.metadata.name"), "p3");
	CHECK_STR(json_path_text(items, "0.kind"), "Pod");
	CHECK_STR(json_path_text(items, "0.apiVersion"), "v1");
	CHECK_STR(version, "7");
	free(version);
	world_close(&w);
}

static void test_list_expired(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/api/v1/pods?limit=500", NULL, 200, NULL, PAGE(POD("p1"), "c1", "7"), 0},
		{"GET", "/api/v1/pods?limit=500&continue=c1", NULL, 410, NULL,
		 STATUS(410, "Expired", "too old"), 0},
		{"GET", "/api/v1/pods?limit=500", NULL, 200, NULL, PAGE(POD("q1"), "c2", "8"), 0},
		{"GET", "/api/v1/pods?limit=500&continue=c2", NULL, 410, NULL, "", 0},
		{"GET", "/api/v1/pods?limit=500", NULL, 200, NULL, PAGE(POD("r1"), "c3", "9"), 0},
		{"GET", "/api/v1/pods?limit=500&continue=c3", NULL, 410, NULL, "", 0},
		{"GET", "/api/v1/pods", NULL, 200, NULL, PAGE(POD("s1") "," POD("s2"), "", "9"), 0},
	};
	auto_json json_t *items = NULL;
	struct error err = {0};
	struct world w;

	TEST("list: an expired token starts over, at last without pages");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_list(w.kube, &pods, NULL, &items, NULL, &err), &err);
	CHECK_INT(json_array_size(items), 2);
	CHECK_STR(json_path_text(items, "0.metadata.name"), "s1");
	world_close(&w);
}

static void test_list_edges(void)
{
	static const struct fake_step nothing[] = {
		{"GET", "/api/v1/pods?limit=500", NULL, 200, NULL,
		 "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":null}", 0}};
	static const struct fake_step gone[] = {
		{"GET", "/api/v1/pods?limit=500", NULL, 410, NULL, STATUS(410, "Gone", "gone"), 0}};
	static const struct fake_step once[] = {
		{"GET", "/api/v1/pods?limit=500", NULL, 503, NULL, "", 0}};
	struct kube_list_options impatient = {.once = true};
	auto_json json_t *items = NULL;
	struct error err = {0};
	json_t *none = NULL;
	struct world w;

	TEST("list: null items are none");
	world_open(&w, nothing, COUNT(nothing));
	CHECK_OK(kube_client_list(w.kube, &pods, NULL, &items, NULL, &err), &err);
	CHECK_INT(json_array_size(items), 0);
	world_close(&w);

	TEST("list: 410 without a token is an error, not a loop");
	world_open(&w, gone, COUNT(gone));
	CHECK_ERROR(kube_client_list(w.kube, &pods, NULL, &none, NULL, &err), &err, ERROR_API,
		    "410");
	world_close(&w);

	TEST("list: once is once");
	world_open(&w, once, COUNT(once));
	CHECK_ERROR(kube_client_list(w.kube, &pods, &impatient, &none, NULL, &err), &err,
		    ERROR_NETWORK, "503");
	world_close(&w);
}

/* --- writes ---------------------------------------------------------------------------------- */

static void test_writes(void)
{
	static const struct fake_step steps[] = {
		{"POST",
		 "/api/v1/namespaces/kube-system/services?dryRun=All&fieldManager=kubectl-renumber",
		 "Content-Type: application/json\r\n", 201, NULL, "{\"made\":1}", 0},
		{"PUT", DNS "?fieldManager=kubectl-renumber",
		 "{\"metadata\":{\"name\":\"kube-dns\",\"uid\":\"u\",\"resourceVersion\":\"5\"}}",
		 200, NULL, "{}", 0},
		{"PATCH", DNS "?fieldManager=kubectl-renumber",
		 "Content-Type: application/merge-patch+json\r\n", 200, NULL, "{}", 0},
		{"PATCH", DNS "?fieldManager=kubectl-renumber",
		 "{\"spec\":null,\"metadata\":{\"resourceVersion\":\"6\"}}", 200, NULL, "{}", 0},
		{"PATCH", DNS "/status?fieldManager=kubectl-renumber",
		 "[{\"op\":\"replace\",\"path\":\"/metadata/"
		 "uid\",\"value\":\"u\"},{\"op\":\"replace\","
		 "\"path\":\"/metadata/resourceVersion\",\"value\":\"7\"},{\"op\":\"remove\"}]",
		 200, NULL, "{}", 0},
		{"DELETE", DNS,
		 "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":{\"uid\":"
		 "\"u\","
		 "\"resourceVersion\":\"8\"},\"propagationPolicy\":\"Orphan\","
		 "\"gracePeriodSeconds\":0}",
		 200, NULL, "{\"kind\":\"Status\",\"status\":\"Success\"}", 0},
	};
	auto_json json_t *object = json_pack("{s:{s:s}}", "metadata", "name", "kube-dns");
	auto_json json_t *merge = json_pack("{s:n}", "spec");
	auto_json json_t *by_steps = json_pack("[{s:s}]", "op", "remove");
	struct kube_target status = dns;
	auto_json json_t *made = NULL;
	struct error err = {0};
	struct world w;

	TEST("writes: paths, content types, preconditions");
	status.subresource = "status";
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_create(w.kube, &dns, object,
				    &(struct kube_write_options){.dry_run = true}, &made, &err),
		 &err);
	CHECK_INT(json_path_int(made, "made", 0), 1);
	CHECK_OK(kube_client_replace(
			 w.kube, &dns, object,
			 &(struct kube_write_options){.uid = "u", .resource_version = "5"}, NULL,
			 &err),
		 &err);
	CHECK_OK(kube_client_patch(w.kube, &dns, KUBE_PATCH_MERGE, merge, NULL, NULL, &err), &err);
	CHECK_OK(kube_client_patch(w.kube, &dns, KUBE_PATCH_MERGE, merge,
				   &(struct kube_write_options){.resource_version = "6"}, NULL,
				   &err),
		 &err);
	CHECK_OK(
		kube_client_patch(w.kube, &status, KUBE_PATCH_JSON, by_steps,
				  &(struct kube_write_options){.uid = "u", .resource_version = "7"},
				  NULL, &err),
		&err);
	CHECK_OK(kube_client_delete(w.kube, &dns,
				    &(struct kube_write_options){.uid = "u",
								 .resource_version = "8",
								 .propagation = "Orphan",
								 .has_grace = true},
				    &err),
		 &err);
	/* the caller's own patches are as they were */
	CHECK_INT(json_array_size(by_steps), 1);
	CHECK(json_path(merge, "metadata") == NULL);
	world_close(&w);
}

static void test_failed_test(void)
{
	static const struct {
		const char *body;
		enum error_kind kind;
	} rows[] = {
		{STATUS(422, "Invalid", "the server rejected our request"), ERROR_CONFLICT},
		{"{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"bad\",\"details\":"
		 "{\"causes\":[{\"field\":\"spec\"}]}}",
		 ERROR_API},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake_step step = {"PATCH", DNS "?fieldManager=kubectl-renumber",
					 NULL,	  422,
					 NULL,	  rows[i].body,
					 0};
		auto_json json_t *patch =
			json_pack("[{s:s, s:s, s:s}]", "op", "test", "path", "/a", "value", "b");
		auto_kube_reply struct kube_reply reply = {0};
		struct kube_write_options options = {.reply = &reply};
		struct error err = {0};
		struct world w;

		TEST("a JSON patch refused with 422 is a conflict only if its test failed (%zu)",
		     i);
		world_open(&w, &step, 1);
		CHECK_ERROR(kube_client_patch(w.kube, &dns, KUBE_PATCH_JSON, patch, &options, NULL,
					      &err),
			    &err, rows[i].kind, "422 Invalid");
		CHECK_INT(reply.status, 422);
		world_close(&w);
	}
}

static void test_other_uid(void)
{
	static const struct fake_step step = {
		"PATCH",
		DNS "?fieldManager=kubectl-renumber",
		NULL,
		422,
		NULL,
		"{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"bad\",\"details\":"
		"{\"causes\":[{\"field\":\"metadata.uid\"}]}}",
		0};
	struct kube_write_options options = {.uid = "u"};
	auto_json json_t *patch = json_object();
	struct error err = {0};
	struct world w;

	TEST("a patch of an object with another UID is a conflict");
	world_open(&w, &step, 1);
	CHECK_ERROR(kube_client_patch(w.kube, &dns, KUBE_PATCH_MERGE, patch, &options, NULL, &err),
		    &err, ERROR_CONFLICT, "422 Invalid");
	world_close(&w);
}

/* --- connections ----------------------------------------------------------------------------- */

static void test_pinned(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/version", NULL, 200, NULL, "{}", 0},
		{"GET", DNS, NULL, 200, NULL, "{}", 0},
		{"PUT", DNS "?fieldManager=kubectl-renumber", NULL, 200, NULL, "{}", FAKE_CLOSE},
		{"GET", DNS, NULL, 200, NULL, "{}", 0},
		{"GET", DNS, NULL, 200, NULL, "{}", 0},
	};
	auto_json json_t *object = json_object();
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client *pinned;
	struct error err = {0};
	json_t *got = NULL;
	struct world w;

	TEST("a pinned client never changes its connection on its own");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_client_get_raw(w.kube, "/version", &reply, &err), &err);
	pinned = kube_client_pinned(w.kube, &err);
	CHECK_OK(kube_client_get(pinned, &dns, &got, &err), &err);
	json_decref(got);
	CHECK_OK(kube_client_replace(pinned, &dns, object, NULL, NULL, &err), &err);
	CHECK_INT(fake_api_connection_of(w.api, 0), 1);
	CHECK_INT(fake_api_connection_of(w.api, 1), 2);
	CHECK_INT(fake_api_connection_of(w.api, 2), 2);
	CHECK_ERROR(kube_client_get(pinned, &dns, &got, &err), &err, ERROR_NETWORK,
		    "was lost in the middle of requests that must meet one server");
	CHECK_ERROR(kube_client_replace(pinned, &dns, object, NULL, NULL, &err), &err,
		    ERROR_NETWORK, "was lost in the middle");
	kube_client_repin(pinned);
	CHECK_OK(kube_client_get(pinned, &dns, &got, &err), &err);
	json_decref(got);
	got = NULL;
	CHECK_OK(kube_client_get(pinned, &dns, &got, &err), &err);
	json_decref(got);
	CHECK_INT(fake_api_connection_of(w.api, 3), fake_api_connection_of(w.api, 4));
	kube_client_free(pinned);
	world_close(&w);
}

static void test_at(void)
{
	static const struct fake_step steps[] = {{"GET", "/readyz", NULL, 200, NULL, "ok", 0}};
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client *there;
	struct error err = {0};
	char host[64];
	struct fake_step step = steps[0];
	struct world w;

	TEST("kube_client_at connects to the address and names the server");
	step.wants = "Host: api.invalid:6443\r\n";
	world_open(&w, &step, 1);
	free(w.config.server);
	w.config.server = alloc_text("http://api.invalid:6443");
	there = kube_client_at(w.kube, "127.0.0.1", fake_api_port(w.api), &err);
	kube_client_free(there);
	kube_client_free(w.kube);
	w.kube = kube_client_open(&w.config, NULL, &err);
	there = kube_client_at(w.kube, "127.0.0.1", fake_api_port(w.api), &err);
	CHECK_OK(kube_client_get_raw(there, "/readyz", &reply, &err), &err);
	CHECK_STR(buffer_cstr(&reply.body), "ok");
	snprintf(host, sizeof(host), "http://api.invalid:6443 at 127.0.0.1:%u",
		 fake_api_port(w.api));
	CHECK_STR(kube_client_server(there), host);
	kube_client_free(there);
	world_close(&w);
}

static void test_paths(void)
{
	static const struct {
		struct kube_target target;
		const char *path;
		const char *label;
	} rows[] = {
		{{NULL, "v1", "services", "default", "kubernetes", NULL},
		 "/api/v1/namespaces/default/services/kubernetes",
		 "services 'default/kubernetes'"},
		{{"networking.k8s.io", "v1", "servicecidrs", NULL, "kubernetes", "status"},
		 "/apis/networking.k8s.io/v1/servicecidrs/kubernetes/status",
		 "servicecidrs/status 'kubernetes'"},
		{{"", "v1", "pods", "a", NULL, NULL},
		 "/api/v1/namespaces/a/pods",
		 "pods of namespace 'a'"},
		{{"g", "v1", "things", NULL, "a/b?c#d%e é", NULL},
		 "/apis/g/v1/things/a%2Fb%3Fc%23d%25e%20%C3%A9",
		 "things 'a/b?c#d%e é'"},
		{{"g", "v1", "things", "..", ".", NULL},
		 "/apis/g/v1/namespaces/%2E%2E/things/%2E",
		 "things '../.'"},
		{{NULL, "v1", "nodes", NULL, "n:1", NULL}, "/api/v1/nodes/n%3A1", "nodes 'n:1'"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *path = kube_path(&rows[i].target);
		char *label = kube_path_label(&rows[i].target);

		TEST("path %s", rows[i].path);
		CHECK_STR(path, rows[i].path);
		CHECK_STR(label, rows[i].label);
		free(path);
		free(label);
	}
}

static void test_proxy(void)
{
	static const struct fake_step steps[] = {
		{"GET", "http://api.invalid:8080/readyz", "Host: api.invalid:8080\r\n", 200, NULL,
		 "ok", 0},
		{"GET", "/readyz", "Host: api.invalid:8080\r\n", 200, NULL, "direct", 0},
	};
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client *proxied, *direct;
	struct error err = {0};
	struct world w;

	TEST("proxy-url: the proxy is asked, and resolves the name; kube_client_at goes past it");
	world_open(&w, steps, COUNT(steps));
	w.config.proxy_url = w.config.server;
	w.config.server = alloc_text("http://api.invalid:8080");
	proxied = kube_client_open(&w.config, NULL, &err);
	CHECK_OK(kube_client_get_raw(proxied, "/readyz", &reply, &err), &err);
	direct = kube_client_at(proxied, "127.0.0.1", fake_api_port(w.api), &err);
	CHECK_OK(kube_client_get_raw(direct, "/readyz", &reply, &err), &err);
	CHECK_STR(buffer_cstr(&reply.body), "direct");
	kube_client_free(direct);
	kube_client_free(proxied);
	world_close(&w);
}

static void test_impersonation(void)
{
	static const struct fake_step step = {"GET",
					      "/x",
					      "Impersonate-User: jane\r\nImpersonate-Uid: 7\r\n"
					      "Impersonate-Group: a\r\nImpersonate-Group: b\r\n",
					      200,
					      NULL,
					      "ok",
					      0};
	auto_kube_reply struct kube_reply reply = {0};
	struct error err = {0};
	struct world w;

	TEST("impersonation");
	world_open(&w, &step, 1);
	w.config.as_user = alloc_text("jane");
	w.config.as_uid = alloc_text("7");
	w.config.as_groups = alloc_array(3, sizeof(char *));
	w.config.as_groups[0] = alloc_text("a");
	w.config.as_groups[1] = alloc_text("b");
	CHECK_OK(kube_client_get_raw(w.kube, "/x", &reply, &err), &err);
	world_close(&w);
}

static void test_basic(void)
{
	static const struct fake_step step = {
		"GET", "/x", "Authorization: Basic amFuZTpwd2Q=\r\n", 200, NULL, "ok", 0};
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client *kube;
	struct error err = {0};
	struct world w;

	TEST("user name and password");
	world_open(&w, &step, 1);
	secret_release(&w.config.token);
	w.config.username = alloc_text("jane");
	secret_set(&w.config.password, "pwd", 3);
	kube = kube_client_open(&w.config, NULL, &err);
	CHECK_OK(kube_client_get_raw(kube, "/x", &reply, &err), &err);
	kube_client_free(kube);
	world_close(&w);
}

int main(void)
{
	interrupt_install();
	/* waiting costs nothing, and exactly what it should */
	clock_set_virtual(1000000, 1795392000);
	test_paths();
	test_get();
	test_refusals();
	test_forbidden();
	test_reply();
	test_repeats();
	test_back_off();
	test_dead_idle_connection();
	test_unreachable();
	test_silence();
	test_bad_answers();
	test_list();
	test_list_expired();
	test_list_edges();
	test_writes();
	test_failed_test();
	test_other_uid();
	test_pinned();
	test_at();
	test_proxy();
	test_impersonation();
	test_basic();
	return test_done();
}
