/* SPDX-License-Identifier: MIT */
#ifndef TEXT_KUBEADM_H
#define TEXT_KUBEADM_H

#include "text/yaml.h"

/*
 * kubeadm's ClusterConfiguration, v1beta1 to v1beta4, as it stands in the ConfigMap
 * kube-system/kubeadm-config or in a file (other documents may stand beside it). v1beta4 turned the
 * extraArgs maps into lists of {name, value}; both are read and edited as they are written.
 *
 * An edit leaves every byte alone but those of the value.
 */

struct kubeadm_arg {
	char *name;  /* owned */
	char *value; /* owned */
};

struct kubeadm_args {
	struct kubeadm_arg *items;
	size_t count;
	size_t capacity;
};

struct kubeadm_config {
	char *api_version;	  /* "kubeadm.k8s.io/v1beta3"; owned, like all below */
	char *kubernetes_version; /* NULL when not written, like all below */
	char *cluster_name;
	char *control_plane_endpoint;
	char *certificates_dir;
	char *service_subnet;
	char *pod_subnet;
	char *dns_domain;
	char *encryption_algorithm;
	char **cert_sans;
	size_t cert_san_count;
	size_t cert_san_capacity;
	struct kubeadm_args api_server;
	struct kubeadm_args controller_manager;
};

/* ERROR_PARSE (file:line:column) for malformed text, ERROR_NOT_FOUND when it holds no
 * ClusterConfiguration. */
must_check int kubeadm_config_read(struct kubeadm_config *ret, const char *file, struct slice text,
				   struct error *err);

/* The value that counts (the last), or NULL. Borrowed. */
const char *kubeadm_args_get(const struct kubeadm_args *args, const char *name);

/* The range that kubeadm would write into the API server's manifest: the extra argument
 * service-cluster-ip-range, or else serviceSubnet, or else kubeadm's default. Borrowed. */
const char *kubeadm_config_service_range(const struct kubeadm_config *config);

void kubeadm_config_release(struct kubeadm_config *config);

#define auto_kubeadm_config __attribute__((cleanup(kubeadm_config_release)))

enum kubeadm_component { KUBEADM_API_SERVER, KUBEADM_CONTROLLER_MANAGER };

/* Each appends the edited text to *ret (the same bytes when there is nothing to do); missing
 * parents are created. */
must_check int kubeadm_set_service_subnet(const char *file, struct slice text, const char *subnet,
					  struct buffer *ret, struct error *err);
must_check int kubeadm_add_cert_sans(const char *file, struct slice text, const char *const sans[],
				     size_t count, struct buffer *ret, struct error *err);
must_check int kubeadm_remove_cert_sans(const char *file, struct slice text,
					const char *const sans[], size_t count, struct buffer *ret,
					struct error *err);

/* Sets an extra argument; `value` NULL removes it. `only_existing`: a missing one is not added. */
must_check int kubeadm_set_arg(const char *file, struct slice text,
			       enum kubeadm_component component, const char *name,
			       const char *value, bool only_existing, struct buffer *ret,
			       struct error *err);

/* All that a new Service range changes: serviceSubnet, and service-cluster-ip-range where it is
 * among the extra arguments of either component. */
must_check int kubeadm_set_service_range(const char *file, struct slice text, const char *range,
					 struct buffer *ret, struct error *err);

#endif
