/* SPDX-License-Identifier: MIT */
#include "pki/issue.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "net/address.h"
#include "pki/pem.h"
#include "pki/request.h"
#include "pki/x509.h"

/*
 * A certificate as crypto/x509 of Go makes it from kubeadm's template: extensions in the order key
 * usage, extended key usage, basic constraints, authority key identifier, names; SHA-256 unless the
 * CA's curve is larger; a serial number below 2^63.
 */
#define ISSUE_DAY ((int64_t)24 * 3600)

struct issue_authority {
	X509 *x509;
	EVP_PKEY *key;
	struct pki_cert cert;
};

static void issue_authority_release(struct issue_authority *ca)
{
	X509_free(ca->x509);
	EVP_PKEY_free(ca->key);
	pki_cert_release(&ca->cert);
}

#define auto_authority __attribute__((cleanup(issue_authority_release)))

static int64_t issue_now(const struct pki_issue_options *options)
{
	return options->now_s ? options->now_s : clock_wall_s();
}

static int issue_authority_key(const char *path, struct issue_authority *ca, struct error *err)
{
	auto_secret struct secret text = {0};
	struct slice pem;
	bool matches = false;

	if (secret_read(&text, path, LIMIT_CONFIG_FILE, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(
				err, ERROR_NOT_FOUND,
				"'%s' is not there: this cluster has an external CA; use --csr "
				"and --import",
				path);
		return -1;
	}
	pem = (struct slice){text.ptr, text.len};
	if (pki_key_matches(pem, path, ca->x509, &matches, err) < 0)
		return -1;
	if (!matches)
		return error_set(
			err, ERROR_REFUSED,
			"the private key in '%s' does not belong to the CA certificate beside it",
			path);
	return pki_key_from_pem(pem, path, &ca->key, err);
}

static int issue_authority_load(const struct pki_profile *profile,
				const struct pki_issue_options *options, struct issue_authority *ca,
				struct error *err)
{
	auto_free char *path = alloc_format("%s/%s.crt", options->folder, profile->ca);
	auto_free char *key = alloc_format("%s/%s.key", options->folder, profile->ca);
	auto_buffer struct buffer text = {0};
	auto_pki_pem struct pki_pem_block block = {0};
	int64_t now = issue_now(options);
	struct slice der;

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0 ||
	    pki_pem_find(buffer_as_slice(&text), path, "CERTIFICATE", &block, err) < 0)
		return -1;
	der = (struct slice){block.bytes.ptr, block.bytes.len};
	ca->x509 = pki_x509_parse(der, err);
	if (!ca->x509 || pki_cert_from_x509(ca->x509, der, &ca->cert, err) < 0)
		return error_wrap(err, "%s:%zu:1", path, block.line);
	if (!ca->cert.is_ca)
		return error_set(err, ERROR_REFUSED, "'%s' is not a CA certificate", path);
	if (now > ca->cert.not_after_s || now < ca->cert.not_before_s) {
		auto_free char *when = clock_format(
			now > ca->cert.not_after_s ? ca->cert.not_after_s : ca->cert.not_before_s);

		return error_set(err, ERROR_REFUSED, "the CA certificate in '%s' %s %s", path,
				 now > ca->cert.not_after_s ? "expired at" : "is not valid before",
				 when);
	}
	return issue_authority_key(key, ca, err);
}

static int issue_serial(X509 *x509, struct error *err)
{
	unsigned char bytes[8];
	BIGNUM *number = NULL;
	bool good = false;

	do {
		if (RAND_bytes(bytes, sizeof(bytes)) != 1)
			return pki_openssl_error(err, ERROR_IO, "no random numbers");
		bytes[0] &= 0x7f;
		BN_free(number);
		number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	} while (number && BN_is_zero(number));
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
	BN_free(number);
	return good ? 0 : pki_openssl_error(err, ERROR_IO, "cannot set a serial number");
}

/* From 1.31 on kubeadm dates certificates back by five minutes; before, it gave them the CA's
 * notBefore. */
static int issue_times(X509 *x509, const struct issue_authority *ca,
		       const struct pki_issue_options *options, struct error *err)
{
	int64_t now = issue_now(options);
	bool backdated = options->version.major > 1 || options->version.minor >= 31;
	time_t before = backdated ? now - (int64_t)5 * 60 : ca->cert.not_before_s;
	time_t after = now + (options->validity_s ? options->validity_s : 365 * ISSUE_DAY);

	if (!ASN1_TIME_adj(X509_getm_notBefore(x509), before, 0, 0) ||
	    !ASN1_TIME_adj(X509_getm_notAfter(x509), after, 0, 0))
		return pki_openssl_error(err, ERROR_IO, "cannot set the term of the certificate");
	return 0;
}

