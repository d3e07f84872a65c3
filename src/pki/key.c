/* SPDX-License-Identifier: MIT */
#include "pki/key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "pki/pem.h"
#include "pki/x509.h"

/*
 * Whether a private key belongs to a certificate is a question of numbers that stand in both. The
 * decoders of OpenSSL 3 take some 200 microseconds for a key, so the numbers are read here:
 * PKCS#1 { version, n, e, d, p, q, … } and SEC 1 { 1, d, [0] curve, [1] Q }. All other keys go
 * the long way.
 */
static const char *const key_names[] = {
	[PKI_KEY_DEFAULT] = "",
	[PKI_KEY_RSA_2048] = "RSA-2048",
	[PKI_KEY_RSA_3072] = "RSA-3072",
	[PKI_KEY_RSA_4096] = "RSA-4096",
	[PKI_KEY_ECDSA_P256] = "ECDSA-P256",
	[PKI_KEY_ECDSA_P384] = "ECDSA-P384",
};

const char *pki_key_algorithm_name(enum pki_key_algorithm algorithm)
{
	return key_names[algorithm];
}

bool pki_key_algorithm_parse(const char *text, enum pki_key_algorithm *ret)
{
	for (size_t i = 0; i < sizeof(key_names) / sizeof(key_names[0]); i++) {
		if (strcmp(text, key_names[i]) != 0)
			continue;
		*ret = (enum pki_key_algorithm)i;
		return true;
	}
	return false;
}

int pki_key_generate(enum pki_key_algorithm algorithm, EVP_PKEY **ret, struct error *err)
{
	static const unsigned int bits[] = {
		[PKI_KEY_DEFAULT] = 2048,
		[PKI_KEY_RSA_2048] = 2048,
		[PKI_KEY_RSA_3072] = 3072,
		[PKI_KEY_RSA_4096] = 4096,
	};
	EVP_PKEY *key;

	if (algorithm == PKI_KEY_ECDSA_P256)
		key = EVP_EC_gen("P-256");
	else if (algorithm == PKI_KEY_ECDSA_P384)
		key = EVP_EC_gen("P-384");
	else
		key = EVP_RSA_gen(bits[algorithm]);
	if (!key)
		return pki_openssl_error(err, ERROR_IO, "cannot make a private key");
	*ret = key;
	return 0;
}

int pki_key_to_pem(EVP_PKEY *key, struct secret *ret, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;
	long len;

	if (!bio || !PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL)) {
		BIO_free_all(bio);
		return pki_openssl_error(err, ERROR_IO, "cannot encode the private key");
	}
	len = BIO_get_mem_data(bio, &text);
	secret_set(ret, text, (size_t)len);
	OPENSSL_cleanse(text, (size_t)len);
	BIO_free_all(bio);
	return 0;
}

/* The first private key among the blocks. */
static int key_block(struct slice pem, const char *name, struct pki_pem_block *block,
		     struct error *err)
{
	struct pki_pem_reader reader = {.rest = pem, .name = name};
	bool found = false;

	for (;;) {
		if (pki_pem_next(&reader, block, &found, err) < 0)
			return -1;
		if (!found)
			return error_set(err, ERROR_PARSE, "%s:1:1: no private key in it", name);
		if (slice_ends(block->label, "PRIVATE KEY"))
			break;
	}
	if (block->encrypted)
		return error_set(
			err, ERROR_PARSE,
			"%s:%zu:1: the private key is encrypted, which Kubernetes cannot read",
			name, block->line);
	return 0;
}

static EVP_PKEY *key_decode(const struct pki_pem_block *block, const char *name, struct error *err)
{
	const unsigned char *p = (const unsigned char *)block->bytes.ptr;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)block->bytes.len);

	if (!key)
		pki_openssl_error(err, ERROR_PARSE, "%s:%zu:1: not a private key", name,
				  block->line);
	return key;
}

int pki_key_from_pem(struct slice pem, const char *name, EVP_PKEY **ret, struct error *err)
{
	auto_pki_pem struct pki_pem_block block = {0};
	EVP_PKEY *key;

	if (key_block(pem, name, &block, err) < 0)
		return -1;
	key = key_decode(&block, name, err);
	if (!key)
		return -1;
	*ret = key;
	return 0;
}

