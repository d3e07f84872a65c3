/* SPDX-License-Identifier: MIT */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "pki/audit_run.h"
#include "pki/profile.h"
#include "pki/x509.h"

/* Longer chains are taken for circles. */
#define JUDGE_CHAIN_MAX 8

static void judge_time(const struct audit_run *run, struct pki_record *record)
{
	int64_t now = run->options.now_s;
	int64_t soon = record->cert.is_ca ? run->options.ca_soon_s : run->options.soon_s;
	auto_free char *before = clock_format(record->cert.not_before_s);
	auto_free char *after = clock_format(record->cert.not_after_s);

	if (now > record->cert.not_after_s)
		audit_problem(record, "expired", NULL, "expired at %s", after);
	else if (now < record->cert.not_before_s)
		audit_problem(record, "not-yet-valid", NULL, "not valid before %s", before);
	else if (record->cert.not_after_s - now < soon)
		audit_problem(record, "expires-soon", NULL, "expires in %lld days, at %s",
			      (long long)((record->cert.not_after_s - now) / ((int64_t)24 * 3600)),
			      after);
}

static void judge_usages(struct pki_record *record)
{
	const struct pki_profile *profile = pki_profile_find(slice_of(record->role));
	static const struct {
		unsigned int usage;
		const char *name;
	} usages[] = {{PKI_USAGE_SERVER, "server"}, {PKI_USAGE_CLIENT, "client"}};
	unsigned int wanted = profile ? profile->usages : 0;

	if (strcmp(record->role, "served") == 0)
		wanted = PKI_USAGE_SERVER;
	if (strcmp(record->role, "kubeconfig-client") == 0)
		wanted = PKI_USAGE_CLIENT;
	for (size_t i = 0; i < 2; i++)
		if (wanted & usages[i].usage &&
		    !pki_texts_have(&record->cert.usages, usages[i].name))
			audit_problem(record, "usage-missing", usages[i].name,
				      "lacks the extended key usage for TLS %ss", usages[i].name);
}

static void judge_names(const struct audit_run *run, struct pki_record *record)
{
	const struct pki_texts *expected = run->options.expected;

	if (strcmp(record->role, "apiserver") != 0 && strcmp(record->role, "served") != 0)
		return;
	for (size_t i = 0; expected && i < expected->count; i++)
		if (!pki_cert_covers(&record->cert, expected->items[i]))
			audit_problem(
				record, "san-missing", expected->items[i],
				"does not name %s: clients that dial it see \"x509: certificate is "
				"valid for …, not %s\"",
				expected->items[i], expected->items[i]);
}

/* The decoded key of a CA; NULL when it cannot be read. */
static EVP_PKEY *judge_key(struct audit_run *run, size_t index)
{
	auto_error struct error ignored = {0};

	if (!run->keys[index])
		run->keys[index] = pki_x509_key(run->x509[index], &ignored);
	return run->keys[index];
}

/*
 * What signatures turned out to be. An agent audits the same files again and again while a run goes
 * on, and to verify them takes half of the time that an audit takes; which bytes signed which never
 * changes. The oldest is forgotten first.
 */
enum { JUDGE_KNOWN = 128, JUDGE_PRINTS = 130 };

static struct {
	char prints[JUDGE_PRINTS]; /* of the certificate and of the CA, SHA-256 in hex */
	bool good;
} judge_known[JUDGE_KNOWN];
static size_t judge_known_count;

static bool judge_signed(struct audit_run *run, size_t index, size_t by)
{
	char prints[JUDGE_PRINTS];
	size_t known;
	EVP_PKEY *key;

	if (!run->x509[index] || !run->x509[by] || !run->audit->records[by].cert.is_ca)
		return false;
	if (X509_NAME_cmp(X509_get_issuer_name(run->x509[index]),
			  X509_get_subject_name(run->x509[by])) != 0)
		return false;
	snprintf(prints, sizeof(prints), "%s %s", run->audit->records[index].cert.fingerprint,
		 run->audit->records[by].cert.fingerprint);
	for (size_t i = 0; i < JUDGE_KNOWN; i++)
		if (strcmp(judge_known[i].prints, prints) == 0)
			return judge_known[i].good;
	key = judge_key(run, by);
	known = judge_known_count++ % JUDGE_KNOWN;
	memcpy(judge_known[known].prints, prints, sizeof(prints));
	judge_known[known].good = key && pki_x509_signed_by(run->x509[index], key);
	return judge_known[known].good;
}

