/* SPDX-License-Identifier: MIT */
#ifndef AGENT_CONNTRACK_H
#define AGENT_CONNTRACK_H

#include "agent/agent.h"
#include "net/address.h"

/*
 * Who has connections to addresses of certain ranges through this node, from the kernel's table of
 * connections (ctnetlink, or /proc/net/nf_conntrack where that is all there is), and what
 * kube-proxy's own counters say. Two looks compared tell who used them in between.
 */
agent_operation conntrack_look;

/* One connection, as the client opened it. */
struct conntrack_entry {
	uint64_t id; /* of the kernel; from /proc a hash of the addresses */
	struct net_address source;
	struct net_address destination;
	uint16_t port;
	uint8_t protocol;   /* IPPROTO_TCP, … */
	uint32_t expires_s; /* until the kernel forgets it unless a packet comes */
	bool established;   /* a TCP connection that is open */
};

/* One message of a dump, header and all. False for what is no complete connection. Never reads
 * behind len, whatever the bytes say. */
bool conntrack_parse_message(const void *bytes, size_t len, struct conntrack_entry *ret);

/* One line of /proc/net/nf_conntrack. */
bool conntrack_parse_line(struct slice line, struct conntrack_entry *ret);

/* One line of `iptables-save -c`: a rule for one destination address, with its packets. */
bool conntrack_parse_rule(struct slice line, struct net_address *ret_destination,
			  uint64_t *ret_packets);

/* Whether a connection that was seen with `before` seconds to live, `elapsed_ms` ago, has had a
 * packet since: its clock would have run on otherwise. */
bool conntrack_was_used(uint32_t before, uint32_t now, int64_t elapsed_ms);

#endif
