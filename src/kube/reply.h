/* SPDX-License-Identifier: MIT */
#ifndef KUBE_REPLY_H
#define KUBE_REPLY_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "text/json.h"

/* What came back, for callers that must act on more than the kind of the error. Filled on failure
 * too, as far as it went. */
struct kube_reply {
	int status; /* HTTP; 0: no answer came */
	bool sent; /* the request may have reached a server: after ERROR_NETWORK, look what it did */
	char *reason;	 /* of the Status object: "AlreadyExists", "Invalid", …; NULL */
	char *message;	 /* of the Status object; NULL */
	json_t *details; /* of the Status object: name, kind, causes[]; NULL */
	struct buffer body;
};

void kube_reply_release(struct kube_reply *reply);

#define auto_kube_reply __attribute__((cleanup(kube_reply_release)))

/* Takes reason, message and details over from the Status object in the body, if it is one. */
void kube_reply_decode(struct kube_reply *reply);

/* Turns an answer that is not 2xx into an error; `request` ("GET /api/v1/nodes") and `server` are
 * for the message. Always -1. */
int kube_reply_error(const struct kube_reply *reply, const char *request, const char *server,
		     struct error *err);

#endif
