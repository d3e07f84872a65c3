/* SPDX-License-Identifier: MIT */
#ifndef KUBE_TRANSPORT_H
#define KUBE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "kube/config.h"
#include "kube/credential.h"

/*
 * One attempt at one HTTP request, over libcurl and its pool of connections. Knows TLS and
 * credentials, knows nothing of objects and of trying again: kube/client.h does that.
 */
struct kube_transport;

struct kube_transport_options {
	const char *address; /* connect here instead of to the server's host; NULL */
	uint16_t port;	     /* with address */
	bool pinned;	     /* one connection, and never another one */
};

/* `config` must outlive it. ERROR_USAGE when the server's address is malformed. */
must_check struct kube_transport *kube_transport_new(const struct kube_config *config,
						     const struct kube_transport_options *options,
						     struct error *err);
void kube_transport_free(struct kube_transport *transport);

/* "https://10.1.15.254:6443", with " at 10.1.15.121:6443". Borrowed. */
const char *kube_transport_server(const struct kube_transport *transport);

/* Where it connects to instead of the server's host; NULL: it does not. Borrowed. */
const char *kube_transport_address(const struct kube_transport *transport, uint16_t *ret_port);

/* Lets a pinned transport choose a connection anew. */
void kube_transport_unpin(struct kube_transport *transport);

struct kube_attempt {
	const char *method;
	const char *path;
	const char *content_type; /* of body */
	const char *accept;
	struct slice body;
	int64_t timeout_ms; /* 0: none */
	int64_t connect_ms; /* to be connected, TLS included */
	bool safe;	    /* libcurl may send it again when an idle connection turns out dead */
	bool stream;	    /* bytes are wanted as they come; ^C ends it */
	/* takes a piece of the answer; false ends the transfer */
	bool (*take)(void *data, int status, struct slice bytes);
	void *data;

	/* results */
	int status;	       /* 0: no whole answer */
	bool sent;	       /* it may have reached a server */
	bool hopeless;	       /* the same attempt will fail the same way */
	bool ended;	       /* `take` ended it: no error */
	int64_t retry_after_s; /* 0: the server did not say */
};

/* 0 for any answer, of whatever status. */
must_check int kube_transport_perform(struct kube_transport *transport,
				      const struct kube_credential *credential,
				      struct kube_attempt *attempt, struct error *err);

/* The same in two halves, for a caller that has many transfers under way in one curl_multi
 * (kube/multiplex.c): begin, curl_multi_add_handle(handle), and with its CURLcode end. */
void kube_transport_begin(struct kube_transport *transport,
			  const struct kube_credential *credential, struct kube_attempt *attempt);
must_check int kube_transport_end(struct kube_transport *transport, int result, struct error *err);
/* The CURL of it. */
void *kube_transport_handle(struct kube_transport *transport);

#endif
