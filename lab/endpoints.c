/* SPDX-License-Identifier: MIT */
#include "lab/endpoints.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/selector.h"
#include "text/json.h"

enum { ENDPOINTS_MS = 60 };

#define ENDPOINTS_MANAGER "endpointslice-controller.k8s.io"

static bool endpoints_is_ready(const json_t *pod)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_path(pod, "status.conditions"), i, condition)
		if (json_path_is(condition, "type", "Ready"))
			return json_path_is(condition, "status", "True");
	return false;
}

/* The number that targetPort means for this Pod; 0: it has none of that name. */
static int64_t endpoints_port(const json_t *port, const json_t *pod)
{
	const json_t *target = json_object_get(port, "targetPort");
	const json_t *container;
	size_t i;

	if (json_is_integer(target))
		return json_integer_value(target);
	json_array_foreach(json_path(pod, "spec.containers"), i, container) {
		const json_t *own;
		size_t k;

		json_array_foreach(json_object_get(container, "ports"), k, own)
			if (json_is_string(target) &&
			    json_path_is(own, "name", json_string_value(target)))
				return json_path_int(own, "containerPort", 0);
	}
	return 0;
}

/* Pods of the Service that have an address. */
static json_t *endpoints_pods(struct lab *lab, const json_t *service)
{
	const char *space = json_path_text(service, "metadata.namespace");
	const json_t *selector = json_path(service, "spec.selector");
	json_t *list = json_array();
	const char *key;
	json_t *pod;

	json_object_foreach(store_all(lab->store, "pods"), key, pod) {
		if (json_path_is(pod, "metadata.namespace", space) &&
		    selector_equal(selector, json_path(pod, "metadata.labels")) &&
		    json_path_text(pod, "status.podIP") &&
		    !json_path(pod, "metadata.deletionTimestamp"))
			json_array_append(list, pod);
	}
	return list;
}

static json_t *endpoints_ports(const json_t *service, const json_t *pods)
{
	json_t *list = json_array();
	const json_t *port;
	size_t i;

	json_array_foreach(json_path(service, "spec.ports"), i, port) {
		const char *name = json_path_text(port, "name");
		int64_t number = endpoints_port(port, json_array_get(pods, 0));

		if (number)
			json_array_append_new(list,
					      json_pack("{s:s,s:I,s:s}", "name", name ? name : "",
							"port", (json_int_t)number, "protocol",
							json_path_text(port, "protocol")));
	}
	return list;
}

static json_t *endpoints_list(struct lab *lab, const json_t *pods)
{
	json_t *list = json_array();
	const json_t *pod;
	size_t i;

	json_array_foreach(pods, i, pod) {
		json_t *endpoint =
			json_pack("{s:[s],s:{s:b},s:{s:s,s:s,s:s,s:s}}", "addresses",
				  json_path_text(pod, "status.podIP"), "conditions", "ready",
				  (int)endpoints_is_ready(pod), "targetRef", "kind", "Pod",
				  "namespace", json_path_text(pod, "metadata.namespace"), "name",
				  json_path_text(pod, "metadata.name"), "uid",
				  json_path_text(pod, "metadata.uid"));

		if (lab_since(lab, 21))
			json_object_set(endpoint, "nodeName", json_path(pod, "spec.nodeName"));
		json_array_append_new(list, endpoint);
	}
	return list;
}

/* "web-1f2e3": its own, found without a search. For the caller to free. */
static char *endpoints_slice_name(const json_t *service)
{
	return alloc_format("%.57s-%.5s", json_path_text(service, "metadata.name"),
			    json_path_text(service, "metadata.uid"));
}

static json_t *endpoints_slice_of(struct lab *lab, const json_t *service)
{
	auto_free char *name = endpoints_slice_name(service);

	return store_find(lab->store, "endpointslices",
			  json_path_text(service, "metadata.namespace"), name);
}

/* Those of the Service, and whose it is. */
static json_t *endpoints_labels(const json_t *service)
{
	json_t *labels = json_copy(json_path(service, "metadata.labels"));

	if (!labels)
		labels = json_object();
	json_object_set(labels, "kubernetes.io/service-name", json_path(service, "metadata.name"));
	json_object_set_new(labels, "endpointslice.kubernetes.io/managed-by",
			    json_string(ENDPOINTS_MANAGER));
	return labels;
}

