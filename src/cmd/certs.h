/* SPDX-License-Identifier: MIT */
#ifndef CMD_CERTS_H
#define CMD_CERTS_H

#include "cmd/command.h"
#include "doctor/finding.h"
#include "pki/profile.h"

/* What the parts of the command `certs` share; private to cmd/certs*.c. */
struct certs_settings {
	const char *issue;
	const char *algorithm;
	const char *add;
	const char *remove;
	const char *csr;
	const char *import;
};

/* What was done on one control plane. */
struct certs_done {
	const char *node;     /* borrowed from the cluster */
	json_t *certificates; /* owned; [{name, changed, certificate}] */
	int64_t served_ms;    /* until the API server showed the new one; -1: it did not */
	bool waited;	      /* an API server's certificate was among them */
};

struct certs_result {
	char *run; /* owned; the name of the backup on the nodes */
	struct certs_done *items;
	size_t count;
};

/* Makes new certificates on every control plane, asks for consent first, and waits until the API
 * servers serve them. Nothing was changed when it fails with ERROR_REFUSED. */
must_check int certs_issue(struct session *session, const struct certs_settings *settings,
			   const struct cluster *cluster, struct certs_result *ret,
			   struct error *err);

/* Puts what an external CA signed in place; else as certs_issue. */
must_check int certs_import(struct session *session, const struct certs_settings *settings,
			    const struct cluster *cluster, struct certs_result *ret,
			    struct error *err);

/* Writes FOLDER/NODE/NAME.csr for every control plane; the keys stay on the nodes.
 * *ret_files: the paths. */
must_check int certs_csr(struct session *session, const struct certs_settings *settings,
			 const struct cluster *cluster, struct pki_texts *ret_files,
			 struct error *err);

void certs_result_release(struct certs_result *result);
#define auto_certs_result __attribute__((cleanup(certs_result_release)))

#endif
