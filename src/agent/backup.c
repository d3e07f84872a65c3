/* SPDX-License-Identifier: MIT */
#include "agent/backup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/files.h"
#include "agent/paths.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "text/json.h"

/*
 * PATHS_STATE/RUN/files/etc/kubernetes/admin.conf	the file as it was
 * PATHS_STATE/RUN/manifest.json			{"run": …, "files": [{"path", "sha256", "mode",
 *							"uid", "gid", "absent"}]}
 *
 * A file is copied before the manifest names it, so that a manifest never promises what is not
 * there. All of it is plain files: a person restores by `cp -a`.
 */

static int backup_check_run(const char *run, struct error *err)
{
	size_t len = strlen(run);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)run[i]) && !strchr("-_.", run[i]))
			len = 0;
	if (len == 0 || len > 64 || run[0] == '.')
		return error_set(err, ERROR_REFUSED, "'%s' is not the name of a run", run);
	return 0;
}

/* Ours alone: 0700 and no link, whoever made it. */
static int backup_secure(const char *folder, struct error *err)
{
	struct stat st;

	if (file_make_folder(folder, 0700, err) < 0)
		return -1;
	if (lstat(folder, &st) < 0)
		return error_errno(err, "cannot look at '%s'", folder);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return error_set(err, ERROR_REFUSED, "'%s' is not a folder of user %u", folder,
				 (unsigned int)geteuid());
	if ((st.st_mode & 0077) && chmod(folder, 0700) < 0)
		return error_errno(err, "cannot close '%s' to others", folder);
	return 0;
}

int backup_folder(const struct agent *agent, const char *run, const char *name, char **ret,
		  struct error *err)
{
	auto_free char *state = alloc_format("%s%s", agent->root, PATHS_STATE);
	auto_free char *folder = NULL;
	auto_free char *below = NULL;

	if (backup_check_run(run, err) < 0)
		return -1;
	folder = file_join(state, run);
	below = file_join(folder, name);
	if (backup_secure(state, err) < 0 || backup_secure(folder, err) < 0 ||
	    backup_secure(below, err) < 0)
		return -1;
	*ret = steal(below);
	return 0;
}

static char *backup_manifest_path(const struct agent *agent, const char *run)
{
	return alloc_format("%s%s/%s/manifest.json", agent->root, PATHS_STATE, run);
}

/* ERROR_NOT_FOUND when the run has kept nothing here. */
static int backup_load(const struct agent *agent, const char *run, json_t **ret, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_AGENT_MESSAGE};
	auto_free char *path = backup_manifest_path(agent, run);
	auto_json json_t *manifest = NULL;
	auto_error struct error problem = {0};

	if (file_read(path, LIMIT_AGENT_MESSAGE, &text, &problem) < 0) {
		if (problem.kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_NOT_FOUND, "there is no backup of run '%s'",
					 run);
		return error_move(err, &problem);
	}
	if (protocol_parse(slice_trim(buffer_as_slice(&text)), &manifest, err) < 0)
		return error_wrap(err, "'%s'", path);
	if (!json_is_array(json_object_get(manifest, "files")))
		return error_set(err, ERROR_PARSE, "'%s' is no manifest of a backup", path);
	*ret = steal(manifest);
	return 0;
}

static int backup_load_or_begin(const struct agent *agent, const char *run, json_t **ret,
				struct error *err)
{
	auto_error struct error problem = {0};

	if (backup_load(agent, run, ret, &problem) == 0)
		return 0;
	if (problem.kind != ERROR_NOT_FOUND)
		return error_move(err, &problem);
	*ret = json_pack("{s:s, s:[]}", "run", run, "files");
	return 0;
}

static int backup_store(const struct agent *agent, const char *run, const json_t *manifest,
			struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_AGENT_MESSAGE};
	auto_free char *path = backup_manifest_path(agent, run);

	if (protocol_format(manifest, &text, err) < 0)
		return -1;
	return file_replace(path, text.ptr, text.len, 0600, 0, err);
}

static json_t *backup_find(const json_t *manifest, const char *path)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(manifest, "files"), i, entry)
		if (json_path_is(entry, "path", path))
			return entry;
	return NULL;
}

static char *backup_copy_path(const struct agent *agent, const char *run, const char *path)
{
	return alloc_format("%s%s/%s/files%s", agent->root, PATHS_STATE, run, path);
}

