/* SPDX-License-Identifier: MIT */
#include "pki/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"

/*
 * In FOLDER/etcd while etcd/server is swapped:
 *
 *	server.crt  server.key  .server.crt.new  .server.key.new
 *
 * both new ones are complete and on disk before the first rename.
 */
#define SWAP_LABEL "security.selinux"

enum swap_part { SWAP_KEY, SWAP_CERT };

static const struct {
	const char *suffix;
	mode_t mode;
} swap_parts[] = {
	[SWAP_KEY] = {"key", 0600},
	[SWAP_CERT] = {"crt", 0644},
};

static char *swap_path(const char *folder, const struct pki_profile *profile, enum swap_part part)
{
	return alloc_format("%s/%s.%s", folder, profile->base, swap_parts[part].suffix);
}

static char *swap_beside(const char *path)
{
	const char *slash = strrchr(path, '/');

	return alloc_format("%.*s/.%s.new", (int)(slash - path), path, slash + 1);
}

static int swap_write_all(int fd, const char *path, struct slice bytes, struct error *err)
{
	while (bytes.len) {
		ssize_t put = write(fd, bytes.ptr, bytes.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, "cannot write '%s'", path);
		bytes.ptr += put;
		bytes.len -= (size_t)put;
	}
	return 0;
}

