/* SPDX-License-Identifier: MIT */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include <sys/socket.h>

#include "agent/agent.h"
#include "net/address.h"

/* dial: whether an address answers, as seen from this node. */
agent_operation dial_look;

/* For connect(): the length of what was filled in. */
socklen_t dial_socket_address(struct net_address address, uint16_t port,
			      struct sockaddr_storage *ret);

#endif
