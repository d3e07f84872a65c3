/* SPDX-License-Identifier: MIT */
#include "agent/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/backup.h"
#include "agent/mask.h"
#include "agent/paths.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "text/json.h"

/* More names than a permitted folder can have in earnest. */
#define FILES_LIST_MAX 10000

struct files_digest files_digest_of(struct slice bytes)
{
	struct files_digest digest = {0};
	unsigned char hash[EVP_MAX_MD_SIZE];
	static const char hex[] = "0123456789abcdef";

	if (EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, hash, NULL, EVP_sha256(), NULL) != 1)
		return digest;
	for (size_t i = 0; i < 32; i++) {
		digest.text[2 * i] = hex[hash[i] >> 4];
		digest.text[2 * i + 1] = hex[hash[i] & 15];
	}
	return digest;
}

static struct slice files_slice(const struct secret *bytes)
{
	return (struct slice){bytes->ptr, bytes->len};
}

static void files_set_stat(json_t *entry, const struct stat *st)
{
	json_object_set_new(entry, "size", json_integer(st->st_size));
	json_object_set_new(entry, "mode", json_integer(st->st_mode & 07777));
	json_object_set_new(entry, "uid", json_integer(st->st_uid));
	json_object_set_new(entry, "gid", json_integer(st->st_gid));
	json_object_set_new(entry, "mtime", json_integer(st->st_mtime));
}

static const char *files_type(const struct stat *st)
{
	if (S_ISREG(st->st_mode))
		return "file";
	if (S_ISDIR(st->st_mode))
		return "folder";
	return S_ISLNK(st->st_mode) ? "link" : "other";
}

static void files_set_target(json_t *entry, int folder, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(folder, name, target, sizeof(target) - 1);

	if (len < 0)
		return;
	target[len] = '\0';
	protocol_set_text(entry, "target", target);
}

static int files_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct files_names {
	char **items; /* owned */
	size_t count;
	size_t capacity;
};

static void files_names_release(struct files_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

/* Takes over `folder`. */
static int files_read_names(int folder, const char *path, struct files_names *names,
			    struct error *err)
{
	DIR *dir = fdopendir(folder);
	struct dirent *entry;

	if (!dir) {
		close(folder);
		return error_errno(err, "cannot list '%s'", path);
	}
	while ((entry = readdir(dir)) && names->count < FILES_LIST_MAX) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ALLOC_GROW(names->items, names->count, names->capacity);
		names->items[names->count++] = alloc_text(entry->d_name);
	}
	closedir(dir);
	if (names->count)
		qsort(names->items, names->count, sizeof(*names->items), files_compare);
	return 0;
}

