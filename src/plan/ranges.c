/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

#define RANGE_FLAG "service-cluster-ip-range"
#define DUAL_WRITE_GATE "DisableAllocatorDualWrite"

/* Anything in the manifests folder that defines a program which another file of the right name
 * defines, too. */
static void range_stray(struct planner *p, enum plan_stage stage, const struct cluster_node *node)
{
	for (size_t i = 0; i < node->host.manifest_count; i++) {
		const struct cluster_manifest *m = &node->host.manifests[i];
		auto_free char *right = NULL;
		auto_free char *subject = NULL;

		if (!m->program)
			continue;
		right = alloc_format("/etc/kubernetes/manifests/%s.yaml", m->program);
		if (strcmp(m->path, right) == 0)
			continue;
		subject = alloc_format("%s:%s", node->name, m->path);
		plan_step_why(
			plan_add(p->plan, stage, "stray-manifest", subject,
				 json_pack("{s:s, s:s}", "node", node->name, "path", m->path)),
			"kubelet runs every file in the folder, so an old copy wins or competes");
	}
}

/* The gates as they are with the one that ends dual writing switched on. */
static char *range_gates(const char *gates)
{
	const char *found = gates ? strstr(gates, DUAL_WRITE_GATE "=false") : NULL;

	if (found)
		return alloc_format("%.*s" DUAL_WRITE_GATE "=true%s", (int)(found - gates), gates,
				    found + strlen(DUAL_WRITE_GATE "=false"));
	if (gates && *gates)
		return alloc_format("%s," DUAL_WRITE_GATE "=true", gates);
	return alloc_text(DUAL_WRITE_GATE "=true");
}

/* All API servers, for those who wait for them or stand in for one of them. */
static json_t *range_api_servers(const struct planner *p)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (node->control_plane && node->address)
			json_array_append_new(
				servers, json_pack("{s:s, s:s, s:i}", "node", node->name, "address",
						   node->address, "port",
						   node->api_port ? (int)node->api_port : 6443));
	}
	return servers;
}

/* Aliases of default/kubernetes with slices of ours, as planned so far. */
static json_t *range_aliases(const struct planner *p)
{
	json_t *aliases = json_array();

	for (size_t i = 0; i < p->plan->count; i++) {
		const json_t *parameters = p->plan->steps[i].parameters;

		if (strcmp(p->plan->steps[i].kind, "alias") == 0 &&
		    json_object_get(parameters, "endpoints"))
			json_array_append_new(
				aliases, json_pack("{s:O, s:O}", "namespace",
						   json_object_get(parameters, "namespace"), "name",
						   json_object_get(parameters, "name")));
	}
	return aliases;
}

/* A restart that nobody notices; in a repair the servers are not in use at the address that
 * matters, and seconds count. */
static const char *range_kind(const struct planner *p, bool api, json_t *parameters)
{
	json_t *servers;

	if (!planner_migrates(p))
		return "manifest-flags";
	if (!api)
		return "roll";
	servers = range_api_servers(p);
	if (json_array_size(servers) > 1)
		json_object_set_new(parameters, "keepOut",
				    json_string(p->cluster->major > 1 || p->cluster->minor >= 30
							? "policy"
							: "webhook"));
	json_object_set_new(parameters, "servers", servers);
	json_object_set_new(parameters, "aliases", range_aliases(p));
	return "roll";
}

static void range_component(struct planner *p, enum plan_stage stage,
			    const struct cluster_node *node,
			    const struct cluster_component *component, const char *program,
			    bool api)
{
	auto_free char *subject =
		alloc_format("%s:/etc/kubernetes/manifests/%s.yaml", node->name, program);
	auto_json json_t *flags = json_array();
	json_t *parameters;
	const char *kind;
	bool manifest_new = cluster_range_equal(component->manifest_range, p->to);
	bool running_new =
		!component->running_range || cluster_range_equal(component->running_range, p->to);

	if (!component->manifest_known || (!api && !component->manifest_range))
		return;
	if (!manifest_new || !running_new)
		json_array_append_new(flags,
				      json_pack("{s:s, s:s}", "name", RANGE_FLAG, "value", p->to));
	/* the old bitmap stands in the way of another range only */
	if (api && p->cluster->regime == CLUSTER_REGIME_DUAL_WRITE && p->former.count) {
		auto_free char *gates = range_gates(component->manifest_feature_gates);

		json_array_append_new(
			flags, json_pack("{s:s, s:s}", "name", "feature-gates", "value", gates));
	}
	if (json_array_size(flags) == 0)
		return;
	parameters = json_pack("{s:s, s:s, s:s, s:O}", "node", node->name, "path",
			       strchr(subject, ':') + 1, "program", program, "flags", flags);
	if (api) {
		json_object_set_new(parameters, "address", json_string(node->address));
		json_object_set_new(parameters, "port",
				    json_integer(node->api_port ? node->api_port : 6443));
	}
	kind = range_kind(p, api, parameters);
	plan_step_why(plan_add(p->plan, stage, kind, subject, parameters),
		      "every server must give out the same range");
}

