/* SPDX-License-Identifier: MIT */
#include "lab/server.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "lab/admission.h"
#include "lab/allocator.h"
#include "lab/api.h"
#include "lab/http.h"
#include "text/json.h"

enum {
	SERVER_READY_MS = 900,
	SERVER_LOOP_MS = 10000,	   /* default/kubernetes, and the default ServiceCIDR */
	SERVER_REPAIR_MS = 180000, /* the bitmap */
	SERVER_LEASE_MS = 15000,   /* of the controller-manager that leads */
	SERVER_GRACE_MS = 10000,   /* of a ServiceCIDR that is deleted */
};

static void server_turn(void *data)
{
	struct lab_turn *turn = data;
	struct loop *loop = turn->server->lab->loop;

	turn->timer = turn->every ? loop_after(loop, turn->every, server_turn, turn) : NULL;
	turn->fn(turn->server);
}

static void server_every(struct lab_server *server, size_t i, int64_t first, int64_t every,
			 void (*fn)(struct lab_server *server))
{
	struct lab_turn *turn = &server->turns[i];

	*turn = (struct lab_turn){server, every, fn, NULL};
	turn->timer = loop_after(server->lab->loop, first, server_turn, turn);
}

static void server_end_turns(struct lab_server *server)
{
	for (size_t i = 0; i < LAB_TURNS; i++) {
		loop_cancel(server->lab->loop, server->turns[i].timer);
		server->turns[i].timer = NULL;
	}
}

/* --- default/kubernetes ----------------------------------------------------------------------- */

static json_t *server_endpoints(struct lab *lab)
{
	json_t *addresses = json_array();
	json_t *subsets = json_array();

	for (size_t i = 0; i < lab->server_count; i++)
		if (lab->servers[i].leased)
			json_array_append_new(
				addresses, json_pack("{s:s}", "ip", lab->servers[i].node->address));
	if (json_array_size(addresses))
		json_array_append_new(subsets,
				      json_pack("{s:o,s:[{s:s,s:i,s:s}]}", "addresses", addresses,
						"ports", "name", "https", "port", (int)lab->port,
						"protocol", "TCP"));
	else
		json_decref(addresses);
	return json_pack("{s:{s:s,s:s,s:{s:s}},s:o}", "metadata", "name", "kubernetes", "namespace",
			 "default", "labels", "endpointslice.kubernetes.io/skip-mirror", "true",
			 "subsets", subsets);
}

static json_t *server_slice(struct lab *lab)
{
	json_t *endpoints = json_array();

	for (size_t i = 0; i < lab->server_count; i++)
		if (lab->servers[i].leased)
			json_array_append_new(endpoints, json_pack("{s:[s],s:{s:b}}", "addresses",
								   lab->servers[i].node->address,
								   "conditions", "ready", 1));
	return json_pack("{s:{s:s,s:s,s:{s:s}},s:s,s:o,s:[{s:s,s:i,s:s}]}", "metadata", "name",
			 "kubernetes", "namespace", "default", "labels",
			 "kubernetes.io/service-name", "kubernetes", "addressType", "IPv4",
			 "endpoints", endpoints, "ports", "name", "https", "port", (int)lab->port,
			 "protocol", "TCP");
}

/* Writes it unless it says that already, or a policy refuses. Takes the reference. */
static void server_write(struct lab *lab, const char *plural, const char *content, json_t *wanted)
{
	const json_t *now = store_find(lab->store, plural, "default", "kubernetes");
	auto_answer struct answer refused = {0};
	auto_json json_t *object = wanted;

	if (now && json_equal(json_object_get(now, content), json_object_get(object, content)))
		return;
	if (admission_check(lab, store_type_find(NULL, plural), now ? "UPDATE" : "CREATE", object,
			    &refused) < 0)
		return;
	if (now) {
		json_t *changed = json_deep_copy(now);

		json_object_set(changed, content, json_object_get(object, content));
		lab_put(lab, plural, changed);
		return;
	}
	lab_create(lab, plural, json_incref(object));
}

