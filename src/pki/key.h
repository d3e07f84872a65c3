/* SPDX-License-Identifier: MIT */
#ifndef PKI_KEY_H
#define PKI_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/slice.h"

/* The key algorithms of kubeadm's encryptionAlgorithm (v1beta4), in its spelling. */
enum pki_key_algorithm {
	PKI_KEY_DEFAULT = 0, /* that of the certificate replaced; without one RSA-2048 */
	PKI_KEY_RSA_2048,
	PKI_KEY_RSA_3072,
	PKI_KEY_RSA_4096,
	PKI_KEY_ECDSA_P256,
	PKI_KEY_ECDSA_P384,
};

/* "RSA-2048", …; "" for the default. */
const char *pki_key_algorithm_name(enum pki_key_algorithm algorithm);
/* False when there is no such algorithm. */
bool pki_key_algorithm_parse(const char *text, enum pki_key_algorithm *ret);

/* A new private key, freed with EVP_PKEY_free. */
must_check int pki_key_generate(enum pki_key_algorithm algorithm, EVP_PKEY **ret,
				struct error *err);

/* As kubeadm writes it: PKCS#1 "RSA PRIVATE KEY" or SEC 1 "EC PRIVATE KEY". */
must_check int pki_key_to_pem(EVP_PKEY *key, struct secret *ret, struct error *err);

/* Reads the first private key in a PEM text (PKCS#1, SEC 1, PKCS#8). An encrypted one is
 * ERROR_PARSE: Kubernetes cannot read it either. `name` is for messages. */
must_check int pki_key_from_pem(struct slice pem, const char *name, EVP_PKEY **ret,
				struct error *err);

/*
 * Whether the private key in `pem` is sound and belongs to the public key of `x509`: the numbers
 * are compared and their relations proved (p*q = n, e*d = 1; d*G = Q), without an RSA operation,
 * in some 10 microseconds. ERROR_PARSE when there is no readable key in it.
 */
must_check int pki_key_matches(struct slice pem, const char *name, X509 *x509, bool *ret_matches,
			       struct error *err);

#endif