/* Owner and SELinux label as those of `like`, where it exists. */
static int swap_take_owner(int fd, const char *path, const char *like, struct error *err)
{
	struct stat status;
	char label[256];
	ssize_t len;

	if (lstat(like, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "cannot look at '%s'", like);
	if (fchown(fd, status.st_uid, status.st_gid) < 0 &&
	    (status.st_uid != geteuid() || status.st_gid != getegid()))
		return error_errno(err, "cannot give '%s' the owner of '%s'", path, like);
	len = lgetxattr(like, SWAP_LABEL, label, sizeof(label));
	if (len > 0 && fsetxattr(fd, SWAP_LABEL, label, (size_t)len, 0) < 0 && errno != ENOTSUP)
		return error_errno(err, "cannot label '%s'", path);
	return 0;
}

/* A complete new file at `path`, on disk. */
static int swap_write(const char *path, const char *like, mode_t mode, struct slice bytes,
		      struct error *err)
{
	auto_close int fd = -1;

	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove '%s'", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(err, "cannot create '%s'", path);
	if (swap_take_owner(fd, path, like, err) < 0 || swap_write_all(fd, path, bytes, err) < 0)
		return -1;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return error_errno(err, "cannot write '%s' to disk", path);
	return 0;
}

/* A link would be replaced by a file, and what it points to would stay old. */
static int swap_refuse_link(const char *path, struct error *err)
{
	struct stat status;

	if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return error_set(err, ERROR_REFUSED, "'%s' is not a regular file", path);
	return 0;
}

static int swap_backup_part(const char *folder, const struct pki_profile *profile,
			    enum swap_part part, const char *backup, struct error *err)
{
	auto_free char *path = swap_path(folder, profile, part);
	auto_free char *kept = swap_path(backup, profile, part);
	auto_free char *absent = alloc_format("%s.absent", kept);
	auto_free char *beside = swap_beside(kept);
	auto_secret struct secret bytes = {0};
	struct stat status;

	if (file_exists(kept) || file_exists(absent))
		return 0;
	if (secret_read(&bytes, path, LIMIT_CONFIG_FILE, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		return file_replace(absent, "", 0, 0600, 0, err);
	}
	if (stat(path, &status) < 0)
		return error_errno(err, "cannot look at '%s'", path);
	/* mode and owner go along; the folder keeps others out */
	if (swap_write(beside, path, status.st_mode & 07777, (struct slice){bytes.ptr, bytes.len},
		       err) < 0)
		return -1;
	if (rename(beside, kept) < 0)
		return error_errno(err, "cannot rename '%s'", beside);
	return file_sync_parent(kept, err);
}

static int swap_backup(const char *folder, const struct pki_profile *profile, const char *backup,
		       struct error *err)
{
	auto_free char *kept = swap_path(backup, profile, SWAP_CERT);
	auto_free char *parent = alloc_text_n(kept, (size_t)(strrchr(kept, '/') - kept));

	if (file_make_folder(backup, 0700, err) < 0 || file_make_folder(parent, 0700, err) < 0)
		return -1;
	if (chmod(backup, 0700) < 0)
		return error_errno(err, "cannot close folder '%s' to others", backup);
	if (swap_backup_part(folder, profile, SWAP_KEY, backup, err) < 0 ||
	    swap_backup_part(folder, profile, SWAP_CERT, backup, err) < 0)
		return error_wrap(err, "keeping the old certificate '%s'", profile->name);
	return 0;
}

/* Key and certificate in place. When the second rename fails the old key comes back. */
static int swap_rename(const char *const beside[2], const char *const path[2], struct error *err)
{
	auto_secret struct secret old = {0};
	auto_error struct error ignored = {0};
	bool had_key = secret_read(&old, path[SWAP_KEY], LIMIT_CONFIG_FILE, &ignored) == 0;

	if (rename(beside[SWAP_KEY], path[SWAP_KEY]) < 0)
		return error_errno(err, "cannot rename '%s'", beside[SWAP_KEY]);
	if (rename(beside[SWAP_CERT], path[SWAP_CERT]) == 0)
		return file_sync_parent(path[SWAP_KEY], err);
	error_errno(err, "cannot rename '%s'", beside[SWAP_CERT]);
	error_release(&ignored);
	if (had_key &&
	    file_replace(path[SWAP_KEY], old.ptr, old.len, 0600, FILE_REPLACE_KEEP, &ignored) < 0)
		return error_wrap(err, "and the old key could not be put back (%s)",
				  error_text(&ignored));
	return -1;
}

static int swap_pair(const char *folder, const struct pki_profile *profile, struct slice key,
		     struct slice cert, const mode_t modes[2], const char *const like[2],
		     struct error *err)
{
	auto_free char *key_path = swap_path(folder, profile, SWAP_KEY);
	auto_free char *cert_path = swap_path(folder, profile, SWAP_CERT);
	auto_free char *key_beside = swap_beside(key_path);
	auto_free char *cert_beside = swap_beside(cert_path);
	const char *const beside[2] = {key_beside, cert_beside};
	const char *const path[2] = {key_path, cert_path};

	if (swap_refuse_link(key_path, err) < 0 || swap_refuse_link(cert_path, err) < 0)
		return -1;
	if (swap_write(key_beside, like[SWAP_KEY] ? like[SWAP_KEY] : key_path, modes[SWAP_KEY], key,
		       err) < 0 ||
	    swap_write(cert_beside, like[SWAP_CERT] ? like[SWAP_CERT] : cert_path, modes[SWAP_CERT],
		       cert, err) < 0 ||
	    swap_rename(beside, path, err) < 0) {
		unlink(key_beside);
		unlink(cert_beside);
		return -1;
	}
	return 0;
}

int pki_swap(const char *folder, const struct pki_profile *profile, const struct pki_pair *pair,
	     const char *backup, struct error *err)
{
	static const mode_t modes[2] = {0600, 0644};
	static const char *const like[2] = {NULL, NULL};

	if (swap_backup(folder, profile, backup, err) < 0)
		return -1;
	if (swap_pair(folder, profile, (struct slice){pair->key.ptr, pair->key.len},
		      slice_of(pair->pem), modes, like, err) < 0)
		return error_wrap(err, "replacing certificate '%s'", profile->name);
	return 0;
}

static int swap_remove(const char *path, struct error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, "cannot remove '%s'", path);
	return file_sync_parent(path, err);
}

/* Reads what was kept; *ret_present false for a file that was absent. */
static int swap_kept(const char *backup, const struct pki_profile *profile, enum swap_part part,
		     struct secret *ret, mode_t *ret_mode, bool *ret_present, struct error *err)
{
	auto_free char *kept = swap_path(backup, profile, part);
	auto_free char *absent = alloc_format("%s.absent", kept);
	struct stat status;

	*ret_present = !file_exists(absent);
	if (!*ret_present)
		return 0;
	if (secret_read(ret, kept, LIMIT_CONFIG_FILE, err) < 0)
		return -1;
	if (stat(kept, &status) < 0)
		return error_errno(err, "cannot look at '%s'", kept);
	*ret_mode = status.st_mode & 07777;
	return 0;
}

/* Only one of the two was there: each is put back, or removed, by itself. */
static int swap_restore_one(const char *path, const char *kept, bool present,
			    const struct secret *bytes, mode_t mode, struct error *err)
{
	auto_free char *beside = swap_beside(path);

	if (!present)
		return swap_remove(path, err);
	if (swap_write(beside, kept, mode, (struct slice){bytes->ptr, bytes->len}, err) < 0)
		return -1;
	if (rename(beside, path) < 0)
		return error_errno(err, "cannot rename '%s'", beside);
	return file_sync_parent(path, err);
}

int pki_swap_restore(const char *folder, const struct pki_profile *profile, const char *backup,
		     struct error *err)
{
	auto_free char *key_kept = swap_path(backup, profile, SWAP_KEY);
	auto_free char *cert_kept = swap_path(backup, profile, SWAP_CERT);
	const char *const like[2] = {key_kept, cert_kept};
	auto_free char *key_path = swap_path(folder, profile, SWAP_KEY);
	auto_free char *cert_path = swap_path(folder, profile, SWAP_CERT);
	auto_secret struct secret key = {0};
	auto_secret struct secret cert = {0};
	mode_t modes[2] = {0600, 0644};
	bool have_key = false;
	bool have_cert = false;

	if (swap_kept(backup, profile, SWAP_KEY, &key, &modes[SWAP_KEY], &have_key, err) < 0 ||
	    swap_kept(backup, profile, SWAP_CERT, &cert, &modes[SWAP_CERT], &have_cert, err) < 0)
		return error_wrap(err, "putting certificate '%s' back", profile->name);
	if (have_key && have_cert)
		return swap_pair(folder, profile, (struct slice){key.ptr, key.len},
				 (struct slice){cert.ptr, cert.len}, modes, like, err);
	if (swap_restore_one(key_path, key_kept, have_key, &key, modes[SWAP_KEY], err) < 0)
		return -1;
	return swap_restore_one(cert_path, cert_kept, have_cert, &cert, modes[SWAP_CERT], err);
}
