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

/* On everything that a run of ours creates in the cluster; the value is the run's id. */
#define CLUSTER_RUN_LABEL "kubectl-renumber/run"
/* The Lease in kube-system that is our lock. */
#define CLUSTER_LOCK_NAME "kubectl-renumber"
/* ServiceCIDRs that runs of ours create. */
#define CLUSTER_NEW_CIDR_NAME "renumber-new"
#define CLUSTER_OLD_CIDR_NAME "renumber-old"

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
	const char *manifest_feature_gates;
	bool running;
	const char *running_range;	   /* the same flag of the running process */
	const char *running_feature_gates; /* --feature-gates of the running process or NULL */
	const char *running_runtime_config;
	const char *running_advertise; /* --advertise-address: its endpoint in default/kubernetes */
	int64_t started_s;	       /* wall clock, 0 unknown */
	const char *pod_range; /* the flag in the mirror Pod, which the API shows; NULL: not seen */
	const char *pod_feature_gates;
};

/* The flag as far as it is known: of the running process, else the mirror Pod's, else the
 * manifest's; NULL: unknown, or not set. */
const char *cluster_component_range(const struct cluster_component *component);

/* A file that kubelet reads static Pods from: everything in the folder that has no leading dot. */
struct cluster_manifest {
	const char *path;
	const char *text;    /* NULL: could not be read */
	const char *program; /* "kube-apiserver", "etcd", …; NULL: another Pod, or no Pod at all */
};

/* A container of a known Pod, whose process was looked at on the Pod's node. */
struct cluster_container {
	const char *pod_uid;
	const char *container_id;
	int64_t started_s;
	const char *kubernetes_host; /* KUBERNETES_SERVICE_HOST in its environment, or NULL */
	const char *kubernetes_port;
	struct cluster_texts
		service_hosts; /* values of all *_SERVICE_HOST that are in a Service range */
	struct cluster_texts service_names; /* index by index: the variable without _SERVICE_HOST */
	struct cluster_texts nameservers;   /* its resolv.conf */
};

/* A machine, as seen on the machine itself. */
struct cluster_host {
	bool asked;		       /* false: --nodes-via none, or not wanted */
	bool reachable;		       /* false with `problem` set: the node did not answer */
	const char *problem;	       /* one sentence */
	struct cluster_texts problems; /* what a reachable node could not say; a sentence each */
	struct cluster_manifest *manifests; /* /etc/kubernetes/manifests, ordered by path */
	size_t manifest_count;
	struct cluster_component api_server;
	struct cluster_component controller_manager;
	bool kubelet_config_known;
	struct cluster_texts kubelet_dns; /* clusterDNS of /var/lib/kubelet/config.yaml */
	const char *kubelet_config_text;
	const char *static_pod_path; /* where kubelet reads manifests; NULL: not said there */
	int64_t kubelet_started_s;
	struct cluster_certificate api_server_certificate; /* pki/apiserver.crt */
	const json_t *audit;  /* the whole audit (pki/audit.h reads it), NULL unknown */
	bool processes_known; /* containers and running servers were looked at */
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
	bool health_known;	    /* its /readyz was asked (OBSERVE_SURROUNDINGS) */
	const char *health_problem; /* NULL: all of it is well */
	const json_t *labels;	    /* object of strings */
	const char *provider;	    /* spec.providerID, "aws:///eu-west-1a/i-0123" */
	const char *cluster_api;    /* the Cluster API cluster whose machine it is, or NULL */
};

struct cluster_service {
	const char *namespace_;
	const char *name;
	const char *uid;
	const char *type;		  /* ClusterIP, NodePort, LoadBalancer, ExternalName */
	bool headless;			  /* clusterIP "None" */
	struct cluster_texts cluster_ips; /* primary first; empty for headless and ExternalName */
	struct cluster_texts external_ips;
	struct cluster_texts ingress_ips; /* status.loadBalancer.ingress[].ip */
	bool has_selector;
	int64_t created_s;
	const char *alias_run; /* value of our run label, NULL: not one of our aliases */
	const char *pinned_by; /* a field manager that wrote its clusterIP down and may do so again
				* ("helm", "argocd-controller"); NULL: none */
	const char *owner;     /* "Kind/name" of its controller, or NULL */
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
	const char *run; /* value of our run label, or NULL */
};

