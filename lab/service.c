/* SPDX-License-Identifier: MIT */
#include "lab/service.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/allocator.h"
#include "net/address.h"
#include "text/json.h"

#define SERVICE_RANGES_ANNOTATION "service.beta.kubernetes.io/load-balancer-source-ranges"
#define SERVICE_NO_ADDRESS "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
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

static void service_default_affinity(json_t *spec)
{
	const char *affinity = json_string_value(json_object_get(spec, "sessionAffinity"));

	if (strcmp(affinity, "ClientIP") == 0)
		service_default(spec, "sessionAffinityConfig",
				json_pack("{s:{s:i}}", "clientIP", "timeoutSeconds", 10800));
	else
		json_object_del(spec, "sessionAffinityConfig");
}

/* A new clusterIP is one in clusterIPs, too, when those were left as they were; without the one the
 * others go. */
static void service_normalize(json_t *spec, const json_t *old_spec)
{
	const char *single = json_string_value(json_object_get(spec, "clusterIP"));
	const char *before = json_string_value(json_object_get(old_spec, "clusterIP"));
	const json_t *list = json_object_get(spec, "clusterIPs");
	bool same = json_equal(list, json_object_get(old_spec, "clusterIPs"));

	if (!old_spec) {
		if (single && *single && !json_array_size(list))
			json_object_set_new(spec, "clusterIPs", json_pack("[s]", single));
		return;
	}
	single = single ? single : "";
	before = before ? before : "";
	if (strcmp(single, before) == 0 || (!same && json_array_size(list)))
		return;
	if (*single)
		json_object_set_new(spec, "clusterIPs", json_pack("[s]", single));
	else
		json_object_del(spec, "clusterIPs");
}

static void service_defaults(const struct lab *lab, json_t *spec)
{
	const char *type;

	if (!lab_since(lab, 22)) {
		json_object_del(spec, "allocateLoadBalancerNodePorts");
		json_object_del(spec, "loadBalancerClass");
	}
	service_default(spec, "type", json_string("ClusterIP"));
	service_default(spec, "sessionAffinity", json_string("None"));
	service_default_ports(spec);
	service_default_affinity(spec);
	type = json_string_value(json_object_get(spec, "type"));
	if (strcmp(type, "ExternalName") == 0)
		return;
	if (lab_since(lab, 23)) {
		service_default(spec, "ipFamilies", json_pack("[s]", "IPv4"));
		service_default(spec, "ipFamilyPolicy", json_string("SingleStack"));
	}
	if (lab_since(lab, 26))
		service_default(spec, "internalTrafficPolicy", json_string("Cluster"));
	if (strcmp(type, "ClusterIP") == 0 &&
	    !(lab_since(lab, 27) && json_array_size(json_object_get(spec, "externalIPs"))))
		return;
	service_default(spec, "externalTrafficPolicy", json_string("Cluster"));
	if (strcmp(type, "LoadBalancer") == 0 && lab_since(lab, 24))
		service_default(spec, "allocateLoadBalancerNodePorts", json_true());
}

/* --- checks ----------------------------------------------------------------------------------- */

static int service_forbid(const json_t *object, const char *field, struct answer *answer)
{
	return answer_invalid(answer, "Service", service_name(object), "FieldValueForbidden", field,
			      "Forbidden: may only be used when `type` is 'LoadBalancer'");
}

static int service_check_type(const json_t *object, struct answer *answer)
{
	static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer",
					    "NodePort"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (service_is(object, types[i]))
			return 0;
	return answer_invalid(answer, "Service", service_name(object), "FieldValueNotSupported",
			      "spec.type",
			      "Unsupported value: \"%s\": supported values: \"ClusterIP\", "
			      "\"ExternalName\", \"LoadBalancer\", \"NodePort\"",
			      service_text(object, "type"));
}

