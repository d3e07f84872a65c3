/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "text/json.h"

/* What is kept of each kind of object: what model/build_*.c reads. */
static const char *const node_fields[] = {
	"metadata.name",      "metadata.uid",
	"metadata.labels",    "metadata.annotations.cluster\\.x-k8s\\.io/cluster-name",
	"spec.providerID",    "spec.podCIDR",
	"spec.podCIDRs",      "spec.taints",
	"spec.unschedulable", "status.conditions",
	"status.addresses",   "status.nodeInfo.kubeletVersion",
};
static const char *const pod_fields[] = {
	"metadata.name",
	"metadata.namespace",
	"metadata.uid",
	"metadata.creationTimestamp",
	"metadata.deletionTimestamp",
	"metadata.annotations.kubernetes\\.io/config\\.mirror",
	"metadata.ownerReferences",
	"metadata.labels",
	"spec.nodeName",
	"spec.dnsPolicy",
	"spec.hostNetwork",
	"spec.terminationGracePeriodSeconds",
	"status.phase",
	"status.startTime",
	"status.podIP",
	"status.conditions",
};
static const char *const container_fields[] = {"name", "envFrom"};
static const char *const static_container_fields[] = {"name", "command"};
static const char *const status_fields[] = {
	"name",
	"ready",
	"restartCount",
	"state.running.startedAt",
	"state.waiting.reason",
	"lastState.terminated.message",
	"lastState.terminated.reason",
	"lastState.terminated.exitCode",
	"lastState.terminated.finishedAt",
};
static const char *const event_fields[] = {
	"reason", "message", "involvedObject", "lastTimestamp", "eventTime", "series", "count",
};
static const char *const map_fields[] = {
	"metadata.name", "metadata.namespace", "metadata.resourceVersion", "metadata.labels",
	"data",
};
static const char *const leftover_fields[] = {
	"kind",
	"metadata.name",
	"metadata.namespace",
	"metadata.labels",
	"spec.holderIdentity",
	"spec.renewTime",
	"spec.leaseDurationSeconds",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

typedef json_t *trimmer(const json_t *object);

static json_t *trim_list(const json_t *list, const char *const fields[], size_t count)
{
	json_t *trimmed = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		json_array_append_new(trimmed, observe_trim(item, fields, count));
	return trimmed;
}

static json_t *trim_node(const json_t *object)
{
	return observe_trim(object, node_fields, COUNT(node_fields));
}

static json_t *trim_pod(const json_t *object)
{
	json_t *pod = observe_trim(object, pod_fields, COUNT(pod_fields));
	json_t *spec = json_path(pod, "spec");
	json_t *status = json_path(pod, "status");
	/* the command line of static Pods only: others may have secrets in theirs */
	bool is_static = json_path(pod, "metadata.annotations") != NULL;
	static const char *const lists[] = {"initContainers", "containers"};
	static const char *const statuses[] = {"initContainerStatuses", "containerStatuses"};

	for (size_t i = 0; i < 2; i++) {
		const json_t *from = json_path(object, "spec");

		if (spec && json_object_get(from, lists[i]))
			json_object_set_new(spec, lists[i],
					    is_static ? trim_list(json_object_get(from, lists[i]),
								  static_container_fields,
								  COUNT(static_container_fields))
						      : trim_list(json_object_get(from, lists[i]),
								  container_fields,
								  COUNT(container_fields)));
		from = json_path(object, "status");
		if (status && json_object_get(from, statuses[i]))
			json_object_set_new(status, statuses[i],
					    trim_list(json_object_get(from, statuses[i]),
						      status_fields, COUNT(status_fields)));
	}
	return pod;
}

/* Of the managers of fields those who wrote a clusterIP down, without the list of fields. */
static json_t *trim_managers(const json_t *object)
{
	static const char *const kept[] = {"manager", "operation"};
	json_t *managers = json_array();
	const json_t *entry;
	size_t i;

	json_array_foreach(json_path(object, "metadata.managedFields"), i, entry) {
		if (json_path(entry, "fieldsV1.f:spec.f:clusterIP"))
			json_array_append_new(managers, observe_trim(entry, kept, COUNT(kept)));
	}
	return managers;
}

/* Whole, but for what only fills memory. */
static json_t *trim_service(const json_t *object)
{
	json_t *service = json_copy((json_t *)(uintptr_t)object);
	json_t *metadata = json_copy(json_path(object, "metadata"));
	json_t *managers = trim_managers(object);

	json_object_del(metadata, "managedFields");
	if (json_array_size(managers))
		json_object_set(metadata, "managedFields", managers);
	json_decref(managers);
	json_object_set_new(service, "metadata", metadata);
	return service;
}

static json_t *trim_leftover(const json_t *object)
{
	return observe_trim(object, leftover_fields, COUNT(leftover_fields));
}

static json_t *trim_event(const json_t *object)
{
	return observe_trim(object, event_fields, COUNT(event_fields));
}

struct listing {
	json_t *items;
	trimmer *trim;
	size_t start; /* entries before this listing, which starting over must not drop */
	size_t max;   /* 0: all */
};

static int take_page(void *data, const json_t *items, bool first, struct error *err)
{
	struct listing *listing = data;
	const json_t *item;
	size_t i;

	(void)err;
	while (first && json_array_size(listing->items) > listing->start)
		json_array_remove(listing->items, json_array_size(listing->items) - 1);
	json_array_foreach(items, i, item) {
		if (listing->max &&
		    json_array_size(listing->items) >= listing->start + listing->max)
			break;
		json_array_append_new(listing->items, listing->trim(item));
	}
	return 0;
}

/* Appends to document[name]. */
static int list_into(struct kube_client *kube, json_t *document, const char *name,
		     const struct kube_target *target, const struct kube_list_options *options,
		     trimmer *trim, size_t max, struct error *err)
{
	struct listing listing = {
		.items = json_object_get(document, name), .trim = trim, .max = max};

	if (!listing.items) {
		listing.items = json_array();
		json_object_set_new(document, name, listing.items);
	}
	listing.start = json_array_size(listing.items);
	return kube_client_list_pages(kube, target, options, take_page, &listing, NULL, err);
}

void observe_without(json_t *document, const struct error *err)
{
	json_t *list = json_object_get(document, "withheld");
	const json_t *known;
	size_t i;

	if (err->kind != ERROR_API) {
		log_debug("observe: %s", error_text(err));
		return;
	}
	if (!list) {
		list = json_array();
		json_object_set_new(document, "withheld", list);
	}
	json_array_foreach(list, i, known) {
		if (strcmp(json_string_value(known), error_text(err)) == 0)
			return;
	}
	json_array_append_new(list, json_string(error_text(err)));
	log_warning("going on without it: %s", error_text(err));
}

/* What an operator may not be allowed to see, or a server does not have: said, and gone without. */
static void list_optional(struct kube_client *kube, json_t *document, const char *name,
			  const struct kube_target *target, const struct kube_list_options *options,
			  trimmer *trim, size_t max)
{
	auto_error struct error err = {0};

	if (list_into(kube, document, name, target, options, trim, max, &err) < 0 &&
	    err.kind != ERROR_NOT_FOUND)
		observe_without(document, &err);
}

static int get_optional(struct kube_client *kube, json_t *document,
			const struct kube_target *target, json_t **ret)
{
	auto_error struct error err = {0};

	if (kube_client_get(kube, target, ret, &err) == 0)
		return 0;
	if (err.kind != ERROR_NOT_FOUND)
		observe_without(document, &err);
	return -1;
}

static int identity(struct kube_client *kube, json_t *document, struct error *err)
{
	const struct kube_target space = {
		.version = "v1", .plural = "namespaces", .name = "kube-system"};
	struct kube_reply reply = {0};
	auto_json json_t *object = NULL;
	json_t *version;

	if (kube_client_get_raw(kube, "/version", &reply, err) < 0) {
		kube_reply_release(&reply);
		return error_wrap(err, "asking for the server's version");
	}
	version = json_parse(buffer_as_slice(&reply.body), "/version", err);
	kube_reply_release(&reply);
	if (!version)
		return -1;
	json_object_set_new(document, "version", version);
	if (kube_client_get(kube, &space, &object, err) < 0)
		return error_wrap(err, "identifying the cluster");
	json_object_set(document, "uid", json_path(object, "metadata.uid"));
	return 0;
}

static void service_cidrs(struct kube_client *kube, json_t *document)
{
	auto_error struct error err = {0};
	auto_free char *version = NULL;
	auto_free char *api = NULL;
	struct kube_target target = {.group = "networking.k8s.io", .plural = "servicecidrs"};

	if (kube_discovery_served(kube, target.group, target.plural, &version, &err) < 0 ||
	    !version)
		return;
	target.version = version;
	api = alloc_format("%s/%s", target.group, version);
	json_object_set_new(document, "serviceCIDRAPI", json_string(api));
	list_optional(kube, document, "serviceCIDRs", &target, NULL, trim_service, 0);
}

static void config_maps(struct kube_client *kube, json_t *document)
{
	unsigned int minor = 0;
	auto_free char *kubelet = NULL;
	json_t *maps = json_object();
	const struct {
		const char *space;
		const char *name;
	} wanted[] = {
		{"kube-system", "kubeadm-config"},
		{"kube-system", "kubelet-config"},
		{"kube-system", NULL},
		{"kube-system", "kube-proxy"},
		{"kube-system", "kubernetes-services-endpoint"},
		{"tigera-operator", "kubernetes-services-endpoint"},
	};
	const char *text = json_path_text(document, "version.minor");

	for (; text && *text >= '0' && *text <= '9' && minor < 1000; text++)
		minor = minor * 10 + (unsigned int)(*text - '0');
	kubelet = alloc_format("kubelet-config-1.%u", minor);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		const char *name = wanted[i].name ? wanted[i].name : kubelet;
		const struct kube_target target = {.version = "v1",
						   .plural = "configmaps",
						   .space = wanted[i].space,
						   .name = name};
		auto_free char *place = alloc_format("%s/%s", wanted[i].space, name);
		auto_json json_t *object = NULL;

		if (get_optional(kube, document, &target, &object) == 0)
			json_object_set_new(maps, place,
					    observe_trim(object, map_fields, COUNT(map_fields)));
	}
	json_object_set_new(document, "configMaps", maps);
}