static int files_walk(const struct agent *agent, const char *path, const char *real, bool recursive,
		      int depth, json_t *list, struct error *err)
{
	__attribute__((cleanup(files_names_release))) struct files_names names = {0};
	auto_close int folder = -1;
	int own;

	if (paths_open(agent->root, real, O_RDONLY | O_DIRECTORY, &folder, err) < 0)
		return -1;
	own = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return error_errno(err, "cannot list '%s'", path);
	if (files_read_names(own, path, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.count && json_array_size(list) < FILES_LIST_MAX; i++) {
		auto_free char *entry_path = file_join(path, names.items[i]);
		auto_free char *entry_real = file_join(real, names.items[i]);
		json_t *entry;
		struct stat st;

		if (fstatat(folder, names.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* it has gone since */
		entry = json_object();
		protocol_set_text(entry, "path", entry_path);
		json_object_set_new(entry, "type", json_string(files_type(&st)));
		files_set_stat(entry, &st);
		if (S_ISLNK(st.st_mode))
			files_set_target(entry, folder, names.items[i]);
		json_array_append_new(list, entry);
		if (recursive && S_ISDIR(st.st_mode) && depth < LIMIT_DEPTH &&
		    files_walk(agent, entry_path, entry_real, recursive, depth + 1, list, err) < 0)
			return -1;
	}
	return 0;
}

int files_list(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	bool recursive = json_is_true(json_object_get(request, "recursive"));
	auto_free char *real = NULL;
	const char *path;
	json_t *list;

	if (protocol_text(request, "path", &path, err) < 0)
		return -1;
	if (paths_resolve(agent->root, path, PATHS_LIST, &real, err) < 0)
		return -1;
	list = json_array();
	json_object_set_new(reply, "files", list);
	return files_walk(agent, path, real, recursive, 0, list, err);
}

static int files_read_into(const struct agent *agent, const char *path, json_t *reply,
			   struct error *err)
{
	auto_secret struct secret bytes = {0};
	auto_free char *real = NULL;
	struct stat st;
	bool masked;

	if (paths_read(agent->root, path, PATHS_READ, &bytes, &st, &real, err) < 0)
		return -1;
	if (mask_has_private_key(bytes.ptr, bytes.len))
		return error_set(err, ERROR_REFUSED,
				 "'%s' holds a private key, which never leaves its node", path);
	protocol_set_text(reply, "path", path);
	protocol_set_text(reply, "realPath", real);
	files_set_stat(reply, &st);
	json_object_set_new(reply, "sha256",
			    json_string(files_digest_of(files_slice(&bytes)).text));
	masked = mask_text(bytes.ptr, bytes.len);
	json_object_set_new(reply, "masked", json_boolean(masked));
	json_object_set_new(reply, "content", protocol_base64(bytes.ptr, bytes.len));
	return 0;
}

int files_read(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	const char *path;

	if (protocol_text(request, "path", &path, err) < 0)
		return -1;
	return files_read_into(agent, path, reply, err);
}

int files_read_many(const struct agent *agent, const json_t *request, json_t *reply,
		    struct error *err)
{
	size_t total = 0;
	json_t *list;
	json_t *paths;
	json_t *item;
	size_t i;

	if (protocol_list(request, "paths", &paths, err) < 0)
		return -1;
	list = json_array();
	json_object_set_new(reply, "files", list);
	json_array_foreach(paths, i, item) {
		auto_error struct error problem = {0};
		const char *path = json_string_value(item);
		json_t *entry;

		if (!path)
			return error_set(err, ERROR_PARSE, "member 'paths' is no list of texts");
		entry = json_object();
		json_array_append_new(list, entry);
		if (files_read_into(agent, path, entry, &problem) < 0) {
			json_object_clear(entry);
			protocol_set_text(entry, "path", path);
			json_object_set_new(entry, "kind",
					    json_string(protocol_kind_name(problem.kind)));
			protocol_set_text(entry, "error", error_text(&problem));
		}
		total += json_string_length(json_object_get(entry, "content"));
		if (total > LIMIT_AGENT_MESSAGE / 2)
			return error_set(err, ERROR_REFUSED,
					 "the files together are larger than %zu bytes; ask for "
					 "fewer at a time",
					 LIMIT_AGENT_MESSAGE / 2);
	}
	return 0;
}

/* The folder of a resolved path, or the one `above` it. What is done by this descriptor is done there
 * whatever the path leads to meanwhile: a network plugin's Pod, say, may write in /etc/cni/net.d. */
static int files_open_folder(const struct agent *agent, const char *real, bool above, int *ret_fd,
			     struct error *err)
{
	auto_free char *folder = alloc_text_n(real, (size_t)(strrchr(real, '/') - real));
	char *end = above ? strrchr(folder, '/') : NULL;

	if (end)
		*end = '\0';
	return paths_open(agent->root, *folder ? folder : "/", O_PATH | O_DIRECTORY, ret_fd, err);
}

/* A manifest that kubelet may load half-way: its temporary file is made in the folder above. */
static bool files_is_manifest(const char *real)
{
	static const char manifests[] = "/manifests";
	size_t tail = sizeof(manifests) - 1;
	size_t len = (size_t)(strrchr(real, '/') - real);

	return len > tail && strncmp(real + len - tail, manifests, tail) == 0;
}

static int files_put_in(int folder, int stage, const char *name, struct slice bytes,
			unsigned int mode, struct error *err)
{
	auto_free char *full = alloc_format("/proc/self/fd/%d/%s", folder, name);
	auto_free char *beside = alloc_format("/proc/self/fd/%d", stage);

	return file_replace_staged(full, beside, bytes.ptr ? bytes.ptr : "", bytes.len, mode,
				   FILE_REPLACE_KEEP, err);
}

static void files_tidy_in(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, FILE_TEMPORARY, strlen(FILE_TEMPORARY)) == 0 &&
		    strlen(entry->d_name) == strlen(FILE_TEMPORARY) + 6 &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
}

void files_tidy(const struct agent *agent, const char *real)
{
	auto_error struct error ignored = {0};
	auto_close int folder = -1;
	auto_close int above = -1;

	if (files_open_folder(agent, real, /* above= */ false, &folder, &ignored) == 0)
		files_tidy_in(folder);
	error_release(&ignored);
	if (files_is_manifest(real) &&
	    files_open_folder(agent, real, /* above= */ true, &above, &ignored) == 0)
		files_tidy_in(above);
}

int files_put(const struct agent *agent, const char *real, struct slice bytes, unsigned int mode,
	      struct error *err)
{
	const char *name = strrchr(real, '/') + 1;
	auto_close int folder = -1;
	auto_close int above = -1;
	struct stat here;
	struct stat there;

	if (files_open_folder(agent, real, /* above= */ false, &folder, err) < 0)
		return -1;
	if (files_is_manifest(real) &&
	    files_open_folder(agent, real, /* above= */ true, &above, err) < 0)
		return -1;
	/* The folder above may be another file system; the temporary name begins with a dot. */
	if (above >= 0 &&
	    (fstat(above, &here) < 0 || fstat(folder, &there) < 0 || here.st_dev != there.st_dev)) {
		close(above);
		above = -1;
	}
	files_tidy_in(above >= 0 ? above : folder);
	if (files_put_in(folder, above >= 0 ? above : folder, name, bytes, mode, err) < 0)
		return error_wrap(err, "'%s'", real);
	return 0;
}

int files_unlink(const struct agent *agent, const char *real, bool *ret_changed, struct error *err)
{
	auto_free char *full = NULL;
	auto_close int folder = -1;

	if (files_open_folder(agent, real, /* above= */ false, &folder, err) < 0)
		return -1;
	if (unlinkat(folder, strrchr(real, '/') + 1, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_errno(err, "cannot remove '%s'", real);
	}
	*ret_changed = true;
	full = alloc_format("/proc/self/fd/%d/.", folder);
	return file_sync_parent(full, err);
}

/* What is there now: false with an empty `ret` when there is nothing. */
static int files_current(const struct agent *agent, const char *path, struct secret *ret,
			 bool *ret_there, struct error *err)
{
	auto_error struct error problem = {0};

	if (paths_read(agent->root, path, PATHS_WRITE, ret, NULL, NULL, &problem) == 0) {
		*ret_there = true;
		return 0;
	}
	if (problem.kind != ERROR_NOT_FOUND)
		return error_move(err, &problem);
	*ret_there = false;
	return 0;
}

int files_write(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_buffer struct buffer content = {.max = LIMIT_CONFIG_FILE};
	auto_secret struct secret current = {0};
	auto_free char *real = NULL;
	struct files_digest wanted;
	const char *expect;
	const char *path;
	const char *run;
	int64_t mode;
	bool there;

	if (protocol_text(request, "path", &path, err) < 0 ||
	    protocol_text(request, "expect", &expect, err) < 0 ||
	    protocol_optional_text(request, "run", &run, err) < 0 ||
	    protocol_optional_integer(request, "mode", 0, 0777, 0600, &mode, err) < 0 ||
	    protocol_bytes(request, "content", &content, err) < 0)
		return -1;
	if (paths_resolve(agent->root, path, PATHS_WRITE, &real, err) < 0 ||
	    files_current(agent, path, &current, &there, err) < 0)
		return -1;
	wanted = files_digest_of(buffer_as_slice(&content));
	json_object_set_new(reply, "sha256", json_string(wanted.text));
	json_object_set_new(reply, "changed", json_false());
	if (there && slice_equal(files_slice(&current), buffer_as_slice(&content)))
		return 0;
	if (!there && strcmp(expect, "absent") != 0)
		return error_set(err, ERROR_CONFLICT, "'%s' has gone since it was read", path);
	if (there && strcmp(expect, files_digest_of(files_slice(&current)).text) != 0)
		return error_set(err, ERROR_CONFLICT, "'%s' has changed since it was read", path);
	if (backup_keep(agent, run, path, err) < 0)
		return -1;
	json_object_set_new(reply, "changed", json_true());
	return files_put(agent, real, buffer_as_slice(&content), (unsigned int)mode, err);
}

struct files_edit {
	size_t offset; /* in the file before */
	struct buffer expected;
	struct buffer replacement;
};

struct files_edits {
	struct files_edit *items;
	size_t count;
};

static void files_edits_release(struct files_edits *edits)
{
	for (size_t i = 0; i < edits->count; i++) {
		buffer_release(&edits->items[i].expected);
		buffer_release(&edits->items[i].replacement);
	}
	free(edits->items);
}

static int files_edits_parse(const json_t *request, struct files_edits *ret, struct error *err)
{
	size_t end = 0;
	json_t *list;
	json_t *item;
	size_t i;

	if (protocol_list(request, "edits", &list, err) < 0)
		return -1;
	ret->items = alloc_array(json_array_size(list) + 1, sizeof(*ret->items));
	json_array_foreach(list, i, item) {
		struct files_edit *edit = &ret->items[i];
		int64_t offset;

		ret->count = i + 1;
		edit->expected.max = LIMIT_CONFIG_FILE;
		edit->replacement.max = LIMIT_CONFIG_FILE;
		if (protocol_integer(item, "offset", 0, LIMIT_CONFIG_FILE, &offset, err) < 0 ||
		    protocol_bytes(item, "expected", &edit->expected, err) < 0 ||
		    protocol_bytes(item, "replacement", &edit->replacement, err) < 0)
			return error_wrap(err, "edit %zu", i);
		edit->offset = (size_t)offset;
		if (i > 0 && edit->offset < end)
			return error_set(err, ERROR_PARSE,
					 "edit %zu: it overlaps the one before it", i);
		end = edit->offset + edit->expected.len;
	}
	return 0;
}

/* Makes the edits, or undoes them. False when one does not stand where it should. */
static bool files_edits_apply(const struct files_edits *edits, bool undo, struct slice from,
			      struct buffer *to)
{
	size_t taken = 0;  /* of `from` */
	size_t before = 0; /* of the file before */

	for (size_t i = 0; i < edits->count; i++) {
		const struct files_edit *edit = &edits->items[i];
		const struct buffer *old = undo ? &edit->replacement : &edit->expected;
		const struct buffer *new = undo ? &edit->expected : &edit->replacement;
		size_t gap = edit->offset - before;

		if (gap > from.len - taken || old->len > from.len - taken - gap)
			return false;
		buffer_append(to, from.ptr + taken, gap);
		taken += gap;
		if (old->len && memcmp(from.ptr + taken, old->ptr, old->len) != 0)
			return false;
		buffer_slice(to, buffer_as_slice(new));
		taken += old->len;
		before = edit->offset + edit->expected.len;
	}
	buffer_append(to, from.ptr + taken, from.len - taken);
	return !to->overflowed;
}

/* The buffers hold files that may have keys in them. */
static void files_wipe(struct buffer *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->len);
	buffer_release(b);
}

static int files_edit_file(const struct agent *agent, const char *run, const char *path,
			   const char *sha256, const struct files_edits *edits, json_t *reply,
			   struct error *err)
{
	__attribute__((cleanup(files_wipe))) struct buffer done = {.max = LIMIT_CONFIG_FILE};
	__attribute__((cleanup(files_wipe))) struct buffer undone = {.max = LIMIT_CONFIG_FILE};
	auto_secret struct secret bytes = {0};
	struct files_digest now;
	auto_free char *real = NULL;

	if (paths_resolve(agent->root, path, PATHS_WRITE, &real, err) < 0 ||
	    paths_read(agent->root, path, PATHS_WRITE, &bytes, NULL, NULL, err) < 0)
		return -1;
	now = files_digest_of(files_slice(&bytes));
	json_object_set_new(reply, "changed", json_false());
	json_object_set_new(reply, "sha256", json_string(now.text));
	if (strcmp(now.text, sha256) != 0) {
		if (files_edits_apply(edits, /* undo= */ true, files_slice(&bytes), &undone) &&
		    strcmp(files_digest_of(buffer_as_slice(&undone)).text, sha256) == 0)
			return 0;
		return error_set(err, ERROR_CONFLICT, "'%s' has changed since it was read", path);
	}
	if (!files_edits_apply(edits, /* undo= */ false, files_slice(&bytes), &done))
		return error_set(err, ERROR_CONFLICT,
				 "'%s' does not hold the expected text at the place of an edit",
				 path);
	if (slice_equal(buffer_as_slice(&done), files_slice(&bytes)))
		return 0;
	if (backup_keep(agent, run, path, err) < 0)
		return -1;
	json_object_set_new(reply, "changed", json_true());
	json_object_set_new(reply, "sha256",
			    json_string(files_digest_of(buffer_as_slice(&done)).text));
	return files_put(agent, real, buffer_as_slice(&done), 0600, err);
}

int files_replace_in(const struct agent *agent, const json_t *request, json_t *reply,
		     struct error *err)
{
	__attribute__((cleanup(files_edits_release))) struct files_edits edits = {0};
	const char *sha256;
	const char *path;
	const char *run;

	if (protocol_text(request, "path", &path, err) < 0 ||
	    protocol_text(request, "sha256", &sha256, err) < 0 ||
	    protocol_optional_text(request, "run", &run, err) < 0 ||
	    files_edits_parse(request, &edits, err) < 0)
		return -1;
	return files_edit_file(agent, run, path, sha256, &edits, reply, err);
}

int files_remove(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_secret struct secret current = {0};
	auto_free char *real = NULL;
	const char *sha256;
	const char *path;
	const char *run;
	bool there;

	if (protocol_text(request, "path", &path, err) < 0 ||
	    protocol_text(request, "run", &run, err) < 0 ||
	    protocol_optional_text(request, "sha256", &sha256, err) < 0)
		return -1;
	if (paths_resolve(agent->root, path, PATHS_WRITE, &real, err) < 0 ||
	    files_current(agent, path, &current, &there, err) < 0)
		return -1;
	json_object_set_new(reply, "changed", json_boolean(there));
	if (!there)
		return 0;
	if (sha256 && strcmp(sha256, files_digest_of(files_slice(&current)).text) != 0)
		return error_set(err, ERROR_CONFLICT, "'%s' has changed since it was read", path);
	if (backup_keep(agent, run, path, err) < 0)
		return -1;
	return files_unlink(agent, real, &there, err);
}
