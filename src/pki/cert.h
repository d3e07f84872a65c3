/* SPDX-License-Identifier: MIT */
#ifndef PKI_CERT_H
#define PKI_CERT_H

#include <jansson.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "pki/texts.h"

/*
 * The facts of one X.509 certificate, from a file or from a TLS handshake. Names are written as
 * "O=system:masters,CN=kube-apiserver-kubelet-client", in the order of the certificate; control
 * characters in them are replaced by '?'.
 */
struct pki_cert {
	char *subject;
	char *common_name; /* "" when there is none */
	struct pki_texts organizations;
	char *issuer;
	char *serial;	   /* lower-case hex without leading zeros */
	char *fingerprint; /* SHA-256 of the DER, lower-case hex */
	char *algorithm;   /* of its key: "RSA-2048", "ECDSA-P256", "Ed25519", else an OID */
	char *signature;   /* "sha256WithRSAEncryption", … */
	struct pki_texts dns_names;
	struct pki_texts addresses;  /* IP SANs as inet_ntop writes them */
	struct pki_texts usages;     /* extended: "server", "client", else an OID */
	struct pki_texts key_usages; /* "digitalSignature", "keyEncipherment", "keyCertSign", … */
	int64_t not_before_s;
	int64_t not_after_s;
	bool is_ca;
};

/* Reads one certificate from DER, as a handshake or a PEM block has it. ERROR_PARSE when it is
 * not one, or when bytes follow it. */
must_check int pki_cert_from_der(struct slice der, struct pki_cert *ret, struct error *err);

/* The same from a certificate parsed already; `der` is its encoding. */
must_check int pki_cert_from_x509(X509 *x509, struct slice der, struct pki_cert *ret,
				  struct error *err);

/* The first certificate of a PEM file. */
must_check int pki_cert_read(const char *path, struct pki_cert *ret, struct error *err);

void pki_cert_release(struct pki_cert *cert);
#define auto_pki_cert __attribute__((cleanup(pki_cert_release)))

/* Whether a client that dials `host` (an IP address in any valid text, or a DNS name; wildcards in
 * the certificate count for one label) accepts the names of this certificate. */
bool pki_cert_covers(const struct pki_cert *cert, const char *host);

/* A new reference; and back. Field names are those of the struct in camel case
 * ("dnsNames", "notAfter" in seconds since 1970, "isCA"). */
json_t *pki_cert_to_json(const struct pki_cert *cert);
must_check int pki_cert_from_json(const json_t *json, struct pki_cert *ret, struct error *err);

#endif
