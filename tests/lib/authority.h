/* SPDX-License-Identifier: MIT */
#ifndef LIB_AUTHORITY_H
#define LIB_AUTHORITY_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "pki/key.h"

/*
 * Certificates for tests, made when they run: no key stands in the repository.
 */

/* Writes FOLDER/BASE.crt and FOLDER/BASE.key of a self-signed CA as kubeadm makes them, valid from
 * `from_s` to `to_s`. Ends the test program when that fails. */
void authority_make(const char *folder, const char *base, const char *name,
		    enum pki_key_algorithm algorithm, int64_t from_s, int64_t to_s);

/* A pki folder as after kubeadm init on node "cp1" at 10.1.15.121 with the Service address
 * 10.96.0.1: three CAs and all certificates, keys of this algorithm. */
void authority_make_pki(const char *folder, enum pki_key_algorithm algorithm, int64_t now_s);

/* The steps of it, for certificates of other kinds; each ends the test program when it fails. */
EVP_PKEY *authority_key(enum pki_key_algorithm algorithm, char **ret_pem);
/* Named, for this key, with a serial of its own and no issuer yet. */
X509 *authority_begin(const char *name, EVP_PKEY *key, int64_t from_s, int64_t to_s);
void authority_extend(X509 *x509, X509 *issuer, int nid, const char *value);
/* Signs it with the issuer's key; PEM for the caller to free. */
char *authority_sign(X509 *x509, X509 *issuer, EVP_PKEY *issuer_key);

/* Writes a file; ends the test program when that fails. */
void authority_write(const char *folder, const char *name, const char *text, unsigned int mode);

#endif