/* Takes the next element off the front of *rest; false unless it has this tag. */
static bool key_element(struct slice *rest, int class_tag, struct slice *ret)
{
	const unsigned char *start = (const unsigned char *)rest->ptr;
	const unsigned char *p = start;
	long len = 0;
	int tag = 0;
	int class = 0;
	int status;

	if (!rest->len || rest->len > LONG_MAX)
		return false;
	status = ASN1_get_object(&p, &len, &tag, &class, (long)rest->len);
	/* 0x80: an error; 0x01: of indefinite length, which DER has not */
	if (status & 0x81 || (class | tag) != class_tag)
		return false;
	*ret = (struct slice){(const char *)p, (size_t)len};
	rest->len -= (size_t)(p - start) + (size_t)len;
	rest->ptr = (const char *)p + len;
	return true;
}

#define KEY_CONTEXT(n) (V_ASN1_CONTEXT_SPECIFIC | (n))

static struct slice key_public_bits(const X509 *x509, const ASN1_OBJECT **ret_curve)
{
	const unsigned char *bytes = NULL;
	X509_ALGOR *algorithm = NULL;
	const void *curve = NULL;
	int type = 0;
	int len = 0;

	X509_PUBKEY_get0_param(NULL, &bytes, &len, &algorithm, X509_get_X509_PUBKEY(x509));
	X509_ALGOR_get0(NULL, &type, &curve, algorithm);
	*ret_curve = type == V_ASN1_OBJECT ? curve : NULL;
	return (struct slice){(const char *)bytes, (size_t)len};
}

enum key_verdict { KEY_NO, KEY_YES, KEY_UNKNOWN };

static BIGNUM *key_number(struct slice bytes)
{
	return BN_bin2bn((const unsigned char *)bytes.ptr, (int)bytes.len, NULL);
}

/* e*d = 1 modulo (prime - 1) */
static bool key_rsa_inverse(const BIGNUM *e, const BIGNUM *d, const BIGNUM *prime, BN_CTX *context)
{
	bool good;
	BIGNUM *less;
	BIGNUM *product;

	BN_CTX_start(context);
	less = BN_CTX_get(context);
	product = BN_CTX_get(context);
	good = product && BN_sub(less, prime, BN_value_one()) && !BN_is_zero(less) &&
	       BN_mod_mul(product, e, d, less, context) && BN_is_one(product);
	BN_CTX_end(context);
	return good;
}

static enum key_verdict key_rsa_matches(struct slice der, const X509 *x509)
{
	const ASN1_OBJECT *unused = NULL;
	struct slice public_bits = key_public_bits(x509, &unused);
	struct slice sequence;
	struct slice part[6]; /* version, n, e, d, p, q */
	struct slice n;
	struct slice e;
	BIGNUM *number[6] = {0};
	BIGNUM *product = BN_new();
	BN_CTX *context = BN_CTX_secure_new();
	bool good;

	good = key_element(&der, V_ASN1_SEQUENCE, &sequence);
	for (size_t i = 0; i < 6 && good; i++)
		good = key_element(&sequence, V_ASN1_INTEGER, &part[i]);
	if (!good) {
		BN_free(product);
		BN_CTX_free(context);
		return KEY_UNKNOWN;
	}
	for (size_t i = 0; i < 6; i++)
		number[i] = key_number(part[i]);
	good = key_element(&public_bits, V_ASN1_SEQUENCE, &sequence) &&
	       key_element(&sequence, V_ASN1_INTEGER, &n) &&
	       key_element(&sequence, V_ASN1_INTEGER, &e) && slice_equal(n, part[1]) &&
	       slice_equal(e, part[2]) && product && context &&
	       BN_mul(product, number[4], number[5], context) && BN_cmp(product, number[1]) == 0 &&
	       key_rsa_inverse(number[2], number[3], number[4], context) &&
	       key_rsa_inverse(number[2], number[3], number[5], context);
	for (size_t i = 0; i < 6; i++)
		BN_clear_free(number[i]);
	BN_clear_free(product);
	BN_CTX_free(context);
	return good ? KEY_YES : KEY_NO;
}

