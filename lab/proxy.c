/* SPDX-License-Identifier: MIT */
#include "lab/proxy.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "text/json.h"

enum { PROXY_PERIOD_MS = 1000, PROXY_SYNC_MS = 20 };

/* --- what is programmed ----------------------------------------------------------------------- */

/* The ready endpoints of a Service's port, as "address:port", into *list. */
static void proxy_endpoints(const json_t *slices, const char *port_name, json_t *list)
{
	const json_t *slice;
	size_t i;

	json_array_foreach(slices, i, slice) {
		const json_t *port;
		const json_t *endpoint;
		size_t k;
		size_t n;

		json_array_foreach(json_object_get(slice, "ports"), k, port) {
			const char *name = json_path_text(port, "name");

			if (strcmp(name ? name : "", port_name) != 0)
				continue;
			json_array_foreach(json_object_get(slice, "endpoints"), n, endpoint) {
				auto_free char *place = NULL;

				if (!json_path_bool(endpoint, "conditions.ready", true))
					continue;
				place = alloc_format("%s:%lld",
						     json_path_text(endpoint, "addresses.0"),
						     (long long)json_path_int(port, "port", 0));
				json_array_append_new(list, json_string(place));
			}
		}
	}
}

/* Of two that claim one address the one with endpoints counts. */
static void proxy_claim(json_t *table, const char *address, int64_t port, const char *protocol,
			json_t *endpoints)
{
	auto_free char *key = alloc_format("%s:%lld/%s", address, (long long)port, protocol);

	if (json_array_size(json_object_get(table, key)) == 0)
		json_object_set(table, key, endpoints);
}

static void proxy_service(json_t *table, const json_t *service, const json_t *slices)
{
	const json_t *port;
	size_t i;

	if (json_path_is(service, "spec.type", "ExternalName") ||
	    json_path_is(service, "spec.clusterIP", "None"))
		return;
	json_array_foreach(json_path(service, "spec.ports"), i, port) {
		const char *name = json_path_text(port, "name");
		const char *protocol = json_path_text(port, "protocol");
		int64_t number = json_path_int(port, "port", 0);
		auto_json json_t *endpoints = json_array();
		const json_t *item;
		size_t k;

		proxy_endpoints(slices, name ? name : "", endpoints);
		if (json_path_text(service, "spec.clusterIP"))
			proxy_claim(table, json_path_text(service, "spec.clusterIP"), number,
				    protocol, endpoints);
		json_array_foreach(json_path(service, "status.loadBalancer.ingress"), k, item)
			if (json_path_text(item, "ip"))
				proxy_claim(table, json_path_text(item, "ip"), number, protocol,
					    endpoints);
		json_array_foreach(json_path(service, "spec.externalIPs"), k, item)
			proxy_claim(table, json_string_value(item), number, protocol, endpoints);
		if (json_path_int(port, "nodePort", 0))
			proxy_claim(table, "*", json_path_int(port, "nodePort", 0), protocol,
				    endpoints);
	}
}

/* Slices by "namespace/service". */
static json_t *proxy_slices(struct lab *lab)
{
	json_t *by_service = json_object();
	const char *key;
	json_t *slice;

	json_object_foreach(store_all(lab->store, "endpointslices"), key, slice) {
		const char *name = json_string_value(json_object_get(
			json_path(slice, "metadata.labels"), "kubernetes.io/service-name"));
		auto_free char *owner = NULL;
		json_t *list;

		if (!name)
			continue;
		owner = store_key(json_path_text(slice, "metadata.namespace"), name);
		list = json_object_get(by_service, owner);
		if (!list) {
			list = json_array();
			json_object_set_new(by_service, owner, list);
		}
		json_array_append(list, slice);
	}
	return by_service;
}

