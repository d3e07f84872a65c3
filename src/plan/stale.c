/* SPDX-License-Identifier: MIT */
#include "plan/stale.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static bool workload_address_is_old(const struct plan_stale *q, const char *address)
{
	if (!address || cluster_range_contains(q->to, address))
		return false;
	for (size_t i = 0; i < q->former.count; i++)
		if (cluster_range_contains(q->former.items[i], address))
			return true;
	return false;
}

/* In the new range, but no Service is there. */
static bool workload_address_is_dead(const struct plan_stale *q, const char *address)
{
	return cluster_range_contains(q->to, address) && !cluster_find_holder(q->cluster, address);
}

static bool workload_container_is_stale(const struct plan_stale *q,
					const struct cluster_container *container)
{
	if (workload_address_is_old(q, container->kubernetes_host))
		return true;
	for (size_t i = 0; i < container->service_hosts.count; i++)
		if (workload_address_is_old(q, container->service_hosts.items[i]))
			return true;
	for (size_t i = 0; i < container->nameservers.count; i++)
		if (workload_address_is_old(q, container->nameservers.items[i]) ||
		    workload_address_is_dead(q, container->nameservers.items[i]))
			return true;
	return false;
}

/* Started while default/kubernetes did not exist. Only asked of what is older than that Service:
 * some programs overwrite their environment. */
static bool workload_container_lacks_host(const struct plan_stale *q, const struct cluster_pod *pod,
					  const struct cluster_container *container)
{
	const struct cluster_service *kubernetes =
		cluster_find_service(q->cluster, "default", "kubernetes");

	return !container->kubernetes_host && !pod->static_pod &&
	       !(kubernetes && container->started_s >= kubernetes->created_s);
}

/* The network plugin's kubeconfig on the node, which it writes when it starts, names an old
 * address. */
