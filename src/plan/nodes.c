/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
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
		if (old && !planner_is_new(p, address)) {
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

static void nodes_kubelets(struct planner *p)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		auto_free char *subject =
			alloc_format("%s:/var/lib/kubelet/config.yaml", node->name);
		json_t *dns;

		if (!node->host.kubelet_config_known) {
			if (node->host.asked)
				plan_note(p->plan,
					  "node '%s' could not be looked at (%s); its kubelet may "
					  "still give Pods the "
					  "old DNS address",
					  node->name,
					  node->host.problem ? node->host.problem : "unknown");
			continue;
		}
		dns = nodes_dns(p, &node->host.kubelet_dns);
		if (dns)
			plan_step_why(
				plan_add(p->plan, PLAN_STAGE_NODES, "kubelet-dns", subject,
					 json_pack("{s:s, s:s, s:o}", "node", node->name, "path",
						   "/var/lib/kubelet/config.yaml", "dns", dns)),
				"it writes the address into the resolv.conf of every Pod it "
				"starts");
	}
}

static bool nodes_endpoint_is_wrong(const struct planner *p)
{
	const char *host = p->cluster->services_endpoint_host;

	if (!p->cluster->services_endpoint.present || !host)
		return false;
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
		      "'%s' is one control plane or an old address: the network plugin would go "
		      "down with it",
		      p->cluster->services_endpoint_host);
}

void planner_nodes(struct planner *p)
{
	nodes_kubelet_config(p);
	nodes_kubelets(p);
	nodes_services_endpoint(p);
}

/* ---- workloads ---- */

struct workload {
	const char *namespace_;
	const char *kind; /* NULL: a Pod that nobody manages */
	const char *name;
	bool network_plugin;
	bool stale;
};

struct workloads {
	struct workload *items;
	size_t count;
	size_t capacity;
};

static bool workload_address_is_old(const struct planner *p, const char *address)
{
	if (!address || planner_is_new(p, address))
		return false;
	for (size_t i = 0; i < p->former.count; i++)
		if (cluster_range_contains(p->former.items[i], address))
			return true;
	return false;
}

static bool workload_container_is_stale(const struct planner *p,
					const struct cluster_container *container)
{
	if (workload_address_is_old(p, container->kubernetes_host))
		return true;
	for (size_t i = 0; i < container->service_hosts.count; i++)
		if (workload_address_is_old(p, container->service_hosts.items[i]))
			return true;
	for (size_t i = 0; i < container->nameservers.count; i++)
		if (workload_address_is_old(p, container->nameservers.items[i]))
			return true;
	return false;
}

/* The network plugin's kubeconfig on the node, which it writes when it starts, names an old
 * address. */
static bool workload_cni_is_old(const struct planner *p, const struct cluster_node *node)
{
	for (size_t i = 0; i < node->host.cni_servers.count; i++) {
		const char *url = node->host.cni_servers.items[i];
		const char *host = strstr(url, "://");
		auto_free char *address = NULL;

		host = host ? host + 3 : url;
		address = alloc_text_n(host, strcspn(host, ":/"));
		if (workload_address_is_old(p, address))
			return true;
	}
	return false;
}

/* The Pod that wires others: on the host's network, from a DaemonSet, and known by what it reads
 * or by its name. */
static bool workload_is_network_plugin(const struct cluster_pod *pod)
{
	static const char *const names[] = {"calico", "canal",	     "cilium", "flannel",
					    "weave",  "kube-router", "antrea", "kube-ovn"};

	if (pod->reads_services_endpoint)
		return true;
	if (!pod->host_network || !pod->owner_kind || strcmp(pod->owner_kind, "DaemonSet") != 0)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strstr(pod->owner_name, names[i]))
			return true;
	return false;
}

/* What a Pod of a node that could not be looked at holds is not known: it is stale. So is one that
 * cannot run, and one that takes its address from a ConfigMap that this plan changes. */
static bool workload_pod_is_stale(const struct planner *p, const struct cluster_pod *pod)
{
	const struct cluster_node *node =
		pod->node ? cluster_find_node(p->cluster, pod->node) : NULL;

	if (pod->waiting_reason && strcmp(pod->waiting_reason, "CrashLoopBackOff") == 0)
		return true;
	/* restarted by kubelet and not ready now: between two crashes */
	if (!pod->ready && pod->restarts > 0)
		return true;
	if (node && workload_is_network_plugin(pod) && workload_cni_is_old(p, node))
		return true;
	if (pod->reads_services_endpoint && nodes_endpoint_is_wrong(p))
		return true;
	if (!node)
		return false;
	if (!node->host.processes_known)
		return node->host.asked;
	for (size_t i = 0; i < node->host.container_count; i++) {
		const struct cluster_container *container = &node->host.containers[i];

		if (container->pod_uid && strcmp(container->pod_uid, pod->uid) == 0 &&
		    workload_container_is_stale(p, container))
			return true;
	}
	return false;
}