struct cluster_pod {
	const char *namespace_;
	const char *name;
	const char *uid;
	const char *node;
	const char *phase;
	const char *dns_policy;
	const char *address;	/* status.podIP */
	const json_t *labels;	/* object of strings */
	const char *owner_kind; /* controller owner: ReplicaSet, DaemonSet, …; NULL: unmanaged */
	const char *owner_name;
	bool host_network;
	bool static_pod;	/* annotation kubernetes.io/config.mirror */
	bool deleting;		/* has a deletionTimestamp */
	const char *mirror_uid; /* its value: the UID that the machine knows a static Pod by */
	bool ready;
	int64_t ready_since_s;		 /* when it became so, 0: it is not, or unknown */
	int64_t started_s;		 /* status.startTime */
	int64_t grace_s;		 /* terminationGracePeriodSeconds; -1: not said */
	unsigned int restarts;		 /* sum over its containers */
	const char *waiting_reason;	 /* first container that waits: CrashLoopBackOff, … */
	int64_t last_ended_s;		 /* when a container of it ended last, 0: none did */
	const char *termination_message; /* last state's message, where given */
	const char *log_line; /* telling line of the end of a crashed container's log, or NULL */
	bool reads_services_endpoint; /* envFrom ConfigMap kubernetes-services-endpoint */
	int64_t created_s;
	int64_t newest_container_s; /* start of the container started last, 0: none runs */
};

/* NodeLocal DNSCache: a DaemonSet that answers DNS on every node, at addresses of its own. */
struct cluster_local_dns {
	const char *namespace_;
	const char *name;
	struct cluster_texts addresses; /* of its argument -localip */
	const char *config_map;		/* the volume with its Corefile; NULL: none was found */
	const char *corefile;
	bool leaves_addresses; /* on the node, when it ends (-skipteardown) */
	const char *pinned_by; /* a field manager that writes its Pod template; NULL: none */
};

/* A ConfigMap of which we read one key. */
struct cluster_config_map {
	bool present;
	const char *namespace_;
	const char *name;
	const char *resource_version;
	const json_t *data; /* object of strings, NULL when absent */
};

struct cluster_event {
	const char *reason;
	const char *message;
	const char *object; /* Kind/namespace/name */
	int64_t last_s;
};

/* Something of ours that is still in the cluster: policies, locks, ConfigMaps of a run. */
struct cluster_leftover {
	const char *kind;
	const char *namespace_; /* NULL: cluster-scoped */
	const char *name;
	const char *run;   /* value of our run label, or NULL */
	int64_t renewed_s; /* of a Lease, else 0 */
	int64_t duration_s;
	const char *holder; /* of a Lease, or NULL */
};

/* An object for whose sake API servers call a Service. */
struct cluster_caller {
	const char *kind; /* "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
			   * "CustomResourceDefinition" (conversion), "APIService" */
	const char *name;
	const char *namespace_; /* of the Service */
	const char *service;
	bool fail_closed;   /* requests fail while the Service does not answer */
	bool sees_services; /* a webhook that is asked when a Service is written */
};

/* A NetworkPolicy that says who may dial the Pods that it selects. */
struct cluster_policy {
	const char *namespace_;
	const char *name;
	const json_t *pods; /* its podSelector */
};

/* What a ResourceQuota says about Services: "services", "count/services",
 * "services.loadbalancers". */
struct cluster_quota {
	const char *namespace_;
	const char *name;
	const char *resource;
	uint64_t hard;
	uint64_t used;
};

/* A range that some source names. */
struct cluster_range {
	struct net_cidr_list cidrs;
	const char *text;   /* canonical */
	const char *source; /* "running kube-apiserver on cp1", "ServiceCIDR/kubernetes", … */
	bool guessed;	    /* only an address was seen: the prefix length is an assumption */
};

enum cluster_dead_role { CLUSTER_DEAD_KUBERNETES, CLUSTER_DEAD_DNS, CLUSTER_DEAD_OTHER };

/*
 * An old address that running containers, kubelets or CNI kubeconfigs still dial: dead, when no
 * Service and no alias holds it, or kept alive by an alias.
 */
struct cluster_dead_address {
	const char *address;
	enum cluster_dead_role role;
	size_t user_count;		     /* containers that dial it, and files that name it */
	struct cluster_texts users;	     /* sorted: "namespace/pod" or "node:path" */
	const struct cluster_service *alias; /* NULL: dead */
};

/* How long a crash or a failure of kubelet counts as going on: kubelet waits five minutes at most
 * before it starts a container again. */
