/* SPDX-License-Identifier: MIT */
#ifndef PKI_REQUEST_H
#define PKI_REQUEST_H

#include <openssl/x509v3.h>

#include "pki/issue.h"

/* What a new certificate is to say, worked out from the profile, the options, and the certificate
 * that it replaces. */
struct pki_request {
	char *common_name;
	struct pki_texts organizations;
	struct pki_texts dns_names; /* sorted, as kubeadm does */
	struct pki_texts addresses;
	enum pki_key_algorithm algorithm; /* never PKI_KEY_DEFAULT */
	bool replaces;			  /* there is a certificate now */
	struct pki_cert current;	  /* when replaces */
};

/* ERROR_REFUSED when something is needed that neither the options nor the present certificate say;
 * ERROR_USAGE for an added name that cannot be one. A present file that is no certificate counts
 * as none. */
must_check int pki_request_read(const struct pki_profile *profile,
				const struct pki_issue_options *options, struct pki_request *ret,
				struct error *err);

/* Fills a subject: organizations, then the common name, as printable strings where they can be. */
must_check int pki_request_subject(const struct pki_request *request, X509_NAME *name,
				   struct error *err);

/* The SANs; the caller frees them. */
must_check int pki_request_names(const struct pki_request *request, GENERAL_NAMES **ret,
				 struct error *err);

void pki_request_release(struct pki_request *request);
#define auto_pki_request __attribute__((cleanup(pki_request_release)))

#endif
