/* SPDX-License-Identifier: MIT */
#ifndef PKI_PROFILE_H
#define PKI_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"
#include "pki/cert.h"

/* A control plane's Kubernetes version; {0} is unknown. */
struct pki_version {
	unsigned int major;
	unsigned int minor;
	unsigned int patch;
};

/* Reads "v1.36.3", "1.20.2-rc.1+x". False when it is not a version. */
bool pki_version_parse(const char *text, struct pki_version *ret);

enum pki_usage {
	PKI_USAGE_SERVER = 1 << 0,
	PKI_USAGE_CLIENT = 1 << 1,
};

/*
 * What kubeadm knows about each certificate that it makes (cmd/kubeadm/app/phases/certs,
 * certlist.go): one row a certificate.
 */
struct pki_profile {
	const char *name;	 /* ours and of the table: "apiserver", "etcd/server" */
	const char *kubeadm;	 /* kubeadm's: "apiserver", "etcd-server" */
	const char *base;	 /* below the pki folder, without ".crt" and ".key" */
	const char *ca;		 /* base of its CA: "ca", "front-proxy-ca", "etcd/ca" */
	const char *common_name; /* NULL: the node's name */
	unsigned int usages;	 /* enum pki_usage */
	bool names;		 /* has SANs */
};

/* All certificates that `certs --issue all` makes: the seven that the incident made anew. */
extern const struct pki_profile pki_profiles[];
extern const size_t pki_profile_count;

/* By either name; NULL when there is none. */
const struct pki_profile *pki_profile_find(struct slice name);

/* "apiserver,etcd/peer" or "all" to rows, each once, in the order of the table.
 * *ret holds at most pki_profile_count pointers. ERROR_USAGE naming what is not a certificate. */
must_check int pki_profile_parse(const char *list, const struct pki_profile **ret,
				 size_t *ret_count, struct error *err);

/*
 * The organization that kubeadm of this version writes into a new certificate, NULL for none:
 * apiserver-kubelet-client has system:masters before 1.29, kubeadm:cluster-admins from there, none
 * from 1.35.5 and 1.36.1 on (kubernetes#121837, #138957); apiserver-etcd-client and
 * etcd/healthcheck-client have system:masters before 1.29 (kubernetes#120521, #119859).
 */
const char *pki_profile_organization(const struct pki_profile *profile, struct pki_version version);

#endif