/* A name where there are two, and each one once; no nodePort where nobody gives one out. */
static int service_check_ports(const json_t *object, struct answer *answer)
{
	const json_t *ports = json_path(object, "spec.ports");
	bool plain = service_is(object, "ClusterIP");
	auto_json json_t *names = json_object();
	const json_t *port;
	size_t i;

	json_array_foreach(ports, i, port) {
		const char *name = json_path_text(port, "name");
		auto_free char *field = alloc_format("spec.ports[%zu].name", i);
		auto_free char *node = alloc_format("spec.ports[%zu].nodePort", i);

		if (json_array_size(ports) > 1 && (!name || !*name))
			answer_invalid(answer, "Service", service_name(object),
				       "FieldValueRequired", field, "Required value");
		else if (name && json_object_get(names, name))
			answer_invalid(answer, "Service", service_name(object),
				       "FieldValueDuplicate", field, "Duplicate value: \"%s\"",
				       name);
		else if (name)
			json_object_set_new(names, name, json_true());
		if (plain && json_path_int(port, "nodePort", 0))
			answer_invalid(answer, "Service", service_name(object),
				       "FieldValueForbidden", node,
				       "Forbidden: may not be used when `type` is 'ClusterIP'");
	}
	return answer->code ? -1 : 0;
}

/* What speaks of clients from outside. */
static int service_check_outside(const struct lab *lab, const json_t *object, struct answer *answer)
{
	const char *policy = service_text(object, "externalTrafficPolicy");
	bool shown = service_is(object, "NodePort") || service_is(object, "LoadBalancer") ||
		     json_path_count(object, "spec.externalIPs");

	if (!service_is(object, "LoadBalancer")) {
		if (json_path_count(object, "spec.loadBalancerSourceRanges"))
			return service_forbid(object, "spec.LoadBalancerSourceRanges", answer);
		if (json_object_get(json_path(object, "metadata.annotations"),
				    SERVICE_RANGES_ANNOTATION))
			return service_forbid(object,
					      "metadata.annotations[" SERVICE_RANGES_ANNOTATION "]",
					      answer);
		if (*service_text(object, "loadBalancerClass"))
			return service_forbid(object, "spec.loadBalancerClass", answer);
	}
	if (*policy && !shown)
		return answer_invalid(
			answer, "Service", service_name(object), "FieldValueInvalid",
			"spec.externalTrafficPolicy", "Invalid value: \"%s\": %s", policy,
			lab_since(lab, 22) ? "may only be set for externally-accessible services"
					   : "ExternalTrafficPolicy can only be set on NodePort "
					     "and LoadBalancer service");
	return 0;
}

/* "[]string{…}" before Go's values were printed as JSON. */
static char *service_list_text(const struct lab *lab, const char *address)
{
	return lab_since(lab, 33) ? alloc_format("[\"%s\"]", address)
				  : alloc_format("[]string{\"%s\"}", address);
}

/* clusterIPs are addresses, and the first one is the clusterIP. */
static int service_check_addresses(const struct lab *lab, const json_t *object,
				   struct answer *answer)
{
	const char *single = service_text(object, "clusterIP");
	const char *first = json_path_text(object, "spec.clusterIPs.0");
	auto_free char *list = NULL;
	struct net_address address;

	if (!first)
		return 0;
	list = service_list_text(lab, first);
	if (strcmp(single, first) != 0)
		return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
				      "spec.clusterIPs", "Invalid value: %s: %s", list,
				      lab_since(lab, 22) ? "first value must match `clusterIP`"
							 : "element [0] must match clusterIP");
	if (strcmp(first, "None") != 0 && !net_address_read(slice_of(first), &address))
		return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
				      "spec.clusterIPs[0]", "Invalid value: \"%s\": %s", first,
				      SERVICE_NO_ADDRESS);
	return 0;
}

static int service_check_shape(const struct lab *lab, const json_t *object, struct answer *answer)
{
	const char *name = service_name(object);

	if (service_check_type(object, answer) < 0)
		return -1;
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
	if (service_check_addresses(lab, object, answer) < 0 ||
	    service_check_ports(object, answer) < 0)
		return -1;
	return service_check_outside(lab, object, answer);
}