/* All nodes that sync between two changes share one table. */
static json_t *proxy_table(struct lab *lab)
{
	auto_json json_t *slices = NULL;
	const char *key;
	json_t *service;

	if (lab->table && lab->table_version == lab->proxy_version)
		return json_incref(lab->table);
	json_decref(lab->table);
	lab->table = json_object();
	lab->table_version = lab->proxy_version;
	slices = proxy_slices(lab);
	json_object_foreach(store_all(lab->store, "services"), key, service)
		proxy_service(lab->table, service, json_object_get(slices, key));
	return json_incref(lab->table);
}

static void proxy_sync(void *data)
{
	struct lab_node *node = data;

	node->sync = NULL;
	json_decref(node->table);
	node->table = proxy_table(node->lab);
	node->synced_at = loop_now(node->lab->loop);
	node->syncs++;
	if (node->tokens)
		node->tokens--;
}

void proxy_changed(struct lab *lab)
{
	lab->proxy_version++;
	for (size_t i = 0; i < lab->node_count; i++) {
		struct lab_node *node = &lab->nodes[i];
		int64_t idle = loop_now(lab->loop) - node->synced_at;

		node->queued_at = loop_now(lab->loop);
		if (node->sync)
			continue;
		if (idle >= PROXY_PERIOD_MS)
			node->tokens = lab_since(lab, 34) ? 1 : 2;
		node->sync =
			loop_after(lab->loop, node->tokens ? PROXY_SYNC_MS : PROXY_PERIOD_MS - idle,
				   proxy_sync, node);
	}
}

/* --- looking through it ----------------------------------------------------------------------- */

static bool proxy_is_node(const struct lab *lab, const char *address)
{
	auto_free char *prefix = alloc_format("127.%u.", lab->net);

	return strncmp(address, prefix, strlen(prefix)) == 0;
}

char *proxy_path(struct lab_node *node, const char *address, unsigned int port,
		 const char *protocol)
{
	struct lab *lab = node->lab;
	auto_free char *key = alloc_format("%s:%u/%s", address, port, protocol);
	auto_free char *any = alloc_format("*:%u/%s", port, protocol);
	const json_t *endpoints = json_object_get(node->table, key);
	bool direct = proxy_is_node(lab, address) || strcmp(address, lab->endpoint) == 0;

	if (!endpoints && direct)
		endpoints = json_object_get(node->table, any);
	if (json_array_size(endpoints))
		return alloc_text(json_string_value(
			json_array_get(endpoints, lab_random(lab, json_array_size(endpoints)))));
	if (!endpoints && (direct || strncmp(address, LAB_POD_PREFIX ".", 7) == 0))
		return alloc_format("%s:%u", address, port);
	return NULL;
}

static struct lab_server *proxy_server(struct lab *lab, const char *place)
{
	for (size_t i = 0; i < lab->server_count; i++) {
		auto_free char *own =
			alloc_format("%s:%u", lab->servers[i].node->address, lab->port);

		if (strcmp(own, place) == 0)
			return &lab->servers[i];
	}
	return NULL;
}

char *proxy_complaint(struct lab_node *node, const char *host, unsigned int port)
{
	auto_buffer struct buffer names = {0};
	auto_free char *place = NULL;
	struct lab_server *server;

	if (!host)
		return alloc_text("unable to load in-cluster configuration, "
				  "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be "
				  "defined");
	place = proxy_path(node, host, port, "TCP");
	if (!place)
		return alloc_format("dial tcp %s:%u: i/o timeout", host, port);
	if (strcmp(host, node->lab->endpoint) == 0)
		server = lab_any_server(node->lab);
	else
		server = proxy_server(node->lab, place);
	if (!server || server->state != LAB_READY)
		return alloc_format("dial tcp %s:%u: connect: connection refused", host, port);
	if (pki_cert_covers(&server->cert, host))
		return NULL;
	for (size_t i = 0; i < server->cert.addresses.count; i++)
		buffer_format(&names, "%s%s", i ? ", " : "", server->cert.addresses.items[i]);
	return alloc_format("tls: failed to verify certificate: x509: certificate is valid for %s, "
			    "not %s",
			    buffer_cstr(&names), host);
}
