/* SPDX-License-Identifier: MIT */
#include "pki/cert.h"

#include <string.h>

#include "base/alloc.h"

/* One row a text field, so that writing and reading cannot differ. */
static const struct {
	const char *name;
	size_t offset;
} cert_texts[] = {
	{"subject", offsetof(struct pki_cert, subject)},
	{"commonName", offsetof(struct pki_cert, common_name)},
	{"issuer", offsetof(struct pki_cert, issuer)},
	{"serial", offsetof(struct pki_cert, serial)},
	{"fingerprint", offsetof(struct pki_cert, fingerprint)},
	{"algorithm", offsetof(struct pki_cert, algorithm)},
	{"signature", offsetof(struct pki_cert, signature)},
};

static const struct {
	const char *name;
	size_t offset;
} cert_lists[] = {
	{"organizations", offsetof(struct pki_cert, organizations)},
	{"dnsNames", offsetof(struct pki_cert, dns_names)},
	{"addresses", offsetof(struct pki_cert, addresses)},
	{"usages", offsetof(struct pki_cert, usages)},
	{"keyUsages", offsetof(struct pki_cert, key_usages)},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

json_t *pki_cert_to_json(const struct pki_cert *cert)
{
	json_t *json = json_object();

	for (size_t i = 0; i < COUNT(cert_texts); i++) {
		char *const *text =
			(char *const *)(const void *)((const char *)cert + cert_texts[i].offset);

		json_object_set_new(json, cert_texts[i].name, json_string(*text ? *text : ""));
	}
	for (size_t i = 0; i < COUNT(cert_lists); i++) {
		const struct pki_texts *list =
			(const void *)((const char *)cert + cert_lists[i].offset);

		json_object_set_new(json, cert_lists[i].name, pki_texts_to_json(list));
	}
	json_object_set_new(json, "notBefore", json_integer(cert->not_before_s));
	json_object_set_new(json, "notAfter", json_integer(cert->not_after_s));
	json_object_set_new(json, "isCA", json_boolean(cert->is_ca));
	return json;
}

int pki_cert_from_json(const json_t *json, struct pki_cert *ret, struct error *err)
{
	auto_pki_cert struct pki_cert cert = {0};
	const json_t *before = json_object_get(json, "notBefore");
	const json_t *after = json_object_get(json, "notAfter");

	for (size_t i = 0; i < COUNT(cert_texts); i++) {
		const json_t *text = json_object_get(json, cert_texts[i].name);

		if (!json_is_string(text))
			return error_set(err, ERROR_PARSE, "certificate: '%s' is not a text",
					 cert_texts[i].name);
		*(char **)(void *)((char *)&cert + cert_texts[i].offset) =
			alloc_text(json_string_value(text));
	}
	for (size_t i = 0; i < COUNT(cert_lists); i++) {
		struct pki_texts *list = (void *)((char *)&cert + cert_lists[i].offset);

		if (pki_texts_from_json(json_object_get(json, cert_lists[i].name), list, err) < 0)
			return error_wrap(err, "certificate: '%s'", cert_lists[i].name);
	}
	if (!json_is_integer(before) || !json_is_integer(after))
		return error_set(err, ERROR_PARSE,
				 "certificate: 'notBefore' or 'notAfter' is not a number");
	cert.not_before_s = json_integer_value(before);
	cert.not_after_s = json_integer_value(after);
	cert.is_ca = json_is_true(json_object_get(json, "isCA"));
	*ret = cert;
	cert = (struct pki_cert){0};
	return 0;
}