static void kubernetes_endpoints(struct kube_client *kube, json_t *document)
{
	const struct kube_target target = {
		.version = "v1", .plural = "endpoints", .space = "default", .name = "kubernetes"};
	struct kube_target slices = {
		.group = "discovery.k8s.io", .plural = "endpointslices", .space = "default"};
	const struct kube_list_options options = {.label_selector =
							  "kubernetes.io/service-name=kubernetes"};
	auto_error struct error err = {0};
	auto_free char *version = NULL;
	auto_json json_t *object = NULL;

	if (get_optional(kube, document, &target, &object) == 0)
		json_object_set_new(document, "endpoints", trim_service(object));
	if (kube_discovery_served(kube, slices.group, slices.plural, &version, &err) < 0 ||
	    !version)
		return;
	slices.version = version;
	list_optional(kube, document, "endpointSlices", &slices, &options, trim_service, 0);
}

static void events(struct kube_client *kube, json_t *document)
{
	static const char *const selectors[] = {
		"reason=ClusterIPOutOfRange",
		"reason=ClusterIPNotAllocated",
		"reason=KubernetesDefaultServiceCIDRInconsistent",
		"reason=KubernetesDefaultServiceCIDRError",
		"reason=IPAddressWrongReference",
		"reason=FailedCreatePodSandBox",
		"reason=FailedKillPod",
	};
	const struct kube_target target = {.version = "v1", .plural = "events"};

	for (size_t i = 0; i < COUNT(selectors); i++) {
		const struct kube_list_options options = {.field_selector = selectors[i]};

		list_optional(kube, document, "events", &target, &options, trim_event, 20);
	}
}

