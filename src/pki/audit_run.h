/* SPDX-License-Identifier: MIT */
#ifndef PKI_AUDIT_RUN_H
#define PKI_AUDIT_RUN_H

#include <openssl/types.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "pki/audit.h"

/*
 * What the files of the audit share while one runs: collect (audit.c, audit_kubeconfig.c), then
 * judge each record (audit_judge.c). Private to pki/audit*.
 */
struct audit_run {
	struct pki_audit_options options; /* defaults filled in */
	const char *root;
	struct pki_audit *audit;
	X509 **x509; /* owned; one for each record, NULL where there is none */
	size_t x509_capacity;
	EVP_PKEY **keys; /* owned; decoded public keys of CAs, one for each record */
};

/* Fills in the defaults. */
void audit_run_begin(struct audit_run *run, const struct pki_audit_options *options,
		     struct pki_audit *audit);
void audit_run_release(struct audit_run *run);
#define auto_audit_run __attribute__((cleanup(audit_run_release)))

/* A new record at the end; valid until the next one. */
struct pki_record *audit_record_add(struct audit_run *run, const char *path, const char *entry,
				    const char *role);

/* Where certificates were found. */
struct audit_source {
	const char *path;
	const char *file;  /* or NULL */
	const char *entry; /* or NULL */
	const char *role;
	const char *place;	   /* for messages: the file, or file:line:column: field */
	const struct stat *status; /* or NULL */
};

/* A record for each certificate in the PEM text; one with the problem "malformed" for what is
 * none. Gives the number of certificates. */
size_t audit_certificates(struct audit_run *run, const struct audit_source *source,
			  struct slice pem);

/* Says of record `index` whether this private key is its own. */
void audit_key(struct audit_run *run, size_t index, struct slice pem, const char *place);

/* The same for a key file; what is wrong with it becomes a problem of the record. */
void audit_key_file(struct audit_run *run, size_t index, const char *path);

/* Reads a regular file of at most LIMIT_CONFIG_FILE bytes in one go. */
must_check int audit_read(const char *path, struct secret *ret, struct stat *ret_status,
			  struct error *err);

/* Every *.conf in the root that is a kubeconfig. */
void audit_kubeconfig(struct audit_run *run, const char *path);

/* Time, usages, names and chain of every record. */
void audit_judge(struct audit_run *run);

/* Names of the regular files (links are followed) or, with `folders`, of the folders (links are
 * not) in a folder, sorted; hidden ones are left out. Nothing when it cannot be read. */
void audit_list(const char *folder, bool folders, struct pki_texts *ret);

__attribute__((format(printf, 4, 5))) void audit_problem(struct pki_record *record,
							 const char *code, const char *detail,
							 const char *fmt, ...);

#endif