static enum key_verdict key_ec_compare(struct slice scalar, struct slice point_bytes,
				       const EC_GROUP *group)
{
	BN_CTX *context = BN_CTX_secure_new();
	EC_POINT *wanted = EC_POINT_new(group);
	EC_POINT *made = EC_POINT_new(group);
	BIGNUM *d = key_number(scalar);
	bool good;

	good = wanted && made && d && context && !BN_is_zero(d) &&
	       EC_POINT_oct2point(group, wanted, (const unsigned char *)point_bytes.ptr,
				  point_bytes.len, context) &&
	       EC_POINT_mul(group, made, d, NULL, NULL, context) &&
	       EC_POINT_cmp(group, made, wanted, context) == 0;
	BN_clear_free(d);
	EC_POINT_clear_free(made);
	EC_POINT_free(wanted);
	BN_CTX_free(context);
	ERR_clear_error();
	return good ? KEY_YES : KEY_NO;
}

/* The curves that kubeadm makes, set up once. */
static const EC_GROUP *key_group(int nid)
{
	static EC_GROUP *p256;
	static EC_GROUP *p384;
	EC_GROUP **group = nid == NID_X9_62_prime256v1 ? &p256
			   : nid == NID_secp384r1      ? &p384
						       : NULL;

	if (group && !*group)
		*group = EC_GROUP_new_by_curve_name(nid);
	return group ? *group : NULL;
}

static enum key_verdict key_ec_matches(struct slice der, const X509 *x509)
{
	const ASN1_OBJECT *curve = NULL;
	struct slice public_bits = key_public_bits(x509, &curve);
	const EC_GROUP *group = curve ? key_group(OBJ_obj2nid(curve)) : NULL;
	struct slice sequence;
	struct slice part;
	struct slice scalar;
	struct slice object;

	if (!group || !key_element(&der, V_ASN1_SEQUENCE, &sequence) ||
	    !key_element(&sequence, V_ASN1_INTEGER, &part) ||
	    !key_element(&sequence, V_ASN1_OCTET_STRING, &scalar))
		return KEY_UNKNOWN;
	if (key_element(&sequence, KEY_CONTEXT(0), &part) &&
	    (!key_element(&part, V_ASN1_OBJECT, &object) ||
	     !slice_equal(object,
			  (struct slice){(const char *)OBJ_get0_data(curve), OBJ_length(curve)})))
		return KEY_NO;
	return key_ec_compare(scalar, public_bits, group);
}

static int key_slow_matches(const struct pki_pem_block *block, const char *name, const X509 *x509,
			    bool *ret_matches, struct error *err)
{
	auto_error struct error ignored = {0};
	auto_pkey EVP_PKEY *key = key_decode(block, name, err);
	auto_pkey EVP_PKEY *public_key = pki_x509_key(x509, &ignored);

	if (!key)
		return -1;
	*ret_matches = public_key && EVP_PKEY_eq(key, public_key) == 1;
	ERR_clear_error();
	return 0;
}

int pki_key_matches(struct slice pem, const char *name, X509 *x509, bool *ret_matches,
		    struct error *err)
{
	auto_pki_pem struct pki_pem_block block = {0};
	enum key_verdict verdict = KEY_UNKNOWN;
	ASN1_OBJECT *algorithm = NULL;
	struct slice der;
	int type;

	if (key_block(pem, name, &block, err) < 0)
		return -1;
	der = (struct slice){block.bytes.ptr, block.bytes.len};
	X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(x509));
	type = OBJ_obj2nid(algorithm);
	if (slice_is(block.label, "RSA PRIVATE KEY") && type == NID_rsaEncryption)
		verdict = key_rsa_matches(der, x509);
	else if (slice_is(block.label, "EC PRIVATE KEY") && type == NID_X9_62_id_ecPublicKey)
		verdict = key_ec_matches(der, x509);
	if (verdict == KEY_UNKNOWN)
		return key_slow_matches(&block, name, x509, ret_matches, err);
	*ret_matches = verdict == KEY_YES;
	return 0;
}