static bool range_rolls(const struct planner *p)
{
	for (size_t i = 0; i < p->plan->count; i++)
		if (strcmp(p->plan->steps[i].kind, "roll") == 0)
			return true;
	return false;
}

/* One control plane after the other, and what kubeadm reads with the last. */
static void range_servers(struct planner *p, enum plan_stage stage)
{
	auto_json json_t *none = json_array();
	auto_json json_t *servers = range_api_servers(p);

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (!node->control_plane)
			continue;
		range_stray(p, stage, node);
		range_component(p, stage, node, &node->host.api_server, "kube-apiserver", true);
		range_component(p, stage, node, &node->host.controller_manager,
				"kube-controller-manager", false);
	}
	if (planner_migrates(p) && json_array_size(servers) > 1 && range_rolls(p))
		plan_step_why(plan_add(p->plan, stage, "converge", "all nodes",
				       json_pack("{s:O, s:b}", "servers", servers, "remove", 1)),
			      "the next stage relies on what the last server's return changed");
	if (planner_migrates(p) && p->cluster->kubeadm_known)
		planner_kubeadm_config(p, stage, p->to, none);
}

static void range_object(struct planner *p)
{
	const char *api = planner_cidr_api(p);

	if (api && !cluster_find_cover(p->cluster, p->first))
		plan_step_why(plan_add(p->plan, PLAN_STAGE_RANGES, "service-cidr",
				       "ServiceCIDR/" CLUSTER_NEW_CIDR_NAME,
				       json_pack("{s:s, s:s, s:[s]}", "api", api, "name",
						 CLUSTER_NEW_CIDR_NAME, "cidrs", p->to)),
			      "addresses are given out from Ready ServiceCIDRs only, whatever the "
			      "flags say");
}

/* Where ServiceCIDR objects alone decide, a range is an object, and flags are a default. */
static bool range_flags_come_last(const struct planner *p)
{
	return planner_migrates(p) && p->cluster->regime == CLUSTER_REGIME_SERVICECIDR;
}

/*
 * Dual writing: a server with another range than the bitmap's refuses every address of it, but with
 * dual writing switched off by the same restart it does not ask the bitmap; servers that were not
 * restarted yet take addresses outside of their own range without it.
 */
void planner_ranges(struct planner *p)
{
	if (range_flags_come_last(p)) {
		range_object(p);
		return;
	}
	if (planner_migrates(p)) {
		range_object(p);
		range_servers(p, PLAN_STAGE_RANGES);
		return;
	}
	range_servers(p, PLAN_STAGE_RANGES);
	range_object(p);
}

void planner_defaults(struct planner *p)
{
	const struct cluster_service_cidr *current = cluster_default_cidr(p->cluster);
	const char *api = planner_cidr_api(p);
	json_t *old;

	if (range_flags_come_last(p))
		range_servers(p, PLAN_STAGE_DEFAULTS);
	if (!api || !current || !current->cidrs.count ||
	    cluster_range_equal(current->cidrs.items[0], p->to))
		return;
	old = json_array();
	for (size_t i = 0; i < current->cidrs.count; i++)
		json_array_append_new(old, json_string(current->cidrs.items[i]));
	plan_step_why(plan_add(p->plan, PLAN_STAGE_DEFAULTS, "service-cidr-default",
			       "ServiceCIDR/kubernetes",
			       json_pack("{s:s, s:o, s:[s], s:s}", "api", api, "old", old, "new",
					 p->to, "cover", CLUSTER_OLD_CIDR_NAME)),
		      "API servers never change the default ServiceCIDR, they only make it when it "
		      "is missing");
	if (!cluster_find_cover(p->cluster, p->first))
		plan_add(p->plan, PLAN_STAGE_DEFAULTS, "service-cidr-delete",
			 "ServiceCIDR/" CLUSTER_NEW_CIDR_NAME,
			 json_pack("{s:s, s:s, s:s}", "api", api, "name", CLUSTER_NEW_CIDR_NAME,
				   "wait", "yes"));
}