static bool issue_extension(X509 *x509, int nid, void *value, bool critical)
{
	return X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

/* Basic constraints came with 1.21 (kubernetes#97266). */
static bool issue_usages(X509 *x509, const struct pki_profile *profile, struct pki_version version)
{
	bool constrained = version.major != 1 || version.minor >= 21;
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	EXTENDED_KEY_USAGE *extended = EXTENDED_KEY_USAGE_new();
	BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();
	bool good = bits && extended && basic;

	/* digitalSignature, keyEncipherment */
	good = good && ASN1_BIT_STRING_set_bit(bits, 0, 1) && ASN1_BIT_STRING_set_bit(bits, 2, 1);
	if (good && profile->usages & PKI_USAGE_SERVER)
		good = sk_ASN1_OBJECT_push(extended, OBJ_nid2obj(NID_server_auth)) > 0;
	if (good && profile->usages & PKI_USAGE_CLIENT)
		good = sk_ASN1_OBJECT_push(extended, OBJ_nid2obj(NID_client_auth)) > 0;
	good = good && issue_extension(x509, NID_key_usage, bits, true) &&
	       issue_extension(x509, NID_ext_key_usage, extended, false) &&
	       (!constrained || issue_extension(x509, NID_basic_constraints, basic, true));
	ASN1_BIT_STRING_free(bits);
	EXTENDED_KEY_USAGE_free(extended);
	BASIC_CONSTRAINTS_free(basic);
	return good;
}

static bool issue_authority_id(X509 *x509, const X509 *ca)
{
	ASN1_OCTET_STRING *id = X509_get_ext_d2i(ca, NID_subject_key_identifier, NULL, NULL);
	AUTHORITY_KEYID *authority;
	bool good;

	if (!id)
		return true;
	authority = AUTHORITY_KEYID_new();
	if (!authority) {
		ASN1_OCTET_STRING_free(id);
		return false;
	}
	authority->keyid = id;
	good = issue_extension(x509, NID_authority_key_identifier, authority, false);
	AUTHORITY_KEYID_free(authority);
	return good;
}

static const EVP_MD *issue_digest(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
		return NULL;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || bits <= 256)
		return EVP_sha256();
	return bits <= 384 ? EVP_sha384() : EVP_sha512();
}

static int issue_sign(const struct pki_profile *profile, const struct pki_issue_options *options,
		      const struct pki_request *request, const struct issue_authority *ca,
		      EVP_PKEY *key, X509 *x509, struct error *err)
{
	GENERAL_NAMES *names = NULL;
	bool good = true;

	if (!X509_set_version(x509, X509_VERSION_3) || issue_serial(x509, err) < 0 ||
	    issue_times(x509, ca, options, err) < 0)
		return -1;
	if (pki_request_subject(request, X509_get_subject_name(x509), err) < 0)
		return -1;
	if (!X509_set_issuer_name(x509, X509_get_subject_name(ca->x509)) ||
	    !X509_set_pubkey(x509, key) || !issue_usages(x509, profile, options->version) ||
	    !issue_authority_id(x509, ca->x509))
		return pki_openssl_error(err, ERROR_IO, "cannot put the certificate together");
	if (profile->names) {
		if (pki_request_names(request, &names, err) < 0)
			return -1;
		good = issue_extension(x509, NID_subject_alt_name, names, false);
		GENERAL_NAMES_free(names);
	}
	if (!good || !X509_sign(x509, ca->key, issue_digest(ca->key)))
		return pki_openssl_error(err, ERROR_IO, "cannot sign the certificate");
	return 0;
}

static int issue_encode(X509 *x509, struct pki_pair *pair, struct error *err)
{
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	struct slice bytes = {(const char *)der, len > 0 ? (size_t)len : 0};
	auto_buffer struct buffer pem = {0};
	int status;

	if (len <= 0)
		return pki_openssl_error(err, ERROR_IO, "cannot encode the certificate");
	pki_pem_append(&pem, "CERTIFICATE", bytes);
	status = pki_cert_from_der(bytes, &pair->cert, err);
	OPENSSL_free(der);
	pair->pem = buffer_detach(&pem);
	return status;
}

int pki_issue(const struct pki_profile *profile, const struct pki_issue_options *options,
	      struct pki_pair *ret, struct error *err)
{
	auto_pki_request struct pki_request request = {0};
	auto_authority struct issue_authority ca = {0};
	auto_pki_pair struct pki_pair pair = {0};
	auto_pkey EVP_PKEY *key = NULL;
	auto_x509 X509 *x509 = X509_new();

	if (!x509)
		return pki_openssl_error(err, ERROR_IO, "cannot make a certificate");
	if (pki_request_read(profile, options, &request, err) < 0 ||
	    issue_authority_load(profile, options, &ca, err) < 0 ||
	    pki_key_generate(request.algorithm, &key, err) < 0 ||
	    issue_sign(profile, options, &request, &ca, key, x509, err) < 0 ||
	    issue_encode(x509, &pair, err) < 0 || pki_key_to_pem(key, &pair.key, err) < 0)
		return error_wrap(err, "certificate '%s'", profile->name);
	*ret = pair;
	pair = (struct pki_pair){0};
	return 0;
}

void pki_pair_release(struct pki_pair *pair)
{
	secret_release(&pair->key);
	free(pair->pem);
	pki_cert_release(&pair->cert);
	*pair = (struct pki_pair){0};
}
