/* SPDX-License-Identifier: MIT */
#include "lab/service.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/allocator.h"
#include "text/json.h"

#define SERVICE_RANGES_ANNOTATION "service.beta.kubernetes.io/load-balancer-source-ranges"
enum { SERVICE_PORT_FIRST = 30000, SERVICE_PORT_COUNT = 2768 };

static const char *service_text(const json_t *service, const char *field)
{
	const char *text = json_string_value(json_object_get(json_path(service, "spec"), field));

	return text ? text : "";
}

static bool service_is(const json_t *service, const char *type)
{
	return strcmp(service_text(service, "type"), type) == 0;
}

static const char *service_name(const json_t *service)
{
	const char *name = json_path_text(service, "metadata.name");

	return name ? name : "";
}

static bool service_has_address(const json_t *service)
{
	const char *address = service_text(service, "clusterIP");

	return *address && strcmp(address, "None") != 0;
}

static bool service_wants_ports(const json_t *service)
{
	return service_is(service, "NodePort") ||
	       (service_is(service, "LoadBalancer") &&
		json_path_bool(service, "spec.allocateLoadBalancerNodePorts", true));
}

/* --- defaults --------------------------------------------------------------------------------- */

static void service_default(json_t *object, const char *name, json_t *value)
{
	if (json_object_get(object, name))
		json_decref(value);
	else
		json_object_set_new(object, name, value);
}

static void service_default_ports(json_t *spec)
{
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(spec, "ports"), i, port) {
		service_default(port, "protocol", json_string("TCP"));
		if (!json_object_get(port, "targetPort"))
			json_object_set(port, "targetPort", json_object_get(port, "port"));
	}
}

/* clusterIP and clusterIPs say the same; the one that changed counts. */
static void service_normalize(json_t *spec, const json_t *old_spec)
{
	const char *single = json_string_value(json_object_get(spec, "clusterIP"));
	const char *first =
		json_string_value(json_array_get(json_object_get(spec, "clusterIPs"), 0));
	const char *before = json_string_value(json_object_get(old_spec, "clusterIP"));

	if (single && *single &&
	    (!first || (strcmp(single, first) != 0 && before && strcmp(first, before) == 0)))
		json_object_set_new(spec, "clusterIPs", json_pack("[s]", single));
	else if (first && (!single || !*single))
		json_object_set_new(spec, "clusterIP", json_string(first));
}

static void service_defaults(const struct lab *lab, json_t *spec)
{
	const char *type;

	service_default(spec, "type", json_string("ClusterIP"));
	service_default(spec, "sessionAffinity", json_string("None"));
	service_default_ports(spec);
	type = json_string_value(json_object_get(spec, "type"));
	if (strcmp(type, "ExternalName") == 0)
		return;
	if (lab_since(lab, 23)) {
		service_default(spec, "ipFamilies", json_pack("[s]", "IPv4"));
		service_default(spec, "ipFamilyPolicy", json_string("SingleStack"));
	}
	if (lab_since(lab, 26))
		service_default(spec, "internalTrafficPolicy", json_string("Cluster"));
	if (strcmp(type, "ClusterIP") == 0)
		return;
	service_default(spec, "externalTrafficPolicy", json_string("Cluster"));
	if (strcmp(type, "LoadBalancer") == 0 && lab_since(lab, 24))
		service_default(spec, "allocateLoadBalancerNodePorts", json_true());
}

/* --- checks ----------------------------------------------------------------------------------- */

