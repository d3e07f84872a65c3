/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"
#include "text/kubeadm.h"

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

/* The old bitmap stands in the way of another range only. */
static bool range_ends_dual_write(const struct planner *p)
{
	return p->cluster->regime == CLUSTER_REGIME_DUAL_WRITE && p->former.count;
}

char *planner_gates(const struct planner *p, const struct cluster_component *server)
{
	const char *gates = server->manifest_feature_gates;

	return range_ends_dual_write(p) ? range_gates(gates) : gates ? alloc_text(gates) : NULL;
}

/* The address that default/kubernetes has for the server, where it is not the node's; else NULL. */
static const char *range_endpoint(const struct cluster_node *node)
{
	const char *advertised = node->host.api_server.running_advertise;

	return advertised && node->address && strcmp(advertised, node->address) != 0 ? advertised
										     : NULL;
}

static json_t *range_api_server(const struct cluster_node *node)
{
	json_t *server = json_pack("{s:s, s:s, s:i}", "node", node->name, "address", node->address,
				   "port", node->api_port ? (int)node->api_port : 6443);

	if (range_endpoint(node))
		json_object_set_new(server, "endpoint", json_string(range_endpoint(node)));
	return server;
}

json_t *planner_api_servers(const struct planner *p)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (node->control_plane && node->address)
			json_array_append_new(servers, range_api_server(node));
	}
	return servers;
}

/* How admission says no here: policies are served by default from 1.30 on. */
static const char *range_admission(const struct planner *p)
{
	return p->cluster->major > 1 || p->cluster->minor >= 30 ? "policy" : "webhook";
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
	servers = planner_api_servers(p);
	if (json_array_size(servers) > 1)
		json_object_set_new(parameters, "keepOut", json_string(range_admission(p)));
	json_object_set_new(parameters, "servers", servers);
	return "roll";
}

struct cluster_component planner_component(const struct cluster_node *node,
					   const struct cluster_component *component)
{
	struct cluster_component seen = *component;

	if (!node->host.asked && !seen.manifest_known && seen.pod_range) {
		seen.manifest_known = true;
		seen.manifest_range = seen.pod_range;
		seen.manifest_feature_gates = seen.pod_feature_gates;
	}
	return seen;
}

/* What of the flags differs; empty: nothing, or the manifest is not known. */
static json_t *range_flags(const struct planner *p, const struct cluster_component *component,
			   bool api)
{
	json_t *flags = json_array();
	bool manifest_new = cluster_range_equal(component->manifest_range, p->to);
	bool running_new =
		!component->running_range || cluster_range_equal(component->running_range, p->to);

	if (!component->manifest_known || (!api && !component->manifest_range))
		return flags;
	if (!manifest_new || !running_new)
		json_array_append_new(flags,
				      json_pack("{s:s, s:s}", "name", RANGE_FLAG, "value", p->to));
	if (api && range_ends_dual_write(p)) {
		auto_free char *gates = planner_gates(p, component);

		json_array_append_new(
			flags, json_pack("{s:s, s:s}", "name", "feature-gates", "value", gates));
	}
	return flags;
}

/* Whether an API server is to be restarted. */
static bool range_rolls(const struct planner *p)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		struct cluster_component seen;
		auto_json json_t *flags = NULL;

		if (!node->control_plane)
			continue;
		seen = planner_component(node, &node->host.api_server);
		flags = range_flags(p, &seen, true);
		if (json_array_size(flags))
			return true;
	}
	return false;
}

static void range_component(struct planner *p, enum plan_stage stage,
			    const struct cluster_node *node,
			    const struct cluster_component *component, const char *program,
			    bool api)
{
	auto_free char *subject =
		alloc_format("%s:/etc/kubernetes/manifests/%s.yaml", node->name, program);
	struct cluster_component seen = planner_component(node, component);
	auto_json json_t *flags = range_flags(p, &seen, api);
	json_t *parameters;
	const char *kind;

	if (json_array_size(flags) == 0)
		return;
	parameters = json_pack("{s:s, s:s, s:s, s:O}", "node", node->name, "path",
			       strchr(subject, ':') + 1, "program", program, "flags", flags);
	if (api) {
		json_object_set_new(parameters, "address", json_string(node->address));
		json_object_set_new(parameters, "port",
				    json_integer(node->api_port ? node->api_port : 6443));
		if (range_endpoint(node) && planner_migrates(p))
			json_object_set_new(parameters, "endpoint",
					    json_string(range_endpoint(node)));
	}
	kind = range_kind(p, api, parameters);
	plan_step_why(plan_add(p->plan, stage, kind, subject, parameters),
		      "every server must give out the same range");
}

