/* SPDX-License-Identifier: MIT */
#include "kube/trust.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "kube/tls.h"
#include "pki/cert.h"

#define KUBE_TRUST_TIMEOUT_MS 5000

/* The certificate is met once more, because a failed handshake leaves nothing to look at. */
static int kube_trust_look(const struct kube_trust_failure *failure, struct pki_cert *ret)
{
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	auto_error struct error ignored = {0};
	struct slice der;

	if (failure->port == 0 || kube_tls_fetch(failure->address, failure->port, failure->name,
						 KUBE_TRUST_TIMEOUT_MS, &chain, &ignored) < 0)
		return -1;
	der = (struct slice){(const char *)chain.items[0].ptr, chain.items[0].len};
	return pki_cert_from_der(der, ret, &ignored);
}

static void kube_trust_names(const struct pki_texts *texts, struct buffer *out)
{
	for (size_t i = 0; i < texts->count; i++)
		buffer_format(out, "%s'%s'", out->len ? ", " : "", texts->items[i]);
}

static int kube_trust_wrong_name(const struct kube_trust_failure *failure,
				 const struct pki_cert *cert, struct error *err)
{
	auto_buffer struct buffer names = {0};

	kube_trust_names(&cert->dns_names, &names);
	kube_trust_names(&cert->addresses, &names);
	return error_set(
		err, ERROR_NETWORK,
		"the certificate of %s is not valid for '%s', only for %s: use one of these "
		"names, or set tls-server-name",
		failure->server, failure->name, names.len ? buffer_cstr(&names) : "no name");
}

static int kube_trust_wrong_time(const struct kube_trust_failure *failure,
				 const struct pki_cert *cert, struct error *err)
{
	bool expired = failure->verify_result == X509_V_ERR_CERT_HAS_EXPIRED;
	auto_free char *when = clock_format(expired ? cert->not_after_s : cert->not_before_s);
	auto_free char *now = clock_format(clock_wall_s());

	return error_set(err, ERROR_NETWORK, "the certificate of %s %s %s (the clock here says %s)",
			 failure->server, expired ? "expired at" : "is not valid before", when,
			 now);
}

int kube_trust_error(const struct kube_trust_failure *failure, struct error *err)
{
	auto_pki_cert struct pki_cert cert = {0};
	const char *reason = failure->verify_result <= X509_V_ERR_UNSPECIFIED
				     ? "it has another name"
				     : X509_verify_cert_error_string(failure->verify_result);

	if (kube_trust_look(failure, &cert) < 0)
		return error_set(err, ERROR_NETWORK,
				 "the certificate of %s is not valid for '%s': %s", failure->server,
				 failure->name, reason);
	switch (failure->verify_result) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return kube_trust_wrong_name(failure, &cert, err);
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return kube_trust_wrong_time(failure, &cert, err);
	default:
		return error_set(err, ERROR_NETWORK,
				 "the certificate of %s, issued by '%s', is not trusted by %s: %s",
				 failure->server, cert.issuer,
				 failure->own_ca
					 ? "the certificate authority of the kubeconfig"
					 : "this machine (the kubeconfig brings no certificate "
					   "authority)",
				 reason);
	}
}