static int service_check_shape(const json_t *object, struct answer *answer)
{
	const char *name = service_name(object);

	if (service_is(object, "ExternalName")) {
		if (!*service_text(object, "externalName"))
			return answer_invalid(answer, "Service", name, "FieldValueRequired",
					      "spec.externalName", "Required value");
		if (*service_text(object, "clusterIP"))
			return answer_invalid(
				answer, "Service", name, "FieldValueForbidden", "spec.clusterIPs",
				"Forbidden: may not be set for ExternalName services");
	} else if (!json_path_count(object, "spec.ports") &&
		   strcmp(service_text(object, "clusterIP"), "None") != 0) {
		return answer_invalid(answer, "Service", name, "FieldValueRequired", "spec.ports",
				      "Required value");
	}
	if (strlen(name) > 63)
		return answer_invalid(answer, "Service", name, "FieldValueInvalid", "metadata.name",
				      "Invalid value: \"%s\": must be no more than 63 characters",
				      name);
	if (!service_is(object, "LoadBalancer") &&
	    (json_path_count(object, "spec.loadBalancerSourceRanges") ||
	     json_object_get(json_path(object, "metadata.annotations"), SERVICE_RANGES_ANNOTATION)))
		return answer_invalid(answer, "Service", name, "FieldValueForbidden",
				      "spec.LoadBalancerSourceRanges",
				      "Forbidden: may only be used when `type` is 'LoadBalancer'");
	if (!service_is(object, "LoadBalancer") && *service_text(object, "loadBalancerClass"))
		return answer_invalid(answer, "Service", name, "FieldValueForbidden",
				      "spec.loadBalancerClass",
				      "Forbidden: may only be used when `type` is 'LoadBalancer'");
	return 0;
}

/* "[]string{…}" before Go's values were printed as JSON. */
static char *service_list_text(const struct lab *lab, const char *address)
{
	return lab_since(lab, 22) ? alloc_format("[\"%s\"]", address)
				  : alloc_format("[]string{\"%s\"}", address);
}

static int service_check_change(const struct lab *lab, const json_t *old, const json_t *object,
				struct answer *answer)
{
	const char *before = service_text(old, "clusterIP");
	const char *after = service_text(object, "clusterIP");
	auto_free char *list = NULL;

	if (service_is(old, "ExternalName") || service_is(object, "ExternalName") || !*before ||
	    strcmp(before, after) == 0)
		return 0;
	if (!*after)
		return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
				      "spec.clusterIPs[0]",
				      "Invalid value: []string(nil): primary clusterIP can not be "
				      "unset");
	list = service_list_text(lab, after);
	return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
			      "spec.clusterIPs[0]", "Invalid value: %s: may not change once set",
			      list);
}

/* --- addresses and ports ---------------------------------------------------------------------- */

static int service_take_address(struct lab_server *server, json_t *object, bool dry,
				struct answer *answer)
{
	struct lab *lab = server->lab;
	json_t *spec = json_object_get(object, "spec");
	const char *wanted = service_text(object, "clusterIP");
	const char *name = service_name(object);
	auto_free char *problem = NULL;
	auto_free char *address = NULL;
	auto_free char *list = NULL;

	if (service_is(object, "ExternalName") || strcmp(wanted, "None") == 0)
		return 0;
	/* 1.20 takes none in a dry run, and looks at none */
	if (dry && !lab_since(lab, 22))
		return 0;
	address = allocator_take(server, json_path_text(object, "metadata.namespace"), name,
				 *wanted ? wanted : NULL, dry, &problem);
	if (address) {
		json_object_set_new(spec, "clusterIP", json_string(address));
		json_object_set_new(spec, "clusterIPs", json_pack("[s]", address));
		return 0;
	}
	if (!*wanted)
		return answer_refuse(answer, 500, "InternalError",
				     "Internal error occurred: failed to allocate a serviceIP: %s",
				     problem);
	list = service_list_text(lab, wanted);
	if (lab_since(lab, 22))
		return answer_invalid(
			answer, "Service", name, "FieldValueInvalid", "spec.clusterIPs",
			"Invalid value: %s: failed to allocate IP %s: %s", list, wanted, problem);
	return answer_invalid(answer, "Service", name, "FieldValueInvalid", "spec.clusterIPs",
			      "Invalid value: %s: failed to allocated ip:%s with error:%s", list,
			      wanted, problem);
}

static char *service_port_key(const json_t *port)
{
	const char *protocol = json_path_text(port, "protocol");

	return alloc_format("%lld/%s", (long long)json_path_int(port, "nodePort", 0),
			    protocol ? protocol : "TCP");
}

