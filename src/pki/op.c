/* SPDX-License-Identifier: MIT */
#include "pki/op.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "pki/audit.h"
#include "pki/issue.h"
#include "pki/swap.h"

/* More certificates than kubeadm has. */
#define OP_MAX 16

struct op_request {
	struct pki_issue_options options;
	struct pki_texts add;
	struct pki_texts remove;
	struct pki_texts etcd_add;
	struct pki_texts etcd_remove;
	const struct pki_profile *profiles[OP_MAX];
	size_t count;
	const char *backup; /* NULL when not given */
	const char *stage;
	bool force;
	const json_t *json;
};

static void op_request_release(struct op_request *request)
{
	pki_texts_release(&request->add);
	pki_texts_release(&request->remove);
	pki_texts_release(&request->etcd_add);
	pki_texts_release(&request->etcd_remove);
}

#define auto_op_request __attribute__((cleanup(op_request_release)))

/* NULL when it is missing; ERROR_USAGE when it is not a text. */
static int op_text(const json_t *json, const char *name, const char **ret, struct error *err)
{
	const json_t *value = json_object_get(json, name);

	*ret = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return error_set(err, ERROR_USAGE, "'%s' is not a text", name);
	*ret = json_string_value(value);
	return 0;
}

static int op_needed(const char *text, const char *name, struct error *err)
{
	return text && *text ? 0 : error_set(err, ERROR_USAGE, "'%s' is missing", name);
}

static int op_texts(const json_t *json, const char *name, struct pki_texts *ret, struct error *err)
{
	const json_t *value = json_object_get(json, name);

	if (!value || json_is_null(value))
		return 0;
	if (pki_texts_from_json(value, ret, err) < 0) {
		error_wrap(err, "'%s'", name);
		err->kind = ERROR_USAGE;
		return -1;
	}
	return 0;
}

static int op_names(const json_t *json, struct op_request *ret, struct error *err)
{
	const char *names = NULL;

	if (op_text(json, "names", &names, err) < 0 || op_needed(names, "names", err) < 0)
		return -1;
	return pki_profile_parse(names, ret->profiles, &ret->count, err);
}

static int op_validity(const json_t *json, struct pki_issue_options *options, struct error *err)
{
	const json_t *value = json_object_get(json, "validity");

	if (!value || json_is_null(value))
		return 0;
	/* up to a century; the default is a year */
	if (!json_is_integer(value) || json_integer_value(value) < 60 ||
	    json_integer_value(value) > (int64_t)100 * 366 * 24 * 3600)
		return error_set(err, ERROR_USAGE, "'validity' is not a number of seconds");
	options->validity_s = json_integer_value(value);
	return 0;
}

static int op_read(const json_t *json, struct op_request *ret, struct error *err)
{
	struct pki_issue_options *options = &ret->options;
	const char *algorithm = NULL;
	const char *version = NULL;

	ret->json = json;
	if (op_text(json, "folder", &options->folder, err) < 0 ||
	    op_needed(options->folder, "folder", err) < 0 || op_names(json, ret, err) < 0 ||
	    op_text(json, "backup", &ret->backup, err) < 0 ||
	    op_text(json, "stage", &ret->stage, err) < 0 ||
	    op_text(json, "node", &options->node, err) < 0 ||
	    op_text(json, "address", &options->address, err) < 0 ||
	    op_text(json, "dnsDomain", &options->dns_domain, err) < 0 ||
	    op_text(json, "algorithm", &algorithm, err) < 0 ||
	    op_text(json, "version", &version, err) < 0 ||
	    op_texts(json, "add", &ret->add, err) < 0 ||
	    op_texts(json, "remove", &ret->remove, err) < 0 ||
	    op_texts(json, "etcdAdd", &ret->etcd_add, err) < 0 ||
	    op_texts(json, "etcdRemove", &ret->etcd_remove, err) < 0 ||
	    op_validity(json, options, err) < 0)
		return -1;
	options->add = &ret->add;
	options->remove = &ret->remove;
	options->etcd_add = &ret->etcd_add;
	options->etcd_remove = &ret->etcd_remove;
	ret->force = json_is_true(json_object_get(json, "force"));
	if (algorithm && !pki_key_algorithm_parse(algorithm, &options->algorithm))
		return error_set(err, ERROR_USAGE,
				 "'%s' is not a key algorithm: RSA-2048, RSA-3072, RSA-4096, "
				 "ECDSA-P256, ECDSA-P384",
				 algorithm);
	if (version && !pki_version_parse(version, &options->version))
		return error_set(err, ERROR_USAGE, "'%s' is not a version", version);
	return 0;
}

