/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lab/allocator.h"
#include "lab/api.h"
#include "lib/test.h"
#include "text/json.h"

/* A cluster with two API servers and nothing else. */
struct world {
	struct lab lab;
	struct lab_node nodes[2];
	struct lab_server servers[2];
};

static void world_open(struct world *w, enum lab_regime regime, unsigned int minor,
		       const char *first, const char *second)
{
	const char *ranges[2] = {first, second};

	*w = (struct world){.lab = {.options = {.regime = regime, .minor = minor}}};
	w->lab.loop = loop_new(1);
	w->lab.store = store_new();
	w->lab.bitmap = json_object();
	w->lab.node_ports = json_object();
	w->lab.bitmap_range = strdup(first);
	w->lab.servers = w->servers;
	w->lab.server_count = 2;
	w->lab.nodes = w->nodes;
	w->lab.node_count = 2;
	for (size_t i = 0; i < 2; i++)
		w->servers[i] = (struct lab_server){.lab = &w->lab,
						    .node = &w->nodes[i],
						    .state = LAB_READY,
						    .range = strdup(ranges[i])};
	lab_create(&w->lab, "namespaces", json_pack("{s:{s:s}}", "metadata", "name", "shop"));
}

static void world_close(struct world *w)
{
	store_free(w->lab.store);
	loop_free(w->lab.loop);
	json_decref(w->lab.bitmap);
	json_decref(w->lab.node_ports);
	free(w->lab.bitmap_range);
	free(w->servers[0].range);
	free(w->servers[1].range);
}

/* "201", or the message of the refusal. */
static void create(struct world *w, int server, const char *name, const char *address, char *ret,
		   size_t size)
{
	char space[] = "shop";
	char version[] = "v1";
	const struct api_target target = {store_type_find("", "services"), version, space, NULL,
					  NULL};
	auto_answer struct answer answer = {0};
	auto_json json_t *object = json_pack("{s:{s:s},s:{s:[{s:i}]}}", "metadata", "name", name,
					     "spec", "ports", "port", 80);

	if (address)
		json_object_set_new(json_object_get(object, "spec"), "clusterIP",
				    json_string(address));
	if (api_create(&w->servers[server], &target, object, false, &answer) == 0)
		snprintf(ret, size, "%d %s", answer.code,
			 json_path_text(answer.object, "spec.clusterIP"));
	else
		snprintf(ret, size, "%d %s", answer.code, answer.message);
}

