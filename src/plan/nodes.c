/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "plan/stale.h"
#include "text/json.h"

/* clusterDNS as it shall be: old cluster DNS addresses replaced, others (a node-local cache, a
 * second server of the user's) left. NULL: nothing to change. */
static json_t *nodes_dns(const struct planner *p, const struct cluster_texts *current)
{
	json_t *wanted = json_array();
	bool changed = false;
	bool has_new = false;

	for (size_t i = 0; i < current->count; i++) {
		const char *address = current->items[i];
		bool old = false;

		for (size_t k = 0; k < p->former.count; k++)
			old = old || cluster_range_contains(p->former.items[k], address);
		/* an address of the range itself where no Service is */
		if (planner_is_new(p, address))
			old = strcmp(address, p->dns) != 0 &&
			      !cluster_find_holder(p->cluster, address);
		if (old) {
			changed = true;
			address = p->dns;
		}
		if (strcmp(address, p->dns) == 0 && has_new)
			continue;
		has_new = has_new || strcmp(address, p->dns) == 0;
		json_array_append_new(wanted, json_string(address));
	}
	if (changed)
		return wanted;
	json_decref(wanted);
	return NULL;
}

static void nodes_kubelet_config(struct planner *p)
{
	const struct cluster_config_map *map = &p->cluster->kubelet_config;
	json_t *dns = map->present ? nodes_dns(p, &p->cluster->kubelet_dns) : NULL;
	auto_free char *subject = NULL;

	if (!dns)
		return;
	subject = planner_subject("ConfigMap", map->namespace_, map->name);
	plan_step_why(plan_add(p->plan, PLAN_STAGE_NODES, "kubelet-config", subject,
			       json_pack("{s:s, s:s, s:o}", "namespace", map->namespace_, "name",
					 map->name, "dns", dns)),
		      "nodes that join or are upgraded take their clusterDNS from it");
}

static void nodes_kubelet(struct planner *p, const struct cluster_node *node, json_t *dns)
{
	auto_free char *subject = alloc_format("%s:/var/lib/kubelet/config.yaml", node->name);

	plan_step_why(plan_add(p->plan, PLAN_STAGE_NODES, "kubelet-dns", subject,
			       json_pack("{s:s, s:s, s:o}", "node", node->name, "path",
					 "/var/lib/kubelet/config.yaml", "dns", dns)),
		      "it writes the address into the resolv.conf of every Pod it starts");
}

/* A node that is down now comes back with the old address. In a migration its step waits for it;
 * what stands in its file is taken to be what stands in everybody's. */
static void nodes_kubelet_unseen(struct planner *p, const struct cluster_node *node)
{
	json_t *dns = NULL;

	if (!node->host.asked && !(planner_migrates(p) && p->request->nodes_reached))
		return;
	if (planner_migrates(p) && p->request->nodes_reached && !node->host.reachable)
		dns = p->cluster->kubelet_dns.count ? nodes_dns(p, &p->cluster->kubelet_dns)
						    : json_pack("[s]", p->dns);
	if (dns) {
		nodes_kubelet(p, node, dns);
		return;
	}
	plan_note(p->plan,
		  "node '%s' could not be looked at (%s); its kubelet may still give Pods the old "
		  "DNS address",
		  node->name, node->host.problem ? node->host.problem : "unknown");
}

void planner_kubelets(struct planner *p)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		json_t *dns;

		if (!node->host.kubelet_config_known) {
			nodes_kubelet_unseen(p, node);
			continue;
		}
		dns = nodes_dns(p, &node->host.kubelet_dns);
		if (dns)
			nodes_kubelet(p, node, dns);
	}
}

/* An API server's certificate is known that does not name the host. */
static bool nodes_is_unnamed(const struct cluster *c, const char *host)
{
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *node = &c->nodes[i];
		const struct cluster_certificate *seen =
			node->served.known ? &node->served : &node->host.api_server_certificate;

		if (node->control_plane && seen->known &&
		    !cluster_texts_contain(&seen->addresses, host) &&
		    !cluster_texts_contain(&seen->dns_names, host))
			return true;
	}
	return false;
}

