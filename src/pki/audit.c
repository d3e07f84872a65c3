/* SPDX-License-Identifier: MIT */
#include "pki/audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "pki/audit_run.h"
#include "pki/key.h"
#include "pki/pem.h"
#include "pki/profile.h"
#include "pki/x509.h"

#define AUDIT_DAY ((int64_t)24 * 3600)

void audit_run_begin(struct audit_run *run, const struct pki_audit_options *options,
		     struct pki_audit *audit)
{
	run->options = options ? *options : (struct pki_audit_options){0};
	if (!run->options.now_s)
		run->options.now_s = clock_wall_s();
	if (!run->options.soon_s)
		run->options.soon_s = 30 * AUDIT_DAY;
	if (!run->options.ca_soon_s)
		run->options.ca_soon_s = 365 * AUDIT_DAY;
	run->audit = audit;
	audit->at_s = run->options.now_s;
}

void audit_run_release(struct audit_run *run)
{
	for (size_t i = 0; run->audit && i < run->audit->count; i++) {
		X509_free(run->x509 ? run->x509[i] : NULL);
		EVP_PKEY_free(run->keys ? run->keys[i] : NULL);
	}
	free(run->x509);
	free(run->keys);
	*run = (struct audit_run){0};
}

struct pki_record *audit_record_add(struct audit_run *run, const char *path, const char *entry,
				    const char *role)
{
	struct pki_audit *audit = run->audit;
	struct pki_record *record;

	if (run->x509_capacity == audit->count) {
		run->x509_capacity = alloc_capacity(run->x509_capacity, audit->count + 1);
		run->x509 = alloc_resize(run->x509, run->x509_capacity, sizeof(*run->x509));
	}
	ALLOC_GROW(audit->records, audit->count, audit->capacity);
	run->x509[audit->count] = NULL;
	record = &audit->records[audit->count++];
	*record = (struct pki_record){
		.path = alloc_text(path),
		.entry = entry ? alloc_text(entry) : NULL,
		.role = alloc_text(role),
	};
	return record;
}

void audit_problem(struct pki_record *record, const char *code, const char *detail, const char *fmt,
		   ...)
{
	auto_buffer struct buffer message = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&message, fmt, args);
	va_end(args);
	ALLOC_GROW(record->problems, record->problem_count, record->problem_capacity);
	record->problems[record->problem_count++] = (struct pki_problem){
		.code = alloc_text(code),
		.detail = detail ? alloc_text(detail) : NULL,
		.message = buffer_detach(&message),
	};
}

