/* SPDX-License-Identifier: MIT */
#include "pki/x509.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdarg.h>

#include "base/buffer.h"

int pki_openssl_error(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	if (code && reason)
		buffer_format(&text, ": %s", reason);
	ERR_clear_error();
	return error_set(err, kind, "%s", buffer_cstr(&text));
}

/*
 * OpenSSL 3 decodes the public key of each certificate as it parses it, through its providers,
 * which takes longer than all the rest of an audit. In a library context with the null provider
 * alone it finds no decoder and leaves the key as it stands.
 */
static OSSL_LIB_CTX *x509_bare_context(void)
{
	static OSSL_LIB_CTX *context;

	if (context)
		return context;
	context = OSSL_LIB_CTX_new();
	if (context && !OSSL_PROVIDER_load(context, "null")) {
		OSSL_LIB_CTX_free(context);
		context = NULL;
	}
	return context;
}

X509 *pki_x509_parse(struct slice der, struct error *err)
{
	const unsigned char *p = (const unsigned char *)der.ptr;
	X509 *x509 = X509_new_ex(x509_bare_context(), NULL);

	ERR_clear_error();
	if (!x509 || der.len > LONG_MAX || !d2i_X509(&x509, &p, (long)der.len)) {
		X509_free(x509); /* d2i has freed it and set it to NULL on failure */
		pki_openssl_error(err, ERROR_PARSE, "not an X.509 certificate");
		return NULL;
	}
	if (p != (const unsigned char *)der.ptr + der.len) {
		X509_free(x509);
		error_set(err, ERROR_PARSE, "%zu bytes follow the X.509 certificate",
			  (size_t)((const unsigned char *)der.ptr + der.len - p));
		return NULL;
	}
	return x509;
}

EVP_PKEY *pki_x509_key(const X509 *x509, struct error *err)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
	const unsigned char *p = der;
	EVP_PKEY *key = len > 0 ? d2i_PUBKEY(NULL, &p, len) : NULL;

	OPENSSL_free(der);
	if (!key)
		pki_openssl_error(err, ERROR_PARSE, "the certificate's public key cannot be read");
	return key;
}

/* RSA with PSS keeps its parameters in the algorithm; X509_verify knows how to read them, but wants
 * a certificate of the default context. */
static bool x509_signed_by_slow(const X509 *x509, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	const unsigned char *p = der;
	auto_x509 X509 *copy = len > 0 ? d2i_X509(NULL, &p, len) : NULL;

	OPENSSL_free(der);
	return copy && X509_verify(copy, key) == 1;
}

bool pki_x509_signed_by(const X509 *x509, EVP_PKEY *key)
{
	const ASN1_BIT_STRING *signature = NULL;
	const X509_ALGOR *algorithm = NULL;
	const EVP_MD *digest = NULL;
	unsigned char *signed_part = NULL;
	int digest_nid = NID_undef;
	int key_nid = NID_undef;
	bool good = false;
	EVP_MD_CTX *context;
	int len;

	X509_get0_signature(&signature, &algorithm, x509);
	if (!OBJ_find_sigid_algs(X509_get_signature_nid(x509), &digest_nid, &key_nid) ||
	    digest_nid == NID_undef)
		good = x509_signed_by_slow(x509, key);
	else if (EVP_PKEY_get_base_id(key) == key_nid &&
		 (digest = EVP_get_digestbynid(digest_nid)) != NULL) {
		len = i2d_re_X509_tbs((X509 *)(uintptr_t)x509, &signed_part);
		context = EVP_MD_CTX_new();
		good = len > 0 && context &&
		       EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
		       EVP_DigestVerify(context, signature->data, (size_t)signature->length,
					signed_part, (size_t)len) == 1;
		EVP_MD_CTX_free(context);
		OPENSSL_free(signed_part);
	}
	ERR_clear_error();
	return good;
}

void pki_x509_release(X509 **x509)
{
	X509_free(*x509);
	*x509 = NULL;
}

void pki_pkey_release(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
	*key = NULL;
}
