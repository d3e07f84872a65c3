/* SPDX-License-Identifier: MIT */
#ifndef LAB_PROXY_H
#define LAB_PROXY_H

#include "lab/lab.h"

/*
 * kube-proxy on every node: what a Service address leads to, as of the node's last sync. A sync
 * comes at once when the proxy was idle, and at most once a second after that; before 1.34 two may
 * follow each other.
 */

/* Services or slices have changed. */
void proxy_changed(struct lab *lab);

/* "ADDRESS:PORT" where a connection from that node ends up; NULL: nowhere, it times out. `address`
 * may be a Service's, a node's (then `port` may be a NodePort) or a Pod's. For the caller to free. */
char *proxy_path(struct lab_node *node, const char *address, unsigned int port,
		 const char *protocol);

/* Whether a client on that node gets a verified answer from an API server at this address: NULL, or
 * what it would say. For the caller to free. */
char *proxy_complaint(struct lab_node *node, const char *host, unsigned int port);

#endif