int audit_read(const char *path, struct secret *ret, struct stat *ret_status, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_secret struct secret found = {0};
	struct stat status;
	size_t size;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(err, "cannot open '%s'", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_PARSE, "'%s' is not a regular file", path);
	if (status.st_size < 0 || (size_t)status.st_size > LIMIT_CONFIG_FILE)
		return error_set(err, ERROR_PARSE,
				 "'%s' is larger than %zu bytes, which is more than can be right",
				 path, LIMIT_CONFIG_FILE);
	size = (size_t)status.st_size;
	found.ptr = alloc_bytes(size + 1);
	while (found.len < size) {
		ssize_t got = read(fd, found.ptr + found.len, size - found.len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read '%s'", path);
		if (got == 0)
			break;
		found.len += (size_t)got;
	}
	found.ptr[found.len] = '\0';
	secret_release(ret);
	*ret = found;
	found = (struct secret){0};
	*ret_status = status;
	return 0;
}

void audit_key(struct audit_run *run, size_t index, struct slice pem, const char *place)
{
	struct pki_record *record = &run->audit->records[index];
	auto_error struct error err = {0};
	bool matches = false;

	if (!run->x509[index])
		return;
	if (pki_key_matches(pem, place, run->x509[index], &matches, &err) < 0) {
		audit_problem(record, "key-malformed", NULL, "%s", error_text(&err));
		return;
	}
	record->key_known = true;
	record->key_matches = matches;
	if (!matches)
		audit_problem(record, "key-mismatch", NULL,
			      "the private key in '%s' does not belong to the certificate in '%s'",
			      place, record->path);
}

static void audit_key_exposed(struct pki_record *record)
{
	if (record->key_mode & 077)
		audit_problem(record, "key-exposed", NULL,
			      "'%s' holds a private key and has mode %04o: others than its owner "
			      "can use it",
			      record->key_path, record->key_mode);
}

void audit_key_file(struct audit_run *run, size_t index, const char *path)
{
	struct pki_record *record = &run->audit->records[index];
	auto_secret struct secret text = {0};
	auto_error struct error err = {0};
	struct stat status;

	if (audit_read(path, &text, &status, &err) < 0) {
		if (err.kind == ERROR_NOT_FOUND && record->cert.is_ca)
			audit_problem(
				record, "ca-key-missing", NULL,
				"'%s' is not there: the CA is external, nothing can be issued here",
				path);
		else if (err.kind == ERROR_NOT_FOUND)
			audit_problem(record, "key-missing", NULL, "'%s' is not there", path);
		else
			audit_problem(record, "unreadable", NULL, "%s", error_text(&err));
		return;
	}
	record->key_path = alloc_text(path);
	record->key_mode = status.st_mode & 07777;
	record->key_uid = status.st_uid;
	record->key_gid = status.st_gid;
	audit_key(run, index, (struct slice){text.ptr, text.len}, path);
	audit_key_exposed(record);
}

static struct pki_record *audit_source_record(struct audit_run *run,
					      const struct audit_source *source)
{
	struct pki_record *record =
		audit_record_add(run, source->path, source->entry, source->role);

	if (source->file)
		record->file = alloc_text(source->file);
	if (source->status) {
		record->mode = source->status->st_mode & 07777;
		record->uid = source->status->st_uid;
		record->gid = source->status->st_gid;
	}
	return record;
}

/* One block; false when it is no certificate that can be read. */
static bool audit_block(struct audit_run *run, const struct audit_source *source,
			const struct pki_pem_block *block, size_t index)
{
	struct pki_record *record = audit_source_record(run, source);
	auto_error struct error err = {0};
	struct slice der = {block->bytes.ptr, block->bytes.len};
	X509 *x509 = pki_x509_parse(der, &err);

	record->index = index;
	if (x509 && pki_cert_from_x509(x509, der, &record->cert, &err) == 0) {
		record->has_cert = true;
		run->x509[run->audit->count - 1] = x509;
		return true;
	}
	X509_free(x509);
	audit_problem(record, "malformed", NULL, "%s:%zu:1: %s", source->place, block->line,
		      error_text(&err));
	return false;
}

size_t audit_certificates(struct audit_run *run, const struct audit_source *source,
			  struct slice pem)
{
	struct pki_pem_reader reader = {.rest = pem, .name = source->place};
	auto_pki_pem struct pki_pem_block block = {0};
	auto_error struct error err = {0};
	size_t seen = 0;
	size_t good = 0;
	bool found = false;

	for (;;) {
		if (pki_pem_next(&reader, &block, &found, &err) < 0) {
			audit_problem(audit_source_record(run, source), "malformed", NULL, "%s",
				      error_text(&err));
			return good;
		}
		if (!found)
			break;
		if (!slice_is(block.label, "CERTIFICATE"))
			continue;
		good += audit_block(run, source, &block, seen++);
	}
	if (seen == 0)
		audit_problem(audit_source_record(run, source), "malformed", NULL,
			      "%s:1:1: no certificate in it", source->place);
	return good;
}

/* "apiserver", "etcd/server", "ca", … for what kubeadm puts there, else "other". */
static const char *audit_role(const char *relative)
{
	static const char *const authorities[] = {"ca.crt", "front-proxy-ca.crt", "etcd/ca.crt"};
	static const char *const roles[] = {"ca", "front-proxy-ca", "etcd/ca"};
	size_t len = strlen(relative);

	for (size_t i = 0; i < 3; i++)
		if (strcmp(relative, authorities[i]) == 0)
			return roles[i];
	for (size_t i = 0; i < pki_profile_count; i++)
		if (len == strlen(pki_profiles[i].base) + 4 &&
		    strncmp(relative, pki_profiles[i].base, len - 4) == 0 &&
		    strcmp(relative + len - 4, ".crt") == 0)
			return pki_profiles[i].name;
	return "other";
}

static void audit_pki_file(struct audit_run *run, const char *path, const char *relative)
{
	auto_secret struct secret text = {0};
	auto_error struct error err = {0};
	struct stat status;
	struct audit_source source = {
		.path = path, .role = audit_role(relative), .place = path, .status = &status};
	bool bundle = !slice_ends(slice_of(path), ".crt");
	size_t first = run->audit->count;
	auto_free char *key = NULL;

	if (audit_read(path, &text, &status, &err) < 0) {
		audit_problem(audit_record_add(run, path, NULL, source.role), "unreadable", NULL,
			      "%s", error_text(&err));
		return;
	}
	/* a .pem file may hold anything; it is ours only when it holds a certificate */
	if (bundle && !memmem(text.ptr, text.len, "-----BEGIN CERTIFICATE-----", 27))
		return;
	if (!audit_certificates(run, &source, (struct slice){text.ptr, text.len}))
		return;
	if (!run->audit->records[first].has_cert)
		return;
	if (memmem(text.ptr, text.len, "PRIVATE KEY-----", 16)) {
		audit_key(run, first, (struct slice){text.ptr, text.len}, path);
		return;
	}
	if (bundle)
		key = alloc_format("%.*s-key.pem", (int)(strlen(path) - strlen(".pem")), path);
	else
		key = alloc_format("%.*s.key", (int)(strlen(path) - strlen(".crt")), path);
	/* a certificate of no known role may well be here without its key */
	if (strcmp(source.role, "other") != 0 || file_exists(key))
		audit_key_file(run, first, key);
}

static int audit_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void audit_list(const char *folder, bool folders, struct pki_texts *ret)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		struct stat status;
		auto_free char *path = NULL;
		bool is_folder = entry->d_type == DT_DIR;

		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
			path = file_join(folder, entry->d_name);
			if (stat(path, &status) < 0)
				is_folder = false;
			else if (S_ISDIR(status.st_mode) && entry->d_type == DT_LNK)
				continue;
			else
				is_folder = S_ISDIR(status.st_mode);
		}
		if (is_folder == folders)
			pki_texts_add(ret, entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(ret->items[0]), audit_compare);
}

