/* SPDX-License-Identifier: MIT */
#ifndef KUBE_CLIENT_PARTS_H
#define KUBE_CLIENT_PARTS_H

#include "kube/client.h"
#include "kube/credential.h"
#include "kube/transport.h"

/* What kube/client.c and kube/multiplex.c share, and nobody else sees. */

struct kube_client {
	const struct kube_config *config; /* borrowed */
	struct kube_client *parent;	  /* borrowed; has the credential; NULL: this one has */
	struct kube_credential credential;
	struct kube_transport *transport;
	int64_t timeout_ms; /* 0: none */
	int64_t connect_ms;
	int64_t retry_ms;
	bool reached; /* it has answered before */
};

/* Of the client itself or of the one that it was made from. */
struct kube_credential *kube_client_credential(struct kube_client *kube);

/* "PATCH", and the Content-Type that belongs to it. */
const char *kube_client_method(enum kube_method method);
const char *kube_client_content(enum kube_method method);

/* For struct kube_attempt: appends to the struct buffer in `data`. */
bool kube_client_take(void *data, int status, struct slice bytes);

#endif
