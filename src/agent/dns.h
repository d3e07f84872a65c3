/* SPDX-License-Identifier: MIT */
#ifndef AGENT_DNS_H
#define AGENT_DNS_H

#include <stdint.h>

#include "agent/agent.h"
#include "base/buffer.h"

/* dns: whether a DNS server answers, as seen from this node. */
agent_operation dns_look;

/* Appends an A query for the name. ERROR_PARSE when it is no DNS name. */
must_check int dns_query(const char *name, uint16_t number, struct buffer *packet,
			 struct error *err);

/* An answer to the query with this number: its A records go to `addresses` (NULL: nowhere), the code to *ret_rcode.
 * ERROR_PARSE for anything that is not such an answer. */
must_check int dns_parse(struct slice packet, uint16_t number, json_t *addresses, int *ret_rcode,
			 struct error *err);

#endif
