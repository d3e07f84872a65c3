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

static void authority_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	authority_need(extension && X509_add_ext(x509, extension, -1), value, NULL);
	X509_EXTENSION_free(extension);
}

void authority_make(const char *folder, const char *base, const char *name,
		    enum pki_key_algorithm algorithm, int64_t from_s, int64_t to_s)
{
	auto_free char *cert_name = alloc_format("%s.crt", base);
	auto_free char *key_name = alloc_format("%s.key", base);
	auto_error struct error err = {0};
	auto_secret struct secret key_pem = {0};
	auto_pkey EVP_PKEY *key = NULL;
	auto_x509 X509 *x509 = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	authority_need(pki_key_generate(algorithm, &key, &err) == 0 &&
			       pki_key_to_pem(key, &key_pem, &err) == 0,
		       base, &err);
	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), 1);
	ASN1_TIME_set(X509_getm_notBefore(x509), from_s);
	ASN1_TIME_set(X509_getm_notAfter(x509), to_s);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, V_ASN1_UTF8STRING,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	X509_set_pubkey(x509, key);
	authority_extension(x509, NID_key_usage,
			    "critical,digitalSignature,keyEncipherment,keyCertSign");
	authority_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
	authority_extension(x509, NID_subject_key_identifier, "hash");
	authority_need(X509_sign(x509, key, EVP_sha256()) > 0 && PEM_write_bio_X509(bio, x509) &&
			       BIO_write(bio, "", 1) == 1,
		       base, NULL);
	BIO_get_mem_data(bio, &text);
	authority_write(folder, cert_name, text, 0644);
	authority_write(folder, key_name, key_pem.ptr, 0600);
	BIO_free_all(bio);
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
