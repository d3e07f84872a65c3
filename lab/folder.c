/* SPDX-License-Identifier: MIT */
#include "lab/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

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

static int folder_copy_entry(const char *from, const char *to, struct error *err)
{
	auto_buffer struct buffer text = {0};
	char target[PATH_MAX] = "";
	struct stat st;

	if (lstat(from, &st) < 0)
		return error_errno(err, "cannot read '%s'", from);
	if (S_ISDIR(st.st_mode))
		return file_make_folder(to, st.st_mode & 07777, err) < 0
			       ? -1
			       : folder_copy(from, to, err);
	if (S_ISLNK(st.st_mode)) {
		if (readlink(from, target, sizeof(target) - 1) < 0)
			return error_errno(err, "cannot read '%s'", from);
		return folder_link(to, target, err);
	}
	if (file_read(from, LIMIT_CONFIG_FILE, &text, err) < 0)
		return -1;
	return folder_write(to, buffer_as_slice(&text), st.st_mode & 07777, err);
}

int folder_copy(const char *from, const char *to, struct error *err)
{
	DIR *dir = opendir(from);
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return error_errno(err, "cannot read '%s'", from);
	while (result == 0 && (entry = readdir(dir))) {
		auto_free char *old = file_join(from, entry->d_name);
		auto_free char *fresh = file_join(to, entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = folder_copy_entry(old, fresh, err);
	}
	closedir(dir);
	return result;
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
