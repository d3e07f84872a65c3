/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "model/cluster.h"

static void add(json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (strcmp(json_string_value(item), name) == 0)
			return;
	}
	json_array_append_new(list, json_string(name));
}

static void add_all(json_t *list, const struct cluster_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		add(list, texts->items[i]);
}

/* The host of "name", "name:6443", "10.0.0.1:6443", "[fd00::1]:6443", "fd00::1". */
static char *endpoint_host(const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');

	if (*endpoint == '[')
		return alloc_text_n(endpoint + 1, strcspn(endpoint + 1, "]"));
	if (!colon || strchr(endpoint, ':') != colon)
		return alloc_text(endpoint);
	return alloc_text_n(endpoint, (size_t)(colon - endpoint));
}

json_t *cluster_certificate_names(const struct cluster *cluster, const struct cluster_node *node)
{
	json_t *list = json_array();

	add_all(list, &cluster->kubeadm_cert_sans);
	if (cluster->kubeadm_control_plane_endpoint) {
		auto_free char *host = endpoint_host(cluster->kubeadm_control_plane_endpoint);

		if (*host)
			add(list, host);
	}
	if (!node->host.api_server_certificate.known && node->served.known) {
		add_all(list, &node->served.dns_names);
		add_all(list, &node->served.addresses);
	}
	return list;
}
