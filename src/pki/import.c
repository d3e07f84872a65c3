/* SPDX-License-Identifier: MIT */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "pki/issue.h"
#include "pki/pem.h"
#include "pki/request.h"
#include "pki/x509.h"

/*
 * The way with an external CA: a request goes out, a certificate comes back and is looked at as
 * closely as a stranger's. And the question whether there is anything to do at all.
 */
#define IMPORT_CHAIN_MAX 8

/* Certificates of one PEM text. */
struct import_chain {
	X509 *items[IMPORT_CHAIN_MAX];
	struct pki_cert leaf; /* facts of the first */
	size_t count;
};

static void import_chain_release(struct import_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		X509_free(chain->items[i]);
	pki_cert_release(&chain->leaf);
	*chain = (struct import_chain){0};
}

#define auto_chain __attribute__((cleanup(import_chain_release)))

/* Reads all certificates of the text; what they are goes to *pem (may be NULL) once more. */
static int import_chain_read(struct slice text, const char *name, struct import_chain *chain,
			     struct buffer *pem, struct error *err)
{
	struct pki_pem_reader reader = {.rest = text, .name = name};
	auto_pki_pem struct pki_pem_block block = {0};
	bool found = false;

	for (;;) {
		struct slice der;

		if (pki_pem_next(&reader, &block, &found, err) < 0)
			return -1;
		if (!found)
			break;
		if (!slice_is(block.label, "CERTIFICATE"))
			continue;
		if (chain->count == IMPORT_CHAIN_MAX)
			return error_set(err, ERROR_PARSE, "%s:%zu:1: more than %d certificates",
					 name, block.line, IMPORT_CHAIN_MAX);
		der = (struct slice){block.bytes.ptr, block.bytes.len};
		chain->items[chain->count] = pki_x509_parse(der, err);
		if (!chain->items[chain->count])
			return error_wrap(err, "%s:%zu:1", name, block.line);
		chain->count++;
		if (chain->count == 1 &&
		    pki_cert_from_x509(chain->items[0], der, &chain->leaf, err) < 0)
			return -1;
		if (pem)
			pki_pem_append(pem, "CERTIFICATE", der);
	}
	return chain->count ? 0 : error_set(err, ERROR_PARSE, "%s:1:1: no certificate in it", name);
}

static bool import_signed(const X509 *x509, const X509 *by)
{
	auto_error struct error ignored = {0};
	auto_pkey EVP_PKEY *key = NULL;

	if (X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(by)) != 0)
		return false;
	key = pki_x509_key(by, &ignored);
	return key && pki_x509_signed_by(x509, key);
}

/* The leaf by a CA of the file, or each certificate by the next and the last by one of the file. */
static bool import_chain_holds(const struct import_chain *chain, const struct import_chain *ca)
{
	for (size_t i = 0; i < chain->count; i++) {
		for (size_t j = 0; j < ca->count; j++)
			if (import_signed(chain->items[i], ca->items[j]))
				return true;
		if (i + 1 == chain->count || !import_signed(chain->items[i], chain->items[i + 1]))
			return false;
	}
	return false;
}

static int import_check_ca(const struct pki_profile *profile,
			   const struct pki_issue_options *options,
			   const struct import_chain *chain, struct error *err)
{
	auto_free char *path = alloc_format("%s/%s.crt", options->folder, profile->ca);
	auto_buffer struct buffer text = {0};
	auto_chain struct import_chain ca = {0};

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0 ||
	    import_chain_read(buffer_as_slice(&text), path, &ca, NULL, err) < 0)
		return -1;
	if (!import_chain_holds(chain, &ca))
		return error_set(err, ERROR_REFUSED, "'%s' did not sign it", path);
	return 0;
}

static int import_check_names(const struct pki_request *request, const struct pki_cert *cert,
			      struct error *err)
{
	for (size_t i = 0; i < request->dns_names.count; i++)
		if (!pki_texts_have(&cert->dns_names, request->dns_names.items[i]))
			return error_set(err, ERROR_REFUSED, "it lacks the name '%s'",
					 request->dns_names.items[i]);
	for (size_t i = 0; i < request->addresses.count; i++)
		if (!pki_texts_have(&cert->addresses, request->addresses.items[i]))
			return error_set(err, ERROR_REFUSED, "it lacks the address %s",
					 request->addresses.items[i]);
	return 0;
}

