/* SPDX-License-Identifier: MIT */
#include "kube/trust.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"

/* --- what was met ---------------------------------------------------------------------------- */

static bool kube_trust_read(X509 *leaf, struct pki_cert *ret)
{
	auto_error struct error ignored = {0};
	unsigned char *der = NULL;
	int len = leaf ? i2d_X509(leaf, &der) : 0;
	bool read = false;

	if (len > 0)
		read = pki_cert_from_der((struct slice){(const char *)der, (size_t)len}, ret,
					 &ignored) == 0;
	OPENSSL_free(der);
	return read;
}

static int kube_trust_verify(X509_STORE_CTX *store, void *data)
{
	struct kube_trust *trust = data;
	int result;

	X509_STORE_CTX_set_time(store, 0, (time_t)clock_wall_s());
	result = X509_verify_cert(store);
	kube_trust_release(trust);
	trust->met = kube_trust_read(X509_STORE_CTX_get0_cert(store), &trust->cert);
	trust->verify_result = X509_STORE_CTX_get_error(store);
	return result;
}

void kube_trust_watch(struct kube_trust *trust, SSL_CTX *context)
{
	SSL_CTX_set_cert_verify_callback(context, kube_trust_verify, trust);
}

void kube_trust_release(struct kube_trust *trust)
{
	pki_cert_release(&trust->cert);
	*trust = (struct kube_trust){0};
}

/* --- what is said of it ---------------------------------------------------------------------- */

static void kube_trust_names(const struct pki_texts *texts, struct buffer *out)
{
	for (size_t i = 0; i < texts->count; i++)
		buffer_format(out, "%s'%s'", out->len ? ", " : "", texts->items[i]);
}

static int kube_trust_wrong_name(const struct kube_trust *trust, const char *server,
				 const char *name, struct error *err)
{
	auto_buffer struct buffer names = {0};

	kube_trust_names(&trust->cert.dns_names, &names);
	kube_trust_names(&trust->cert.addresses, &names);
	return error_set(
		err, ERROR_NETWORK,
		"the certificate of %s is not valid for '%s', only for %s: use one of these "
		"names, or set tls-server-name",
		server, name, names.len ? buffer_cstr(&names) : "no name");
}

static int kube_trust_wrong_time(const struct kube_trust *trust, const char *server,
				 struct error *err)
{
	bool expired = trust->verify_result == X509_V_ERR_CERT_HAS_EXPIRED;
	auto_free char *when =
		clock_format(expired ? trust->cert.not_after_s : trust->cert.not_before_s);
	auto_free char *now = clock_format(clock_wall_s());

	return error_set(err, ERROR_NETWORK, "the certificate of %s %s %s (the clock here says %s)",
			 server, expired ? "expired at" : "is not valid before", when, now);
}

int kube_trust_error(const struct kube_trust *trust, const char *server, const char *name,
		     bool own_ca, struct error *err)
{
	if (!trust->met)
		return error_set(err, ERROR_NETWORK,
				 "the certificate of %s is not valid for '%s': %s", server, name,
				 trust->verify_result == X509_V_OK
					 ? "it cannot be read"
					 : X509_verify_cert_error_string(trust->verify_result));
	if (trust->verify_result == X509_V_OK)
		return kube_trust_wrong_name(trust, server, name, err);
	if (trust->verify_result == X509_V_ERR_CERT_HAS_EXPIRED ||
	    trust->verify_result == X509_V_ERR_CERT_NOT_YET_VALID)
		return kube_trust_wrong_time(trust, server, err);
	return error_set(err, ERROR_NETWORK,
			 "the certificate of %s, issued by '%s', is not trusted by %s: %s", server,
			 trust->cert.issuer,
			 own_ca ? "the certificate authority of the kubeconfig"
				: "this machine (the kubeconfig brings no certificate authority)",
			 X509_verify_cert_error_string(trust->verify_result));
}
