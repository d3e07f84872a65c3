/* SPDX-License-Identifier: MIT */
#include "lab/allocator.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "text/json.h"

#define ALLOCATOR_TAKEN "provided IP is already allocated"
#define ALLOCATOR_OTHER_RANGE "the provided range does not match the current range"
#define ALLOCATOR_OTHER_NETWORK "the provided network does not match the current range"

bool allocator_range(const char *text, struct net_cidr *ret)
{
	auto_error struct error err = {0};

	return text && net_cidr_parse_sloppy(slice_of(text), ret, &err) == 0;
}

bool allocator_usable(const json_t *service_cidr)
{
	const json_t *condition;
	size_t i;

	if (json_path(service_cidr, "metadata.deletionTimestamp"))
		return false;
	json_array_foreach(json_path(service_cidr, "status.conditions"), i, condition)
		if (json_path_is(condition, "type", "Ready"))
			return json_path_is(condition, "status", "True");
	return true;
}

static bool allocator_inside(struct net_cidr range, const char *address)
{
	struct net_address a;

	return net_address_read(slice_of(address), &a) && net_cidr_contains(range, a);
}

/* The network's own address and the broadcast address are nobody's. */
static bool allocator_is_edge(struct net_cidr range, const char *address)
{
	struct net_address a;

	return net_address_read(slice_of(address), &a) &&
	       (net_address_equal(a, range.base) || net_address_equal(a, net_cidr_last(range)));
}

/* Any that is free: not from the lower part, which is left to explicit wishes. */
static char *allocator_any(struct lab *lab, struct net_cidr range,
			   bool (*is_free)(struct lab *, const char *))
{
	uint64_t size = net_cidr_size(range);
	uint64_t low = size / 16 < 16 ? 16 : size / 16 > 256 ? 256 : size / 16;
	uint64_t span;

	if (size <= low + 2)
		low = 0;
	span = size - low - 2;
	for (uint64_t i = 0, at = lab_random(lab, span); i < span; i++, at = (at + 1) % span) {
		char *text = alloc_text(net_address_text(net_cidr_nth(range, low + 1 + at)).text);

		if (is_free(lab, text))
			return text;
		free(text);
	}
	for (uint64_t i = 1; i <= low; i++) {
		char *text = alloc_text(net_address_text(net_cidr_nth(range, i)).text);

		if (is_free(lab, text))
			return text;
		free(text);
	}
	return NULL;
}

/* --- the bitmap ------------------------------------------------------------------------------- */

static bool allocator_bit_free(struct lab *lab, const char *address)
{
	return !json_object_get(lab->bitmap, address);
}

/* 0, or the problem. */
static const char *allocator_bit(struct lab_server *server, const char *address)
{
	struct lab *lab = server->lab;

	if (strcmp(lab->bitmap_range, server->range) != 0)
		return ALLOCATOR_OTHER_RANGE;
	if (!allocator_bit_free(lab, address))
		return ALLOCATOR_TAKEN;
	json_object_set_new(lab->bitmap, address, json_true());
	return NULL;
}

static char *allocator_outside(const struct lab *lab, const char *wanted, const char *range)
{
	auto_free char *subject = lab_since(lab, 24) ? alloc_format("the provided IP (%s)", wanted)
						     : alloc_text("provided IP");

	return alloc_format("%s is not in the valid range. The range of valid IPs is %s", subject,
			    range);
}

/* Nobody looks whether the address is free, and any is the first one, that of the network. */
static char *allocator_dry(struct net_cidr range, const char *wanted)
{
	return alloc_text(wanted ? wanted : net_address_text(range.base).text);
}

static char *allocator_take_bit(struct lab_server *server, const char *wanted, bool dry,
				char **ret_problem)
{
	struct lab *lab = server->lab;
	const char *problem;
	struct net_cidr range;
	char *address;

	if (!allocator_range(server->range, &range)) {
		*ret_problem = alloc_text("allocator not ready");
		return NULL;
	}
	if (wanted && (!allocator_inside(range, wanted) || allocator_is_edge(range, wanted))) {
		*ret_problem = allocator_outside(lab, wanted, server->range);
		return NULL;
	}
	if (dry)
		return allocator_dry(range, wanted);
	if (!wanted && strcmp(lab->bitmap_range, server->range) != 0) {
		*ret_problem = alloc_text(ALLOCATOR_OTHER_RANGE);
		return NULL;
	}
	address = wanted ? alloc_text(wanted) : allocator_any(lab, range, allocator_bit_free);
	if (!address) {
		*ret_problem = alloc_text("range is full");
		return NULL;
	}
	problem = allocator_bit(server, address);
	if (problem) {
		*ret_problem = alloc_text(problem);
		free(address);
		return NULL;
	}
	return address;
}

void allocator_repair(struct lab_server *server)
{
	struct lab *lab = server->lab;
	struct net_cidr range;
	const char *key;
	json_t *service;

	if (lab->options.regime != LAB_BITMAP || !allocator_range(server->range, &range))
		return;
	free(lab->bitmap_range);
	lab->bitmap_range = alloc_text(server->range);
	json_object_clear(lab->bitmap);
	json_object_foreach(store_all(lab->store, "services"), key, service) {
		const char *address = json_path_text(service, "spec.clusterIP");
		struct net_address a;

		if (!address || !net_address_read(slice_of(address), &a))
			continue;
		if (net_cidr_contains(range, a)) {
			json_object_set_new(lab->bitmap, address, json_true());
			continue;
		}
		lab_event(lab, "Service", json_path_text(service, "metadata.namespace"),
			  json_path_text(service, "metadata.name"), "ClusterIPOutOfRange",
			  "Cluster IP [IPv4]:%s is not within the service CIDR %s; please "
			  "recreate service",
			  address, server->range);
	}
}