static void endpoints_write_slice(struct lab *lab, const json_t *service, const json_t *pods)
{
	json_t *slice = endpoints_slice_of(lab, service);
	auto_json json_t *endpoints = endpoints_list(lab, pods);
	auto_json json_t *ports = endpoints_ports(service, pods);
	auto_json json_t *labels = endpoints_labels(service);
	auto_free char *slice_name = endpoints_slice_name(service);

	if (slice && json_equal(json_object_get(slice, "endpoints"), endpoints) &&
	    json_equal(json_object_get(slice, "ports"), ports) &&
	    json_equal(json_path(slice, "metadata.labels"), labels))
		return;
	if (slice) {
		json_t *changed = json_deep_copy(slice);

		json_object_set(json_object_get(changed, "metadata"), "labels", labels);
		json_object_set(changed, "endpoints", endpoints);
		json_object_set(changed, "ports", ports);
		lab_put(lab, "endpointslices", changed);
		return;
	}
	lab_create(lab, "endpointslices",
		   json_pack("{s:{s:s,s:O,s:O,s:[{s:s,s:s,s:O,s:O,s:b}]},s:s,s:O,s:O}", "metadata",
			     "name", slice_name, "namespace",
			     json_path(service, "metadata.namespace"), "labels", labels,
			     "ownerReferences", "apiVersion", "v1", "kind", "Service", "name",
			     json_path(service, "metadata.name"), "uid",
			     json_path(service, "metadata.uid"), "controller", 1, "addressType",
			     "IPv4", "endpoints", endpoints, "ports", ports));
}

static void endpoints_write_old(struct lab *lab, const json_t *service, const json_t *pods)
{
	const char *space = json_path_text(service, "metadata.namespace");
	const char *name = json_path_text(service, "metadata.name");
	auto_json json_t *ready = json_array();
	auto_json json_t *subsets = json_array();
	json_t *object = lab_edit(lab, "endpoints", space, name);
	const json_t *pod;
	size_t i;

	json_array_foreach(pods, i, pod)
		if (endpoints_is_ready(pod))
			json_array_append_new(
				ready, json_pack("{s:O}", "ip", json_path(pod, "status.podIP")));
	if (json_array_size(ready))
		json_array_append_new(subsets, json_pack("{s:O,s:o}", "addresses", ready, "ports",
							 endpoints_ports(service, pods)));
	if (!object) {
		lab_create(lab, "endpoints",
			   json_pack("{s:{s:s,s:s},s:O}", "metadata", "name", name, "namespace",
				     space, "subsets", subsets));
		return;
	}
	if (json_equal(json_object_get(object, "subsets"), subsets)) {
		json_decref(object);
		return;
	}
	json_object_set(object, "subsets", subsets);
	lab_put(lab, "endpoints", object);
}

static void endpoints_look(struct lab *lab, const char *key)
{
	json_t *service = store_by_key(lab->store, store_type_find("", "services"), key);
	auto_json json_t *pods = NULL;

	/* older controllers go on while a Service is parked, newer ones leave what there is */
	if (!service || !json_object_size(json_path(service, "spec.selector")) ||
	    (json_path_is(service, "spec.type", "ExternalName") && lab_since(lab, 23)))
		return;
	pods = endpoints_pods(lab, service);
	endpoints_write_slice(lab, service, pods);
	endpoints_write_old(lab, service, pods);
}

static void endpoints_due(void *data)
{
	struct lab *lab = data;
	auto_json json_t *stale = lab->stale;
	const char *key;
	json_t *value;

	lab->endpoints = NULL;
	lab->stale = json_object();
	/* without an API server nobody works */
	if (!lab_any_server(lab)) {
		json_object_update(lab->stale, stale);
		lab->endpoints = loop_after(lab->loop, ENDPOINTS_MS, endpoints_due, lab);
		return;
	}
	json_object_foreach(stale, key, value)
		endpoints_look(lab, key);
}

static void endpoints_mark(struct lab *lab, const char *key)
{
	json_object_set_new(lab->stale, key, json_true());
	if (!lab->endpoints)
		lab->endpoints = loop_after(lab->loop, ENDPOINTS_MS, endpoints_due, lab);
}

static void endpoints_mark_of(struct lab *lab, const json_t *pod)
{
	const struct store_type *type = store_type_find("", "services");
	size_t count;
	const char *const *keys =
		store_keys_in(lab->store, type, json_path_text(pod, "metadata.namespace"), &count);

	for (size_t i = 0; i < count; i++) {
		const json_t *selector =
			json_path(store_by_key(lab->store, type, keys[i]), "spec.selector");

		if (json_object_size(selector) &&
		    selector_equal(selector, json_path(pod, "metadata.labels")))
			endpoints_mark(lab, keys[i]);
	}
}

/* Slices go with the Service that owns them. */
static void endpoints_collect(struct lab *lab, const json_t *service)
{
	json_t *slice = endpoints_slice_of(lab, service);

	if (slice)
		store_remove(lab->store, store_type_find(NULL, "endpointslices"), slice);
}

void endpoints_changed(struct lab *lab, const struct store_event *event)
{
	auto_free char *key = NULL;

	if (strcmp(event->type->plural, "pods") == 0) {
		endpoints_mark_of(lab, event->object);
		return;
	}
	if (strcmp(event->type->plural, "services") != 0)
		return;
	if (event->change == STORE_DELETED) {
		endpoints_collect(lab, event->object);
		return;
	}
	key = store_key(json_path_text(event->object, "metadata.namespace"),
			json_path_text(event->object, "metadata.name"));
	endpoints_mark(lab, key);
}