static void server_reconcile(struct lab *lab)
{
	server_write(lab, "endpoints", "subsets", server_endpoints(lab));
	server_write(lab, "endpointslices", "endpoints", server_slice(lab));
}

static void server_kubernetes(struct lab_server *server)
{
	struct lab *lab = server->lab;
	struct api_target target = {store_type_find("", "services"), alloc_text("v1"),
				    alloc_text("default"), NULL, NULL};
	auto_answer struct answer answer = {0};
	auto_json json_t *object = NULL;
	struct net_cidr range;
	int result = 0;

	if (server->state == LAB_READY &&
	    !store_find(lab->store, "services", "default", "kubernetes") &&
	    allocator_range(server->range, &range)) {
		object = json_pack(
			"{s:{s:s,s:s,s:{s:s,s:s}},s:{s:s,s:s,s:s,s:[{s:s,s:i,s:i,s:s}]}}",
			"metadata", "name", "kubernetes", "namespace", "default", "labels",
			"component", "apiserver", "provider", "kubernetes", "spec", "type",
			"ClusterIP", "sessionAffinity", "None", "clusterIP",
			net_address_text(net_cidr_nth(range, 1)).text, "ports", "name", "https",
			"port", 443, "targetPort", (int)lab->port, "protocol", "TCP");
		result = api_create(server, &target, object, false, &answer);
	}
	free(target.version);
	free(target.space);
	/* a Service that cannot be made keeps the endpoints from being written, too */
	if (result < 0)
		log_debug("%s: unable to sync kubernetes service: %s", server->node->name,
			  answer.message);
	else
		server_reconcile(lab);
}

/* --- ServiceCIDRs ----------------------------------------------------------------------------- */

static json_t *server_condition(const struct lab *lab, const char *status, const char *reason,
				const char *message)
{
	auto_free char *now = lab_time(lab);

	return json_pack("{s:[{s:s,s:s,s:s,s:s,s:s}]}", "conditions", "type", "Ready", "status",
			 status, "reason", reason, "message", message, "lastTransitionTime", now);
}

static void server_default_cidr(struct lab_server *server)
{
	struct lab *lab = server->lab;
	const json_t *object = store_find(lab->store, "servicecidrs", NULL, "kubernetes");
	const char *own;

	if (server->state != LAB_READY)
		return;
	if (!object) {
		lab_create(lab, "servicecidrs",
			   json_pack("{s:{s:s},s:{s:[s]},s:o}", "metadata", "name", "kubernetes",
				     "spec", "cidrs", server->range, "status",
				     server_condition(lab, "True", "",
						      "Kubernetes default Service CIDR is ready")));
		return;
	}
	own = json_path_text(object, "spec.cidrs.0");
	if (json_path(object, "metadata.deletionTimestamp") || !own ||
	    strcmp(own, server->range) == 0 || !lab_since(lab, 33))
		return;
	lab_event(lab, "ServiceCIDR", NULL, "kubernetes",
		  "KubernetesDefaultServiceCIDRInconsistent",
		  "The default ServiceCIDR [%s] does not match the controller flag configurations "
		  "[%s]",
		  own, server->range);
}

static bool server_is_covered(struct lab *lab, const char *name, struct net_cidr range)
{
	const char *key;
	json_t *other;

	json_object_foreach(store_all(lab->store, "servicecidrs"), key, other) {
		struct net_cidr outer;

		if (strcmp(key, name) != 0 &&
		    allocator_range(json_path_text(other, "spec.cidrs.0"), &outer) &&
		    net_cidr_covers(outer, range))
			return true;
	}
	return false;
}

static bool server_is_used(struct lab *lab, struct net_cidr range)
{
	const char *key;
	json_t *object;

	json_object_foreach(store_all(lab->store, "ipaddresses"), key, object) {
		struct net_address address;

		if (net_address_read(slice_of(key), &address) && net_cidr_contains(range, address))
			return true;
	}
	return false;
}

