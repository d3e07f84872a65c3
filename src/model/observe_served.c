/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <string.h>

#include "kube/tls.h"
#include "pki/cert.h"
#include "text/json.h"

enum { HANDSHAKE_MS = 3000, ATTEMPTS = 2 };

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

void observe_served(json_t *document)
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
			json_object_set_new(served, n->name,
					    handshake(n->address, (uint16_t)n->api_port));
	}
}