static json_t *service_port_holding(const json_t *service, const char *key)
{
	json_t *port;
	size_t i;

	json_array_foreach(json_path(service, "spec.ports"), i, port) {
		auto_free char *own = service_port_key(port);

		if (json_object_get(port, "nodePort") && strcmp(own, key) == 0)
			return port;
	}
	return NULL;
}

static int64_t service_free_port(struct lab *lab, const char *protocol)
{
	uint64_t at = lab_random(lab, SERVICE_PORT_COUNT);

	for (int i = 0; i < SERVICE_PORT_COUNT; i++, at = (at + 1) % SERVICE_PORT_COUNT) {
		auto_free char *key = alloc_format(
			"%llu/%s", (unsigned long long)at + SERVICE_PORT_FIRST, protocol);

		if (!json_object_get(lab->node_ports, key))
			return (int64_t)(SERVICE_PORT_FIRST + at);
	}
	return 0;
}

static int service_take_ports(struct lab *lab, const json_t *old, json_t *object, bool dry,
			      struct answer *answer)
{
	auto_free char *owner =
		store_key(json_path_text(object, "metadata.namespace"), service_name(object));
	json_t *port;
	size_t i;

	if (service_is(object, "ExternalName") || service_is(object, "ClusterIP"))
		return 0;
	json_array_foreach(json_path(object, "spec.ports"), i, port) {
		auto_free char *key = NULL;

		if (!json_path_int(port, "nodePort", 0)) {
			if (!service_wants_ports(object))
				continue;
			json_object_set_new(port, "nodePort",
					    json_integer(service_free_port(
						    lab, json_path_text(port, "protocol"))));
		}
		key = service_port_key(port);
		if (old && service_port_holding(old, key))
			continue;
		if (json_object_get(lab->node_ports, key)) {
			auto_free char *field = alloc_format("spec.ports[%zu].nodePort", i);

			return answer_invalid(answer, "Service", service_name(object),
					      "FieldValueInvalid", field,
					      "Invalid value: %lld: provided port is already "
					      "allocated",
					      (long long)json_path_int(port, "nodePort", 0));
		}
		if (!dry)
			json_object_set_new(lab->node_ports, key, json_string(owner));
	}
	return 0;
}

static void service_release_ports(struct lab *lab, const json_t *old, const json_t *object)
{
	const json_t *port;
	size_t i;

	json_array_foreach(json_path(old, "spec.ports"), i, port) {
		auto_free char *key = service_port_key(port);

		if (json_path_int(port, "nodePort", 0) &&
		    !(object && service_port_holding(object, key)))
			json_object_del(lab->node_ports, key);
	}
}

/* --- writes ----------------------------------------------------------------------------------- */

int service_create(struct lab_server *server, json_t *object, bool dry, struct answer *answer)
{
	json_t *spec = json_object_get(object, "spec");

	if (!spec)
		return answer_invalid(answer, "Service", service_name(object), "FieldValueRequired",
				      "spec.ports", "Required value");
	service_defaults(server->lab, spec);
	service_normalize(spec, NULL);
	json_object_set_new(object, "status", json_pack("{s:{}}", "loadBalancer"));
	if (service_check_shape(object, answer) < 0 ||
	    service_take_address(server, object, dry, answer) < 0)
		return -1;
	if (service_take_ports(server->lab, NULL, object, dry, answer) < 0) {
		if (!dry && service_has_address(object))
			allocator_release(server, service_text(object, "clusterIP"));
		return -1;
	}
	return 0;
}

static void service_drop_same(json_t *spec, const json_t *old_spec, const char *field)
{
	json_t *value = json_object_get(spec, field);

	if (value && json_equal(value, json_object_get(old_spec, field)))
		json_object_del(spec, field);
}

