/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"

/*
 * What must not be tried: refused with the reason before anything is touched.
 */
static int check_range(const struct planner *p, struct error *err)
{
	bool large = p->cluster->regime == CLUSTER_REGIME_SERVICECIDR;
	const struct cluster_service *kubernetes =
		cluster_find_service(p->cluster, "default", "kubernetes");
	struct net_address address;

	if (net_cidr_check_service(p->to_cidr, large, err) < 0)
		return -1;
	if (kubernetes && kubernetes->cluster_ips.count &&
	    net_address_read(slice_of(kubernetes->cluster_ips.items[0]), &address) &&
	    address.family != p->to_cidr.base.family)
		return error_set(
			err, ERROR_REFUSED,
			"range '%s' is of another address family than this cluster's Services (%s)",
			p->to, kubernetes->cluster_ips.items[0]);
	return 0;
}

static bool check_manifests_folder(const char *path)
{
	struct slice folder = slice_of(path ? path : "/etc/kubernetes/manifests");

	while (folder.len > 1 && folder.ptr[folder.len - 1] == '/')
		folder.len--;
	return slice_is(folder, "/etc/kubernetes/manifests");
}

static int check_nodes(const struct planner *p, struct error *err)
{
	size_t control_planes = 0;

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (!node->control_plane)
			continue;
		control_planes++;
		if (node->host.asked && !node->host.reachable)
			return error_set(err, ERROR_REFUSED,
					 "control plane '%s' cannot be reached (%s); every control "
					 "plane is needed",
					 node->name,
					 node->host.problem ? node->host.problem : "no answer");
		if (!check_manifests_folder(node->host.static_pod_path))
			return error_set(
				err, ERROR_REFUSED,
				"kubelet on '%s' reads manifests from '%s' (staticPodPath); "
				"only /etc/kubernetes/manifests is served by this version",
				node->name, node->host.static_pod_path);
	}
	if (control_planes == 0)
		return error_set(
			err, ERROR_REFUSED,
			"no node is a control plane: a managed cluster's Service range is its "
			"provider's; 'doctor' still works");
	if (!p->request->nodes_reached)
		return error_set(err, ERROR_REFUSED,
				 "certificates and manifests are on the nodes, and nodes are not "
				 "reached; use "
				 "--nodes-via ssh or local");
	return 0;
}

/* The first address must be free or default/kubernetes' own, else API servers cannot create it. */
static int check_first_address(const struct planner *p, struct error *err)
{
	const struct cluster_service *holder = cluster_find_holder(p->cluster, p->first);

	if (!holder ||
	    (strcmp(holder->namespace_, "default") == 0 && strcmp(holder->name, "kubernetes") == 0))
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"Service '%s/%s' has %s, which default/kubernetes needs; delete that Service or "
		"choose another range",
		holder->namespace_, holder->name, p->first);
}

static int check_dns_address(const struct planner *p, struct error *err)
{
	const struct cluster_service *holder = cluster_find_holder(p->cluster, p->dns);

	if (!holder || strcmp(holder->namespace_, "kube-system") == 0)
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"Service '%s/%s' has %s, which cluster DNS needs; delete that Service or choose "
		"another range",
		holder->namespace_, holder->name, p->dns);
}

int planner_check(struct planner *p, struct error *err)
{
	if (planner_migrates(p) && planner_check_owner(p, err) < 0)
		return -1;
	if (check_range(p, err) < 0 || planner_check_network(p, err) < 0 || check_nodes(p, err) < 0)
		return -1;
	if (p->cluster->kubeadm_problem)
		return error_set(err, ERROR_REFUSED, "kubeadm-config cannot be read: %s",
				 p->cluster->kubeadm_problem);
	if (planner_migrates(p) && planner_check_health(p, err) < 0)
		return -1;
	if (check_first_address(p, err) < 0 || check_dns_address(p, err) < 0)
		return -1;
	if (!planner_migrates(p))
		return 0;
	if (planner_check_services(p, err) < 0)
		return -1;
	planner_notes(p);
	return 0;
}