static bool nodes_endpoint_is_wrong(const struct planner *p)
{
	const char *host = p->cluster->services_endpoint_host;

	if (!p->cluster->services_endpoint.present || !host || strcmp(host, p->first) == 0)
		return false;
	if (nodes_is_unnamed(p->cluster, host))
		return true;
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (node->address && strcmp(node->address, host) == 0)
			return true;
	}
	for (size_t i = 0; i < p->former.count; i++)
		if (cluster_range_contains(p->former.items[i], host) && !planner_is_new(p, host))
			return true;
	return false;
}

static void nodes_services_endpoint(struct planner *p)
{
	const struct cluster_config_map *map = &p->cluster->services_endpoint;
	auto_free char *subject = NULL;

	if (!nodes_endpoint_is_wrong(p))
		return;
	subject = planner_subject("ConfigMap", map->namespace_, map->name);
	plan_step_why(plan_add(p->plan, PLAN_STAGE_NODES, "services-endpoint", subject,
			       json_pack("{s:s, s:s, s:s, s:s}", "namespace", map->namespace_,
					 "name", map->name, "host", p->first, "port", "443")),
		      "'%s' is one control plane, an old address, or one that certificates do not "
		      "name",
		      p->cluster->services_endpoint_host);
}

void planner_nodes(struct planner *p)
{
	planner_local_dns(p);
	nodes_kubelet_config(p);
	planner_kubelets(p);
	nodes_services_endpoint(p);
}

/* At a time: enough to be quick, few enough that a cluster's capacity is not halved by it. */
#define WORKLOADS_WAVE 10

static void workloads_flush(struct planner *p, json_t **wave)
{
	if (json_array_size(*wave)) {
		json_t *parameters =
			json_pack("{s:O, s:s}", "workloads", *wave, "at", p->request->created_at);

		if (planner_migrates(p))
			json_object_set_new(parameters, "servers", planner_api_servers(p));
		plan_step_why(
			plan_add(p->plan, PLAN_STAGE_WORKLOADS, "restart", "workloads", parameters),
			"containers have addresses in their environment from the moment they "
			"were started");
	}
	json_decref(*wave);
	*wave = json_array();
}

static void workloads_add(struct planner *p, const struct plan_workload *w, json_t *wave)
{
	auto_json json_t *object = plan_workload_json(w);

	if (planner_local_dns_restarts(p, w->namespace_, w->kind, w->name))
		return;
	if (!object)
		plan_note(p->plan,
			  "%s '%s/%s' holds old addresses and nothing restarts it; do it by hand",
			  w->kind ? w->kind : "Pod", w->namespace_, w->name);
	else if (strcmp(p->request->restart, "none") == 0)
		plan_note(p->plan, "%s holds old addresses; --restart none leaves it to you",
			  json_string_value(json_object_get(object, "subject")));
	else {
		planner_note_crowd(p, w);
		json_array_append(wave, object);
	}
}

/* The network plugin alone and first, then cluster DNS and its like, then the rest in waves. */
static int workloads_rank(const struct plan_workload *w)
{
	if (w->network_plugin)
		return 0;
	return strcmp(w->namespace_, "kube-system") == 0 ? 1 : 2;
}

static void workloads_waves(struct planner *p, const struct plan_workloads *list)
{
	json_t *wave = json_array();

	for (size_t i = 0; i < list->count; i++) {
		if (json_array_size(wave) == WORKLOADS_WAVE ||
		    (i && workloads_rank(&list->items[i]) != workloads_rank(&list->items[i - 1])))
			workloads_flush(p, &wave);
		workloads_add(p, &list->items[i], wave);
	}
	workloads_flush(p, &wave);
	json_decref(wave);
}

/* What was stuck or started meanwhile, with addresses of the time before. */
static void workloads_rest(struct planner *p)
{
	if (planner_is_idle(p) || strcmp(p->request->restart, "none") == 0)
		return;
	plan_step_why(
		plan_add(p->plan, PLAN_STAGE_WORKLOADS, "restart-rest", "all nodes",
			 json_pack("{s:s}", "to", p->to)),
		"Pods that could not start when the plan was made start with what was true then");
}

void planner_workloads(struct planner *p)
{
	const struct plan_stale query = {
		.cluster = p->cluster,
		.to = p->to,
		.former = p->former,
		.all = strcmp(p->request->restart, "all") == 0,
		.endpoint_changes = nodes_endpoint_is_wrong(p),
		.unseen_too = planner_migrates(p) && p->request->nodes_reached,
	};
	auto_plan_workloads struct plan_workloads list = plan_stale_workloads(&query);

	workloads_waves(p, &list);
	workloads_rest(p);
}
