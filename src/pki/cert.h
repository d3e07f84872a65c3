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

/* A list of texts in the order of appending; {0} is empty. */
struct pki_texts {
	char **items; /* owned, as is each text */
	size_t count;
	size_t capacity;
};

void pki_texts_add(struct pki_texts *list, const char *text);
/* The same unless it is there already. */
void pki_texts_add_new(struct pki_texts *list, const char *text);
bool pki_texts_have(const struct pki_texts *list, const char *text);
void pki_texts_remove(struct pki_texts *list, const char *text);
void pki_texts_copy(struct pki_texts *to, const struct pki_texts *from);
void pki_texts_release(struct pki_texts *list);
/* An array of strings, a new reference; and back (what is no string is ERROR_PARSE). */
json_t *pki_texts_to_json(const struct pki_texts *list);
must_check int pki_texts_from_json(const json_t *array, struct pki_texts *ret, struct error *err);
#define auto_pki_texts __attribute__((cleanup(pki_texts_release)))

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

/* The same from an already parsed certificate. */
must_check int pki_cert_from_x509(X509 *x509, struct pki_cert *ret, struct error *err);

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
