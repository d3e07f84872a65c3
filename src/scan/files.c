/* SPDX-License-Identifier: MIT */
#include "scan/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/limits.h"
#include "scan/packed.h"

enum { READ_BYTES = 256 * 1024 };

struct walk {
	struct scan_result *result;
	const struct scan_matcher *matcher;
	struct buffer text; /* kept from file to file */
};

static int read_all(int fd, const char *path, struct buffer *ret, struct error *err)
{
	auto_free char *bytes = alloc_bytes(READ_BYTES);
	ssize_t n;

	while ((n = read(fd, bytes, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "cannot read '%s'", path);
		buffer_append(ret, bytes, (size_t)n);
		if (ret->overflowed)
			break;
	}
	return buffer_check(ret, path, err);
}

static int scan_packed_file(struct walk *w, const char *path, struct error *err)
{
	auto_buffer struct buffer plain = {.max = LIMIT_HTTP_BODY};

	if (!scan_unpack(buffer_as_slice(&w->text), &plain))
		return error_set(err, ERROR_PARSE, "'%s' is damaged, or too large when unpacked",
				 path);
	scan_text(w->result, w->matcher, NULL, path, buffer_as_slice(&plain));
	return 0;
}

static int scan_open_file(struct walk *w, int fd, const char *path, struct error *err)
{
	buffer_clear(&w->text);
	w->text.overflowed = false;
	if (read_all(fd, path, &w->text, err) < 0)
		return -1;
	if (scan_is_gzip(buffer_as_slice(&w->text)))
		return scan_packed_file(w, path, err);
	scan_text(w->result, w->matcher, NULL, path, buffer_as_slice(&w->text));
	return 0;
}

static int scan_folder(struct walk *w, int fd, const char *path, unsigned int depth,
		       struct error *err);

/* A name below a folder. What cannot be read is a gap; only an interruption is an error. */
static int scan_entry(struct walk *w, int folder, const char *path, const char *name,
		      unsigned int depth, struct error *err)
{
	auto_free char *whole = file_join(path, name);
	auto_error struct error problem = {0};
	auto_close int fd = -1;
	struct stat st;

	if (interrupt_requested())
		return error_set(err, ERROR_INTERRUPTED, "interrupted");
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		scan_gap_add(w->result, whole, "%s", strerror(errno));
		return 0;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	/* it may have become something else since: never wait for a pipe's other end */
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		scan_gap_add(w->result, whole, "%s", strerror(errno));
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return scan_folder(w, steal_fd(&fd), whole, depth + 1, err);
	if (S_ISREG(st.st_mode) && scan_open_file(w, fd, whole, &problem) < 0)
		scan_gap_add(w->result, whole, "%s", error_text(&problem));
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

struct names {
	char **items;
	size_t count;
	size_t capacity;
};

static void names_release(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* Takes fd. */
static int scan_folder(struct walk *w, int fd, const char *path, unsigned int depth,
		       struct error *err)
{
	__attribute__((cleanup(close_folder))) DIR *folder = fdopendir(fd);
	__attribute__((cleanup(names_release))) struct names names = {0};
	struct dirent *entry;

	if (!folder) {
		close(fd);
		scan_gap_add(w->result, path, "%s", strerror(errno));
		return 0;
	}
	if (depth > LIMIT_DEPTH) {
		scan_gap_add(w->result, path, "more than %d folders deep", LIMIT_DEPTH);
		return 0;
	}
	while ((entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ALLOC_GROW(names.items, names.count, names.capacity);
		names.items[names.count++] = alloc_text(entry->d_name);
	}
	if (names.count > 0)
		qsort(names.items, names.count, sizeof(*names.items), compare_names);
	for (size_t i = 0; i < names.count; i++)
		if (scan_entry(w, dirfd(folder), path, names.items[i], depth, err) < 0)
			return -1;
	return 0;
}

static void walk_release(struct walk *w)
{
	buffer_release(&w->text);
}

int scan_path(struct scan_result *result, const struct scan_matcher *matcher, const char *path,
	      struct error *err)
{
	__attribute__((cleanup(walk_release))) struct walk w = {
		.result = result, .matcher = matcher, .text = {.max = LIMIT_HTTP_BODY}};
	auto_close int fd = -1;
	struct stat st;

	if (strcmp(path, "-") == 0)
		return scan_open_file(&w, STDIN_FILENO, path, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "cannot open '%s'", path);
	if (S_ISDIR(st.st_mode))
		return scan_folder(&w, steal_fd(&fd), path, 0, err);
	return scan_open_file(&w, fd, path, err);
}
