/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <string.h>

#include "base/alloc.h"
#include "kube/condition.h"
#include "kube/path.h"
#include "text/json.h"

static const char *text_at(const json_t *object, const char *path)
{
	return json_path_text(object, path);
}

static bool condition_is(const json_t *object, const char *type, const char *status, bool missing)
{
	const json_t *condition = kube_condition(object, type);

	return condition ? json_path_is(condition, "status", status) : missing;
}

static int64_t condition_since(const json_t *object, const char *type)
{
	const json_t *condition = kube_condition(object, type);

	return condition ? build_time(condition, "lastTransitionTime") : 0;
}

static struct cluster_texts ingress_addresses(const struct build *b, const json_t *service)
{
	json_t *list = json_path(service, "status.loadBalancer.ingress");
	struct cluster_texts texts = build_room(b, json_array_size(list));
	const json_t *ingress;
	size_t i;

	json_array_foreach(list, i, ingress) {
		if (text_at(ingress, "ip"))
			build_add_text(&texts, build_address(b, text_at(ingress, "ip")));
	}
	return texts;
}

/* clusterIPs, or on servers before it existed clusterIP alone; none for "None" and "". */
static struct cluster_texts cluster_addresses(const struct build *b, const json_t *spec)
{
	json_t *list = json_path(spec, "clusterIPs");
	const char *single = text_at(spec, "clusterIP");
	struct cluster_texts texts = build_room(b, json_array_size(list) + 1);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (text && *text && strcmp(text, "None") != 0)
			build_add_text(&texts, build_address(b, text));
	}
	if (!texts.count && single && *single && strcmp(single, "None") != 0)
		build_add_text(&texts, build_address(b, single));
	return texts;
}

bool build_manager_is_single(const char *manager)
{
	static const char *const single[] = {"kubectl-renumber", "kubeadm",	  "kube-apiserver",
					     "kubectl-edit",	 "kubectl-patch", "kubectl-create"};

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (strcmp(manager, single[i]) == 0)
			return true;
	return false;
}

/* The manifest that `kubectl apply` was given last; a headless Service has no address to pin. */
static bool service_applied_address(const json_t *object)
{
	static const char member[] = "\"clusterIP\":\"";
	const char *applied = json_string_value(
		json_object_get(json_path(object, "metadata.annotations"),
				"kubectl.kubernetes.io/last-applied-configuration"));
	const char *found = applied ? strstr(applied, member) : NULL;

	return found && found[sizeof(member) - 1] != '"' &&
	       strncmp(found + sizeof(member) - 1, "None", 4) != 0;
}

static const char *service_pinned_by(const json_t *object)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_path(object, "metadata.managedFields"), i, entry) {
		const char *manager = text_at(entry, "manager");

		if (manager && !build_manager_is_single(manager))
			return manager;
	}
	return service_applied_address(object) ? "kubectl apply" : NULL;
}

static const char *service_owner(const struct build *b, const json_t *object)
{
	const json_t *owner;
	size_t i;

	json_array_foreach(json_path(object, "metadata.ownerReferences"), i, owner) {
		if (json_path_bool(owner, "controller", false))
			return arena_format(b->arena, "%s/%s", text_at(owner, "kind"),
					    text_at(owner, "name"));
	}
	return NULL;
}

static void build_service(const struct build *b, struct cluster_service *s, const json_t *object)
{
	const json_t *spec = json_path(object, "spec");

	s->object = object;
	s->namespace_ = text_at(object, "metadata.namespace");
	s->name = text_at(object, "metadata.name");
	s->uid = text_at(object, "metadata.uid");
	s->type = text_at(spec, "type") ? text_at(spec, "type") : "ClusterIP";
	s->headless = json_path_is(spec, "clusterIP", "None");
	if (strcmp(s->type, "ExternalName") != 0)
		s->cluster_ips = cluster_addresses(b, spec);
	s->external_ips = build_texts(b, json_path(spec, "externalIPs"));
	s->ingress_ips = ingress_addresses(b, object);
	s->has_selector = json_object_size(json_path(spec, "selector")) > 0;
	s->created_s = build_time(object, "metadata.creationTimestamp");
	s->pinned_by = service_pinned_by(object);
	s->owner = service_owner(b, object);
	s->alias_run = text_at(object, "metadata.labels." CLUSTER_RUN_LABEL);
}

static void build_services(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->services = arena_array(b->arena, json_path_count(b->document, "services"),
				  sizeof(*c->services));
	json_array_foreach(json_path(b->document, "services"), i, object) {
		if (text_at(object, "metadata.name") && text_at(object, "metadata.namespace"))
			build_service(b, &c->services[c->service_count++], object);
	}
}

