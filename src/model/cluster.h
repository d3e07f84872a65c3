/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CLUSTER_H
#define MODEL_CLUSTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/cidr.h"

/*
 * What was observed of a cluster at one moment: immutable plain data, from which findings and
 * plans are computed without asking anybody again.
 *
 * Two halves:
 *   model/observe.h  asks the API servers and the nodes and puts the answers, trimmed of what
 *                    nobody needs, into one JSON document (the observation);
 *   this header      turns such a document into structs. Pure: the same document gives the same
 *                    cluster, so tests feed documents from files.
 *
 * All strings and lists are owned by the cluster and live until cluster_free(). A NULL string,
 * a count of 0 or a `known` flag that is false means "not observed", never "empty".
 */

enum cluster_regime {
	CLUSTER_REGIME_UNKNOWN = 0,
	CLUSTER_REGIME_BITMAP,	    /* no ServiceCIDR API: one range in the flag */
	CLUSTER_REGIME_DUAL_WRITE,  /* ServiceCIDR API, and the old bitmap is still written */
	CLUSTER_REGIME_SERVICECIDR, /* ServiceCIDR and IPAddress objects alone decide */
};

/* "bitmap", "dual-write", "servicecidr", "unknown". */
const char *cluster_regime_name(enum cluster_regime regime);

struct cluster_texts {
	const char **items; /* never NULL inside */
	size_t count;
};

/* One X.509 certificate as far as this tool asks about it: from disk or from a handshake. */
struct cluster_certificate {
	bool known;
	const char *path;	 /* file on the node, NULL for a served one */
	const char *fingerprint; /* SHA-256, lower-case hex */
	struct cluster_texts dns_names;
	struct cluster_texts addresses; /* IP SANs, canonical text */
	int64_t not_before_s;
	int64_t not_after_s;
};

/* kube-apiserver or kube-controller-manager on one control plane. */
struct cluster_component {
	bool manifest_known;
	const char *manifest_path;  /* /etc/kubernetes/manifests/kube-apiserver.yaml */
	const char *manifest_range; /* --service-cluster-ip-range there; NULL: no such flag */
	const char *manifest_text;  /* whole file, for splices and digests */
	bool running;
	const char *running_range;	   /* the same flag of the running process */
	const char *running_feature_gates; /* --feature-gates of the running process or NULL */
	const char *running_runtime_config;
	int64_t started_s; /* wall clock, 0 unknown */
};

/* A container whose process was looked at on its node. */
struct cluster_container {
	const char *pod_uid;
	const char *container_id;
	int64_t started_s;
	const char *kubernetes_host; /* KUBERNETES_SERVICE_HOST in its environment, or NULL */
	const char *kubernetes_port;
	struct cluster_texts service_hosts; /* values of all *_SERVICE_HOST that are in a Service range */
	struct cluster_texts nameservers;   /* its resolv.conf */
};

/* A machine, as seen on the machine itself. */
struct cluster_host {
	bool asked;		 /* false: --nodes-via none, or not wanted */
	bool reachable;		 /* false with `problem` set: the node did not answer */
	const char *problem;	 /* one sentence */
	struct cluster_texts manifest_files; /* every name in /etc/kubernetes/manifests that kubelet reads */
	struct cluster_component api_server;
	struct cluster_component controller_manager;
	bool kubelet_config_known;
	struct cluster_texts kubelet_dns; /* clusterDNS of /var/lib/kubelet/config.yaml */
	const char *kubelet_config_text;
	int64_t kubelet_started_s;
	struct cluster_certificate api_server_certificate; /* pki/apiserver.crt */
	const json_t *audit;	/* the whole audit (pki/audit.h reads it), NULL unknown */
	struct cluster_container *containers;
	size_t container_count;
	struct cluster_texts cni_servers; /* server URLs in kubeconfigs below /etc/cni/net.d */
	struct cluster_texts cni_files;	  /* their paths, index by index */
	struct cluster_texts routes;	  /* destination CIDRs of the routing table, canonical */
};

struct cluster_node {
	const char *name;
	const char *address; /* first InternalIP */
	bool control_plane;
	bool ready;
	const char *kubelet_version;
	struct cluster_texts pod_cidrs;
	struct cluster_host host;
	/* Control planes only: what https://ADDRESS:PORT serves, asked from here or from the node. */
	unsigned int api_port; /* 6443 unless flags say otherwise */
	struct cluster_certificate served;
	const char *served_problem; /* why `served` is not known */
};

struct cluster_service {
	const char *namespace_;
	const char *name;
	const char *uid;
	const char *type; /* ClusterIP, NodePort, LoadBalancer, ExternalName */
	bool headless;	  /* clusterIP "None" */
	struct cluster_texts cluster_ips; /* primary first; empty for headless and ExternalName */
	struct cluster_texts external_ips;
	struct cluster_texts ingress_ips; /* status.loadBalancer.ingress[].ip */
	bool has_selector;
	int64_t created_s;
	const char *alias_run; /* value of our run label, NULL: not one of our aliases */
	const json_t *object;  /* the whole object as the server gave it (without managedFields) */
};

struct cluster_service_cidr {
	const char *name;
	const char *uid;
	struct cluster_texts cidrs;
	bool ready;    /* condition Ready is True or missing */
	bool deleting; /* has a deletionTimestamp */
	const char *reason;
	const char *message;
};