static int service_check_change(const struct lab *lab, const json_t *old, const json_t *object,
				struct answer *answer)
{
	const char *before = service_text(old, "clusterIP");
	const char *after = json_path_text(object, "spec.clusterIPs.0");
	const char *class = service_text(old, "loadBalancerClass");
	auto_free char *list = NULL;

	if (*class && service_is(object, "LoadBalancer") &&
	    strcmp(class, service_text(object, "loadBalancerClass")) != 0)
		return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
				      "spec.loadBalancerClass",
				      "Invalid value: \"%s\": may not change once set",
				      service_text(object, "loadBalancerClass"));
	if (service_is(old, "ExternalName") || service_is(object, "ExternalName") || !*before)
		return 0;
	if (!after)
		return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid",
				      "spec.clusterIPs[0]",
				      "Invalid value: []string(nil): primary clusterIP can not be "
				      "unset");
	/* later ones see first that the two differ */
	if (strcmp(before, after) == 0 ||
	    (lab_since(lab, 22) && strcmp(after, service_text(object, "clusterIP")) != 0))
		return 0;
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
	/* 1.20 chooses none in a dry run, and looks at none */
	if (dry && !lab_since(lab, 22))
		return 0;
	address = allocator_take(server, json_path_text(object, "metadata.namespace"), name,
				 *wanted ? wanted : NULL, dry, &problem);
	if (address) {
		json_object_set_new(spec, "clusterIP", json_string(address));
		json_object_set_new(spec, "clusterIPs", json_pack("[s]", address));
		return 0;
	}
	if (!*wanted) {
		auto_free char *text = alloc_format("failed to allocate a serviceIP: %s", problem);

		answer_refuse(answer, 500, "InternalError", "Internal error occurred: %s", text);
		answer->details = json_pack("{s:[{s:s}]}", "causes", "message", text);
		return -1;
	}
	list = service_list_text(lab, wanted);
	if (lab_since(lab, 22))
		return answer_invalid(
			answer, "Service", name, "FieldValueInvalid", "spec.clusterIPs",
			"Invalid value: %s: failed to allocate IP %s: %s", list, wanted, problem);
	return answer_invalid(answer, "Service", name, "FieldValueInvalid", "spec.clusterIPs",
			      "Invalid value: %s: failed to allocated ip:%s with error:%s", list,
			      wanted, problem);
}

