/* SPDX-License-Identifier: MIT */
#ifndef LAB_RELAY_H
#define LAB_RELAY_H

#include "lab/lab.h"

/* TCP passed on, as a load balancer does it. */
struct relay;

/* The balanced address of the API servers: whoever connects gets one that is up, in turn. */
must_check struct relay *relay_balance(struct lab *lab, struct error *err);

/* Stands for a Service address at one node: connections go where the node's proxy would send them,
 * at that moment. *ret_port is the port of 127.0.0.1 where it listens. The relay is the lab's. */
must_check int relay_service(struct lab_node *node, const char *address, unsigned int port,
			     uint16_t *ret_port, struct error *err);

/* Connections to Services are open that somebody waits for. */
bool relay_is_busy(const struct relay *relay);
/* Those that are open now count no more. */
void relay_give_up(struct relay *relay);

/* Ends its connections, and every relay behind it. NULL is fine. */
void relay_free(struct relay *relay);

#endif