/* --- objects ---------------------------------------------------------------------------------- */

static bool allocator_object_free(struct lab *lab, const char *address)
{
	return !store_find(lab->store, "ipaddresses", NULL, address);
}

static void allocator_make_object(struct lab *lab, const char *address, const char *space,
				  const char *name)
{
	lab_create(lab, "ipaddresses",
		   json_pack("{s:{s:s,s:{s:s,s:s}},s:{s:{s:s,s:s,s:s}}}", "metadata", "name",
			     address, "labels", "ipaddress.kubernetes.io/ip-family", "IPv4",
			     "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io", "spec",
			     "parentRef", "resource", "services", "namespace", space, "name",
			     name));
}

/* The ranges that may be allocated from. */
static size_t allocator_ranges(struct lab *lab, struct net_cidr *ret, size_t max)
{
	const char *key;
	json_t *object;
	size_t count = 0;

	json_object_foreach(store_all(lab->store, "servicecidrs"), key, object) {
		const json_t *text;
		size_t i;

		if (!allocator_usable(object))
			continue;
		json_array_foreach(json_path(object, "spec.cidrs"), i, text)
			if (count < max && allocator_range(json_string_value(text), &ret[count]))
				count++;
	}
	return count;
}

static const char *allocator_object_problem(struct lab *lab, const struct net_cidr *ranges,
					    size_t count, const char *wanted)
{
	size_t i = 0;

	while (i < count &&
	       (!allocator_inside(ranges[i], wanted) || allocator_is_edge(ranges[i], wanted)))
		i++;
	if (i == count)
		return ALLOCATOR_OTHER_NETWORK;
	return allocator_object_free(lab, wanted) ? NULL : ALLOCATOR_TAKEN;
}

/* By any of the ranges that are Ready, whichever comes first. */
static char *allocator_dry_object(struct lab *lab, const char *wanted, char **ret_problem)
{
	struct net_cidr ranges[16];
	size_t count = allocator_ranges(lab, ranges, 16);
	struct net_cidr range = ranges[count ? lab_random(lab, count) : 0];

	if (!count) {
		*ret_problem = alloc_text("allocator not ready");
		return NULL;
	}
	if (wanted && (!allocator_inside(range, wanted) || allocator_is_edge(range, wanted))) {
		*ret_problem = allocator_outside(lab, wanted, net_cidr_text(range).text);
		return NULL;
	}
	return allocator_dry(range, wanted);
}

static char *allocator_take_object(struct lab_server *server, const char *space, const char *name,
				   const char *wanted, char **ret_problem)
{
	struct lab *lab = server->lab;
	struct net_cidr ranges[16];
	size_t count = allocator_ranges(lab, ranges, 16);
	const char *problem = NULL;
	struct net_cidr own;
	char *address = NULL;

	if (wanted)
		problem = allocator_object_problem(lab, ranges, count, wanted);
	else if (!count)
		problem = "range is full";
	if (!problem) {
		address = wanted ? alloc_text(wanted)
				 : allocator_any(lab, ranges[lab_random(lab, count)],
						 allocator_object_free);
		problem = address ? NULL : "range is full";
	}
	if (!problem && lab->options.regime == LAB_DUAL_WRITE && !server->single_write &&
	    allocator_range(server->range, &own) && allocator_inside(own, address))
		problem = allocator_bit(server, address);
	if (problem) {
		free(address);
		*ret_problem = alloc_text(problem);
		return NULL;
	}
	allocator_make_object(lab, address, space, name);
	return address;
}

void allocator_repair_objects(struct lab *lab)
{
	auto_json json_t *services = json_copy(store_all(lab->store, "services"));
	struct net_cidr ranges[16];
	size_t count = allocator_ranges(lab, ranges, 16);
	const char *key;
	json_t *service;

	if (lab->options.regime == LAB_BITMAP)
		return;
	json_object_foreach(services, key, service) {
		const char *space = json_path_text(service, "metadata.namespace");
		const char *name = json_path_text(service, "metadata.name");
		const char *address = json_path_text(service, "spec.clusterIP");
		struct net_address a;
		size_t i = 0;

		if (!address || !net_address_read(slice_of(address), &a))
			continue;
		while (i < count && !net_cidr_contains(ranges[i], a))
			i++;
		if (i == count) {
			lab_event(lab, "Service", space, name, "ClusterIPOutOfRange",
				  "Cluster IP [IPv4]: %s is not within any configured Service "
				  "CIDR; please recreate service",
				  address);
		} else if (allocator_object_free(lab, address)) {
			allocator_make_object(lab, address, space, name);
		}
	}
}

/* --- both ------------------------------------------------------------------------------------- */

char *allocator_take(struct lab_server *server, const char *space, const char *name,
		     const char *wanted, bool dry, char **ret_problem)
{
	if (server->lab->options.regime == LAB_BITMAP)
		return allocator_take_bit(server, wanted, dry, ret_problem);
	if (dry)
		return allocator_dry_object(server->lab, wanted, ret_problem);
	return allocator_take_object(server, space, name, wanted, ret_problem);
}

void allocator_release(struct lab_server *server, const char *address)
{
	struct lab *lab = server->lab;
	bool own = strcmp(lab->bitmap_range, server->range) == 0;

	/* a server whose range is not the one written last loses this without a word */
	if (lab->options.regime != LAB_SERVICECIDR && own)
		json_object_del(lab->bitmap, address);
	if (lab->options.regime != LAB_BITMAP)
		lab_delete(lab, "ipaddresses", NULL, address);
}