static void leftovers(struct kube_client *kube, json_t *document)
{
	static const char *const policies[] = {"validatingadmissionpolicies",
					       "validatingadmissionpolicybindings",
					       "validatingwebhookconfigurations"};
	const struct kube_list_options ours = {.label_selector = CLUSTER_RUN_LABEL};
	const struct kube_target maps = {
		.version = "v1", .plural = "configmaps", .space = "kube-system"};
	const struct kube_target lease = {.group = "coordination.k8s.io",
					  .version = "v1",
					  .plural = "leases",
					  .space = "kube-system",
					  .name = CLUSTER_LOCK_NAME};
	auto_json json_t *object = NULL;

	list_optional(kube, document, "leftovers", &maps, &ours, trim_leftover, 0);
	for (size_t i = 0; i < COUNT(policies); i++) {
		struct kube_target target = {.group = "admissionregistration.k8s.io",
					     .plural = policies[i]};
		auto_error struct error err = {0};
		auto_free char *version = NULL;

		if (kube_discovery_served(kube, target.group, target.plural, &version, &err) < 0 ||
		    !version)
			continue;
		target.version = version;
		list_optional(kube, document, "leftovers", &target, &ours, trim_leftover, 0);
	}
	if (get_optional(kube, document, &lease, &object) == 0)
		json_array_append_new(json_object_get(document, "leftovers"),
				      trim_leftover(object));
}

int observe_objects(struct kube_client *kube, json_t *document, struct error *err)
{
	static const struct {
		const char *name;
		trimmer *trim;
	} needed[] = {
		{"nodes", trim_node},
		{"services", trim_service},
		{"pods", trim_pod},
	};

	if (identity(kube, document, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(needed); i++) {
		const struct kube_target target = {.version = "v1", .plural = needed[i].name};

		if (list_into(kube, document, needed[i].name, &target, NULL, needed[i].trim, 0,
			      err) < 0)
			return -1;
	}
	service_cidrs(kube, document);
	config_maps(kube, document);
	kubernetes_endpoints(kube, document);
	events(kube, document);
	leftovers(kube, document);
	observe_local_dns(kube, document);
	return 0;
}

int observe_basis(struct kube_client *kube, json_t *document, struct error *err)
{
	static const struct kube_target nodes = {.version = "v1", .plural = "nodes"};
	static const struct kube_target services = {
		.version = "v1", .plural = "services", .space = "default"};
	static const struct kube_target pods = {
		.version = "v1", .plural = "pods", .space = "kube-system"};
	static const struct kube_list_options kubernetes = {.field_selector =
								    "metadata.name=kubernetes"};

	if (identity(kube, document, err) < 0 ||
	    list_into(kube, document, "nodes", &nodes, NULL, trim_node, 0, err) < 0 ||
	    list_into(kube, document, "services", &services, &kubernetes, trim_service, 0, err) <
		    0 ||
	    list_into(kube, document, "pods", &pods, NULL, trim_pod, 0, err) < 0)
		return -1;
	service_cidrs(kube, document);
	config_maps(kube, document);
	return 0;
}
