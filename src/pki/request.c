/* SPDX-License-Identifier: MIT */
#include "pki/request.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "net/address.h"
#include "pki/x509.h"

static bool request_label_valid(struct slice label)
{
	if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
	    label.ptr[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!isalnum((unsigned char)label.ptr[i]) && label.ptr[i] != '-' &&
		    label.ptr[i] != '_')
			return false;
	return true;
}

bool pki_name_valid(const char *text, bool *ret_address)
{
	struct net_address address = {0};
	struct slice rest = slice_of(text);
	struct slice label;

	*ret_address = net_address_read(rest, &address);
	if (*ret_address)
		return true;
	if (rest.len == 0 || rest.len > 253)
		return false;
	if (slice_starts(rest, "*.")) {
		rest.ptr += 2;
		rest.len -= 2;
	}
	while (slice_next(&rest, '.', &label))
		if (!request_label_valid(label))
			return false;
	/* 10.0.0.256 is a mistyped address and no name */
	return !isdigit((unsigned char)label.ptr[0]) || strspn(label.ptr, "0123456789") < label.len;
}

/* The certificate there is; none when there is no file or it is no certificate. */
static int request_current(const struct pki_profile *profile,
			   const struct pki_issue_options *options, struct pki_request *request,
			   struct error *err)
{
	auto_free char *path = alloc_format("%s/%s.crt", options->folder, profile->base);

	if (pki_cert_read(path, &request->current, err) == 0) {
		request->replaces = true;
		return 0;
	}
	/* none, or one that is broken: nothing to go by */
	if (err->kind != ERROR_NOT_FOUND && err->kind != ERROR_PARSE)
		return -1;
	error_release(err);
	return 0;
}

static void request_add(struct pki_request *request, const char *name, bool address)
{
	struct net_address value = {0};

	if (address && net_address_read(slice_of(name), &value))
		pki_texts_add_new(&request->addresses, net_address_text(value).text);
	else
		pki_texts_add_new(&request->dns_names, name);
}

static bool request_is_etcd(const struct pki_profile *profile)
{
	return strcmp(profile->ca, "etcd/ca") == 0;
}

/* kubeadm's own names (pkiutil, getAltNames and GetAPIServerAltNames). */
static int request_default_names(const struct pki_profile *profile,
				 const struct pki_issue_options *options,
				 struct pki_request *request, struct error *err)
{
	const char *domain = options->dns_domain ? options->dns_domain : "cluster.local";
	auto_free char *service = alloc_format("kubernetes.default.svc.%s", domain);

	if (!options->node || !options->address)
		return error_set(
			err, ERROR_REFUSED,
			"there is no certificate to take names from, and the node's name and "
			"address are not known");
	request_add(request, options->node, false);
	if (request_is_etcd(profile)) {
		request_add(request, "localhost", false);
		request_add(request, options->address, true);
		request_add(request, "127.0.0.1", true);
		request_add(request, "::1", true);
		return 0;
	}
	request_add(request, "kubernetes", false);
	request_add(request, "kubernetes.default", false);
	request_add(request, "kubernetes.default.svc", false);
	request_add(request, service, false);
	/* the Service address goes before the node's own */
	for (size_t i = 0; options->add && i < options->add->count; i++) {
		bool address = false;

		if (pki_name_valid(options->add->items[i], &address) && address) {
			request_add(request, options->add->items[i], true);
			break;
		}
	}
	request_add(request, options->address, true);
	return 0;
}

static int request_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int request_names(const struct pki_profile *profile, const struct pki_issue_options *options,
			 struct pki_request *request, struct error *err)
{
	bool etcd = request_is_etcd(profile);
	const struct pki_texts *add = etcd ? options->etcd_add : options->add;
	const struct pki_texts *remove = etcd ? options->etcd_remove : options->remove;
	bool address = false;

	if (!profile->names)
		return 0;
	if (request->replaces &&
	    request->current.dns_names.count + request->current.addresses.count) {
		for (size_t i = 0; i < request->current.dns_names.count; i++)
			pki_texts_add_new(&request->dns_names, request->current.dns_names.items[i]);
		for (size_t i = 0; i < request->current.addresses.count; i++)
			pki_texts_add_new(&request->addresses, request->current.addresses.items[i]);
	} else if (request_default_names(profile, options, request, err) < 0) {
		return -1;
	}
	/* remove before add: what is in both lists stays */
	for (size_t i = 0; remove && i < remove->count; i++) {
		struct net_address value = {0};
		const char *name = remove->items[i];

		pki_texts_remove(&request->dns_names, name);
		if (net_address_read(slice_of(name), &value))
			pki_texts_remove(&request->addresses, net_address_text(value).text);
	}
	for (size_t i = 0; add && i < add->count; i++) {
		if (!pki_name_valid(add->items[i], &address))
			return error_set(err, ERROR_USAGE,
					 "'%s' is neither an IP address nor a DNS name",
					 add->items[i]);
		request_add(request, add->items[i], address);
	}
	if (request->dns_names.count)
		qsort(request->dns_names.items, request->dns_names.count,
		      sizeof(request->dns_names.items[0]), request_compare);
	return 0;
}