static void build_service_cidrs(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->service_cidrs = arena_array(b->arena, json_path_count(b->document, "serviceCIDRs"),
				       sizeof(*c->service_cidrs));
	json_array_foreach(json_path(b->document, "serviceCIDRs"), i, object) {
		struct cluster_service_cidr *s = &c->service_cidrs[c->service_cidr_count++];

		s->name = text_at(object, "metadata.name") ? text_at(object, "metadata.name") : "";
		s->uid = text_at(object, "metadata.uid");
		s->run = text_at(object, "metadata.labels." CLUSTER_RUN_LABEL);
		s->cidrs = build_texts(b, json_path(object, "spec.cidrs"));
		s->ready = condition_is(object, "Ready", "True", true);
		s->deleting = text_at(object, "metadata.deletionTimestamp") != NULL;
		s->reason = text_at(kube_condition(object, "Ready"), "reason");
		s->message = text_at(kube_condition(object, "Ready"), "message");
	}
}

static void build_nodes(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->nodes = arena_array(b->arena, json_path_count(b->document, "nodes"), sizeof(*c->nodes));
	json_array_foreach(json_path(b->document, "nodes"), i, object) {
		struct cluster_node *n = &c->nodes[c->node_count];
		const json_t *labels = json_path(object, "metadata.labels");
		const json_t *address;
		size_t k;

		n->name = text_at(object, "metadata.name");
		/* it becomes a file's name, and an argument of ssh */
		if (!n->name || !kube_path_is_name(n->name))
			continue;
		c->node_count++;
		n->control_plane =
			json_object_get(labels, "node-role.kubernetes.io/control-plane") ||
			json_object_get(labels, "node-role.kubernetes.io/master");
		n->ready = condition_is(object, "Ready", "True", false);
		n->labels = labels;
		n->provider = text_at(object, "spec.providerID");
		n->cluster_api =
			json_string_value(json_object_get(json_path(object, "metadata.annotations"),
							  "cluster.x-k8s.io/cluster-name"));
		n->kubelet_version = text_at(object, "status.nodeInfo.kubeletVersion");
		n->pod_cidrs = build_texts(b, json_path(object, "spec.podCIDRs"));
		if (!n->pod_cidrs.count && text_at(object, "spec.podCIDR")) {
			n->pod_cidrs = build_room(b, 1);
			build_add_text(&n->pod_cidrs, text_at(object, "spec.podCIDR"));
		}
		json_array_foreach(json_path(object, "status.addresses"), k, address) {
			if (!n->address && json_path_is(address, "type", "InternalIP"))
				n->address = build_address(b, text_at(address, "address"));
		}
		n->api_port = 6443;
	}
}

static bool reads_endpoint_map(const json_t *containers)
{
	const json_t *container;
	const json_t *from;
	size_t i;
	size_t k;

	json_array_foreach(containers, i, container) {
		json_array_foreach(json_path(container, "envFrom"), k, from) {
			if (json_path_is(from, "configMapRef.name", "kubernetes-services-endpoint"))
				return true;
		}
	}
	return false;
}

static void build_pod_containers(struct cluster_pod *p, const json_t *statuses)
{
	const json_t *status;
	size_t i;

	json_array_foreach(statuses, i, status) {
		const char *waiting = text_at(status, "state.waiting.reason");
		const char *ended = text_at(status, "lastState.terminated.message");
		int64_t started = build_time(status, "state.running.startedAt");
		int64_t ended_s = build_time(status, "lastState.terminated.finishedAt");

		p->restarts += (unsigned int)json_path_int(status, "restartCount", 0);
		/* PodInitializing only says that an init container runs first */
		if (waiting && (!p->waiting_reason || strcmp(waiting, "CrashLoopBackOff") == 0) &&
		    strcmp(waiting, "PodInitializing") != 0)
			p->waiting_reason = waiting;
		if (!ended)
			ended = text_at(status, "state.waiting.message");
		if (ended && !p->termination_message)
			p->termination_message = ended;
		if (started > p->newest_container_s)
			p->newest_container_s = started;
		if (ended_s > p->last_ended_s)
			p->last_ended_s = ended_s;
	}
}

static void build_owner(struct cluster_pod *p, const json_t *object)
{
	const json_t *owner;
	size_t i;

	json_array_foreach(json_path(object, "metadata.ownerReferences"), i, owner) {
		if (json_path_bool(owner, "controller", false)) {
			p->owner_kind = text_at(owner, "kind");
			p->owner_name = text_at(owner, "name");
		}
	}
}

