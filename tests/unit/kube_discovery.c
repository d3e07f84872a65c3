/* SPDX-License-Identifier: MIT */
#include "kube/discovery.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

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
		.context = alloc_text("test"),
		.server = alloc_format("http://127.0.0.1:%u", fake_api_port(w->api)),
	};
	w->kube = kube_client_open(&w->config, NULL, &err);
	CHECK(w->kube != NULL);
}

static void world_close(struct world *w)
{
	kube_client_free(w->kube);
	fake_api_stop(w->api);
	kube_config_release(&w->config);
}

static void test_version(void)
{
	static const struct {
		const char *body;
		int major;
		int minor;
	} rows[] = {
		{"{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.3\"}", 1, 36},
		{"{\"major\":\"1\",\"minor\":\"20+\",\"gitVersion\":\"v1.20.2-eks\"}", 1, 20},
		{"{\"major\":1,\"minor\":20}", -1, 0},
		{"{\"major\":\"1\",\"minor\":\"x\",\"gitVersion\":\"v\"}", -1, 0},
		{"{}", -1, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fake_step step = {"GET", "/version", NULL, 200, NULL, rows[i].body, 0};
		struct kube_version version = {0};
		struct error err = {0};
		struct world w;

		TEST("version %s", rows[i].body);
		world_open(&w, &step, 1);
		if (rows[i].major < 0) {
			CHECK_ERROR(kube_discovery_version(w.kube, &version, &err), &err,
				    ERROR_PARSE, "is no Kubernetes API server");
		} else {
			CHECK_OK(kube_discovery_version(w.kube, &version, &err), &err);
			CHECK_INT(version.major, rows[i].major);
			CHECK_INT(version.minor, rows[i].minor);
		}
		kube_version_release(&version);
		world_close(&w);
	}
}

/* "group/version/plural:Kind" and what it can, in order. */
static char *show(const struct kube_resources *list)
{
	auto_buffer struct buffer out = {0};

	for (size_t i = 0; i < list->count; i++) {
		const struct kube_resource *r = &list->items[i];

		buffer_format(&out, "%s/%s/%s:%s%s%s%s%s%s\n", r->group, r->version, r->plural,
			      r->kind, r->namespaced ? " namespaced" : "",
			      r->listable ? " list" : "", r->watchable ? " watch" : "",
			      r->patchable ? " patch" : "", r->preferred ? " preferred" : "");
	}
	for (size_t i = 0; i < list->failed_count; i++)
		buffer_format(&out, "failed %s\n", list->failed[i]);
	return buffer_detach(&out);
}

#define WANTED                                                 \
	"/v1/pods:Pod namespaced list watch patch preferred\n" \
	"apps.example/v2/things:Thing list preferred\n"        \
	"apps.example/v1/things:Thing list\n"                  \
	"apps.example/v1/olds:Old list preferred\n"            \
	"failed metrics.k8s.io/v1beta1\n"

static void test_aggregated(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/api", "as=APIGroupDiscoveryList", 200, NULL,
		 "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{},\"versions\":[{"
		 "\"version\":\"v1\",\"resources\":[{\"resource\":\"pods\",\"responseKind\":{"
		 "\"kind\":"
		 "\"Pod\"},\"scope\":\"Namespaced\",\"verbs\":[\"get\",\"list\",\"watch\","
		 "\"patch\"],"
		 "\"subresources\":[{\"subresource\":\"status\"}]}]}]}]}",
		 0},
		{"GET", "/apis", "as=APIGroupDiscoveryList", 200, NULL,
		 "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{\"name\":"
		 "\"apps.example\"},\"versions\":[{\"version\":\"v2\",\"resources\":[{\"resource\":"
		 "\"things\",\"responseKind\":{\"kind\":\"Thing\"},\"scope\":\"Cluster\",\"verbs\":"
		 "["
		 "\"list\"]}]},{\"version\":\"v1\",\"resources\":[{\"resource\":\"things\","
		 "\"responseKind\":{\"kind\":\"Thing\"},\"scope\":\"Cluster\",\"verbs\":[\"list\"]}"
		 ",{"
		 "\"resource\":\"olds\",\"responseKind\":{\"kind\":\"Old\"},\"scope\":\"Cluster\","
		 "\"verbs\":[\"list\"]}]}]},{\"metadata\":{\"name\":\"metrics.k8s.io\"},"
		 "\"versions\":[{"
		 "\"version\":\"v1beta1\",\"freshness\":\"Stale\",\"resources\":[]}]}]}",
		 0},
	};
	struct kube_resources list = {0};
	struct error err = {0};
	auto_free char *got = NULL;
	struct world w;

	TEST("aggregated discovery: two requests");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_discovery_resources(w.kube, &list, &err), &err);
	got = show(&list);
	CHECK_STR(got, WANTED);
	CHECK_STR(kube_resources_find(&list, "apps.example", "things")->version, "v2");
	CHECK(kube_resources_find(&list, "", "things") == NULL);
	kube_resources_release(&list);
	world_close(&w);
}