static struct workload *workloads_find(struct workloads *list, const struct cluster_pod *pod)
{
	struct workload *w;

	for (size_t i = 0; i < list->count; i++) {
		w = &list->items[i];
		if (pod->owner_kind && w->kind && strcmp(w->kind, pod->owner_kind) == 0 &&
		    strcmp(w->name, pod->owner_name) == 0 &&
		    strcmp(w->namespace_, pod->namespace_) == 0)
			return w;
	}
	ALLOC_GROW(list->items, list->count, list->capacity);
	w = &list->items[list->count++];
	*w = (struct workload){.namespace_ = pod->namespace_,
			       .kind = pod->owner_kind,
			       .name = pod->owner_kind ? pod->owner_name : pod->name};
	return w;
}

static void workloads_collect(const struct planner *p, struct workloads *list)
{
	bool all = strcmp(p->request->restart, "all") == 0;

	for (size_t i = 0; i < p->cluster->pod_count; i++) {
		const struct cluster_pod *pod = &p->cluster->pods[i];
		struct workload *w;

		if (pod->static_pod || (pod->phase && (strcmp(pod->phase, "Succeeded") == 0 ||
						       strcmp(pod->phase, "Failed") == 0)))
			continue;
		if (!all && !workload_pod_is_stale(p, pod))
			continue;
		w = workloads_find(list, pod);
		w->stale = true;
		w->network_plugin = w->network_plugin || workload_is_network_plugin(pod);
	}
}

static int workloads_compare(const void *a, const void *b)
{
	const struct workload *x = a;
	const struct workload *y = b;
	int space;

	if (x->network_plugin != y->network_plugin)
		return x->network_plugin ? -1 : 1;
	if ((strcmp(x->namespace_, "kube-system") == 0) !=
	    (strcmp(y->namespace_, "kube-system") == 0))
		return strcmp(x->namespace_, "kube-system") == 0 ? -1 : 1;
	space = strcmp(x->namespace_, y->namespace_);
	return space ? space : strcmp(x->name, y->name);
}

static bool workload_can_restart(const struct workload *w)
{
	static const char *const kinds[] = {"DaemonSet", "ReplicaSet", "StatefulSet", "Deployment"};

	for (size_t i = 0; w->kind && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(w->kind, kinds[i]) == 0)
			return true;
	return false;
}

/* Pods of a Deployment are owned by a ReplicaSet "NAME-HASH"; people know the Deployment. */
static char *workload_subject(const struct workload *w)
{
	const char *hash = strrchr(w->name, '-');
	auto_free char *name = NULL;

	if (strcmp(w->kind, "ReplicaSet") != 0 || !hash)
		return planner_subject(w->kind, w->namespace_, w->name);
	name = alloc_text_n(w->name, (size_t)(hash - w->name));
	return planner_subject("Deployment", w->namespace_, name);
}

static void workloads_step(struct planner *p, const struct workload *w)
{
	auto_free char *subject = NULL;

	if (!workload_can_restart(w)) {
		plan_note(p->plan,
			  "Pod%s of %s '%s/%s' hold old addresses and nothing restarts them; do it "
			  "by hand",
			  w->kind ? "s" : "", w->kind ? w->kind : "no controller,", w->namespace_,
			  w->name);
		return;
	}
	subject = workload_subject(w);
	if (strcmp(p->request->restart, "none") == 0) {
		plan_note(p->plan, "%s holds old addresses; --restart none leaves it to you",
			  subject);
		return;
	}
	plan_step_why(plan_add(p->plan, PLAN_STAGE_WORKLOADS, "restart", subject,
			       json_pack("{s:s, s:s, s:s, s:s}", "namespace", w->namespace_, "kind",
					 w->kind, "name", w->name, "at", p->request->created_at)),
		      "its containers have addresses in their environment from the moment they "
		      "were started");
}

void planner_workloads(struct planner *p)
{
	struct workloads list = {0};

	workloads_collect(p, &list);
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), workloads_compare);
	for (size_t i = 0; i < list.count; i++)
		workloads_step(p, &list.items[i]);
	free(list.items);
}