/* One control plane after the other. */
static void range_nodes(struct planner *p, enum plan_stage stage)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (!node->control_plane)
			continue;
		range_stray(p, stage, node);
		range_component(p, stage, node, &node->host.api_server, "kube-apiserver", true);
		range_component(p, stage, node, &node->host.controller_manager,
				"kube-controller-manager", false);
	}
}

static void range_converge(struct planner *p, enum plan_stage stage, bool remove)
{
	json_t *parameters = json_pack("{s:o}", "servers", planner_api_servers(p));

	if (remove)
		json_object_set_new(parameters, "remove", json_true());
	plan_step_why(plan_add(p->plan, stage, "converge", "all nodes", parameters),
		      remove ? "the next stage relies on what the last server's return changed"
			     : "a node whose proxy is blind would not learn that a server leaves");
}

/* Every server allocates from the range; `implicit`: what it chooses itself is of it, too. */
static void range_allocation(struct planner *p, enum plan_stage stage, bool implicit)
{
	json_t *parameters =
		json_pack("{s:o, s:s}", "servers", planner_api_servers(p), "range", p->to);
	json_t *address = planner_own_address(p);

	if (address)
		json_object_set_new(parameters, "address", address);
	if (implicit)
		json_object_set_new(parameters, "implicit", json_true());
	plan_step_why(plan_add(p->plan, stage, "allocation", "API servers", parameters),
		      "the second leg of a flip fails on a server that does not");
}

/* The first Services to move get addresses that nobody may have by then. Which those are is known
 * when all have one. */
static void range_hold(struct planner *p)
{
	for (size_t i = 0; i < p->move_count; i++) {
		if (!planner_is_held(p->moves[i]))
			continue;
		plan_step_why(plan_add(p->plan, PLAN_STAGE_RANGES, "hold", "Services",
				       json_pack("{s:[]}", "services")),
			      "from now on anybody could ask for these addresses");
		return;
	}
}

static void range_freeze(struct planner *p, enum plan_stage stage, const char *kind)
{
	plan_step_why(
		plan_add(p->plan, stage, kind, "Services",
			 json_pack("{s:s}", "how", range_admission(p))),
		"while ranges differ some servers refuse new Services, and leak the addresses "
		"of deleted ones");
}

/* A control plane that joins with dual writing on would meet the old bitmap alone. */
static void range_kubeadm_gates(struct planner *p)
{
	auto_kubeadm_config struct kubeadm_config config = {0};
	auto_error struct error ignored = {0};
	auto_free char *gates = NULL;

	if (!range_ends_dual_write(p) ||
	    kubeadm_config_read(&config, "kubeadm-config", slice_of(p->cluster->kubeadm_text),
				&ignored) < 0)
		return;
	gates = range_gates(kubeadm_args_get(&config.api_server, "feature-gates"));
	json_object_set_new(p->plan->steps[p->plan->count - 1].parameters, "featureGates",
			    json_string(gates));
	plan_note(p->plan, DUAL_WRITE_GATE
		  "=true goes into the API servers' manifests and kubeadm-config: "
		  "later versions have it on by themselves (1.34), and one that does "
		  "not know the name any more does not start with it; take it out "
		  "with the upgrade to 1.34");
}

/* In a migration nobody notices the restarts, and what kubeadm reads changes with the last. */
static void range_servers(struct planner *p, enum plan_stage stage)
{
	bool bitmap = p->cluster->regime == CLUSTER_REGIME_BITMAP;
	auto_json json_t *servers = planner_api_servers(p);
	bool several = json_array_size(servers) > 1;
	auto_json json_t *none = json_array();
	bool rolls = range_rolls(p);

	if (!planner_migrates(p)) {
		range_nodes(p, stage);
		return;
	}
	if (rolls && several)
		range_converge(p, stage, false);
	if (rolls && bitmap)
		range_freeze(p, stage, "freeze");
	range_nodes(p, stage);
	if (rolls && several)
		range_converge(p, stage, true);
	if (p->cluster->kubeadm_known) {
		planner_kubeadm_config(p, stage, p->to, none);
		range_kubeadm_gates(p);
	}
	if (rolls && stage == PLAN_STAGE_RANGES)
		range_allocation(p, stage, bitmap);
	if (stage == PLAN_STAGE_RANGES)
		range_hold(p);
	if (rolls && bitmap)
		range_freeze(p, stage, "thaw");
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
		range_allocation(p, PLAN_STAGE_RANGES, false);
		range_hold(p);
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
	/* until now servers gave out old addresses; a migration has moved such Services before */
	if (!planner_migrates(p))
		planner_sweep(p, PLAN_STAGE_DEFAULTS);
}
