/* SPDX-License-Identifier: MIT */
#ifndef LAB_HTTP_H
#define LAB_HTTP_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "lab/loop.h"

/*
 * HTTP/1.1 over TLS, as an API server listens: libmicrohttpd in our loop, with a certificate that
 * can be changed while connections last.
 */
struct http;

struct http_request {
	const char *method;
	const char *path;   /* decoded, without the query */
	const char *accept; /* or NULL, here and below */
	const char *content_type;
	const char *authorization;
	struct slice body;
	void *query; /* for http_query */
};

/* The decoded value; NULL when it is not given. Borrowed. */
const char *http_query(const struct http_request *request, const char *name);

/* How an answer goes wrong. */
enum http_fault {
	HTTP_WELL,
	HTTP_SILENT,   /* no answer ever */
	HTTP_CUT,      /* the connection ends before the answer */
	HTTP_CUT_BODY, /* in the middle of the body */
	HTTP_TRICKLE,  /* whole, but a few bytes at a time */
};

struct http_reply {
	int status;
	char *body; /* malloc'd; taken */
	size_t len;
	const char *type; /* NULL: application/json */
	int retry_after_s;
	enum http_fault fault;
	/* An answer without end: appends what there is; false when it is over. `body` is not used. */
	bool (*more)(void *data, struct buffer *out);
	void (*done)(void *data);
	void *data;
};

typedef void http_handler(void *data, const struct http_request *request, struct http_reply *reply);

/* Listens on address:port; ERROR_IO when that cannot be had. */
must_check struct http *http_open(struct loop *loop, const char *address, uint16_t port,
				  http_handler *handler, void *data, struct error *err);

/* What is shown from the next handshake on. ERROR_PARSE when they are no pair. */
must_check int http_certificate(struct http *h, const char *pem, const char *key,
				struct error *err);

/* Streams have something to say. */
void http_wake(struct http *h);

/* Ends listener and connections. NULL is fine. */
void http_close(struct http *h);

/* For loop_prepare: runs what is due on every server that is open. */
int http_before(void *unused);

#endif
