/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"

/*
 * The new range beside everything that has addresses already. Routes are judged and nothing is
 * probed: whether proxies drop what is addressed to a range that overlaps a network shows up to an
 * hour later only.
 */
static int overlap_text(const struct planner *p, const char *other, const char *what,
			const char *whose, struct error *err)
{
	struct net_cidr_list list;
	auto_error struct error ignored = {0};

	if (net_cidr_list_parse_sloppy(slice_of(other), &list, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < list.count; i++) {
		/* the default route overlaps with everything */
		if (list.item[i].bits == 0 || !net_cidr_overlaps(list.item[i], p->to_cidr))
			continue;
		return error_set(err, ERROR_REFUSED,
				 "range '%s' overlaps with %s '%s' of %s; choose another one",
				 p->to, what, other, whose);
	}
	return 0;
}

static int overlap_node(const struct planner *p, const struct cluster_node *node, struct error *err)
{
	struct net_address address;

	for (size_t i = 0; i < node->pod_cidrs.count; i++)
		if (overlap_text(p, node->pod_cidrs.items[i], "the Pod range", node->name, err) < 0)
			return -1;
	for (size_t i = 0; i < node->host.routes.count; i++)
		if (overlap_text(p, node->host.routes.items[i], "the route", node->name, err) < 0)
			return -1;
	if (node->address && net_address_read(slice_of(node->address), &address) &&
	    net_cidr_contains(p->to_cidr, address))
		return error_set(err, ERROR_REFUSED,
				 "range '%s' contains the address %s of node '%s'", p->to,
				 node->address, node->name);
	return 0;
}

static int overlap_service_cidrs(const struct planner *p, struct error *err)
{
	for (size_t i = 0; i < p->cluster->service_cidr_count; i++) {
		const struct cluster_service_cidr *cidr = &p->cluster->service_cidrs[i];

		if (cidr->run || strcmp(cidr->name, "kubernetes") == 0)
			continue;
		for (size_t k = 0; k < cidr->cidrs.count; k++)
			if (overlap_text(p, cidr->cidrs.items[k], "the range", cidr->name, err) < 0)
				return error_wrap(err, "ServiceCIDR '%s'", cidr->name);
	}
	return 0;
}

static int overlap_pods(const struct planner *p, struct error *err)
{
	const char *subnet = p->cluster->kubeadm_pod_subnet;

	if (subnet && overlap_text(p, subnet, "podSubnet", "kubeadm-config", err) < 0)
		return -1;
	for (size_t i = 0; i < p->cluster->pod_count; i++) {
		const struct cluster_pod *pod = &p->cluster->pods[i];

		if (planner_is_new(p, pod->address))
			return error_set(
				err, ERROR_REFUSED,
				"range '%s' contains the address %s of Pod '%s/%s'; choose "
				"another one",
				p->to, pod->address, pod->namespace_, pod->name);
	}
	return 0;
}

int planner_check_network(const struct planner *p, struct error *err)
{
	for (size_t i = 0; i < p->cluster->node_count; i++)
		if (overlap_node(p, &p->cluster->nodes[i], err) < 0)
			return -1;
	if (!planner_migrates(p))
		return 0;
	if (p->from && overlap_text(p, p->from, "the present range", "this cluster", err) < 0)
		return -1;
	if (overlap_pods(p, err) < 0)
		return -1;
	return overlap_service_cidrs(p, err);
}