/* What stands in the way of its end, or that nothing does any more. Takes the object. */
static void server_end_cidr(struct lab *lab, json_t *object)
{
	const char *name = json_path_text(object, "metadata.name");
	struct net_cidr range = {0};
	const char *uid = json_path_text(object, "metadata.uid");
	json_t *since = json_object_get(lab->ends, uid);

	if (allocator_range(json_path_text(object, "spec.cidrs.0"), &range) &&
	    !server_is_covered(lab, name, range) && server_is_used(lab, range)) {
		if (json_path_is(object, "status.conditions.0.reason", "Terminating")) {
			json_decref(object);
			return;
		}
		json_object_set_new(
			object, "status",
			server_condition(lab, "False", "Terminating",
					 "There are still IPAddresses referencing the ServiceCIDR, "
					 "please remove them or create a new ServiceCIDR"));
		lab_put(lab, "servicecidrs", object);
		return;
	}
	/* the grace that lets every server see that it is going */
	if (!since) {
		json_object_set_new(lab->ends, uid, json_integer(loop_now(lab->loop)));
	} else if (loop_now(lab->loop) - json_integer_value(since) >= SERVER_GRACE_MS) {
		json_object_del(lab->ends, uid);
		lab_delete(lab, "servicecidrs", NULL, name);
	}
	json_decref(object);
}

/* MicroTime, as Lease wants it. */
static json_t *server_micro_time(const struct lab *lab)
{
	int64_t ms = loop_wall_ms(lab->loop, loop_now(lab->loop));
	auto_free char *seconds = clock_format(ms / 1000);
	auto_free char *text = alloc_format("%.19s.%06dZ", seconds, (int)(ms % 1000) * 1000);

	return json_string(text);
}

static bool server_manages(const struct lab_node *node)
{
	for (size_t i = 0; i < LAB_PROGRAMS; i++)
		if (strcmp(node->statics[i].name, "kube-controller-manager") == 0)
			return node->statics[i].process != NULL;
	return false;
}

/* The controller-manager that leads: the one that did, or after its Lease is over another one. */
static bool server_lead(struct lab *lab)
{
	const struct lab_node *leader = lab_node(lab, lab->leader);
	json_t *lease = lab_edit(lab, "leases", "kube-system", "kube-controller-manager");
	auto_free char *identity = NULL;

	if (!leader || !server_manages(leader)) {
		int64_t silent = loop_now(lab->loop) - lab->led_at;

		leader = NULL;
		for (size_t i = 0; i < lab->server_count && silent >= SERVER_LEASE_MS; i++)
			if (server_manages(&lab->nodes[i]))
				leader = &lab->nodes[i];
		if (!leader) {
			json_decref(lease);
			return false;
		}
		lab->leader = leader->name;
	}
	lab->led_at = loop_now(lab->loop);
	identity = alloc_format("%s_%08zx", leader->name, leader->index + 0x5d2f7a30);
	if (!lease) {
		lab_create(lab, "leases",
			   json_pack("{s:{s:s,s:s},s:{s:s,s:i,s:o}}", "metadata", "name",
				     "kube-controller-manager", "namespace", "kube-system", "spec",
				     "holderIdentity", identity, "leaseDurationSeconds", 15,
				     "renewTime", server_micro_time(lab)));
		return true;
	}
	json_object_set_new(json_object_get(lease, "spec"), "holderIdentity",
			    json_string(identity));
	json_object_set_new(json_object_get(lease, "spec"), "renewTime", server_micro_time(lab));
	lab_put(lab, "leases", lease);
	return true;
}