static int backup_copy(const struct agent *agent, const char *run, const char *path,
		       const struct secret *bytes, const struct stat *st, struct error *err)
{
	auto_free char *copy = backup_copy_path(agent, run, path);
	auto_free char *folder = alloc_text_n(copy, (size_t)(strrchr(copy, '/') - copy));

	if (file_make_folder(folder, 0700, err) < 0 ||
	    file_replace(copy, bytes->ptr, bytes->len, st->st_mode & 07777, 0, err) < 0)
		return -1;
	/* For the person who restores by hand; the manifest has it as well. */
	if (lchown(copy, st->st_uid, st->st_gid) < 0 && errno != EPERM)
		return error_errno(err, "cannot give '%s' its owner", copy);
	return 0;
}

/* Adds the file's state to the manifest, which the caller stores. */
static int backup_add(const struct agent *agent, const char *run, json_t *manifest,
		      const char *path, struct error *err)
{
	json_t *files = json_object_get(manifest, "files");
	auto_secret struct secret bytes = {0};
	auto_error struct error problem = {0};
	json_t *entry;
	struct stat st;

	if (backup_find(manifest, path))
		return 0;
	if (paths_permit(path, PATHS_KEEP, err) < 0)
		return -1;
	if (paths_read(agent->root, path, PATHS_KEEP, &bytes, &st, NULL, &problem) < 0) {
		if (problem.kind != ERROR_NOT_FOUND)
			return error_move(err, &problem);
		json_array_append_new(files, json_pack("{s:s, s:b}", "path", path, "absent", 1));
		return 0;
	}
	if (backup_copy(agent, run, path, &bytes, &st, err) < 0)
		return error_wrap(err, "keeping '%s'", path);
	entry = json_object();
	protocol_set_text(entry, "path", path);
	json_object_set_new(
		entry, "sha256",
		json_string(files_digest_of((struct slice){bytes.ptr, bytes.len}).text));
	json_object_set_new(entry, "mode", json_integer(st.st_mode & 07777));
	json_object_set_new(entry, "uid", json_integer(st.st_uid));
	json_object_set_new(entry, "gid", json_integer(st.st_gid));
	json_object_set_new(entry, "absent", json_false());
	json_array_append_new(files, entry);
	return 0;
}

int backup_keep(const struct agent *agent, const char *run, const char *path, struct error *err)
{
	auto_json json_t *manifest = NULL;
	auto_free char *folder = NULL;

	if (!run)
		return 0;
	if (backup_folder(agent, run, "files", &folder, err) < 0 ||
	    backup_load_or_begin(agent, run, &manifest, err) < 0)
		return -1;
	if (backup_find(manifest, path))
		return 0;
	if (backup_add(agent, run, manifest, path, err) < 0)
		return -1;
	return backup_store(agent, run, manifest, err);
}

/* The files that a path of the request stands for: itself, or those in the folder. */
static int backup_expand(const struct agent *agent, const char *path, json_t *ret_paths,
			 struct error *err)
{
	auto_json json_t *request = NULL;
	auto_json json_t *listing = NULL;
	auto_error struct error ignored = {0};
	auto_free char *full = alloc_format("%s%s", agent->root, path);
	struct stat st;
	json_t *entry;
	size_t i;

	if (paths_permit(path, PATHS_LIST, &ignored) < 0 || stat(full, &st) < 0 ||
	    !S_ISDIR(st.st_mode)) {
		json_array_append_new(ret_paths, json_string(path));
		return 0;
	}
	request = json_pack("{s:s, s:b}", "path", path, "recursive", 1);
	listing = json_object();
	if (files_list(agent, request, listing, err) < 0)
		return -1;
	json_array_foreach(json_object_get(listing, "files"), i, entry)
		if (json_path_is(entry, "type", "file") &&
		    paths_permit(json_path_text(entry, "path"), PATHS_KEEP, &ignored) == 0)
			json_array_append(ret_paths, json_object_get(entry, "path"));
	return 0;
}