static void test_plain(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/api", NULL, 200, NULL, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}",
		 0},
		{"GET", "/api/v1", NULL, 200, NULL,
		 "{\"kind\":\"APIResourceList\",\"resources\":[{\"name\":\"pods\",\"kind\":\"Pod\","
		 "\"namespaced\":true,\"verbs\":[\"list\",\"watch\",\"patch\"]},{\"name\":"
		 "\"pods/status\",\"kind\":\"Pod\",\"namespaced\":true,\"verbs\":[\"get\"]}]}",
		 0},
		{"GET", "/apis", NULL, 200, NULL,
		 "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"apps.example\",\"versions\":[{"
		 "\"version\":\"v1\"},{\"version\":\"v2\"}],\"preferredVersion\":{\"version\":"
		 "\"v2\"}},{"
		 "\"name\":\"metrics.k8s.io\",\"versions\":[{\"version\":\"v1beta1\"}]}]}",
		 0},
		{"GET", "/apis/apps.example/v2", NULL, 200, NULL,
		 "{\"resources\":[{\"name\":\"things\",\"kind\":\"Thing\",\"namespaced\":false,"
		 "\"verbs\":["
		 "\"list\"]}]}",
		 0},
		{"GET", "/apis/apps.example/v1", NULL, 200, NULL,
		 "{\"resources\":[{\"name\":\"things\",\"kind\":\"Thing\",\"verbs\":[\"list\"]},{"
		 "\"name\":"
		 "\"olds\",\"kind\":\"Old\",\"verbs\":[\"list\"]}]}",
		 0},
		{"GET", "/apis/metrics.k8s.io/v1beta1", NULL, 503, NULL, "service unavailable", 0},
	};
	int64_t before = clock_monotonic_ms();
	struct kube_resources list = {0};
	struct error err = {0};
	auto_free char *got = NULL;
	struct world w;

	TEST("plain discovery: one request per version; a dead aggregated API costs no time");
	world_open(&w, steps, COUNT(steps));
	CHECK_OK(kube_discovery_resources(w.kube, &list, &err), &err);
	got = show(&list);
	CHECK_STR(got, WANTED);
	CHECK_INT(clock_monotonic_ms() - before, 0);
	kube_resources_release(&list);
	world_close(&w);
}

static void test_served(void)
{
	static const char group[] =
		"{\"name\":\"networking.k8s.io\",\"versions\":[{\"version\":\"v1\"},{\"version\":"
		"\"v1beta1\"}],\"preferredVersion\":{\"version\":\"v1\"}}";
	static const struct fake_step beta[] = {
		{"GET", "/apis/networking.k8s.io", NULL, 200, NULL, group, 0},
		{"GET", "/apis/networking.k8s.io/v1", NULL, 200, NULL,
		 "{\"resources\":[{\"name\":\"ingresses\",\"kind\":\"Ingress\",\"verbs\":[]}]}", 0},
		{"GET", "/apis/networking.k8s.io/v1beta1", NULL, 200, NULL,
		 "{\"resources\":[{\"name\":\"servicecidrs\",\"kind\":\"ServiceCIDR\",\"verbs\":[]}"
		 "]}",
		 0},
	};
	static const struct fake_step none[] = {
		{"GET", "/apis/networking.k8s.io", NULL, 404, NULL, "404 page not found", 0}};
	char *version = NULL;
	struct error err = {0};
	struct world w;

	TEST("served in a version that is not the preferred one");
	world_open(&w, beta, COUNT(beta));
	CHECK_OK(kube_discovery_served(w.kube, "networking.k8s.io", "servicecidrs", &version, &err),
		 &err);
	CHECK_STR(version, "v1beta1");
	free(version);
	world_close(&w);
	TEST("not served");
	world_open(&w, none, 1);
	version = (char *)(uintptr_t) "unset";
	CHECK_OK(kube_discovery_served(w.kube, "networking.k8s.io", "servicecidrs", &version, &err),
		 &err);
	CHECK(version == NULL);
	world_close(&w);
}

int main(void)
{
	interrupt_install();
	clock_set_virtual(1000000, 1795392000);
	test_version();
	test_aggregated();
	test_plain();
	test_served();
	return test_done();
}