void server_manage(struct lab *lab)
{
	auto_json json_t *all = NULL;
	const char *key;
	json_t *now;

	if (!lab_any_server(lab) || !server_lead(lab))
		return;
	all = json_copy(store_all(lab->store, "servicecidrs"));
	json_object_foreach(all, key, now) {
		json_t *object = json_deep_copy(now);

		if (json_path(object, "metadata.deletionTimestamp")) {
			server_end_cidr(lab, object);
			continue;
		}
		if (json_path_count(object, "metadata.finalizers") &&
		    json_path_count(object, "status.conditions")) {
			json_decref(object);
			continue;
		}
		json_object_set_new(json_object_get(object, "metadata"), "finalizers",
				    json_pack("[s]", "networking.k8s.io/service-cidr-finalizer"));
		json_object_set_new(
			object, "status",
			server_condition(lab, "True", "", "Kubernetes Service CIDR is ready"));
		lab_put(lab, "servicecidrs", object);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static char *server_file(const struct lab_server *server, const char *name)
{
	auto_free char *path = alloc_format("%s/etc/kubernetes/pki/%s", server->node->folder, name);
	auto_buffer struct buffer text = {0};
	auto_error struct error ignored = {0};

	if (file_read(path, LIMIT_CONFIG_FILE, &text, &ignored) < 0)
		return NULL;
	return buffer_detach(&text);
}

bool server_reload(struct lab_server *server)
{
	auto_free char *pem = server_file(server, "apiserver.crt");
	auto_free char *key = server_file(server, "apiserver.key");
	auto_free char *path =
		alloc_format("%s/etc/kubernetes/pki/apiserver.crt", server->node->folder);
	auto_pki_cert struct pki_cert cert = {0};
	auto_error struct error err = {0};

	if (!pem || !key)
		return false;
	if (server->pem && strcmp(server->pem, pem) == 0)
		return true;
	/* swapped one after the other, they are no pair for a moment */
	if ((server->http && http_certificate(server->http, pem, key, &err) < 0) ||
	    pki_cert_read(path, &cert, &err) < 0) {
		log_debug("%s: %s", server->node->name, error_text(&err));
		return false;
	}
	free(server->pem);
	server->pem = steal(pem);
	pki_cert_release(&server->cert);
	server->cert = cert;
	cert = (struct pki_cert){0};
	return true;
}

int server_listen(struct lab_server *server, struct error *err)
{
	struct lab *lab = server->lab;

	if (server->http || server->state == LAB_DOWN)
		return 0;
	server->http =
		http_open(lab->loop, server->node->address, lab->port, api_handle, server, err);
	if (!server->http)
		return -1;
	free(server->pem);
	server->pem = NULL;
	if (!server_reload(server))
		lab->reloaded = 0;
	return 0;
}

static void server_become_ready(struct lab_server *server)
{
	if (server->state != LAB_STARTING)
		return;
	server->state = LAB_READY;
	server->leased = true;
	server_kubernetes(server);
	allocator_repair_objects(server->lab);
}

void server_put_off_repair(struct lab *lab)
{
	for (size_t i = 0; i < lab->server_count; i++) {
		struct lab_server *server = &lab->servers[i];

		if (!server->turns[2].timer || lab->options.regime != LAB_BITMAP)
			continue;
		loop_cancel(lab->loop, server->turns[2].timer);
		server_every(server, 2, SERVER_REPAIR_MS, SERVER_REPAIR_MS, allocator_repair);
	}
}

void server_start(struct lab_server *server, const char *range)
{
	auto_error struct error err = {0};

	server_stop(server);
	server->state = LAB_STARTING;
	free(server->range);
	server->range = alloc_text(range);
	if (server->lab->open && server_listen(server, &err) < 0)
		log_warning("%s: %s", server->node->name, error_text(&err));
	if (!server->lab->open && !server_reload(server))
		server->lab->reloaded = 0;
	allocator_repair(server);
	server_every(server, 0, SERVER_READY_MS, 0, server_become_ready);
	server_every(server, 1, SERVER_READY_MS + SERVER_LOOP_MS, SERVER_LOOP_MS,
		     server_kubernetes);
	if (server->lab->options.regime != LAB_BITMAP)
		server_every(server, 2, SERVER_READY_MS + 100, SERVER_LOOP_MS, server_default_cidr);
	else
		server_every(server, 2, SERVER_REPAIR_MS, SERVER_REPAIR_MS, allocator_repair);
}

void server_stop(struct lab_server *server)
{
	if (server->state == LAB_DOWN)
		return;
	server_end_turns(server);
	server->state = LAB_DOWN;
	if (server->leased) {
		server->leased = false;
		server_reconcile(server->lab);
	}
	http_close(server->http);
	server->http = NULL;
}