static int import_check_subject(const struct pki_profile *profile,
				const struct pki_request *request, const struct pki_cert *cert,
				struct error *err)
{
	/* servers are known by their SANs, clients by their subject */
	if (profile->usages & PKI_USAGE_SERVER)
		return 0;
	if (strcmp(cert->common_name, request->common_name) != 0)
		return error_set(err, ERROR_REFUSED, "its common name is '%s' and not '%s'",
				 cert->common_name, request->common_name);
	for (size_t i = 0; i < request->organizations.count; i++)
		if (!pki_texts_have(&cert->organizations, request->organizations.items[i]))
			return error_set(err, ERROR_REFUSED, "it lacks the organization '%s'",
					 request->organizations.items[i]);
	return 0;
}

static int import_check_use(const struct pki_profile *profile, const struct pki_cert *cert,
			    int64_t now, struct error *err)
{
	if (now < cert->not_before_s || now > cert->not_after_s) {
		auto_free char *from = clock_format(cert->not_before_s);
		auto_free char *to = clock_format(cert->not_after_s);

		return error_set(err, ERROR_REFUSED, "it is valid from %s to %s, not now", from,
				 to);
	}
	if (cert->is_ca)
		return error_set(err, ERROR_REFUSED, "it is a CA's");
	if (profile->usages & PKI_USAGE_SERVER && !pki_texts_have(&cert->usages, "server"))
		return error_set(err, ERROR_REFUSED,
				 "it lacks the extended key usage for TLS servers");
	if (profile->usages & PKI_USAGE_CLIENT && !pki_texts_have(&cert->usages, "client"))
		return error_set(err, ERROR_REFUSED,
				 "it lacks the extended key usage for TLS clients");
	return 0;
}

static int import_check(const struct pki_profile *profile, const struct pki_issue_options *options,
			const struct pki_request *request, const struct import_chain *chain,
			struct slice key_pem, struct error *err)
{
	int64_t now = options->now_s ? options->now_s : clock_wall_s();
	bool matches = false;

	if (pki_key_matches(key_pem, "key", chain->items[0], &matches, err) < 0)
		return -1;
	if (!matches)
		return error_set(err, ERROR_REFUSED,
				 "it is for another private key than the one kept for it");
	if (import_check_ca(profile, options, chain, err) < 0 ||
	    import_check_use(profile, &chain->leaf, now, err) < 0 ||
	    import_check_subject(profile, request, &chain->leaf, err) < 0)
		return -1;
	return profile->names ? import_check_names(request, &chain->leaf, err) : 0;
}

int pki_import(const struct pki_profile *profile, const struct pki_issue_options *options,
	       struct slice key_pem, struct slice cert_pem, struct pki_pair *ret, struct error *err)
{
	auto_pki_request struct pki_request request = {0};
	auto_chain struct import_chain chain = {0};
	auto_buffer struct buffer pem = {0};
	struct pki_pair pair = {0};

	if (pki_request_read(profile, options, &request, err) < 0 ||
	    import_chain_read(cert_pem, profile->name, &chain, &pem, err) < 0 ||
	    import_check(profile, options, &request, &chain, key_pem, err) < 0)
		return error_wrap(err, "signed certificate '%s'", profile->name);
	pair.cert = chain.leaf;
	chain.leaf = (struct pki_cert){0};
	pair.pem = buffer_detach(&pem);
	secret_set(&pair.key, key_pem.ptr, key_pem.len);
	*ret = pair;
	return 0;
}

static int csr_fill(const struct pki_profile *profile, const struct pki_request *request,
		    X509_REQ *csr, EVP_PKEY *key, struct error *err)
{
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	GENERAL_NAMES *names = NULL;
	bool good = true;

	if (!X509_REQ_set_version(csr, X509_REQ_VERSION_1) || !X509_REQ_set_pubkey(csr, key))
		return pki_openssl_error(err, ERROR_IO, "cannot put the request together");
	if (pki_request_subject(request, X509_REQ_get_subject_name(csr), err) < 0)
		return -1;
	if (profile->names) {
		if (pki_request_names(request, &names, err) < 0)
			return -1;
		good = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0,
				       X509V3_ADD_APPEND) == 1 &&
		       X509_REQ_add_extensions(csr, extensions);
		GENERAL_NAMES_free(names);
		sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	}
	if (!good ||
	    !X509_REQ_sign(csr, key, EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256()))
		return pki_openssl_error(err, ERROR_IO, "cannot sign the request");
	return 0;
}

