/* SPDX-License-Identifier: MIT */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include <openssl/types.h>
#include <sys/socket.h>

#include "agent/agent.h"
#include "net/address.h"

/* dial: whether an address answers, as seen from this node. */
agent_operation dial_look;

/* For connect(): the length of what was filled in. */
socklen_t dial_socket_address(struct net_address address, uint16_t port,
			      struct sockaddr_storage *ret);

/* Lets the context trust the cluster's CA as it stands on this node. */
must_check int dial_load_ca(const struct agent *agent, SSL_CTX *context, struct error *err);

/* True for what may be an address or the name of a host. */
bool dial_is_host(const char *text);

/* What every TLS look sends; the caller frees. */
char *dial_livez_request(const char *server_name);

/* Reads "HTTP/1.1 200 OK". False for anything else. */
bool dial_read_status(struct slice line, int *ret);
/* 401 and 403, too: anonymous requests are not served, but the server is there. */
bool dial_status_lives(int status);

#endif