/* Fields that make no sense for the new type go, when the request left them as they were. */
static void service_drop_dependent(const struct lab *lab, const json_t *old, json_t *object)
{
	json_t *spec = json_object_get(object, "spec");
	const json_t *before = json_object_get(old, "spec");
	bool external = service_is(object, "ExternalName");
	json_t *port;
	size_t i;

	if (external && !service_is(old, "ExternalName")) {
		service_drop_same(spec, before, "clusterIPs");
		service_drop_same(spec, before, "clusterIP");
		service_drop_same(spec, before, "ipFamilies");
		service_drop_same(spec, before, "ipFamilyPolicy");
		service_drop_same(spec, before, "internalTrafficPolicy");
	}
	if (external || service_is(object, "ClusterIP")) {
		service_drop_same(spec, before, "externalTrafficPolicy");
		service_drop_same(spec, before, "healthCheckNodePort");
		json_array_foreach(json_object_get(spec, "ports"), i, port)
			service_drop_same(port, json_array_get(json_object_get(before, "ports"), i),
					  "nodePort");
	}
	if (!service_is(object, "LoadBalancer")) {
		service_drop_same(spec, before, "allocateLoadBalancerNodePorts");
		service_drop_same(spec, before, "loadBalancerClass");
		/* older ones keep it, whatever the type */
		if (lab_since(lab, 21) && service_is(old, "LoadBalancer"))
			json_object_set_new(object, "status", json_pack("{s:{}}", "loadBalancer"));
	}
}

/* What a request does not say stays as it was allocated. */
static void service_keep_allocated(const struct lab *lab, const json_t *old, json_t *object)
{
	json_t *spec = json_object_get(object, "spec");

	if (service_is(object, "ExternalName") || service_is(old, "ExternalName") ||
	    !lab_since(lab, 22))
		return;
	if (!*service_text(object, "clusterIP") && !json_path_count(object, "spec.clusterIPs")) {
		json_object_set(spec, "clusterIP", json_path(old, "spec.clusterIP"));
		json_object_set(spec, "clusterIPs", json_path(old, "spec.clusterIPs"));
	}
}

int service_update(struct lab_server *server, const json_t *old, json_t *object, bool dry,
		   struct answer *answer)
{
	bool takes;

	json_object_set(object, "status", json_object_get(old, "status"));
	service_keep_allocated(server->lab, old, object);
	service_normalize(json_object_get(object, "spec"), json_object_get(old, "spec"));
	service_drop_dependent(server->lab, old, object);
	service_defaults(server->lab, json_object_get(object, "spec"));
	if (service_check_shape(object, answer) < 0 ||
	    service_check_change(server->lab, old, object, answer) < 0)
		return -1;
	takes = service_is(old, "ExternalName") && !service_is(object, "ExternalName");
	if (takes && service_take_address(server, object, dry, answer) < 0)
		return -1;
	if (service_take_ports(server->lab, old, object, dry, answer) < 0) {
		if (takes && !dry && service_has_address(object))
			allocator_release(server, service_text(object, "clusterIP"));
		return -1;
	}
	return 0;
}

void service_replaced(struct lab_server *server, const json_t *old, const json_t *object)
{
	const char *before = service_text(old, "clusterIP");

	if (service_has_address(old) && strcmp(before, service_text(object, "clusterIP")) != 0)
		allocator_release(server, before);
	service_release_ports(server->lab, old, object);
}

int service_update_status(struct lab_server *server, const json_t *old, json_t *object,
			  struct answer *answer)
{
	(void)old;
	if (json_path_count(object, "status.loadBalancer.ingress") &&
	    !service_is(object, "LoadBalancer") && lab_since(server->lab, 29))
		return answer_invalid(answer, "Service", service_name(object),
				      "FieldValueForbidden", "status.loadBalancer.ingress",
				      "Forbidden: may only be used when `spec.type` is "
				      "\"LoadBalancer\"");
	return 0;
}

void service_delete(struct lab_server *server, const json_t *object)
{
	if (service_has_address(object))
		allocator_release(server, service_text(object, "clusterIP"));
	service_release_ports(server->lab, object, NULL);
	lab_delete(server->lab, "endpoints", json_path_text(object, "metadata.namespace"),
		   service_name(object));
}