int backup_make(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_json json_t *paths = json_array();
	auto_json json_t *manifest = NULL;
	auto_free char *folder = NULL;
	const char *run;
	json_t *wanted;
	json_t *item;
	size_t i;

	if (protocol_text(request, "run", &run, err) < 0 ||
	    protocol_list(request, "paths", &wanted, err) < 0)
		return -1;
	json_array_foreach(wanted, i, item)
		if (!json_is_string(item))
			return error_set(err, ERROR_PARSE, "member 'paths' is no list of texts");
		else if (backup_expand(agent, json_string_value(item), paths, err) < 0)
			return -1;
	json_array_foreach(paths, i, item)
		if (paths_permit(json_string_value(item), PATHS_KEEP, err) < 0)
			return -1;
	if (backup_folder(agent, run, "files", &folder, err) < 0 ||
	    backup_load_or_begin(agent, run, &manifest, err) < 0)
		return -1;
	json_array_foreach(paths, i, item)
		if (backup_add(agent, run, manifest, json_string_value(item), err) < 0)
			return -1;
	if (backup_store(agent, run, manifest, err) < 0)
		return -1;
	json_object_set(reply, "files", json_object_get(manifest, "files"));
	return 0;
}

static int backup_remove_new(const struct agent *agent, const char *path, bool *ret_changed,
			     struct error *err)
{
	auto_free char *real = NULL;
	auto_error struct error problem = {0};

	if (paths_resolve(agent->root, path, PATHS_KEEP, &real, &problem) < 0) {
		if (problem.kind == ERROR_NOT_FOUND)
			return 0;
		return error_move(err, &problem);
	}
	return files_unlink(agent, real, ret_changed, err);
}

/* True when the file on the node is the one in the backup already. */
static bool backup_is_same(const struct agent *agent, const char *path, const json_t *entry)
{
	auto_secret struct secret now = {0};
	auto_error struct error ignored = {0};
	struct stat st;

	if (paths_read(agent->root, path, PATHS_KEEP, &now, &st, NULL, &ignored) < 0)
		return false;
	return json_path_is(entry, "sha256",
			    files_digest_of((struct slice){now.ptr, now.len}).text) &&
	       json_path_int(entry, "mode", -1) == (int64_t)(st.st_mode & 07777) &&
	       json_path_int(entry, "uid", -1) == (int64_t)st.st_uid &&
	       json_path_int(entry, "gid", -1) == (int64_t)st.st_gid;
}

/* By descriptor, and never to a file with other names: what stands at the path may be another one by
 * now, which must not get this mode. */
static int backup_set_attributes(const struct agent *agent, const char *real, const json_t *entry,
				 struct error *err)
{
	uid_t uid = (uid_t)json_path_int(entry, "uid", 0);
	gid_t gid = (gid_t)json_path_int(entry, "gid", 0);
	auto_close int fd = -1;
	struct stat st;

	if (paths_open(agent->root, real, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot look at '%s'", real);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return error_set(err, ERROR_CONFLICT, "'%s' is not the file that was put back",
				 real);
	if (fchown(fd, uid, gid) < 0)
		return error_errno(err, "cannot give '%s' its owner", real);
	if (fchmod(fd, (mode_t)json_path_int(entry, "mode", 0600) & 07777) < 0)
		return error_errno(err, "cannot give '%s' its mode", real);
	return 0;
}

static int backup_put_back(const struct agent *agent, const char *run, const json_t *entry,
			   bool *ret_changed, struct error *err)
{
	const char *path = json_path_text(entry, "path");
	auto_secret struct secret bytes = {0};
	auto_free char *copy = NULL;
	auto_free char *real = NULL;
	struct slice content;

	if (!path || paths_permit(path, PATHS_KEEP, err) < 0)
		return path ? -1 : error_set(err, ERROR_PARSE, "the manifest of '%s' is torn", run);
	if (json_path_bool(entry, "absent", false))
		return backup_remove_new(agent, path, ret_changed, err);
	if (backup_is_same(agent, path, entry)) {
		if (paths_resolve(agent->root, path, PATHS_KEEP, &real, err) < 0)
			return -1;
		files_tidy(agent, real);
		return 0;
	}
	copy = backup_copy_path(agent, run, path);
	if (secret_read(&bytes, copy, LIMIT_CONFIG_FILE, err) < 0)
		return -1;
	content = (struct slice){bytes.ptr, bytes.len};
	if (!json_path_is(entry, "sha256", files_digest_of(content).text))
		return error_set(err, ERROR_REFUSED,
				 "'%s' is not what was backed up; restore '%s' by hand", copy,
				 path);
	if (paths_resolve(agent->root, path, PATHS_KEEP, &real, err) < 0)
		return -1;
	*ret_changed = true;
	if (files_put(agent, real, content, (unsigned int)json_path_int(entry, "mode", 0600), err) <
	    0)
		return -1;
	return backup_set_attributes(agent, real, entry, err);
}

static int backup_restore_one(const struct agent *agent, const char *run, const json_t *manifest,
			      const char *path, json_t *list, struct error *err)
{
	const json_t *entry = backup_find(manifest, path);
	bool changed = false;

	if (!entry)
		return error_set(err, ERROR_NOT_FOUND, "run '%s' has no backup of '%s'", run, path);
	if (backup_put_back(agent, run, entry, &changed, err) < 0)
		return error_wrap(err, "restoring '%s'", path);
	json_array_append_new(list, json_pack("{s:s, s:b}", "path", path, "changed", changed));
	return 0;
}

int backup_restore(const struct agent *agent, const json_t *request, json_t *reply,
		   struct error *err)
{
	json_t *wanted = json_object_get(request, "paths");
	auto_json json_t *manifest = NULL;
	json_t *list = json_array();
	const char *run;
	json_t *item;
	size_t i;

