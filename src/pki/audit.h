/* SPDX-License-Identifier: MIT */
#ifndef PKI_AUDIT_H
#define PKI_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "pki/cert.h"

/*
 * Every certificate below /etc/kubernetes and in its kubeconfigs, and what is wrong with each.
 * Runs on the node; what leaves it as JSON are facts, never keys.
 *
 * Codes of problems (they never change their meaning):
 *   unreadable        a file could not be read
 *   missing           a control plane lacks a certificate that kubeadm makes
 *   malformed         not PEM, not X.509, not a kubeconfig; the message has file:line
 *   expired           notAfter is past          not-yet-valid   notBefore is to come
 *   expires-soon      within options.soon_s (CAs: options.ca_soon_s)
 *   key-missing       a leaf without its key    key-mismatch    the key is another one's
 *   key-malformed     not a private key         key-exposed     its file is open to group or others
 *   ca-key-missing    the CA is external: it can be used, but nothing be issued here
 *   ca-missing        the CA file for this role is not there
 *   not-signed-by-ca  its CA did not sign it
 *   ca-differs        a kubeconfig trusts a CA of the same name that is another one
 *   san-missing       an API server's certificate lacks an expected address (`detail`: the address)
 *   usage-missing     lacks the extended key usage of its role (`detail`: "server" or "client")
 */
struct pki_problem {
	char *code;
	char *detail; /* NULL or what the code is about */
	char *message;
};

struct pki_record {
	char *path;   /* file; for a served certificate "served" */
	char *file;   /* the file that a kubeconfig names for it, NULL: the bytes are in `path` */
	char *entry;  /* in a kubeconfig "user/NAME" or "cluster/NAME", else NULL */
	size_t index; /* of the certificate within the file or entry, from 0 */
	char *role;   /* "apiserver", "etcd/server", "ca", "front-proxy-ca", "etcd/ca",
			 "kubeconfig-client", "kubeconfig-ca", "served", …; else "other" */
	bool has_cert;
	struct pki_cert cert; /* when has_cert */

	unsigned int mode; /* permission bits of the file; 0 unknown */
	unsigned int uid;
	unsigned int gid;

	char *key_path; /* NULL: none looked for, or not found */
	bool key_known; /* there is a readable private key (embedded ones count) */
	bool key_matches;
	unsigned int key_mode;
	unsigned int key_uid;
	unsigned int key_gid;

	char *ca_path; /* file of the CA that signed it, proved; NULL: none found */
	bool self_signed;
	char *server; /* URL that the kubeconfig's entry dials, else NULL */

	struct pki_problem *problems; /* owned */
	size_t problem_count;
	size_t problem_capacity;
};

struct pki_audit {
	char *root;
	int64_t at_s;		    /* when */
	struct pki_record *records; /* owned; pki/ first, then kubeconfigs, each by path */
	size_t count;
	size_t capacity;
};

struct pki_audit_options {
	int64_t now_s;			  /* 0: clock_wall_s() */
	int64_t soon_s;			  /* 0: 30 days */
	int64_t ca_soon_s;		  /* 0: 365 days */
	const struct pki_texts *expected; /* addresses that API server certificates must name */
	bool no_kubeconfigs;
};

/*
 * Looks at root/pki (every *.crt and *.pem, recursively), at root/ (every *.conf) and at what these
 * kubeconfigs name by file. Links are followed for files only. What is wrong with one file is a
 * problem of its record, never an error; ERROR_NOT_FOUND only when root is not there.
 */
must_check int pki_audit_folder(const char *root, const struct pki_audit_options *options,
				struct pki_audit *ret, struct error *err);

/*
 * A chain as a TLS server sent it (DER, leaf first), in the same form: role "served". `ca_pem` is
 * the text of the file to verify it against, or empty for none.
 */
must_check int pki_audit_served(const struct slice *chain, size_t count, struct slice ca_pem,
				const struct pki_audit_options *options, struct pki_audit *ret,
				struct error *err);

/* The record of a role (the first certificate of its file), NULL when there is none. */
const struct pki_record *pki_audit_find(const struct pki_audit *audit, const char *role);
/* NULL when the record has no such problem. */
const struct pki_problem *pki_record_problem(const struct pki_record *record, const char *code);

/*
 * {"root", "at", "records": [{"path", "file", "entry", "index", "role", "certificate": {…pki_cert…},
 * "mode", "uid", "gid", "key": {"path", "known", "matches", "mode", "uid", "gid"}, "caPath",
 * "selfSigned", "server", "problems": [{"code", "detail", "message"}]}]}; absent is absent.
 * A new reference; and back: ERROR_PARSE naming the field. Unknown fields are passed over.
 */
json_t *pki_audit_to_json(const struct pki_audit *audit);
/* One element of "records". A new reference. */
json_t *pki_record_to_json(const struct pki_record *record);
must_check int pki_audit_from_json(const json_t *json, struct pki_audit *ret, struct error *err);

void pki_audit_release(struct pki_audit *audit);
#define auto_pki_audit __attribute__((cleanup(pki_audit_release)))

#endif