static void audit_pki_folder(struct audit_run *run, const char *folder, const char *relative,
			     unsigned int depth)
{
	auto_pki_texts struct pki_texts files = {0};
	auto_pki_texts struct pki_texts folders = {0};

	audit_list(folder, /* folders= */ false, &files);
	for (size_t i = 0; i < files.count; i++) {
		struct slice name = slice_of(files.items[i]);
		auto_free char *path = file_join(folder, files.items[i]);
		auto_free char *below = alloc_format("%s%s", relative, files.items[i]);

		if (slice_ends(name, ".crt") || slice_ends(name, ".pem"))
			audit_pki_file(run, path, below);
	}
	if (depth >= LIMIT_DEPTH)
		return;
	audit_list(folder, /* folders= */ true, &folders);
	for (size_t i = 0; i < folders.count; i++) {
		auto_free char *path = file_join(folder, folders.items[i]);
		auto_free char *below = alloc_format("%s%s/", relative, folders.items[i]);

		audit_pki_folder(run, path, below, depth + 1);
	}
}

static bool audit_has(const char *root, const char *relative)
{
	auto_free char *path = file_join(root, relative);

	return file_exists(path);
}

/* What should be there and is not. The manifests say what the node is: a worker has a CA only, and
 * etcd may be elsewhere. */