static void build_pod(const struct build *b, struct cluster_pod *p, const json_t *object)
{
	const json_t *annotations = json_path(object, "metadata.annotations");
	const json_t *logs = json_path(b->document, "logs");
	auto_free char *place = NULL;

	p->namespace_ = text_at(object, "metadata.namespace");
	p->name = text_at(object, "metadata.name");
	p->uid = text_at(object, "metadata.uid");
	/* the machine knows a static Pod by the hash of its file, the API by another UID */
	p->mirror_uid =
		json_string_value(json_object_get(annotations, "kubernetes.io/config.mirror"));
	p->static_pod = p->mirror_uid != NULL;
	p->deleting = text_at(object, "metadata.deletionTimestamp") != NULL;
	p->node = text_at(object, "spec.nodeName");
	p->address = text_at(object, "status.podIP");
	p->labels = json_path(object, "metadata.labels");
	p->phase = text_at(object, "status.phase");
	p->dns_policy = text_at(object, "spec.dnsPolicy");
	p->host_network = json_path_bool(object, "spec.hostNetwork", false);
	p->ready = condition_is(object, "Ready", "True", false);
	p->ready_since_s = p->ready ? condition_since(object, "Ready") : 0;
	p->grace_s = json_path_int(object, "spec.terminationGracePeriodSeconds", -1);
	p->started_s = build_time(object, "status.startTime");
	p->created_s = build_time(object, "metadata.creationTimestamp");
	p->reads_services_endpoint = reads_endpoint_map(json_path(object, "spec.containers")) ||
				     reads_endpoint_map(json_path(object, "spec.initContainers"));
	build_owner(p, object);
	build_pod_containers(p, json_path(object, "status.initContainerStatuses"));
	build_pod_containers(p, json_path(object, "status.containerStatuses"));
	place = alloc_format("%s/%s", p->namespace_, p->name);
	p->log_line = json_string_value(json_object_get(logs, place));
}

static void build_pods(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->pods = arena_array(b->arena, json_path_count(b->document, "pods"), sizeof(*c->pods));
	json_array_foreach(json_path(b->document, "pods"), i, object) {
		if (text_at(object, "metadata.name") && text_at(object, "metadata.namespace"))
			build_pod(b, &c->pods[c->pod_count++], object);
	}
}

static void build_events(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->events =
		arena_array(b->arena, json_path_count(b->document, "events"), sizeof(*c->events));
	json_array_foreach(json_path(b->document, "events"), i, object) {
		struct cluster_event *e = &c->events[c->event_count++];
		const char *space = text_at(object, "involvedObject.namespace");
		const char *name = text_at(object, "involvedObject.name");
		const char *kind = text_at(object, "involvedObject.kind");

		e->reason = text_at(object, "reason") ? text_at(object, "reason") : "";
		e->message = text_at(object, "message") ? text_at(object, "message") : "";
		e->object = arena_format(b->arena, "%s/%s%s%s", kind ? kind : "?",
					 space ? space : "", space ? "/" : "", name ? name : "?");
		e->last_s = build_time(object, "lastTimestamp");
		if (!e->last_s)
			e->last_s = build_time(object, "series.lastObservedTime");
		if (!e->last_s)
			e->last_s = build_time(object, "eventTime");
	}
}

static void build_leftovers(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->leftovers = arena_array(b->arena, json_path_count(b->document, "leftovers"),
				   sizeof(*c->leftovers));
	json_array_foreach(json_path(b->document, "leftovers"), i, object) {
		struct cluster_leftover *l = &c->leftovers[c->leftover_count++];

		l->kind = text_at(object, "kind") ? text_at(object, "kind") : "?";
		l->namespace_ = text_at(object, "metadata.namespace");
		l->name = text_at(object, "metadata.name") ? text_at(object, "metadata.name") : "?";
		l->run = text_at(object, "metadata.labels." CLUSTER_RUN_LABEL);
		l->holder = text_at(object, "spec.holderIdentity");
		l->renewed_s = build_time(object, "spec.renewTime");
		l->duration_s = json_path_int(object, "spec.leaseDurationSeconds", 0);
	}
}

/* "10.1.15.121:6443" of every ready endpoint, from slices where there are some, else Endpoints. */
static void build_kubernetes_endpoints(const struct build *b)
{
	const json_t *subsets = json_path(b->document, "endpoints.subsets");
	const json_t *slices = json_path(b->document, "endpointSlices");
	struct cluster_texts texts = build_room(b, 256);
	const json_t *slice;
	const json_t *item;
	const json_t *address;
	size_t i;
	size_t k;
	size_t n;

	json_array_foreach(slices, i, slice) {
		json_array_foreach(json_path(slice, "endpoints"), k, item) {
			if (!json_path_bool(item, "conditions.ready", true))
				continue;
			json_array_foreach(json_path(item, "addresses"), n, address) {
				if (texts.count < 256)
					build_add_text(
						&texts,
						arena_format(b->arena, "%s:%d",
							     json_string_value(address),
							     (int)json_path_int(
								     slice, "ports.0.port", 6443)));
			}
		}
	}
	json_array_foreach(subsets, i, slice) {
		json_array_foreach(json_path(slice, "addresses"), k, item) {
			if (texts.count < 256 && !json_array_size(slices))
				build_add_text(&texts,
					       arena_format(b->arena, "%s:%d", text_at(item, "ip"),
							    (int)json_path_int(
								    slice, "ports.0.port", 6443)));
		}
	}
	b->cluster->kubernetes_endpoints = texts;
}

void build_objects(const struct build *b)
{
	build_nodes(b);
	build_services(b);
	build_service_cidrs(b);
	build_pods(b);
	build_events(b);
	build_leftovers(b);
	build_kubernetes_endpoints(b);
}
