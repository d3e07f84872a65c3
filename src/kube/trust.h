/* SPDX-License-Identifier: MIT */
#ifndef KUBE_TRUST_H
#define KUBE_TRUST_H

#include <openssl/types.h>
#include <stdbool.h>

#include "base/error.h"
#include "pki/cert.h"

/*
 * Why the certificate of a server was not accepted. libcurl says so in some cases only (a CA with
 * the right name and another key is not among them), so the verification itself is watched.
 */
struct kube_trust {
	bool met;	   /* a certificate was verified; what follows is of the last one */
	int verify_result; /* X509_V_OK, X509_V_ERR_… */
	struct pki_cert cert;
};

/* Makes the connections of this context leave their result in *trust, which must outlive them. */
void kube_trust_watch(struct kube_trust *trust, SSL_CTX *context);
void kube_trust_release(struct kube_trust *trust);

/* One sentence with the names, the issuer or the dates that are wrong, for a connection to `server`
 * that should have been `name`. `own_ca`: the kubeconfig brings a certificate authority.
 * ERROR_NETWORK, always -1. */
int kube_trust_error(const struct kube_trust *trust, const char *server, const char *name,
		     bool own_ca, struct error *err);

#endif