static int op_audit(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_pki_texts struct pki_texts expected = {0};
	auto_pki_audit struct pki_audit audit = {0};
	const struct pki_audit_options options = {.expected = &expected};
	const char *root = NULL;

	if (op_text(json, "root", &root, err) < 0 || op_needed(root, "root", err) < 0 ||
	    op_texts(json, "expected", &expected, err) < 0 ||
	    pki_audit_folder(root, &options, &audit, err) < 0)
		return -1;
	*ret_reply = pki_audit_to_json(&audit);
	return 0;
}

static json_t *op_entry(const struct pki_profile *profile)
{
	json_t *entry = json_object();

	json_object_set_new(entry, "name", json_string(profile->name));
	return entry;
}

static json_t *op_reply(const char *list, json_t *items)
{
	json_t *reply = json_object();

	json_object_set_new(reply, list, items);
	return reply;
}

/* The facts of the certificate on disk, for one that is left alone. */
static void op_entry_current(const struct op_request *request, const struct pki_profile *profile,
			     json_t *entry)
{
	auto_free char *path = alloc_format("%s/%s.crt", request->options.folder, profile->base);
	auto_pki_cert struct pki_cert cert = {0};
	auto_error struct error ignored = {0};

	if (pki_cert_read(path, &cert, &ignored) == 0)
		json_object_set_new(entry, "certificate", pki_cert_to_json(&cert));
}

/* Puts the pairs that were made in place; a NULL pem is one that was left alone. */
static int op_swap(const struct op_request *request, struct pki_pair *pairs, json_t **ret_reply,
		   struct error *err)
{
	json_t *items = json_array();

	for (size_t i = 0; i < request->count; i++) {
		const struct pki_profile *profile = request->profiles[i];
		json_t *entry = op_entry(profile);

		json_array_append_new(items, entry);
		json_object_set_new(entry, "changed", json_boolean(pairs[i].pem != NULL));
		if (!pairs[i].pem) {
			op_entry_current(request, profile, entry);
			continue;
		}
		if (pki_swap(request->options.folder, profile, &pairs[i], request->backup, err) <
		    0) {
			json_decref(items);
			return -1;
		}
		json_object_set_new(entry, "certificate", pki_cert_to_json(&pairs[i].cert));
	}
	*ret_reply = op_reply("certificates", items);
	return 0;
}

static int op_issue_pairs(const struct op_request *request, struct pki_pair *pairs,
			  struct error *err)
{
	for (size_t i = 0; i < request->count; i++) {
		bool needed = request->force;

		if (!needed &&
		    pki_issue_needed(request->profiles[i], &request->options, &needed, err) < 0)
			return -1;
		if (needed &&
		    pki_issue(request->profiles[i], &request->options, &pairs[i], err) < 0)
			return -1;
	}
	return 0;
}

static void op_pairs_release(struct pki_pair (*pairs)[OP_MAX])
{
	for (size_t i = 0; i < OP_MAX; i++)
		pki_pair_release(&(*pairs)[i]);
}

#define auto_pairs __attribute__((cleanup(op_pairs_release)))

static int op_issue(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_op_request struct op_request request = {0};
	auto_pairs struct pki_pair pairs[OP_MAX] = {0};

	if (op_read(json, &request, err) < 0 || op_needed(request.backup, "backup", err) < 0 ||
	    op_issue_pairs(&request, pairs, err) < 0)
		return -1;
	return op_swap(&request, pairs, ret_reply, err);
}

