/* SPDX-License-Identifier: MIT */
#include "lib/authority.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "pki/swap.h"
#include "pki/x509.h"

static void authority_need(bool held, const char *what, const struct error *err)
{
	if (held)
		return;
	printf("Bail out! %s: %s\n", what, err ? error_text(err) : "OpenSSL refuses");
	exit(1);
}

void authority_write(const char *folder, const char *name, const char *text, unsigned int mode)
{
	auto_error struct error err = {0};
	auto_free char *path = file_join(folder, name);
	auto_free char *parent = alloc_text_n(path, (size_t)(strrchr(path, '/') - path));

	authority_need(file_make_folder(parent, 0755, &err) == 0, path, &err);
	authority_need(file_replace(path, text, strlen(text), mode, 0, &err) == 0, path, &err);
}

EVP_PKEY *authority_key(enum pki_key_algorithm algorithm, char **ret_pem)
{
	auto_error struct error err = {0};
	auto_secret struct secret pem = {0};
	EVP_PKEY *key = NULL;

	authority_need(pki_key_generate(algorithm, &key, &err) == 0 &&
			       pki_key_to_pem(key, &pem, &err) == 0,
		       "a key", &err);
	*ret_pem = alloc_text(pem.ptr);
	return key;
}

X509 *authority_begin(const char *name, EVP_PKEY *key, int64_t from_s, int64_t to_s)
{
	static uint64_t serial = 1;
	X509 *x509 = X509_new();

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial++);
	ASN1_TIME_set(X509_getm_notBefore(x509), from_s);
	ASN1_TIME_set(X509_getm_notAfter(x509), to_s);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, V_ASN1_UTF8STRING,
				   (const unsigned char *)name, -1, -1, 0);
	authority_need(X509_set_pubkey(x509, key), name, NULL);
	return x509;
}

void authority_extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	authority_need(extension && X509_add_ext(x509, extension, -1), value, NULL);
	X509_EXTENSION_free(extension);
}

char *authority_sign(X509 *x509, X509 *issuer, EVP_PKEY *issuer_key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	char *pem;
	long len;

	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	authority_need(X509_sign(x509, issuer_key, EVP_sha256()) > 0 &&
			       PEM_write_bio_X509(bio, x509),
		       "a signature", NULL);
	len = BIO_get_mem_data(bio, &text);
	pem = alloc_text_n(text, (size_t)len);
	BIO_free_all(bio);
	return pem;
}

void authority_make(const char *folder, const char *base, const char *name,
		    enum pki_key_algorithm algorithm, int64_t from_s, int64_t to_s)
{
	auto_free char *cert_name = alloc_format("%s.crt", base);
	auto_free char *key_name = alloc_format("%s.key", base);
	auto_free char *key_pem = NULL;
	auto_free char *pem = NULL;
	auto_pkey EVP_PKEY *key = authority_key(algorithm, &key_pem);
	auto_x509 X509 *x509 = authority_begin(name, key, from_s, to_s);

	authority_extend(x509, x509, NID_key_usage,
			 "critical,digitalSignature,keyEncipherment,keyCertSign");
	authority_extend(x509, x509, NID_basic_constraints, "critical,CA:TRUE");
	authority_extend(x509, x509, NID_subject_key_identifier, "hash");
	pem = authority_sign(x509, x509, key);
	authority_write(folder, cert_name, pem, 0644);
	authority_write(folder, key_name, key_pem, 0600);
}

void authority_make_pki(const char *folder, enum pki_key_algorithm algorithm, int64_t now_s)
{
	struct pki_texts service = {0};
	struct pki_issue_options options = {.folder = folder,
					    .node = "cp1",
					    .address = "10.1.15.121",
					    .version = {1, 36, 3},
					    .add = &service,
					    .algorithm = algorithm,
					    .now_s = now_s};
	int64_t to_s = now_s + (int64_t)3650 * 24 * 3600;
	auto_free char *backup = alloc_format("%s.made", folder);

	pki_texts_add(&service, "10.96.0.1");
	authority_make(folder, "ca", "kubernetes", algorithm, now_s - 300, to_s);
	authority_make(folder, "front-proxy-ca", "front-proxy-ca", algorithm, now_s - 300, to_s);
	authority_make(folder, "etcd/ca", "etcd-ca", algorithm, now_s - 300, to_s);
	for (size_t i = 0; i < pki_profile_count; i++) {
		auto_pki_pair struct pki_pair pair = {0};
		auto_error struct error err = {0};

		authority_need(pki_issue(&pki_profiles[i], &options, &pair, &err) == 0 &&
				       pki_swap(folder, &pki_profiles[i], &pair, backup, &err) == 0,
			       pki_profiles[i].name, &err);
	}
	pki_texts_release(&service);
}
