/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"

static void digest_server(json_t *digest, const struct cluster_node *node, const char *range,
			  const char *gates)
{
	auto_free char *name = alloc_format("flags of %s", node->name);
	auto_free char *value =
		alloc_format("%s %s %s", node->kubelet_version ? node->kubelet_version : "?",
			     range ? range : "?", gates ? gates : "");

	json_object_set_new(digest, name, json_string(value));
}

static void digest_flags(const struct cluster *c, json_t *digest)
{
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_component *server = &c->nodes[i].host.api_server;

		if (c->nodes[i].control_plane)
			digest_server(digest, &c->nodes[i], server->pod_range,
				      server->pod_feature_gates);
	}
}

static void digest_ranges(const struct cluster *c, json_t *digest)
{
	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *cidr = &c->service_cidrs[i];
		auto_free char *name = alloc_format("ServiceCIDR '%s'", cidr->name);

		/* what a run of ours made is no change of the cluster under it */
		if (!cidr->run)
			json_object_set_new(
				digest, name,
				json_string(cidr->cidrs.count ? cidr->cidrs.items[0] : ""));
	}
}

json_t *plan_digest(const struct cluster *c)
{
	const struct cluster_service *kubernetes = cluster_find_service(c, "default", "kubernetes");
	const char *subnet = c->kubeadm_service_subnet;
	json_t *digest = json_object();

	json_object_set_new(digest, "API server version",
			    json_string(c->git_version ? c->git_version : ""));
	json_object_set_new(digest, "ServiceCIDR API",
			    json_string(c->service_cidr_api ? c->service_cidr_api : ""));
	json_object_set_new(digest, "address of default/kubernetes",
			    json_string(kubernetes && kubernetes->cluster_ips.count
						? kubernetes->cluster_ips.items[0]
						: ""));
	json_object_set_new(digest, "serviceSubnet of kubeadm-config",
			    json_string(subnet ? subnet : ""));
	digest_flags(c, digest);
	digest_ranges(c, digest);
	return digest;
}

json_t *plan_digest_after(const struct planner *p)
{
	const struct cluster *c = p->cluster;
	json_t *after = json_object();

	json_object_set_new(after, "address of default/kubernetes", json_string(p->first));
	json_object_set_new(after, "serviceSubnet of kubeadm-config", json_string(p->to));
	if (c->service_cidr_api)
		json_object_set_new(after, "ServiceCIDR 'kubernetes'", json_string(p->to));
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_component *server = &c->nodes[i].host.api_server;
		auto_free char *gates = planner_gates(p, server);

		if (c->nodes[i].control_plane)
			digest_server(after, &c->nodes[i], p->to, gates);
	}
	return after;
}
