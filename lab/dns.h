/* SPDX-License-Identifier: MIT */
#ifndef LAB_DNS_H
#define LAB_DNS_H

#include "lab/lab.h"

/* CoreDNS, as far as probes look: A queries for Services over UDP. */
struct dns;

/* Stands for a Service address (port 53) at one node: answers while the node's proxy leads to a
 * Pod. *ret_port is the port of 127.0.0.1 where it listens. */
must_check int dns_service(struct lab_node *node, const char *address, unsigned int port,
			   uint16_t *ret_port, struct error *err);

void dns_free(struct dns *dns);

#endif
