/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROBE_REQUEST_H
#define AGENT_PROBE_REQUEST_H

#include <openssl/types.h>
#include <stdint.h>

#include "agent/probe_stats.h"
#include "net/address.h"

/*
 * One request of a probe, without ever waiting: the caller polls fd for `events` and calls
 * probe_request_step, and probe_request_expire at the end of its time.
 *
 *	tcp	a connection is accepted
 *	tls	a connection with a verified certificate, and an answer to GET /livez
 *	dns	an answer over UDP without an error code
 */
enum probe_kind { PROBE_TCP, PROBE_TLS, PROBE_DNS };

struct probe_goal {
	enum probe_kind kind;
	struct net_address address;
	uint16_t port;
	char name[256];	  /* tls: what the certificate must be valid for; dns: what is asked */
	SSL_CTX *context; /* tls; borrowed */
	char *http;	  /* tls: the request; borrowed */
};

enum probe_state {
	PROBE_FREE = 0,
	PROBE_CONNECTING,
	PROBE_HANDSHAKE,
	PROBE_SENDING,
	PROBE_READING,
	PROBE_ASKED,
	PROBE_OVER,
};

struct probe_request {
	enum probe_state state;
	int fd;
	short events; /* to poll for */
	int64_t begun_ms;
	int64_t begun_wall_ms;
	int64_t deadline_ms;
	int64_t took_ms; /* PROBE_OVER */
	SSL *tls;
	uint16_t number; /* of the DNS query */
	char head[16];	 /* of the HTTP answer */
	size_t have;
	bool answered; /* PROBE_OVER */
	char why[PROBE_WHY_MAX];
};

/* Begins; what fails at once is over at once. */
void probe_request_begin(struct probe_request *r, const struct probe_goal *goal,
			 int64_t timeout_ms);
void probe_request_step(struct probe_request *r, const struct probe_goal *goal);
void probe_request_expire(struct probe_request *r, int64_t timeout_ms);

/* Closes what is open; the request is free. */
void probe_request_release(struct probe_request *r);

#endif
