/* SPDX-License-Identifier: MIT */
#ifndef TEXT_KUBELET_H
#define TEXT_KUBELET_H

#include "text/yaml.h"

/*
 * KubeletConfiguration, as in /var/lib/kubelet/config.yaml and the ConfigMap kubelet-config
 * (kubelet-config-1.20 and the like in older clusters).
 */
struct kubelet_config {
	char **cluster_dns; /* owned, like all below; NULL where not written */
	size_t cluster_dns_count;
	size_t cluster_dns_capacity;
	char *cluster_domain;
	char *cgroup_driver;
	char *resolv_conf;
	char *static_pod_path;
};

/* ERROR_PARSE (file:line:column); ERROR_NOT_FOUND when it holds no KubeletConfiguration. */
must_check int kubelet_config_read(struct kubelet_config *ret, const char *file, struct slice text,
				   struct error *err);

void kubelet_config_release(struct kubelet_config *config);

#define auto_kubelet_config __attribute__((cleanup(kubelet_config_release)))

/* Appends to *ret the text with clusterDNS holding exactly these addresses in this order; changed
 * in place, so that comments stay. The same bytes when nothing differs. */
must_check int kubelet_set_cluster_dns(const char *file, struct slice text,
				       const char *const addresses[], size_t count,
				       struct buffer *ret, struct error *err);

#endif
