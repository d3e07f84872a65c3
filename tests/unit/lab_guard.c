/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lab/guard.h"
#include "lib/test.h"
#include "text/json.h"

static void put(struct lab *lab, const char *name, const char *address, const char *ingress)
{
	json_t *service = json_pack("{s:{s:s,s:s},s:{s:s},s:{}}", "metadata", "name", name,
				    "namespace", "shop", "spec", "clusterIP", address, "status");

	if (ingress)
		json_object_set_new(json_object_get(service, "status"), "loadBalancer",
				    json_pack("{s:[{s:s}]}", "ingress", "ip", ingress));
	lab_put(lab, "services", service);
}

static size_t seen(struct guard *guard)
{
	auto_json json_t *list = NULL;

	guard_look(guard, "PUT", "/x");
	list = guard_seen(guard);
	return json_array_size(list);
}

static void test_addresses(void)
{
	struct lab lab = {.store = store_new()};
	struct guard *guard;

	put(&lab, "web", "10.96.0.7", NULL);
	put(&lab, "cache", "10.96.0.8", NULL);
	guard = guard_new(&lab);

	TEST("an alias takes the address over");
	put(&lab, "bridge", "10.17.0.9", "10.96.0.7");
	CHECK_INT(seen(guard), 0);
	put(&lab, "web", "10.17.0.7", NULL);
	CHECK_INT(seen(guard), 0);

	TEST("nobody claims it any more");
	lab_delete(&lab, "services", "shop", "bridge");
	CHECK_INT(seen(guard), 1);

	TEST("one whose Service goes by somebody's will");
	guard_release(guard, "10.96.0.8");
	lab_delete(&lab, "services", "shop", "cache");
	CHECK_INT(seen(guard), 1);

	TEST("one that was dead counts from when it is claimed");
	put(&lab, "previous", "10.96.0.1", NULL);
	CHECK_INT(seen(guard), 1);
	lab_delete(&lab, "services", "shop", "previous");
	CHECK_INT(seen(guard), 2);

	guard_free(guard);
	store_free(lab.store);
}

int main(void)
{
	test_addresses();
	return test_done();
}