static int request_subject(const struct pki_profile *profile,
			   const struct pki_issue_options *options, struct pki_request *request,
			   struct error *err)
{
	const char *name = profile->common_name ? profile->common_name : options->node;
	const char *organization;

	if (!name && request->replaces && *request->current.common_name)
		name = request->current.common_name;
	if (!name)
		return error_set(err, ERROR_REFUSED, "the node's name is not known");
	request->common_name = alloc_text(name);
	if (request->replaces) {
		pki_texts_copy(&request->organizations, &request->current.organizations);
		return 0;
	}
	if (!options->version.major && !profile->names)
		return error_set(err, ERROR_REFUSED,
				 "there is no certificate to take the organization from, and the "
				 "Kubernetes version is not known");
	organization = pki_profile_organization(profile, options->version);
	if (organization)
		pki_texts_add(&request->organizations, organization);
	return 0;
}

int pki_request_read(const struct pki_profile *profile, const struct pki_issue_options *options,
		     struct pki_request *ret, struct error *err)
{
	auto_pki_request struct pki_request request = {.algorithm = options->algorithm};

	if (request_current(profile, options, &request, err) < 0 ||
	    request_subject(profile, options, &request, err) < 0 ||
	    request_names(profile, options, &request, err) < 0)
		return -1;
	if (request.algorithm == PKI_KEY_DEFAULT &&
	    (!request.replaces ||
	     !pki_key_algorithm_parse(request.current.algorithm, &request.algorithm)))
		request.algorithm = PKI_KEY_RSA_2048;
	*ret = request;
	request = (struct pki_request){0};
	return 0;
}

/* Go writes a PrintableString where it can (encoding/asn1, isPrintable), else UTF-8. */
static int request_string_type(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr(" '()+,-./:=?", *text))
			return V_ASN1_UTF8STRING;
	return V_ASN1_PRINTABLESTRING;
}

static bool request_entry(X509_NAME *name, int nid, const char *text)
{
	return X509_NAME_add_entry_by_NID(name, nid, request_string_type(text),
					  (const unsigned char *)text, (int)strlen(text), -1, 0);
}

int pki_request_subject(const struct pki_request *request, X509_NAME *name, struct error *err)
{
	bool good = true;

	for (size_t i = 0; i < request->organizations.count; i++)
		good = good &&
		       request_entry(name, NID_organizationName, request->organizations.items[i]);
	if (!good || !request_entry(name, NID_commonName, request->common_name))
		return pki_openssl_error(err, ERROR_REFUSED, "'%s' cannot be a subject",
					 request->common_name);
	return 0;
}

static bool request_name_push(GENERAL_NAMES *names, int type, const void *bytes, size_t len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();

	if (name && value && ASN1_STRING_set(value, bytes, (int)len)) {
		GENERAL_NAME_set0_value(name, type, value);
		if (sk_GENERAL_NAME_push(names, name) > 0)
			return true;
		value = NULL;
	}
	ASN1_STRING_free(value);
	GENERAL_NAME_free(name);
	return false;
}

int pki_request_names(const struct pki_request *request, GENERAL_NAMES **ret, struct error *err)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool good = names != NULL;

	for (size_t i = 0; good && i < request->dns_names.count; i++)
		good = request_name_push(names, GEN_DNS, request->dns_names.items[i],
					 strlen(request->dns_names.items[i]));
	for (size_t i = 0; good && i < request->addresses.count; i++) {
		struct net_address address = {0};

		good = net_address_read(slice_of(request->addresses.items[i]), &address) &&
		       request_name_push(names, GEN_IPADD, address.bytes,
					 net_address_size(address));
	}
	if (!good || sk_GENERAL_NAME_num(names) == 0) {
		GENERAL_NAMES_free(names);
		return pki_openssl_error(err, ERROR_REFUSED, "the certificate would name nothing");
	}
	*ret = names;
	return 0;
}

void pki_request_release(struct pki_request *request)
{
	free(request->common_name);
	pki_texts_release(&request->organizations);
	pki_texts_release(&request->dns_names);
	pki_texts_release(&request->addresses);
	pki_cert_release(&request->current);
	*request = (struct pki_request){0};
}
