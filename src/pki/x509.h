/* SPDX-License-Identifier: MIT */
#ifndef PKI_X509_H
#define PKI_X509_H

#include <openssl/types.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"

/*
 * The border to OpenSSL: its errors become ours here, and its objects get cleanup attributes.
 */

/* Parses one certificate; bytes behind it are an error. Its public key is not decoded, which is
 * what makes this some ten times faster than d2i_X509: X509_get0_pubkey gives NULL, pki_x509_key
 * decodes it. NULL with ERROR_PARSE; the caller frees. */
must_check X509 *pki_x509_parse(struct slice der, struct error *err);

/* The public key, decoded anew; NULL with ERROR_PARSE. The caller frees. */
must_check EVP_PKEY *pki_x509_key(const X509 *x509, struct error *err);

/* Whether `key` signed the certificate. Leaves no error behind. */
bool pki_x509_signed_by(const X509 *x509, EVP_PKEY *key);

/* Sets err to what OpenSSL has to say about its last failure, behind the text; clears its queue.
 * Always -1. */
__attribute__((format(printf, 3, 4))) int pki_openssl_error(struct error *err, enum error_kind kind,
							    const char *fmt, ...);

void pki_x509_release(X509 **x509);
void pki_pkey_release(EVP_PKEY **key);
#define auto_x509 __attribute__((cleanup(pki_x509_release)))
#define auto_pkey __attribute__((cleanup(pki_pkey_release)))

#endif
