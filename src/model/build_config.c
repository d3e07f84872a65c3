/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <string.h>

#include "text/json.h"
#include "text/kubeadm.h"
#include "text/kubelet.h"

/* "configMaps": {"kube-system/kubeadm-config": object} */
static struct cluster_config_map config_map(const struct build *b, const char *space,
					    const char *name)
{
	const json_t *maps = json_path(b->document, "configMaps");
	const char *place = arena_format(b->arena, "%s/%s", space, name);
	const json_t *object = json_object_get(maps, place);

	return (struct cluster_config_map){
		.present = json_is_object(object),
		.namespace_ = arena_text(b->arena, space),
		.name = arena_text(b->arena, name),
		.resource_version = json_path_text(object, "metadata.resourceVersion"),
		.data = json_path(object, "data"),
	};
}

static const char *map_value(const struct cluster_config_map *map, const char *key)
{
	return json_string_value(json_object_get(map->data, key));
}

static void build_kubeadm(const struct build *b)
{
	struct cluster *c = b->cluster;
	auto_kubeadm_config struct kubeadm_config config = {0};
	auto_error struct error err = {0};

	c->kubeadm_config = config_map(b, "kube-system", "kubeadm-config");
	c->kubeadm_text = map_value(&c->kubeadm_config, "ClusterConfiguration");
	if (!c->kubeadm_text)
		return;
	if (kubeadm_config_read(&config, "ConfigMap/kube-system/kubeadm-config",
				slice_of(c->kubeadm_text), &err) < 0) {
		c->kubeadm_problem = arena_text(b->arena, error_text(&err));
		return;
	}
	c->kubeadm_known = true;
	c->kubeadm_service_subnet = arena_text(b->arena, config.service_subnet);
	c->kubeadm_pod_subnet = arena_text(b->arena, config.pod_subnet);
	c->kubeadm_control_plane_endpoint = arena_text(b->arena, config.control_plane_endpoint);
	c->kubeadm_dns_domain = arena_text(b->arena, config.dns_domain);
	c->kubeadm_range = arena_text(b->arena, kubeadm_config_service_range(&config));
	c->kubeadm_range_arg = arena_text(
		b->arena, kubeadm_args_get(&config.api_server, "service-cluster-ip-range"));
	c->kubeadm_cert_sans = build_room(b, config.cert_san_count);
	for (size_t i = 0; i < config.cert_san_count; i++)
		build_add_text(&c->kubeadm_cert_sans,
			       build_address(b, arena_text(b->arena, config.cert_sans[i])));
}

static void build_kubelet(const struct build *b)
{
	struct cluster *c = b->cluster;
	auto_kubelet_config struct kubelet_config config = {0};
	auto_error struct error err = {0};
	const char *older = arena_format(b->arena, "kubelet-config-%u.%u", c->major, c->minor);

	c->kubelet_config = config_map(b, "kube-system", "kubelet-config");
	if (!c->kubelet_config.present)
		c->kubelet_config = config_map(b, "kube-system", older);
	c->kubelet_text = map_value(&c->kubelet_config, "kubelet");
	if (!c->kubelet_text || kubelet_config_read(&config, "ConfigMap/kube-system/kubelet-config",
						    slice_of(c->kubelet_text), &err) < 0)
		return;
	c->kubelet_dns = build_room(b, config.cluster_dns_count);
	for (size_t i = 0; i < config.cluster_dns_count; i++)
		build_add_text(&c->kubelet_dns,
			       build_address(b, arena_text(b->arena, config.cluster_dns[i])));
}

void build_config(const struct build *b)
{
	struct cluster *c = b->cluster;

	build_kubeadm(b);
	build_kubelet(b);
	c->kube_proxy = config_map(b, "kube-system", "kube-proxy");
	/* the operator's calico reads its own namespace, the manifest's reads kube-system */
	c->services_endpoint = config_map(b, "tigera-operator", "kubernetes-services-endpoint");
	if (!c->services_endpoint.present)
		c->services_endpoint = config_map(b, "kube-system", "kubernetes-services-endpoint");
	c->services_endpoint_host =
		build_address(b, map_value(&c->services_endpoint, "KUBERNETES_SERVICE_HOST"));
	c->services_endpoint_port = map_value(&c->services_endpoint, "KUBERNETES_SERVICE_PORT");
}
