/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"

static int file_read_from(int fd, const char *path, size_t max, struct buffer *ret,
			  struct error *err)
{
	char chunk[16384];
	size_t total = 0;

	for (;;) {
		ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read '%s'", path);
		if (got == 0)
			return 0;
		total += (size_t)got;
		if (total > max)
			return error_set(
				err, ERROR_PARSE,
				"'%s' is larger than %zu bytes, which is more than can be right",
				path, max);
		buffer_append(ret, chunk, (size_t)got);
	}
}

int file_read(const char *path, size_t max, struct buffer *ret, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "cannot open '%s'", path);
	return file_read_from(fd, path, max, ret, err);
}

/* Nobody else could have written it, root aside. */
static int file_check_writers(const struct stat *st, const char *path, bool root, struct error *err)
{
	uid_t own = geteuid();

	if (st->st_uid != own && !(root && st->st_uid == 0))
		return error_set(
			err, ERROR_REFUSED,
			"'%s' belongs to user %u, and you are %u: who owns it decides what "
			"is done in your name",
			path, (unsigned int)st->st_uid, (unsigned int)own);
	if (st->st_mode & 022)
		return error_set(err, ERROR_REFUSED,
				 "'%s' can be written by others (mode %04o): look through it, then "
				 "'chmod go-w'",
				 path, (unsigned int)st->st_mode & 07777);
	return 0;
}

int file_read_own(const char *path, size_t max, struct buffer *ret, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return error_errno(err, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot look at '%s'", path);
	if (file_check_writers(&st, path, /* root= */ true, err) < 0)
		return -1;
	return file_read_from(fd, path, max, ret, err);
}

int file_check_own_folder(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_IO, "'%s' is in the way: it is not a folder", path);
	return file_check_writers(&st, path, /* root= */ false, err);
}

static char *file_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return alloc_text(".");
	if (slash == path)
		return alloc_text("/");
	return alloc_text_n(path, (size_t)(slash - path));
}

static int file_sync_folder(const char *folder, struct error *err)
{
	auto_close int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "cannot open folder '%s'", folder);
	if (fsync(fd) < 0)
		return error_errno(err, "cannot write folder '%s' to disk", folder);
	return 0;
}

int file_sync_parent(const char *path, struct error *err)
{
	auto_free char *folder = file_parent(path);

	return file_sync_folder(folder, err);
}

static int file_write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = write(fd, bytes, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		bytes += put;
		len -= (size_t)put;
	}
	return 0;
}

/* Owner, mode and label of the file at `path`, where there is one, go over to fd. A file system
 * without labels is not an error. */
static int file_copy_attributes(int fd, const char *path)
{
	char label[256];
	ssize_t label_len;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (fchown(fd, st.st_uid, st.st_gid) < 0)
		return -1;
	if (fchmod(fd, st.st_mode & 07777) < 0)
		return -1;
	label_len = lgetxattr(path, "security.selinux", label, sizeof(label));
	if (label_len > 0 && fsetxattr(fd, "security.selinux", label, (size_t)label_len, 0) < 0 &&
	    errno != ENOTSUP && errno != EPERM)
		return -1;
	return 0;
}

static int file_fill(int fd, const char *path, const void *bytes, size_t len, mode_t mode,
		     enum file_replace_flags flags)
{
	if (fchmod(fd, mode) < 0)
		return -1;
	if ((flags & FILE_REPLACE_KEEP) && file_copy_attributes(fd, path) < 0)
		return -1;
	if (file_write_all(fd, bytes, len) < 0)
		return -1;
	return fsync(fd);
}

/* link() for a file that must be new: unlike rename it never replaces. */
static int file_publish(const char *temporary, const char *path, enum file_replace_flags flags)
{
	if (!(flags & FILE_REPLACE_NEW))
		return rename(temporary, path);
	if (link(temporary, path) < 0)
		return -1;
	return unlink(temporary);
}

int file_replace_staged(const char *path, const char *stage, const void *bytes, size_t len,
			mode_t mode, enum file_replace_flags flags, struct error *err)
{
	auto_free char *temporary = alloc_format("%s/" FILE_TEMPORARY "XXXXXX", stage);
	auto_close int fd = mkostemp(temporary, O_CLOEXEC);
	int saved;

	if (fd < 0)
		return error_errno(err, "cannot create a file in '%s' for '%s'", stage, path);
	if (file_fill(fd, path, bytes, len, mode, flags) < 0 ||
	    file_publish(temporary, path, flags) < 0) {
		saved = errno;
		unlink(temporary);
		if (saved == EEXIST)
			return error_set(err, ERROR_CONFLICT, "'%s' exists already", path);
		errno = saved;
		return error_errno(err, "cannot write '%s' (it is unchanged)", path);
	}
	return file_sync_parent(path, err);
}

int file_replace(const char *path, const void *bytes, size_t len, mode_t mode,
		 enum file_replace_flags flags, struct error *err)
{
	auto_free char *folder = file_parent(path);

	return file_replace_staged(path, folder, bytes, len, mode, flags, err);
}

int file_make_folder(const char *path, mode_t mode, struct error *err)
{
	auto_free char *copy = alloc_text(path);
	struct stat st;

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return error_errno(err, "cannot create folder '%s'", copy);
		*slash = '/';
	}
	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return error_errno(err, "cannot create folder '%s'", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_IO, "'%s' is in the way: it is not a folder", path);
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int file_lock(const char *path, int *ret_fd, struct error *err)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char holder[32] = "";
	auto_free char *pid = NULL;

	if (fd < 0)
		return error_errno(err, "cannot open lock '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return error_errno(err, "cannot lock '%s'", path);
		if (pread(fd, holder, sizeof(holder) - 1, 0) <= 0)
			memcpy(holder, "unknown", 8);
		return error_set(err, ERROR_REFUSED,
				 "'%s' is held by process %s; wait for it to end", path, holder);
	}
	pid = alloc_format("%ld", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
		return error_errno(err, "cannot write lock '%s'", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

char *file_join(const char *folder, const char *name)
{
	size_t len = strlen(folder);

	while (len > 1 && folder[len - 1] == '/')
		len--;
	while (*name == '/')
		name++;
	if (len == 1 && folder[0] == '/')
		return alloc_format("/%s", name);
	return alloc_format("%.*s/%s", (int)len, folder, name);
}