static void audit_missing(struct audit_run *run)
{
	bool server = audit_has(run->root, "manifests/kube-apiserver.yaml");
	bool etcd = audit_has(run->root, "manifests/etcd.yaml");

	for (size_t i = 0; i < pki_profile_count; i++) {
		const struct pki_profile *profile = &pki_profiles[i];
		bool of_etcd = strcmp(profile->ca, "etcd/ca") == 0;
		auto_free char *path = alloc_format("%s/pki/%s.crt", run->root, profile->base);

		if (!(of_etcd ? etcd : server) || file_exists(path))
			continue;
		audit_problem(audit_record_add(run, path, NULL, profile->name), "missing", NULL,
			      "'%s' is not there", path);
	}
}

int pki_audit_folder(const char *root, const struct pki_audit_options *options,
		     struct pki_audit *ret, struct error *err)
{
	auto_free char *pki = file_join(root, "pki");
	struct pki_audit audit = {.root = alloc_text(root)};
	auto_audit_run struct audit_run run = {.root = root};
	auto_pki_texts struct pki_texts files = {0};
	struct stat status;

	if (stat(root, &status) < 0) {
		pki_audit_release(&audit);
		return error_errno(err, "cannot look into '%s'", root);
	}
	audit_run_begin(&run, options, &audit);
	audit_pki_folder(&run, pki, "", 0);
	audit_missing(&run);
	if (!run.options.no_kubeconfigs)
		audit_list(root, /* folders= */ false, &files);
	for (size_t i = 0; i < files.count; i++) {
		auto_free char *path = file_join(root, files.items[i]);

		if (slice_ends(slice_of(path), ".conf"))
			audit_kubeconfig(&run, path);
	}
	audit_judge(&run);
	audit_run_release(&run);
	*ret = audit;
	return 0;
}

int pki_audit_served(const struct slice *chain, size_t count, struct slice ca_pem,
		     const struct pki_audit_options *options, struct pki_audit *ret,
		     struct error *err)
{
	struct pki_audit audit = {.root = alloc_text("")};
	auto_audit_run struct audit_run run = {.root = ""};
	struct audit_source ca = {.path = "ca.crt", .role = "ca", .place = "ca.crt"};

	if (count == 0) {
		pki_audit_release(&audit);
		return error_set(err, ERROR_PARSE, "the server sent no certificate");
	}
	audit_run_begin(&run, options, &audit);
	for (size_t i = 0; i < count; i++) {
		struct pki_pem_block block = {
			.bytes = {(char *)(uintptr_t)chain[i].ptr, chain[i].len}};
		struct audit_source source = {
			.path = "served", .role = "served", .place = "served"};

		audit_block(&run, &source, &block, i);
	}
	if (ca_pem.len)
		audit_certificates(&run, &ca, ca_pem);
	audit_judge(&run);
	audit_run_release(&run);
	*ret = audit;
	return 0;
}

const struct pki_record *pki_audit_find(const struct pki_audit *audit, const char *role)
{
	for (size_t i = 0; i < audit->count; i++)
		if (audit->records[i].index == 0 && strcmp(audit->records[i].role, role) == 0)
			return &audit->records[i];
	return NULL;
}

const struct pki_problem *pki_record_problem(const struct pki_record *record, const char *code)
{
	for (size_t i = 0; i < record->problem_count; i++)
		if (strcmp(record->problems[i].code, code) == 0)
			return &record->problems[i];
	return NULL;
}

static void audit_record_release(struct pki_record *record)
{
	free(record->path);
	free(record->file);
	free(record->entry);
	free(record->role);
	pki_cert_release(&record->cert);
	free(record->key_path);
	free(record->ca_path);
	free(record->server);
	for (size_t i = 0; i < record->problem_count; i++) {
		free(record->problems[i].code);
		free(record->problems[i].detail);
		free(record->problems[i].message);
	}
	free(record->problems);
}

void pki_audit_release(struct pki_audit *audit)
{
	for (size_t i = 0; i < audit->count; i++)
		audit_record_release(&audit->records[i]);
	free(audit->records);
	free(audit->root);
	*audit = (struct pki_audit){0};
}
