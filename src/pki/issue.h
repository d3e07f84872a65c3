/* SPDX-License-Identifier: MIT */
#ifndef PKI_ISSUE_H
#define PKI_ISSUE_H

#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"
#include "pki/cert.h"
#include "pki/key.h"
#include "pki/profile.h"

/*
 * New certificates with the fields that kubeadm would give them. The CA key is read on the node
 * that holds it, used, and wiped.
 *
 * Names are those of the certificate replaced, plus `add`, minus `remove`. Without one to replace
 * they are kubeadm's for the node (pki_issue_names) plus `add`.
 */
struct pki_issue_options {
	const char *folder;	    /* /etc/kubernetes/pki */
	const char *node;	    /* the node's name; NULL: that of the certificate replaced */
	const char *address;	    /* advertise address, for when there is none to replace */
	const char *dns_domain;	    /* NULL: cluster.local */
	struct pki_version version; /* of the control plane */
	/* DNS names and addresses; any may be NULL. The first two are for the API server's
	 * certificate, the others for etcd's two: a Service address has no business there. */
	const struct pki_texts *add;
	const struct pki_texts *remove;
	const struct pki_texts *etcd_add;
	const struct pki_texts *etcd_remove;
	enum pki_key_algorithm algorithm;
	int64_t validity_s; /* 0: 365 days */
	int64_t now_s;	    /* 0: clock_wall_s() */
};

/* A key and a certificate (or, from pki_csr, a request) for it, as PEM. */
struct pki_pair {
	struct secret key;
	char *pem;	      /* owned */
	struct pki_cert cert; /* facts of `pem`; empty for a request */
};

/* Makes and signs. ERROR_NOT_FOUND "… external CA …" when the CA's key is not there, ERROR_REFUSED
 * when CA certificate and key do not belong together, the CA has expired, or names are wanted and
 * none known. Writes nothing; pki/swap.h does. */
must_check int pki_issue(const struct pki_profile *profile, const struct pki_issue_options *options,
			 struct pki_pair *ret, struct error *err);

/* For an external CA: a new key, and a request for it with the same fields (subject, SANs). */
must_check int pki_csr(const struct pki_profile *profile, const struct pki_issue_options *options,
		       struct pki_pair *ret, struct error *err);

/*
 * Checks a certificate that an external CA signed for `key` before it may be imported: the key is
 * its own, the CA file of the profile signed it, it is valid now, has the profile's usages and at
 * least the names that pki_issue would have given. ERROR_REFUSED says which does not hold.
 */
must_check int pki_import(const struct pki_profile *profile,
			  const struct pki_issue_options *options, struct slice key_pem,
			  struct slice cert_pem, struct pki_pair *ret, struct error *err);

/* The names that a certificate made with these options has. */
must_check int pki_issue_names(const struct pki_profile *profile,
			       const struct pki_issue_options *options, struct pki_texts *ret_dns,
			       struct pki_texts *ret_addresses, struct error *err);

/*
 * Whether there is anything to do: *ret_needed is false when the pair on disk is whole (key, CA,
 * usages, 30 more days) and has exactly the names and the key algorithm asked for. Lets a step that
 * was interrupted be taken again without a third certificate.
 */
must_check int pki_issue_needed(const struct pki_profile *profile,
				const struct pki_issue_options *options, bool *ret_needed,
				struct error *err);

/* Whether text can be a SAN: an IP address (*ret_address true) or a DNS name, wildcards too. */
bool pki_name_valid(const char *text, bool *ret_address);

void pki_pair_release(struct pki_pair *pair);
#define auto_pki_pair __attribute__((cleanup(pki_pair_release)))

#endif
