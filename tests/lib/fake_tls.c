/* SPDX-License-Identifier: MIT */

/* Certificates of servers for tests, made anew for each run. */
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lib/authority.h"
#include "lib/fake_api.h"
#include "pki/x509.h"

void fake_tls_make(struct fake_tls *ret, const char *names, long from_s, long to_s)
{
	int64_t now_s = clock_wall_s();
	auto_free char *unused = NULL;
	auto_pkey EVP_PKEY *ca_key = authority_key(PKI_KEY_ECDSA_P256, &unused);
	auto_pkey EVP_PKEY *key = authority_key(PKI_KEY_ECDSA_P256, &ret->key);
	auto_x509 X509 *ca = authority_begin("test-ca", ca_key, now_s - 7200, now_s + 7200);
	auto_x509 X509 *x509 = authority_begin("test-server", key, now_s - from_s, now_s + to_s);

	authority_extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
	ret->ca = authority_sign(ca, ca, ca_key);
	authority_extend(x509, ca, NID_subject_alt_name, names);
	authority_extend(x509, ca, NID_ext_key_usage, "serverAuth,clientAuth");
	ret->certificate = authority_sign(x509, ca, ca_key);
}

void fake_tls_release(struct fake_tls *tls)
{
	free(tls->ca);
	free(tls->certificate);
	free(tls->key);
	*tls = (struct fake_tls){0};
}
