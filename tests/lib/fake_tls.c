/* SPDX-License-Identifier: MIT */

/* Certificates for tests, made anew for each run. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fake_api.h"

static void fake_tls_must(int held, const char *what)
{
	if (held)
		return;
	printf("Bail out! cannot make a certificate: %s\n", what);
	exit(EXIT_FAILURE);
}

static char *fake_tls_text(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	char *text = calloc(1, (size_t)len + 1);

	fake_tls_must(text != NULL, "memory");
	memcpy(text, bytes, (size_t)len);
	BIO_free(bio);
	return text;
}

static char *fake_tls_certificate_pem(X509 *x509)
{
	BIO *bio = BIO_new(BIO_s_mem());

	fake_tls_must(PEM_write_bio_X509(bio, x509), "PEM");
	return fake_tls_text(bio);
}

static char *fake_tls_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	fake_tls_must(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), "key");
	return fake_tls_text(bio);
}

static void fake_tls_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	fake_tls_must(extension && X509_add_ext(x509, extension, -1), value);
	X509_EXTENSION_free(extension);
}

static X509 *fake_tls_new(const char *name, EVP_PKEY *key, long from_s, long to_s)
{
	static long serial = 1;
	X509 *x509 = X509_new();

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x509), -from_s);
	X509_gmtime_adj(X509_getm_notAfter(x509), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
				   (const unsigned char *)name, -1, -1, 0);
	fake_tls_must(X509_set_pubkey(x509, key), "public key");
	return x509;
}

void fake_tls_make(struct fake_tls *ret, const char *names, long from_s, long to_s)
{
	EVP_PKEY *ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *ca = fake_tls_new("test-ca", ca_key, 7200, 7200);
	X509 *x509 = fake_tls_new("test-server", key, from_s, to_s);

	X509_set_issuer_name(ca, X509_get_subject_name(ca));
	fake_tls_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
	fake_tls_must(X509_sign(ca, ca_key, EVP_sha256()), "signature");
	X509_set_issuer_name(x509, X509_get_subject_name(ca));
	fake_tls_extension(x509, ca, NID_subject_alt_name, names);
	fake_tls_extension(x509, ca, NID_ext_key_usage, "serverAuth,clientAuth");
	fake_tls_must(X509_sign(x509, ca_key, EVP_sha256()), "signature");
	ret->ca = fake_tls_certificate_pem(ca);
	ret->certificate = fake_tls_certificate_pem(x509);
	ret->key = fake_tls_key_pem(key);
	X509_free(ca);
	X509_free(x509);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

void fake_tls_release(struct fake_tls *tls)
{
	free(tls->ca);
	free(tls->certificate);
	free(tls->key);
	*tls = (struct fake_tls){0};
}
