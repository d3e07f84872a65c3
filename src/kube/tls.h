/* SPDX-License-Identifier: MIT */
#ifndef KUBE_TLS_H
#define KUBE_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What a server shows in its TLS handshake, leaf first; nothing is verified. */
struct kube_tls_chain {
	struct kube_tls_der {
		unsigned char *ptr; /* owned (OPENSSL_free) */
		size_t len;
	} * items;
	size_t count;
};

/* Connects to address ("10.1.15.121", "fd00::1", a host name), asks for `name` by SNI (NULL, or an
 * IP address: no SNI is sent, as for clients that dial an address) and closes again.
 * ERROR_NETWORK naming address and cause; timeout_ms is for all of it. */
must_check int kube_tls_fetch(const char *address, uint16_t port, const char *name,
			      int64_t timeout_ms, struct kube_tls_chain *ret, struct error *err);
void kube_tls_chain_release(struct kube_tls_chain *chain);

#define auto_kube_tls_chain __attribute__((cleanup(kube_tls_chain_release)))

#endif
