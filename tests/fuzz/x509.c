/* SPDX-License-Identifier: MIT */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "pki/audit.h"
#include "pki/key.h"
#include "pki/pem.h"
#include "pki/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A certificate in DER. Whatever is
 * read can be told as JSON and read back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice der = {(const char *)data, size};
	const struct pki_audit_options options = {.now_s = 1800000000};
	auto_pki_audit struct pki_audit audit = {0};
	auto_pki_audit struct pki_audit back = {0};
	auto_error struct error err = {0};
	auto_x509 X509 *x509 = NULL;
	bool matches = false;
	json_t *json;

	if (pki_audit_served(&der, 1, (struct slice){0}, &options, &audit, &err) < 0)
		abort();
	json = pki_audit_to_json(&audit);
	if (pki_audit_from_json(json, &back, &err) < 0)
		abort();
	json_decref(json);
	x509 = pki_x509_parse(der, &err);
	if (x509) {
		auto_pkey EVP_PKEY *key = pki_x509_key(x509, &err);
		auto_buffer struct buffer pem = {0};

		if (key)
			pki_x509_signed_by(x509, key);
		/* a certificate is nobody's private key */
		pki_pem_append(&pem, "RSA PRIVATE KEY", der);
		if (pki_key_matches(buffer_as_slice(&pem), "key", x509, &matches, &err) == 0 &&
		    matches)
			abort();
	}
	return 0;
}
