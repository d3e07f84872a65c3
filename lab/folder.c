/* SPDX-License-Identifier: MIT */
#include "lab/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"

static int folder_make_parent(const char *path, struct error *err)
{
	auto_free char *folder = alloc_text_n(path, (size_t)(strrchr(path, '/') - path));

	return file_make_folder(folder, 0755, err);
}

int folder_write(const char *path, struct slice text, mode_t mode, struct error *err)
{
	auto_free char *fresh = alloc_format("%s.new~", path);
	auto_close int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t done = 0;

	if (fd < 0 && errno == ENOENT) {
		if (folder_make_parent(path, err) < 0)
			return -1;
		fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	}
	if (fd < 0)
		return error_errno(err, "cannot write '%s'", path);
	while (done < text.len) {
		ssize_t put = write(fd, text.ptr + done, text.len - done);

		if (put < 0)
			return error_errno(err, "cannot write '%s'", path);
		done += (size_t)put;
	}
	if (fchmod(fd, mode) < 0 || rename(fresh, path) < 0)
		return error_errno(err, "cannot write '%s'", path);
	return 0;
}

int folder_link(const char *path, const char *target, struct error *err)
{
	if (folder_make_parent(path, err) < 0)
		return -1;
	unlink(path);
	if (symlink(target, path) < 0)
		return error_errno(err, "cannot link '%s'", path);
	return 0;
}

static int folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void folder_remove(const char *path)
{
	nftw(path, folder_remove_one, 32, FTW_DEPTH | FTW_PHYS);
}