	json_object_set_new(reply, "files", list);
	if (protocol_text(request, "run", &run, err) < 0 || backup_check_run(run, err) < 0 ||
	    backup_load(agent, run, &manifest, err) < 0)
		return -1;
	if (wanted && !json_is_array(wanted))
		return error_set(err, ERROR_PARSE, "member 'paths' is no list of texts");
	json_array_foreach(wanted ? wanted : json_object_get(manifest, "files"), i, item) {
		const char *path = wanted ? json_string_value(item) : json_path_text(item, "path");

		if (!path)
			return error_set(err, ERROR_PARSE, "member 'paths' is no list of texts");
		if (backup_restore_one(agent, run, manifest, path, list, err) < 0)
			return -1;
	}
	return 0;
}

int backup_list(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_free char *state = alloc_format("%s%s", agent->root, PATHS_STATE);
	json_t *runs = json_array();
	struct dirent *entry;
	DIR *dir;

	(void)request;
	json_object_set_new(reply, "runs", runs);
	dir = opendir(state);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, "cannot list '%s'", state);
	while ((entry = readdir(dir))) {
		auto_error struct error problem = {0};
		json_t *manifest = NULL;

		if (backup_check_run(entry->d_name, &problem) < 0)
			continue;
		/* A run whose folder holds only certificates has no manifest. */
		if (backup_load(agent, entry->d_name, &manifest, &problem) < 0) {
			manifest = json_pack("{s:s, s:[]}", "run", entry->d_name, "files");
			if (problem.kind != ERROR_NOT_FOUND)
				protocol_set_text(manifest, "problem", error_text(&problem));
		}
		json_array_append_new(runs, manifest);
	}
	closedir(dir);
	return 0;
}

static int backup_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* What agents that were killed left beside the files of the run. */
static void backup_tidy(const struct agent *agent, const char *run)
{
	auto_json json_t *manifest = NULL;
	auto_error struct error ignored = {0};
	json_t *entry;
	size_t i;

	if (backup_load(agent, run, &manifest, &ignored) < 0)
		return;
	json_array_foreach(json_object_get(manifest, "files"), i, entry) {
		const char *path = json_path_text(entry, "path");
		auto_error struct error problem = {0};
		auto_free char *real = NULL;

		if (path && paths_resolve(agent->root, path, PATHS_KEEP, &real, &problem) == 0)
			files_tidy(agent, real);
	}
}

int backup_forget(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	auto_free char *folder = NULL;
	const char *run;

	if (protocol_text(request, "run", &run, err) < 0 || backup_check_run(run, err) < 0)
		return -1;
	folder = alloc_format("%s%s/%s", agent->root, PATHS_STATE, run);
	json_object_set_new(reply, "changed", json_boolean(file_exists(folder)));
	if (!file_exists(folder))
		return 0;
	backup_tidy(agent, run);
	if (nftw(folder, backup_remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
		return error_errno(err, "cannot remove '%s'", folder);
	return file_sync_parent(folder, err);
}
