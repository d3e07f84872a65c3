/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <string.h>

#include "kube/tls.h"
#include "pki/cert.h"
#include "text/json.h"

enum { HANDSHAKE_MS = 5000, FROM_NODE_MS = 15000, ATTEMPTS = 2 };

static json_t *handshake(const char *address, uint16_t port)
{
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	auto_pki_cert struct pki_cert cert = {0};
	auto_error struct error err = {0};

	/* once more: a server that has just been restarted may be slow */
	for (int attempt = 1; kube_tls_fetch(address, port, NULL, HANDSHAKE_MS, &chain, &err) < 0;
	     attempt++) {
		if (attempt == ATTEMPTS)
			return json_pack("{s:s}", "problem", error_text(&err));
		error_release(&err);
	}
	if (!chain.count)
		return json_pack("{s:s}", "problem", "the server showed no certificate");
	if (pki_cert_from_der((struct slice){(const char *)chain.items[0].ptr, chain.items[0].len},
			      &cert, &err) < 0)
		return json_pack("{s:s}", "problem", error_text(&err));
	return json_pack("{s:o}", "certificate", pki_cert_to_json(&cert));
}

/* Where only the load balancer can be reached from here, the node can still reach itself. NULL: it
 * could not say. */
static json_t *handshake_there(struct node_pool *pool, const struct cluster_node *node)
{
	auto_json json_t *request =
		json_pack("{s:s,s:s,s:i,s:s,s:i}", "op", "dial", "address", node->address, "port",
			  (int)node->api_port, "kind", "tls", "timeoutMs", FROM_NODE_MS);
	auto_json json_t *reply = NULL;
	auto_error struct error err = {0};
	json_t *certificate;

	if (!pool || !node->host.reachable ||
	    node_call(pool, node->name, request, &reply, &err) < 0)
		return NULL;
	certificate = json_path(reply, "certificate");
	return certificate ? json_pack("{s:O}", "certificate", certificate) : NULL;
}

static json_t *served_by(struct node_pool *pool, const struct cluster_node *node)
{
	json_t *seen = handshake(node->address, (uint16_t)node->api_port);
	json_t *there = json_path(seen, "problem") ? handshake_there(pool, node) : NULL;

	if (there) {
		json_decref(seen);
		return there;
	}
	return seen;
}

void observe_served(struct node_pool *pool, json_t *document)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};
	json_t *served = json_object();

	json_object_set_new(document, "served", served);
	/* who is a control plane, where, and on which port */
	if (cluster_build(document, &cluster, &err) < 0)
		return;
	for (size_t i = 0; i < cluster->node_count; i++) {
		const struct cluster_node *n = &cluster->nodes[i];

		if (n->control_plane && n->address)
			json_object_set_new(served, n->name, served_by(pool, n));
	}
}