/* The path of the expected CA's file for a record; NULL: any will do. */
static char *judge_expected(const struct audit_run *run, const struct pki_record *record)
{
	const struct pki_profile *profile = pki_profile_find(slice_of(record->role));
	const char *base = profile ? profile->ca : NULL;

	if (strcmp(record->role, "served") == 0)
		return alloc_text("ca.crt");
	if (strcmp(record->role, "kubeconfig-client") == 0)
		base = "ca";
	return base ? alloc_format("%s/pki/%s.crt", run->root, base) : NULL;
}

static bool judge_is_authority(const struct pki_record *record)
{
	return !record->entry && record->has_cert && record->cert.is_ca;
}

/* The record of a certificate in file `path` that signed the certificate, directly or through
 * intermediates that stand behind it in its own file. -1: none. */
static ssize_t judge_chain(struct audit_run *run, size_t index, const char *path, int depth)
{
	const struct pki_record *records = run->audit->records;

	for (size_t by = 0; by < run->audit->count; by++)
		if (by != index && judge_is_authority(&records[by]) &&
		    strcmp(records[by].path, path) == 0 && judge_signed(run, index, by))
			return (ssize_t)by;
	for (size_t by = 0; by < run->audit->count && depth < JUDGE_CHAIN_MAX; by++) {
		ssize_t top;

		if (by == index || strcmp(records[by].path, records[index].path) != 0 ||
		    records[by].index <= records[index].index || !judge_signed(run, index, by))
			continue;
		top = judge_chain(run, by, path, depth + 1);
		if (top >= 0)
			return top;
	}
	return -1;
}

/* Any CA on this node that signed it, so that the message can say which. */
static ssize_t judge_any(struct audit_run *run, size_t index)
{
	for (size_t by = 0; by < run->audit->count; by++)
		if (by != index && judge_is_authority(&run->audit->records[by]) &&
		    judge_signed(run, index, by))
			return (ssize_t)by;
	return -1;
}

static bool judge_have_file(const struct audit_run *run, const char *path)
{
	for (size_t i = 0; i < run->audit->count; i++)
		if (judge_is_authority(&run->audit->records[i]) &&
		    strcmp(run->audit->records[i].path, path) == 0)
			return true;
	return false;
}

static void judge_signer(struct audit_run *run, size_t index)
{
	struct pki_record *record = &run->audit->records[index];
	auto_free char *expected = judge_expected(run, record);
	ssize_t by = expected ? judge_chain(run, index, expected, 0) : judge_any(run, index);
	ssize_t other;

	if (by >= 0) {
		record->ca_path = alloc_text(run->audit->records[by].path);
		return;
	}
	if (!expected)
		return;
	if (!judge_have_file(run, expected)) {
		if (strcmp(record->role, "served") != 0)
			audit_problem(record, "ca-missing", NULL, "'%s' holds no CA certificate",
				      expected);
		return;
	}
	other = judge_any(run, index);
	if (other >= 0)
		record->ca_path = alloc_text(run->audit->records[other].path);
	audit_problem(record, "not-signed-by-ca", NULL, "'%s' did not sign it: %s%s", expected,
		      other >= 0 ? "that was " : "no CA on this node did",
		      other >= 0 ? run->audit->records[other].path : "");
}

/* A kubeconfig of kubeadm's trusts this cluster's CA; those of others may trust anybody. */
static void judge_trusted(struct audit_run *run, struct pki_record *record)
{
	const struct pki_record *ca = pki_audit_find(run->audit, "ca");

	for (size_t i = 0; i < run->audit->count; i++) {
		const struct pki_record *other = &run->audit->records[i];

		if (judge_is_authority(other) &&
		    strcmp(other->cert.fingerprint, record->cert.fingerprint) == 0) {
			record->ca_path = alloc_text(other->path);
			return;
		}
	}
	if (ca && strcmp(record->cert.issuer, ca->cert.issuer) == 0)
		audit_problem(record, "ca-differs", NULL,
			      "trusts a CA of the same name as '%s' but with another key or term",
			      ca->path);
}

static void judge_record(struct audit_run *run, size_t index)
{
	struct pki_record *record = &run->audit->records[index];

	judge_time(run, record);
	if (strcmp(record->role, "kubeconfig-ca") == 0) {
		judge_trusted(run, record);
		return;
	}
	record->self_signed = judge_signed(run, index, index);
	if (record->index == 0) {
		judge_usages(record);
		judge_names(run, record);
	}
	if (!record->self_signed && record->index == 0)
		judge_signer(run, index);
}

void audit_judge(struct audit_run *run)
{
	run->keys = alloc_array(run->audit->count, sizeof(*run->keys));
	for (size_t i = 0; i < run->audit->count; i++)
		if (run->audit->records[i].has_cert)
			judge_record(run, i);
}