/* What real API servers of these versions said. */
static void test_refusals(void)
{
	static const struct {
		enum lab_regime regime;
		unsigned int minor;
		int server; /* 0 has the range that was written last, 1 has another one */
		const char *address;
		const char *want;
	} rows[] = {
		{LAB_BITMAP, 20, 0, "10.96.7.7", "201 10.96.7.7"},
		{LAB_BITMAP, 20, 1, "10.17.7.7",
		 "422 Service \"web\" is invalid: spec.clusterIPs: Invalid value: "
		 "[]string{\"10.17.7.7\"}: failed to allocated ip:10.17.7.7 with error:the "
		 "provided "
		 "range does not match the current range"},
		{LAB_BITMAP, 20, 1, NULL,
		 "500 Internal error occurred: failed to allocate a serviceIP: the provided range "
		 "does not match the current range"},
		{LAB_BITMAP, 20, 0, "10.17.9.9",
		 "422 Service \"web\" is invalid: spec.clusterIPs: Invalid value: "
		 "[]string{\"10.17.9.9\"}: failed to allocated ip:10.17.9.9 with error:provided IP "
		 "is "
		 "not in the valid range. The range of valid IPs is 10.96.0.0/16"},
		{LAB_BITMAP, 32, 1, "10.17.7.7",
		 "422 Service \"web\" is invalid: spec.clusterIPs: Invalid value: "
		 "[]string{\"10.17.7.7\"}: failed to allocate IP 10.17.7.7: the provided range "
		 "does "
		 "not match the current range"},
		{LAB_SERVICECIDR, 36, 0, "10.17.0.1",
		 "422 Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.17.0.1\"]: "
		 "failed to allocate IP 10.17.0.1: the provided network does not match the current "
		 "range"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;
		char got[512];

		TEST("a Service with %s on 1.%u, server %d",
		     rows[i].address ? rows[i].address : "any address", rows[i].minor,
		     rows[i].server);
		world_open(&w, rows[i].regime, rows[i].minor, "10.96.0.0/16", "10.17.0.0/16");
		create(&w, rows[i].server, "web", rows[i].address, got, sizeof(got));
		CHECK_STR(got, rows[i].want);
		world_close(&w);
	}
}

static void test_taken(void)
{
	struct world w;
	char got[512];

	TEST("an address is given out once");
	world_open(&w, LAB_SERVICECIDR, 36, "10.96.0.0/16", "10.96.0.0/16");
	lab_create(&w.lab, "servicecidrs",
		   json_pack("{s:{s:s},s:{s:[s]}}", "metadata", "name", "kubernetes", "spec",
			     "cidrs", "10.96.0.0/16"));
	create(&w, 0, "web", "10.96.3.3", got, sizeof(got));
	CHECK_STR(got, "201 10.96.3.3");
	create(&w, 1, "other", "10.96.3.3", got, sizeof(got));
	CHECK(strstr(got, "failed to allocate IP 10.96.3.3: provided IP is already allocated"));
	CHECK(store_find(w.lab.store, "ipaddresses", NULL, "10.96.3.3"));
	create(&w, 1, "web", NULL, got, sizeof(got));
	CHECK_STR(got, "409 services \"web\" already exists");
	world_close(&w);
}

static void test_repair(void)
{
	struct world w;
	char got[512];

	TEST("a server's repair writes its own range, and the others can allocate no more");
	world_open(&w, LAB_BITMAP, 32, "10.96.0.0/16", "10.17.0.0/16");
	allocator_repair(&w.servers[1]);
	CHECK_STR(w.lab.bitmap_range, "10.17.0.0/16");
	create(&w, 0, "web", NULL, got, sizeof(got));
	CHECK_STR(got, "500 Internal error occurred: failed to allocate a serviceIP: the provided "
		       "range does not match the current range");
	create(&w, 1, "web", "10.17.0.9", got, sizeof(got));
	CHECK_STR(got, "201 10.17.0.9");
	world_close(&w);
}

/* The two legs, as merge patches would leave the object. */
static void test_flip(void)
{
	char space[] = "shop";
	char name[] = "web";
	char version[] = "v1";
	const struct api_target target = {store_type_find("", "services"), version, space, name,
					  NULL};
	auto_answer struct answer answer = {0};
	json_t *object;
	struct world w;
	char got[512];

	TEST("a Service moves by way of ExternalName, and in no other");
	world_open(&w, LAB_BITMAP, 32, "10.96.0.0/16", "10.96.0.0/16");
	create(&w, 0, "web", "10.96.3.3", got, sizeof(got));
	object = lab_edit(&w.lab, "services", "shop", "web");
	json_object_set_new(json_object_get(object, "spec"), "clusterIP", json_string("10.96.4.4"));
	json_object_set_new(json_object_get(object, "spec"), "clusterIPs",
			    json_pack("[s]", "10.96.4.4"));
	CHECK_INT(api_replace(&w.servers[0], &target, object, false, &answer), -1);
	CHECK(answer.message && strstr(answer.message, "may not change once set"));
	json_decref(object);
	answer_release(&answer);

	object = lab_edit(&w.lab, "services", "shop", "web");
	json_object_set_new(json_object_get(object, "spec"), "type", json_string("ExternalName"));
	json_object_set_new(json_object_get(object, "spec"), "externalName",
			    json_string("web.example"));
	CHECK_INT(api_replace(&w.servers[0], &target, object, false, &answer), 0);
	CHECK(!json_object_get(w.lab.bitmap, "10.96.3.3"));
	json_decref(object);
	answer_release(&answer);

	object = lab_edit(&w.lab, "services", "shop", "web");
	json_object_set_new(json_object_get(object, "spec"), "type", json_string("ClusterIP"));
	json_object_del(json_object_get(object, "spec"), "externalName");
	json_object_set_new(json_object_get(object, "spec"), "clusterIP", json_string("10.96.4.4"));
	CHECK_INT(api_replace(&w.servers[0], &target, object, false, &answer), 0);
	CHECK_STR(json_path_text(store_find(w.lab.store, "services", "shop", "web"),
				 "spec.clusterIPs.0"),
		  "10.96.4.4");
	CHECK(json_object_get(w.lab.bitmap, "10.96.4.4"));
	answer_release(&answer);
	CHECK_INT(api_replace(&w.servers[0], &target, object, false, &answer), -1);
	CHECK_INT(answer.code, 409);
	json_decref(object);
	world_close(&w);
}

int main(void)
{
	test_refusals();
	test_taken();
	test_repair();
	test_flip();
	return test_done();
}
