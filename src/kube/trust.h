/* SPDX-License-Identifier: MIT */
#ifndef KUBE_TRUST_H
#define KUBE_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Why the certificate of a server was not accepted. */
struct kube_trust_failure {
	const char *server;  /* for the message */
	const char *address; /* where it was met, to look at its certificate again */
	uint16_t port;	     /* 0: it cannot be met directly (a proxy is between) */
	const char *name;    /* that it should have */
	long verify_result;  /* X509_V_ERR_…; OK and UNSPECIFIED (libcurl 7 before
			     * it looked): only the name was wrong */
	bool own_ca;	     /* the kubeconfig brings a certificate authority */
};

/* One sentence with the names, the issuer or the dates that are wrong. ERROR_NETWORK, always -1. */
int kube_trust_error(const struct kube_trust_failure *failure, struct error *err);

#endif
