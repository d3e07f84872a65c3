/* SPDX-License-Identifier: MIT */
#ifndef REPORT_CERTIFICATES_H
#define REPORT_CERTIFICATES_H

#include <jansson.h>

#include "base/buffer.h"
#include "model/cluster.h"
#include "pki/audit.h"
#include "report/table.h"

/*
 * What certificates and kubeconfigs the control planes have on disk, and what each API server
 * serves, as one view of an observed cluster.
 */
struct certificates_row {
	const char *node;	   /* borrowed from the cluster */
	struct pki_record *record; /* borrowed from the audit that the view owns */
	char *place; /* "pki/apiserver.crt", "admin.conf user/kubernetes-admin", "served" */
	struct pki_texts missing; /* Service addresses that an API server's certificate lacks */
	bool is_service;	  /* an API server's: the addresses matter */
};

struct certificates_view {
	struct pki_texts
		expected; /* addresses that API servers have or get for default/kubernetes */
	struct pki_audit *audits; /* owned */
	size_t audit_count;
	struct certificates_row *rows; /* by node; on disk, then served */
	size_t count;
	size_t capacity;
	int64_t now_s;
};

/* The first address of the range in each running API server's flag, and the ClusterIP of
 * default/kubernetes; each once. */
void certificates_expected(const struct cluster *cluster, struct pki_texts *ret);

/* The cluster must outlive the view. A host without an audit has no rows. */
must_check int certificates_view(const struct cluster *cluster, struct certificates_view *ret,
				 struct error *err);

enum certificates_width { CERTIFICATES_TEXT, CERTIFICATES_WIDE };

void certificates_print(const struct certificates_view *view, enum table_style style,
			enum certificates_width width, struct buffer *out);

/* [{node, path, file, entry, role, certificate, key, caPath, server, problems, missing}]; see
 * pki/audit.h. New reference. */
json_t *certificates_json(const struct certificates_view *view);

/* "311 d", "4 h", "expired 3 d ago"; the caller frees. */
char *certificates_term(int64_t not_after_s, int64_t now_s);

/* The names, joined by commas; the caller frees. */
char *certificates_names(const struct pki_cert *cert);

void certificates_release(struct certificates_view *view);
#define auto_certificates __attribute__((cleanup(certificates_release)))

#endif
