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

/* A Service can have several old addresses that are still dialled, each with an alias. */
static char *alias_unique_name(struct planner *p, const char *namespace_, const char *name,
			       const char *suffix)
{
	for (int i = 1;; i++) {
		auto_free char *numbered =
			i == 1 ? alloc_text(suffix) : alloc_format("%s-%d", suffix, i);
		auto_free char *found = alias_name(name, numbered);
		auto_free char *place = alloc_format("%s/%s", namespace_, found);

		if (!p->alias_names)
			p->alias_names = json_object();
		if (json_object_get(p->alias_names, place))
			continue;
		json_object_set_new(p->alias_names, place, json_true());
		return steal(found);
	}
}

/* ---- addresses of the aliases themselves ---- */

/* Host parts beyond are left alone: enough for any cluster. */
#define ALIAS_HOSTS 65536

static void alias_mark(struct planner *p, struct net_address address)
{
	uint64_t host = net_cidr_host(p->to_cidr, address);

	if (host < ALIAS_HOSTS)
		p->used[host / 8] |= (unsigned char)(1u << host % 8);
}

static void alias_mark_texts(struct planner *p, const struct cluster_texts *texts)
{
	struct net_address address;

	for (size_t i = 0; i < texts->count; i++)
		if (net_address_read(slice_of(texts->items[i]), &address))
			alias_mark(p, address);
}

/* Whatever answers in the new range already, and what Services will have there. */
static void alias_mark_all(struct planner *p)
{
	uint64_t size = net_cidr_size(p->to_cidr);

	p->used = alloc_array(ALIAS_HOSTS / 8, 1);
	p->next_own = (size < ALIAS_HOSTS ? size : ALIAS_HOSTS) - 2;
	for (size_t i = 0; i < p->cluster->service_count; i++) {
		alias_mark_texts(p, &p->cluster->services[i].cluster_ips);
		alias_mark_texts(p, &p->cluster->services[i].external_ips);
		alias_mark_texts(p, &p->cluster->services[i].ingress_ips);
	}
}

void planner_hold_addresses(struct planner *p)
{
	if (!p->used)
		alias_mark_all(p);
	for (size_t i = 0; i < p->map.count; i++)
		alias_mark(p, p->map.pairs[i].to);
}