int pki_csr(const struct pki_profile *profile, const struct pki_issue_options *options,
	    struct pki_pair *ret, struct error *err)
{
	auto_pki_request struct pki_request request = {0};
	auto_pki_pair struct pki_pair pair = {0};
	auto_buffer struct buffer pem = {0};
	auto_pkey EVP_PKEY *key = NULL;
	X509_REQ *csr = X509_REQ_new();
	unsigned char *der = NULL;
	int len = -1;

	if (csr && pki_request_read(profile, options, &request, err) == 0 &&
	    pki_key_generate(request.algorithm, &key, err) == 0 &&
	    csr_fill(profile, &request, csr, key, err) == 0 &&
	    pki_key_to_pem(key, &pair.key, err) == 0)
		len = i2d_X509_REQ(csr, &der);
	X509_REQ_free(csr);
	if (len <= 0) {
		if (err->kind == ERROR_NONE)
			pki_openssl_error(err, ERROR_IO, "cannot encode the request");
		return error_wrap(err, "request for certificate '%s'", profile->name);
	}
	pki_pem_append(&pem, "CERTIFICATE REQUEST", (struct slice){(const char *)der, (size_t)len});
	OPENSSL_free(der);
	pair.pem = buffer_detach(&pem);
	*ret = pair;
	pair = (struct pki_pair){0};
	return 0;
}

int pki_issue_names(const struct pki_profile *profile, const struct pki_issue_options *options,
		    struct pki_texts *ret_dns, struct pki_texts *ret_addresses, struct error *err)
{
	auto_pki_request struct pki_request request = {0};

	if (pki_request_read(profile, options, &request, err) < 0)
		return -1;
	*ret_dns = request.dns_names;
	*ret_addresses = request.addresses;
	request.dns_names = (struct pki_texts){0};
	request.addresses = (struct pki_texts){0};
	return 0;
}

static bool texts_same(const struct pki_texts *a, const struct pki_texts *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (!pki_texts_have(b, a->items[i]))
			return false;
	for (size_t i = 0; i < b->count; i++)
		if (!pki_texts_have(a, b->items[i]))
			return false;
	return true;
}

int pki_issue_needed(const struct pki_profile *profile, const struct pki_issue_options *options,
		     bool *ret_needed, struct error *err)
{
	auto_free char *cert_path = alloc_format("%s/%s.crt", options->folder, profile->base);
	auto_free char *key_path = alloc_format("%s/%s.key", options->folder, profile->base);
	struct pki_issue_options later = *options;
	auto_pki_request struct pki_request request = {0};
	auto_chain struct import_chain chain = {0};
	auto_buffer struct buffer text = {0};
	auto_secret struct secret key = {0};
	auto_error struct error why = {0};

	if (pki_request_read(profile, options, &request, err) < 0)
		return -1;
	later.now_s = (options->now_s ? options->now_s : clock_wall_s()) + (int64_t)30 * 24 * 3600;
	/* whatever is wrong with what is there is a reason to make it anew, and no error */
	*ret_needed =
		!request.replaces ||
		strcmp(request.current.algorithm, pki_key_algorithm_name(request.algorithm)) != 0 ||
		(profile->names && (!texts_same(&request.dns_names, &request.current.dns_names) ||
				    !texts_same(&request.addresses, &request.current.addresses))) ||
		file_read(cert_path, LIMIT_CONFIG_FILE, &text, &why) < 0 ||
		secret_read(&key, key_path, LIMIT_CONFIG_FILE, &why) < 0 ||
		import_chain_read(buffer_as_slice(&text), cert_path, &chain, NULL, &why) < 0 ||
		import_check(profile, &later, &request, &chain, (struct slice){key.ptr, key.len},
			     &why) < 0;
	return 0;
}