/* Of whatever protocol: other Services cannot share it. */
static char *service_port_key(const json_t *port)
{
	return alloc_format("%lld", (long long)json_path_int(port, "nodePort", 0));
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

/* From 1.28 on the first 86 are left to explicit wishes (ServiceNodePortStaticSubrange); before, any was
 * as good. */
#define SERVICE_PORT_STATIC 86

static int64_t service_free_port(struct lab *lab)
{
	uint64_t at =
		SERVICE_PORT_STATIC + lab_random(lab, SERVICE_PORT_COUNT - SERVICE_PORT_STATIC);

	for (int i = 0; i < SERVICE_PORT_COUNT; i++, at = (at + 1) % SERVICE_PORT_COUNT) {
		auto_free char *key =
			alloc_format("%llu", (unsigned long long)at + SERVICE_PORT_FIRST);

		if (!json_object_get(lab->node_ports, key))
			return (int64_t)(SERVICE_PORT_FIRST + at);
	}
	return 0;
}

static int service_refuse_port(const json_t *object, size_t i, const json_t *port,
			       const char *problem, struct answer *answer)
{
	auto_free char *field = alloc_format("spec.ports[%zu].nodePort", i);

	return answer_invalid(answer, "Service", service_name(object), "FieldValueInvalid", field,
			      "Invalid value: %lld: %s",
			      (long long)json_path_int(port, "nodePort", 0), problem);
}

static int service_take_ports(struct lab *lab, const json_t *old, json_t *object, bool dry,
			      struct answer *answer)
{
	auto_free char *owner =
		store_key(json_path_text(object, "metadata.namespace"), service_name(object));
	auto_json json_t *taken = json_object();
	json_t *port;
	size_t i;

	if (service_is(object, "ExternalName") || service_is(object, "ClusterIP"))
		return 0;
	json_array_foreach(json_path(object, "spec.ports"), i, port) {
		int64_t number = json_path_int(port, "nodePort", 0);
		auto_free char *key = NULL;

		if (!number && !service_wants_ports(object))
			continue;
		/* a dry run says one that there is not */
		if (!number)
			json_object_set_new(
				port, "nodePort",
				json_integer(dry ? SERVICE_PORT_FIRST + SERVICE_PORT_COUNT + 1
						 : service_free_port(lab)));
		key = service_port_key(port);
		if ((old && service_port_holding(old, key)) || json_object_get(taken, key))
			continue;
		if (number && (number < SERVICE_PORT_FIRST ||
			       number >= SERVICE_PORT_FIRST + SERVICE_PORT_COUNT))
			return service_refuse_port(object, i, port,
						   "provided port is not in the valid range. The "
						   "range of valid ports is 30000-32767",
						   answer);
		if (json_object_get(lab->node_ports, key))
			return service_refuse_port(object, i, port,
						   "provided port is already allocated", answer);
		json_object_set_new(taken, key, json_string(owner));
	}
	if (!dry)
		json_object_update(lab->node_ports, taken);
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
	if (service_check_shape(server->lab, object, answer) < 0 ||
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
	if (!*service_text(object, "clusterIP"))
		json_object_set(spec, "clusterIP", json_path(old, "spec.clusterIP"));
	if (!json_path_count(object, "spec.clusterIPs") &&
	    strcmp(service_text(object, "clusterIP"), service_text(old, "clusterIP")) == 0)
		json_object_set(spec, "clusterIPs", json_path(old, "spec.clusterIPs"));
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
	/* all is told at once */
	(void)service_check_change(server->lab, old, object, answer);
	(void)service_check_shape(server->lab, object, answer);
	if (answer->code)
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

static int service_check_ingress(const struct lab *lab, const json_t *object, struct answer *answer)
{
	const json_t *ingress = json_path(object, "status.loadBalancer.ingress");
	json_t *item;
	size_t i;

	json_array_foreach(ingress, i, item) {
		const char *text = json_path_text(item, "ip");
		auto_free char *field = alloc_format("status.loadBalancer.ingress[%zu].ip", i);
		struct net_address address;

		if (text && !net_address_read(slice_of(text), &address))
			return answer_invalid(answer, "Service", service_name(object),
					      "FieldValueInvalid", field,
					      "Invalid value: \"%s\": %s", text,
					      lab_since(lab, 22) ? SERVICE_NO_ADDRESS
								 : "must be a valid IP address");
		if (text && lab_since(lab, 30))
			service_default(item, "ipMode", json_string("VIP"));
	}
	return 0;
}

int service_update_status(struct lab_server *server, const json_t *old, json_t *object,
			  struct answer *answer)
{
	json_t *balancer = json_path(object, "status.loadBalancer");

	(void)old;
	if (balancer && !json_path_count(object, "status.loadBalancer.ingress"))
		json_object_del(balancer, "ingress");
	if (json_path_count(object, "status.loadBalancer.ingress") &&
	    !service_is(object, "LoadBalancer") && lab_since(server->lab, 29))
		return answer_invalid(answer, "Service", service_name(object),
				      "FieldValueForbidden", "status.loadBalancer.ingress",
				      "Forbidden: may only be used when `spec.type` is "
				      "'LoadBalancer'");
	return service_check_ingress(server->lab, object, answer);
}

void service_delete(struct lab_server *server, const json_t *object)
{
	if (service_has_address(object))
		allocator_release(server, service_text(object, "clusterIP"));
	service_release_ports(server->lab, object, NULL);
	lab_delete(server->lab, "endpoints", json_path_text(object, "metadata.namespace"),
		   service_name(object));
}