json_t *planner_own_address(struct planner *p)
{
	if (!p->used)
		alias_mark_all(p);
	for (; p->next_own > 10; p->next_own--) {
		struct net_address address = net_cidr_nth(p->to_cidr, p->next_own);

		if (!net_address_is_set(address) ||
		    p->used[p->next_own / 8] & 1u << p->next_own % 8)
			continue;
		p->next_own--;
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

json_t *planner_alias(struct planner *p, const struct planner_alias *wanted)
{
	const char *mechanism = alias_mechanism(p, wanted->old, wanted->dead);
	bool by_status = strcmp(mechanism, "clusterip") != 0;
	auto_free char *alias =
		alias_unique_name(p, wanted->namespace_, wanted->name,
				  by_status ? "-renumber-bridge" : "-renumber-previous");
	json_t *addresses = json_pack("[s]", wanted->old);
	json_t *own = by_status ? planner_own_address(p) : NULL;
	json_t *parameters = json_pack("{s:s, s:s, s:s, s:s, s:o}", "namespace", wanted->namespace_,
				       "name", alias, "of", wanted->name, "mechanism", mechanism,
				       "addresses", addresses);

	if (wanted->new_)
		json_array_append_new(addresses, json_string(wanted->new_));
	/* that of a second family stays, and has no other keeper between the legs */
	for (size_t i = 1;
	     wanted->new_ && wanted->service && i < wanted->service->cluster_ips.count; i++)
		json_array_append_new(addresses,
				      json_string(wanted->service->cluster_ips.items[i]));
	if (own)
		json_object_set_new(parameters, "clusterIP", own);
	if (strcmp(wanted->namespace_, "default") == 0 && strcmp(wanted->name, "kubernetes") == 0) {
		json_object_set_new(parameters, "endpoints", alias_api_endpoints(p->cluster));
		json_object_set_new(parameters, "template",
				    json_pack("{s:[{s:s, s:i, s:s, s:i}]}", "ports", "name",
					      "https", "port", 443, "protocol", "TCP", "targetPort",
					      6443));
	} else if (wanted->service && !wanted->service->has_selector) {
		json_object_set_new(parameters, "copyEndpoints", json_true());
	}
	return parameters;
}

json_t *planner_alias_swap(struct planner *p, const struct cluster_service *service, json_t *bridge)
{
	auto_free char *alias =
		alias_unique_name(p, service->namespace_, service->name, "-renumber-previous");
	json_t *parameters =
		json_pack("{s:s, s:s, s:s, s:s, s:[s], s:O, s:O}", "namespace", service->namespace_,
			  "name", alias, "of", service->name, "mechanism", "clusterip", "addresses",
			  service->cluster_ips.items[0], "replaces",
			  json_object_get(bridge, "name"), "bridge", bridge);

	if (!service->has_selector)
		json_object_set_new(parameters, "copyEndpoints", json_true());
	return parameters;
}

/* An address of an old range that nobody has, the n-th from its upper end. NULL: there is none. */
static json_t *alias_free_old(const struct planner *p, size_t n)
{
	struct net_cidr_list list;
	auto_error struct error ignored = {0};

	if (!p->former.count ||
	    net_cidr_list_parse_sloppy(slice_of(p->former.items[0]), &list, &ignored) < 0)
		return NULL;
	for (uint64_t i = net_cidr_size(list.item[0]) - 2; i > 10; i--) {
		struct net_address address = net_cidr_nth(list.item[0], i);
		struct net_text text = net_address_text(address);

		if (net_address_is_set(address) && !cluster_find_holder(p->cluster, text.text) &&
		    n-- == 0)
			return json_string(text.text);
	}
	return NULL;
}

static void canary_add(const struct planner *p, json_t *mechanisms, const char *mechanism)
{
	json_t *address = alias_free_old(p, json_array_size(mechanisms));

	if (address)
		json_array_append_new(mechanisms, json_pack("{s:s, s:o}", "mechanism", mechanism,
							    "address", address));
}

void planner_canary(struct planner *p)
{
	json_t *mechanisms;

	if (!p->move_count)
		return;
	mechanisms = json_array();
	canary_add(p, mechanisms, alias_mechanism(p, "", /* dead= */ false));
	if (p->cluster->service_cidr_api)
		canary_add(p, mechanisms, "clusterip");
	plan_step_why(plan_add(p->plan, PLAN_STAGE_PREFLIGHT, "canary", "all nodes",
			       json_pack("{s:o, s:o}", "mechanisms", mechanisms, "endpoints",
					 alias_api_endpoints(p->cluster))),
		      "what keeps old addresses answering must work here before anything depends "
		      "on it");
}

/* "front-end" is FRONT_END in the variables that kubelet makes (pkg/kubelet/envvars). */
static bool alias_is_variable(const char *service, const char *variable)
{
	for (; *service && *variable; service++, variable++) {
		char c = *service;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if ((c == '-' ? '_' : c) != *variable)
			return false;
	}
	return !*service && !*variable;
}

static const struct cluster_service *alias_variable_service(const struct cluster *c,
							    const char *namespace_,
							    const char *variable)
{
	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (!s->alias_run && !s->headless && s->cluster_ips.count &&
		    strcmp(s->namespace_, namespace_) == 0 && alias_is_variable(s->name, variable))
			return s;
	}
	return NULL;
}

/* The Service that had this address when the containers that still dial it were started: they
 * know it by name. */
static const struct cluster_service *alias_owner(const struct cluster *c, const char *address)
{
	for (size_t n = 0; n < c->node_count; n++) {
		const struct cluster_host *host = &c->nodes[n].host;

		for (size_t i = 0; i < host->container_count; i++) {
			const struct cluster_container *container = &host->containers[i];
			const struct cluster_pod *pod = cluster_find_pod_uid(c, container->pod_uid);
			const struct cluster_service *found = NULL;

			for (size_t k = 0; pod && k < container->service_hosts.count; k++)
				if (!found &&
				    strcmp(container->service_hosts.items[k], address) == 0)
					found = alias_variable_service(
						c, pod->namespace_,
						container->service_names.items[k]);
			if (found)
				return found;
		}
	}
	return NULL;
}

static void tourniquet_alias(struct planner *p, const struct cluster_dead_address *dead,
			     const char *namespace_, const char *name,
			     const struct cluster_service *service)
{
	const struct planner_alias wanted = {
		.namespace_ = namespace_,
		.name = name,
		.service = service,
		.old = dead->address,
		.dead = true,
	};
	json_t *parameters = planner_alias(p, &wanted);
	auto_free char *subject =
		planner_subject("Service", namespace_, json_path_text(parameters, "name"));

	plan_step_why(plan_add(p->plan, PLAN_STAGE_TOURNIQUET, "alias", subject, parameters),
		      "running containers dial %s until they are restarted", dead->address);
}

static void tourniquet_one(struct planner *p, const struct cluster_dead_address *dead)
{
	const struct cluster_service *service;

	switch (dead->role) {
	case CLUSTER_DEAD_KUBERNETES:
		tourniquet_alias(p, dead, "default", "kubernetes",
				 cluster_find_service(p->cluster, "default", "kubernetes"));
		return;
	case CLUSTER_DEAD_DNS:
		service = cluster_find_service(p->cluster, "kube-system", "kube-dns");
		if (service) {
			tourniquet_alias(p, dead, "kube-system", "kube-dns", service);
			return;
		}
		break;
	case CLUSTER_DEAD_OTHER:
		service = alias_owner(p->cluster, dead->address);
		if (service) {
			tourniquet_alias(p, dead, service->namespace_, service->name, service);
			return;
		}
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
