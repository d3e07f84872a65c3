/* SPDX-License-Identifier: MIT */
#ifndef LIB_FAKE_API_H
#define LIB_FAKE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A server on loopback that plays a script: for each request, in order, what must come and what is
 * answered. It runs in a thread of its own until fake_api_stop(), which ends the test program's
 * current test as failed when the script was not followed.
 */
enum fake_fault {
	FAKE_ANSWER = 0,
	FAKE_CUT,      /* closes without an answer */
	FAKE_CUT_BODY, /* closes after half of the body */
	FAKE_CLOSE,    /* answers, then closes */
	FAKE_STREAM,   /* no Content-Length: the body ends with the connection */
	FAKE_SILENT,   /* never answers; the connection stays open */
	FAKE_GZIP,     /* body compressed, when the client accepts that */
};

struct fake_step {
	const char *method;
	const char *path;  /* with query, exactly */
	const char *wants; /* a text that header or body must have; NULL */
	int status;
	const char *headers; /* "Retry-After: 1\r\n"; NULL */
	const char *body;    /* NULL: "" */
	enum fake_fault fault;
};

/* Keys and certificates made by fake_tls_make(); PEM, to be freed by fake_tls_release(). */
struct fake_tls {
	char *ca;
	char *certificate;
	char *key;
};

/* A new CA, and a server certificate of it for these names ("DNS:localhost,IP:127.0.0.1"), valid
 * from `from_s` seconds before now to `to_s` after. */
void fake_tls_make(struct fake_tls *ret, const char *names, long from_s, long to_s);
void fake_tls_release(struct fake_tls *tls);

struct fake_api;

/* `steps` stay the caller's. tls NULL: plain HTTP. client_ca: certificates of clients are asked
 * for and must be signed by it; NULL: not asked. */
struct fake_api *fake_api_start(const struct fake_step *steps, size_t count,
				const struct fake_tls *tls, const char *client_ca);

uint16_t fake_api_port(const struct fake_api *api);

/* How many connections were accepted so far, and on which (from 1) the request `index` came. */
unsigned fake_api_connections(struct fake_api *api);
unsigned fake_api_connection_of(struct fake_api *api, size_t index);

/* Closes every connection that is open now, as a load balancer may. */
void fake_api_drop(struct fake_api *api);

/* Ends it; checks that all steps were played and nothing else was asked. */
void fake_api_stop(struct fake_api *api);

#endif