static bool workload_cni_is_old(const struct plan_stale *q, const struct cluster_node *node)
{
	for (size_t i = 0; i < node->host.cni_servers.count; i++) {
		const char *url = node->host.cni_servers.items[i];
		const char *host = strstr(url, "://");
		auto_free char *address = NULL;

		host = host ? host + 3 : url;
		address = alloc_text_n(host, strcspn(host, ":/"));
		if (workload_address_is_old(q, address))
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
static bool workload_pod_is_stale(const struct plan_stale *q, const struct cluster_pod *pod)
{
	const struct cluster_node *node =
		pod->node ? cluster_find_node(q->cluster, pod->node) : NULL;

	if (pod->waiting_reason && strcmp(pod->waiting_reason, "CrashLoopBackOff") == 0)
		return true;
	/* restarted by kubelet a while ago and not ready now: between two crashes */
	if (!pod->ready && pod->restarts > 0 &&
	    (!pod->last_ended_s || pod->last_ended_s + CLUSTER_RECENT_S >= q->cluster->observed_s))
		return true;
	if (node && workload_is_network_plugin(pod) && workload_cni_is_old(q, node))
		return true;
	if (pod->reads_services_endpoint && q->endpoint_changes)
		return true;
	if (!node)
		return false;
	if (!node->host.processes_known)
		return (node->host.asked || q->unseen_too) && !q->seen_only;
	for (size_t i = 0; i < node->host.container_count; i++) {
		const struct cluster_container *container = &node->host.containers[i];

		if (container->pod_uid && strcmp(container->pod_uid, pod->uid) == 0 &&
		    (workload_container_is_stale(q, container) ||
		     workload_container_lacks_host(q, pod, container)))
			return true;
	}
	return false;
}

static struct plan_workload *workloads_find(struct plan_workloads *list,
					    const struct cluster_pod *pod)
{
	struct plan_workload *w;

	for (size_t i = 0; i < list->count; i++) {
		w = &list->items[i];
		if (pod->owner_kind && w->kind && strcmp(w->kind, pod->owner_kind) == 0 &&
		    strcmp(w->name, pod->owner_name) == 0 &&
		    strcmp(w->namespace_, pod->namespace_) == 0)
			return w;
	}
	ALLOC_GROW(list->items, list->count, list->capacity);
	w = &list->items[list->count++];
	*w = (struct plan_workload){.namespace_ = pod->namespace_,
				    .kind = pod->owner_kind,
				    .name = pod->owner_kind ? pod->owner_name : pod->name};
	return w;
}

static void workloads_collect(const struct plan_stale *q, struct plan_workloads *list)
{
	for (size_t i = 0; i < q->cluster->pod_count; i++) {
		const struct cluster_pod *pod = &q->cluster->pods[i];
		struct plan_workload *w;

		if (pod->static_pod || (pod->phase && (strcmp(pod->phase, "Succeeded") == 0 ||
						       strcmp(pod->phase, "Failed") == 0)))
			continue;
		if (!q->all && !workload_pod_is_stale(q, pod))
			continue;
		w = workloads_find(list, pod);
		w->network_plugin = w->network_plugin || workload_is_network_plugin(pod);
	}
}

static int workloads_compare(const void *a, const void *b)
{
	const struct plan_workload *x = a;
	const struct plan_workload *y = b;
	int space;

	if (x->network_plugin != y->network_plugin)
		return x->network_plugin ? -1 : 1;
	if ((strcmp(x->namespace_, "kube-system") == 0) !=
	    (strcmp(y->namespace_, "kube-system") == 0))
		return strcmp(x->namespace_, "kube-system") == 0 ? -1 : 1;
	space = strcmp(x->namespace_, y->namespace_);
	return space ? space : strcmp(x->name, y->name);
}

static bool workload_can_restart(const struct plan_workload *w)
{
	static const char *const kinds[] = {"DaemonSet", "ReplicaSet", "StatefulSet", "Deployment"};

	for (size_t i = 0; w->kind && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(w->kind, kinds[i]) == 0)
			return true;
	return false;
}

/* Pods of a Deployment are owned by a ReplicaSet "NAME-HASH"; people know the Deployment. */
static char *workload_subject(const struct plan_workload *w)
{
	const char *hash = strrchr(w->name, '-');
	auto_free char *name = NULL;

	if (strcmp(w->kind, "ReplicaSet") != 0 || !hash)
		return alloc_format("%s/%s/%s", w->kind, w->namespace_, w->name);
	name = alloc_text_n(w->name, (size_t)(hash - w->name));
	return alloc_format("Deployment/%s/%s", w->namespace_, name);
}

json_t *plan_workload_json(const struct plan_workload *w)
{
	auto_free char *subject = NULL;

	if (!workload_can_restart(w))
		return NULL;
	subject = workload_subject(w);
	return json_pack("{s:s, s:s, s:s, s:s}", "subject", subject, "namespace", w->namespace_,
			 "kind", w->kind, "name", w->name);
}

struct plan_workloads plan_stale_workloads(const struct plan_stale *q)
{
	struct plan_workloads list = {0};

	workloads_collect(q, &list);
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), workloads_compare);
	return list;
}

/* Its containers take what they find when they start: addresses of the moment before, perhaps. */
static bool workload_is_starting(const struct cluster_pod *pod)
{
	return pod->node && !pod->deleting && pod->waiting_reason &&
	       (strcmp(pod->waiting_reason, "ContainerCreating") == 0 ||
		strcmp(pod->waiting_reason, "PodInitializing") == 0);
}

char *plan_stale_unsettled(const struct cluster *c)
{
	for (size_t i = 0; i < c->node_count; i++)
		if (c->nodes[i].host.asked && !c->nodes[i].host.processes_known)
			return alloc_format("node '%s' could not be looked at", c->nodes[i].name);
	for (size_t i = 0; i < c->pod_count; i++)
		if (workload_is_starting(&c->pods[i]))
			return alloc_format("Pod '%s/%s' is being created", c->pods[i].namespace_,
					    c->pods[i].name);
	return NULL;
}

void plan_workloads_release(struct plan_workloads *list)
{
	free(list->items);
	*list = (struct plan_workloads){0};
}
