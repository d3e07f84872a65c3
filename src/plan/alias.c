/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/*
 * Which mechanism keeps an old address answering here:
 *   clusterip  where ServiceCIDR objects decide and one that is Ready covers the free address
 *   bridge     from 1.24 on: LoadBalancer classes exist
 *   status     before: any Service may have an address in its status
 */
static const char *alias_mechanism(const struct planner *p, const char *old, bool dead)
{
	if (dead && p->cluster->service_cidr_api && !planner_is_new(p, old) &&
	    cluster_find_cover(p->cluster, old))
		return "clusterip";
	return p->cluster->major > 1 || p->cluster->minor >= 24 ? "bridge" : "status";
}

/* A Service's name has 63 characters at most: long ones end in a hash of the whole. */
static char *alias_name(const char *name, const char *suffix)
{
	uint32_t hash = 2166136261u;

	if (strlen(name) + strlen(suffix) <= 63)
		return alloc_format("%s%s", name, suffix);
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return alloc_format("%.*s-%08x%s", (int)(63 - strlen(suffix) - 9), name, hash, suffix);
}

static bool alias_is_free(const struct planner *p, struct net_address address)
{
	struct net_text text = net_address_text(address);

	if (cluster_find_holder(p->cluster, text.text))
		return false;
	for (size_t i = 0; i < p->claimed_count; i++)
		if (net_address_equal(p->claimed[i], address))
			return false;
	for (size_t i = 0; i < p->map.count; i++)
		if (net_address_equal(p->map.pairs[i].to, address))
			return false;
	return true;
}

/* An address of the new range for an alias' own clusterIP, from the upper end downwards: far from
 * the host parts that Services keep. NULL: none is free. */
static json_t *alias_own_address(struct planner *p)
{
	uint64_t size = net_cidr_size(p->to_cidr);

	if (size > 65536)
		size = 65536;
	for (uint64_t n = size - 2; n > 10; n--) {
		struct net_address address = net_cidr_nth(p->to_cidr, n);

		if (!net_address_is_set(address) || !alias_is_free(p, address))
			continue;
		ALLOC_GROW(p->claimed, p->claimed_count, p->claimed_capacity);
		p->claimed[p->claimed_count++] = address;
		return json_string(net_address_text(address).text);
	}
	return NULL;
}

/* default/kubernetes has no selector: its endpoints are the control planes themselves. */
static json_t *alias_api_endpoints(const struct cluster *c)
{
	json_t *endpoints = json_array();

	for (size_t i = 0; i < c->node_count; i++) {
		auto_free char *endpoint = NULL;

		if (!c->nodes[i].control_plane || !c->nodes[i].address)
			continue;
		endpoint = alloc_format("%s:%u", c->nodes[i].address,
					c->nodes[i].api_port ? c->nodes[i].api_port : 6443);
		json_array_append_new(endpoints, json_string(endpoint));
	}
	return endpoints;
}

char *planner_add_alias(struct planner *p, enum plan_stage stage, const char *namespace_,
			const char *name, const struct cluster_service *service, const char *old,
			const char *new_)
{
	bool api = strcmp(namespace_, "default") == 0 && strcmp(name, "kubernetes") == 0;
	const char *mechanism = alias_mechanism(p, old, stage == PLAN_STAGE_TOURNIQUET);
	bool by_status = strcmp(mechanism, "clusterip") != 0;
	char *alias = alias_name(name, by_status ? "-renumber-bridge" : "-renumber-previous");
	auto_free char *subject = planner_subject("Service", namespace_, alias);
	json_t *addresses = json_pack("[s]", old);
	json_t *own = by_status ? alias_own_address(p) : NULL;
	json_t *parameters =
		json_pack("{s:s, s:s, s:s, s:s, s:o}", "namespace", namespace_, "name", alias, "of",
			  name, "mechanism", mechanism, "addresses", addresses);
	struct plan_step *step;

	if (new_)
		json_array_append_new(addresses, json_string(new_));
	if (own)
		json_object_set_new(parameters, "clusterIP", own);
	if (api) {
		json_object_set_new(parameters, "endpoints", alias_api_endpoints(p->cluster));
		json_object_set_new(parameters, "template",
				    json_pack("{s:[{s:s, s:i, s:s, s:i}]}", "ports", "name",
					      "https", "port", 443, "protocol", "TCP", "targetPort",
					      6443));
	} else if (service && !service->has_selector) {
		json_object_set_new(parameters, "copyEndpoints", json_true());
	}
	step = plan_add(p->plan, stage, "alias", subject, parameters);
	plan_step_why(step, "running containers dial %s until they are restarted", old);
	return alias;
}

static void tourniquet_one(struct planner *p, const struct cluster_dead_address *dead)
{
	const struct cluster_service *service;
	auto_free char *alias = NULL;

	switch (dead->role) {
	case CLUSTER_DEAD_KUBERNETES:
		service = cluster_find_service(p->cluster, "default", "kubernetes");
		alias = planner_add_alias(p, PLAN_STAGE_TOURNIQUET, "default", "kubernetes",
					  service, dead->address, NULL);
		return;
	case CLUSTER_DEAD_DNS:
		service = cluster_find_service(p->cluster, "kube-system", "kube-dns");
		if (service) {
			alias = planner_add_alias(p, PLAN_STAGE_TOURNIQUET, "kube-system",
						  "kube-dns", service, dead->address, NULL);
			return;
		}
		break;
	case CLUSTER_DEAD_OTHER:
		break;
	}
	plan_note(p->plan,
		  "%zu container%s still dial %s, and nothing tells which Service that was; "
		  "restarting them "
		  "(stage workloads) helps",
		  dead->user_count, dead->user_count == 1 ? "" : "s", dead->address);
}

void planner_tourniquet(struct planner *p)
{
	const struct cluster_dead_address *dead;
	size_t count = cluster_dead_addresses(p->cluster, &dead);

	for (size_t i = 0; i < count; i++)
		if (!dead[i].alias && !planner_is_new(p, dead[i].address))
			tourniquet_one(p, &dead[i]);
}