#define CLUSTER_RECENT_S 600

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
	const char
		*range_allocation; /* range in etcd's RangeAllocation where readable, else NULL */

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
	const char *kubeadm_pod_subnet;
	const char *kubeadm_control_plane_endpoint;
	const char *kubeadm_dns_domain;
	struct cluster_texts kubeadm_cert_sans;
	bool kubeadm_known;	       /* a ClusterConfiguration was read */
	const char *kubeadm_problem;   /* why it could not be */
	const char *kubeadm_range;     /* what kubeadm would write into the API server's manifest */
	const char *kubeadm_range_arg; /* service-cluster-ip-range in its extraArgs, or NULL */

	struct cluster_config_map kubelet_config; /* kubelet-config or kubelet-config-1.NN */
	const char *kubelet_text;
	struct cluster_texts kubelet_dns;

	/* Every range that is or was the Services', by source, in the order of trust: flags of
	 * running servers, manifests, ServiceCIDRs, RangeAllocation, kubeadm-config, guesses from
	 * addresses in use. Equal ranges of several sources stand several times. */
	struct cluster_range *ranges;
	size_t range_count;

	/* Old addresses still in use, by role and address: without and with an alias. */
	struct cluster_dead_address *dead;
	size_t dead_count;
	struct cluster_dead_address *aliased;
	size_t aliased_count;

	struct cluster_leftover *leftovers;
	size_t leftover_count;

	/* What stands around the Services (OBSERVE_SURROUNDINGS). */
	bool surroundings_known;
	struct cluster_texts surroundings_unseen; /* what could not be listed: "resourcequotas" */
	struct cluster_caller *callers;
	size_t caller_count;
	struct cluster_policy *policies;
	size_t policy_count;
	struct cluster_quota *quotas;
	size_t quota_count;
	struct cluster_texts definitions; /* names of CustomResourceDefinitions */

	/* kubernetes-services-endpoint in kube-system or tigera-operator, as calico reads it */
	struct cluster_config_map services_endpoint;
	const char *services_endpoint_host;
	const char *services_endpoint_port;

	struct cluster_config_map kube_proxy; /* kube-system/kube-proxy */

	struct cluster_local_dns *local_dns;
	size_t local_dns_count;
	bool local_dns_unseen; /* it was asked for, and could not be listed */

	struct cluster_index *index; /* of src/model only */
	json_t *document;	     /* owned: the observation that all of this came from */
	void *memory;		     /* owned: what the lists live in */
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

/* Ranges that were the cluster's before: those of cluster->ranges that differ from `current` (NULL:
 * all), without the ServiceCIDRs that an operator added beside a consistent default. Sorted, most
 * sources first, guesses last. */
struct cluster_texts cluster_former_ranges(const struct cluster *cluster, const char *current);

/* cluster->dead as a list; its length. */
size_t cluster_dead_addresses(const struct cluster *cluster,
			      const struct cluster_dead_address **ret_list);

/* The first address of a range in its first family ("10.17.0.1"), the DNS one (index 10), or any;
 * NULL when the text is no range. Lives as long as the cluster. */
const char *cluster_nth_address(const struct cluster *cluster, const char *range, uint64_t n);

/* True when `range` ("a" or "a,b") contains the address. */
bool cluster_range_contains(const char *range, const char *address);

/* True when both name the same addresses, however they are written. NULL equals nothing. */
bool cluster_range_equal(const char *a, const char *b);

/* The ServiceCIDR that serves this address: not deleting, Ready, containing it; NULL: none. */
const struct cluster_service_cidr *cluster_find_cover(const struct cluster *cluster,
						      const char *address);

/* The default ServiceCIDR, NULL when there is none. */
const struct cluster_service_cidr *cluster_default_cidr(const struct cluster *cluster);

/*
 * Names that a new certificate of the node's API server needs beside kubeadm's own and the Service
 * addresses: certSANs and the host of controlPlaneEndpoint and, when the old certificate is gone
 * from the disk, what the server still shows. An array of strings, a new reference.
 */
json_t *cluster_certificate_names(const struct cluster *cluster, const struct cluster_node *node);

/* True when all of `wanted` (object of texts; a Service's selector) are among these labels. */
bool cluster_has_labels(const json_t *labels, const json_t *wanted);
/* True when a label selector ({matchLabels, matchExpressions}; empty: all) selects these labels. */
bool cluster_selects(const json_t *selector, const json_t *labels);

size_t cluster_control_plane_count(const struct cluster *cluster);

#endif