struct cluster_pod {
	const char *namespace_;
	const char *name;
	const char *uid;
	const char *node;
	const char *phase;
	const char *dns_policy;
	const char *owner_kind; /* controller owner: ReplicaSet, DaemonSet, …; NULL: unmanaged */
	const char *owner_name;
	bool host_network;
	bool static_pod; /* annotation kubernetes.io/config.mirror */
	bool ready;
	int64_t started_s; /* status.startTime */
	unsigned int restarts;	     /* sum over its containers */
	const char *waiting_reason;  /* first container that waits: CrashLoopBackOff, … */
	const char *termination_message; /* last state's message or log end, where given */
	int64_t newest_container_s;  /* start of the container started last, 0: none runs */
};

/* A ConfigMap of which we read one key. */
struct cluster_config_map {
	bool present;
	const char *namespace_;
	const char *name;
	const char *resource_version;
	const json_t *data; /* object of strings, NULL when absent */
};

/* An address that a Service owns or owned and who still uses it. */
struct cluster_event {
	const char *reason;
	const char *message;
	const char *object; /* Kind/namespace/name */
	int64_t last_s;
};

struct cluster {
	/* identity */
	const char *server;  /* URL */
	const char *context; /* kubeconfig context, NULL in-cluster */
	const char *uid;     /* of namespace kube-system */
	const char *git_version;
	unsigned int major;
	unsigned int minor;
	int64_t observed_s;

	enum cluster_regime regime;
	const char *service_cidr_api; /* "networking.k8s.io/v1" or …/v1beta1; NULL: not served */
	const char *range_allocation; /* range in etcd's RangeAllocation where readable, else NULL */

	struct cluster_node *nodes;
	size_t node_count;
	struct cluster_service *services;
	size_t service_count;
	struct cluster_service_cidr *service_cidrs;
	size_t service_cidr_count;
	struct cluster_pod *pods;
	size_t pod_count;
	struct cluster_event *events;
	size_t event_count;

	/* addresses of ready endpoints of default/kubernetes, "10.1.15.121:6443" */
	struct cluster_texts kubernetes_endpoints;

	struct cluster_config_map kubeadm_config; /* kube-system/kubeadm-config */
	const char *kubeadm_text;		  /* its ClusterConfiguration */
	const char *kubeadm_service_subnet;
	const char *kubeadm_control_plane_endpoint;
	const char *kubeadm_dns_domain;
	struct cluster_texts kubeadm_cert_sans;

	struct cluster_config_map kubelet_config; /* kubelet-config or kubelet-config-1.NN */
	const char *kubelet_text;
	struct cluster_texts kubelet_dns;

	/* kubernetes-services-endpoint in kube-system or tigera-operator, as calico reads it */
	struct cluster_config_map services_endpoint;
	const char *services_endpoint_host;
	const char *services_endpoint_port;

	struct cluster_config_map kube_proxy; /* kube-system/kube-proxy */

	json_t *document; /* owned: the observation that all of this came from */
	void *memory;	  /* owned: what the lists live in */
};

/*
 * Builds a cluster from an observation (model/observe.h describes its fields) and takes a
 * reference to it. ERROR_PARSE naming the field when the document is not an observation.
 */
must_check int cluster_build(json_t *observation, struct cluster **ret, struct error *err);

void cluster_free(struct cluster *cluster);
void cluster_release(struct cluster **cluster);
#define auto_cluster __attribute__((cleanup(cluster_release)))

/* ---- questions that findings, plans and commands share; all pure ---- */

const struct cluster_service *cluster_find_service(const struct cluster *cluster,
						   const char *namespace_, const char *name);
const struct cluster_node *cluster_find_node(const struct cluster *cluster, const char *name);
const struct cluster_pod *cluster_find_pod_uid(const struct cluster *cluster, const char *uid);

/* The Service (not one of our aliases) that holds `address` as a cluster IP; NULL: none. */
const struct cluster_service *cluster_find_holder(const struct cluster *cluster,
						  const char *address);

bool cluster_texts_contain(const struct cluster_texts *texts, const char *text);

/*
 * The range that every control plane's running API server names (the manifests', where processes
 * could not be seen). False when they differ or none is known.
 */
bool cluster_agreed_range(const struct cluster *cluster, const char **ret_range);

/* A range that was the cluster's before: named by a kubeadm-config, ServiceCIDR, or derived from
 * the first addresses in API server certificates, kubelet's clusterDNS and containers'
 * environment, and different from `current`. Sorted, most evidence first. */
struct cluster_texts cluster_former_ranges(const struct cluster *cluster, const char *current);

/*
 * An old address that running containers, kubelets or CNI kubeconfigs still dial while no Service
 * and no alias holds it.
 */
struct cluster_dead_address {
	const char *address;
	enum { CLUSTER_DEAD_KUBERNETES, CLUSTER_DEAD_DNS, CLUSTER_DEAD_OTHER } role;
	size_t user_count; /* containers that dial it */
	struct cluster_texts users; /* first ones: "namespace/pod" or "node:path" */
};
size_t cluster_dead_addresses(const struct cluster *cluster,
			      const struct cluster_dead_address **ret_list);

#endif