static int op_preview(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_op_request struct op_request request = {0};
	json_t *items;

	if (op_read(json, &request, err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < request.count; i++) {
		auto_pki_texts struct pki_texts dns = {0};
		auto_pki_texts struct pki_texts addresses = {0};
		json_t *entry = op_entry(request.profiles[i]);

		json_array_append_new(items, entry);
		if (pki_issue_names(request.profiles[i], &request.options, &dns, &addresses, err) <
		    0) {
			json_decref(items);
			return -1;
		}
		json_object_set_new(entry, "dnsNames", pki_texts_to_json(&dns));
		json_object_set_new(entry, "addresses", pki_texts_to_json(&addresses));
	}
	*ret_reply = op_reply("certificates", items);
	return 0;
}

static int op_restore(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_op_request struct op_request request = {0};
	json_t *items;

	if (op_read(json, &request, err) < 0 || op_needed(request.backup, "backup", err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < request.count; i++) {
		if (pki_swap_restore(request.options.folder, request.profiles[i], request.backup,
				     err) == 0) {
			json_array_append_new(items, op_entry(request.profiles[i]));
			continue;
		}
		if (err->kind != ERROR_NOT_FOUND) {
			json_decref(items);
			return -1;
		}
		error_release(err);
	}
	*ret_reply = op_reply("certificates", items);
	return 0;
}

static char *op_staged(const struct op_request *request, const struct pki_profile *profile)
{
	return alloc_format("%s/%s.key", request->stage, profile->base);
}

static int op_stage_key(const struct op_request *request, const struct pki_profile *profile,
			const struct secret *key, struct error *err)
{
	auto_free char *path = op_staged(request, profile);
	auto_free char *folder = alloc_text_n(path, (size_t)(strrchr(path, '/') - path));

	if (file_make_folder(request->stage, 0700, err) < 0 ||
	    file_make_folder(folder, 0700, err) < 0)
		return -1;
	return file_replace(path, key->ptr, key->len, 0600, 0, err);
}

static int op_csr(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_op_request struct op_request request = {0};
	json_t *items;

	if (op_read(json, &request, err) < 0 || op_needed(request.stage, "stage", err) < 0)
		return -1;
	items = json_array();
	for (size_t i = 0; i < request.count; i++) {
		auto_pki_pair struct pki_pair pair = {0};
		json_t *entry = op_entry(request.profiles[i]);

		json_array_append_new(items, entry);
		if (pki_csr(request.profiles[i], &request.options, &pair, err) < 0 ||
		    op_stage_key(&request, request.profiles[i], &pair.key, err) < 0) {
			json_decref(items);
			return -1;
		}
		json_object_set_new(entry, "pem", json_string(pair.pem));
	}
	*ret_reply = op_reply("requests", items);
	return 0;
}

static const char *op_signed_pem(const struct op_request *request, const char *name)
{
	const json_t *list = json_object_get(request->json, "certificates");
	const json_t *item = NULL;
	size_t i = 0;

	json_array_foreach(list, i, item) {
		const char *of = json_string_value(json_object_get(item, "name"));

		if (of && strcmp(of, name) == 0)
			return json_string_value(json_object_get(item, "pem"));
	}
	return NULL;
}

/* Whether this certificate is in place already, for an answer that was lost on its way. */
static bool op_imported(const struct op_request *request, const struct pki_profile *profile,
			const char *pem)
{
	auto_free char *cert_path =
		alloc_format("%s/%s.crt", request->options.folder, profile->base);
	auto_free char *key_path =
		alloc_format("%s/%s.key", request->options.folder, profile->base);
	auto_pki_pair struct pki_pair pair = {0};
	auto_pki_cert struct pki_cert current = {0};
	auto_secret struct secret key = {0};
	auto_error struct error ignored = {0};

	return secret_read(&key, key_path, LIMIT_CONFIG_FILE, &ignored) == 0 &&
	       pki_cert_read(cert_path, &current, &ignored) == 0 &&
	       pki_import(profile, &request->options, (struct slice){key.ptr, key.len},
			  slice_of(pem), &pair, &ignored) == 0 &&
	       strcmp(pair.cert.fingerprint, current.fingerprint) == 0;
}

static int op_import_one(const struct op_request *request, const struct pki_profile *profile,
			 struct pki_pair *ret, struct error *err)
{
	auto_free char *path = op_staged(request, profile);
	const char *pem = op_signed_pem(request, profile->name);
	auto_secret struct secret key = {0};

	if (!pem)
		return error_set(err, ERROR_USAGE, "there is no signed certificate for '%s'",
				 profile->name);
	if (secret_read(&key, path, LIMIT_CONFIG_FILE, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND && op_imported(request, profile, pem)) {
			error_release(err);
			return 0;
		}
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(
				err, ERROR_NOT_FOUND,
				"no private key waits for certificate '%s': make a request "
				"(--csr) first",
				profile->name);
		return -1;
	}
	return pki_import(profile, &request->options, (struct slice){key.ptr, key.len},
			  slice_of(pem), ret, err);
}

static int op_import(const json_t *json, json_t **ret_reply, struct error *err)
{
	auto_op_request struct op_request request = {0};
	auto_pairs struct pki_pair pairs[OP_MAX] = {0};

	if (op_read(json, &request, err) < 0 || op_needed(request.backup, "backup", err) < 0 ||
	    op_needed(request.stage, "stage", err) < 0)
		return -1;
	for (size_t i = 0; i < request.count; i++)
		if (op_import_one(&request, request.profiles[i], &pairs[i], err) < 0)
			return -1;
	if (op_swap(&request, pairs, ret_reply, err) < 0)
		return -1;
	for (size_t i = 0; i < request.count; i++) {
		auto_free char *path = op_staged(&request, request.profiles[i]);

		unlink(path);
	}
	return 0;
}

int pki_op(const char *op, const json_t *request, json_t **ret_reply, struct error *err)
{
	static const struct {
		const char *name;
		int (*run)(const json_t *request, json_t **ret_reply, struct error *err);
	} ops[] = {
		{"audit", op_audit},	 {"issue", op_issue}, {"names", op_preview},
		{"restore", op_restore}, {"csr", op_csr},     {"import", op_import},
	};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(op, ops[i].name) == 0)
			return ops[i].run(request, ret_reply, err);
	return error_set(err, ERROR_USAGE, "'%s' is not an operation on certificates", op);
}
