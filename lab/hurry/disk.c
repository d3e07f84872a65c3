/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong with files: every operation that changes one is counted, and at the one that the
 * page names the process is killed (before it, after it, with half of it written), or its disk is
 * full or read-only from there on, or does not sync, or the power fails: then, of all that was
 * written, named, renamed and removed and not synced, some is lost, in any order.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lab/hurry/hook.h"

#define DISK_SECTOR 512
enum { DISK_PATH = 512, DISK_MANY = 256 };

enum disk_change { DISK_CREATED, DISK_REMOVED, DISK_RENAMED, DISK_LINKED };

struct disk_bytes {
	char *ptr;
	size_t len;
	int there;
};

/* A file that was written since it was synced last. */
struct disk_file {
	char path[DISK_PATH];
	struct disk_bytes old;
};

/* A name that was changed since its folder was synced last. */
struct disk_name {
	enum disk_change change;
	char path[DISK_PATH];
	char from[DISK_PATH];
	struct disk_bytes old; /* what had that name */
};

static struct disk_file disk_files[DISK_MANY];
static size_t disk_file_count;
static struct disk_name disk_names[DISK_MANY];
static size_t disk_name_count;
static enum hurry_harm disk_broken; /* in this process, from here on */
static int disk_inside;		    /* our own operations do not count */

static uint64_t disk_random(uint64_t limit)
{
	uint64_t x = hook_page()->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % limit;
}

/* --- what would be lost ----------------------------------------------------------------------- */

static int disk_remembers(void)
{
	const struct hurry_disk *d = &hook_page()->disk[HURRY_OF];

	return d->at && d->harm == HURRY_POWER;
}

static void disk_read(const char *path, struct disk_bytes *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	*ret = (struct disk_bytes){0};
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		ret->ptr = malloc((size_t)st.st_size + 1);
		ret->there = 1;
		while (ret->ptr && ret->len < (size_t)st.st_size) {
			ssize_t got = read(fd, ret->ptr + ret->len, (size_t)st.st_size - ret->len);

			if (got <= 0)
				break;
			ret->len += (size_t)got;
		}
	}
	close(fd);
}

static void disk_write(const char *path, const struct disk_bytes *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t done = 0;

	while (fd >= 0 && done < bytes->len) {
		ssize_t put = write(fd, bytes->ptr + done, bytes->len - done);

		if (put <= 0)
			break;
		done += (size_t)put;
	}
	if (fd >= 0)
		close(fd);
}

static struct disk_name *disk_note(enum disk_change change, const char *path, const char *from)
{
	struct disk_name *name;

	if (disk_name_count == DISK_MANY)
		return NULL;
	name = &disk_names[disk_name_count++];
	*name = (struct disk_name){.change = change};
	snprintf(name->path, sizeof(name->path), "%s", path);
	snprintf(name->from, sizeof(name->from), "%s", from);
	if (change != DISK_CREATED)
		disk_read(path, &name->old);
	return name;
}

static void disk_path(int fd, char *ret)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, ret, DISK_PATH - 1);
	ret[len > 0 ? len : 0] = '\0';
}

static void disk_touch(int fd)
{
	char path[DISK_PATH];
	struct disk_file *file;

	disk_path(fd, path);
	for (size_t i = 0; i < disk_file_count; i++)
		if (strcmp(disk_files[i].path, path) == 0)
			return;
	if (disk_file_count == DISK_MANY)
		return;
	file = &disk_files[disk_file_count++];
	memcpy(file->path, path, sizeof(path));
	disk_read(path, &file->old);
	if (file->old.len == 0)
		disk_note(DISK_CREATED, path, "");
}

static void disk_renamed(const char *from, const char *to)
{
	for (size_t i = 0; i < disk_file_count; i++) {
		if (strcmp(disk_files[i].path, to) == 0)
			disk_files[i].path[0] = '\0';
		if (strcmp(disk_files[i].path, from) == 0)
			snprintf(disk_files[i].path, DISK_PATH, "%s", to);
	}
}

static void disk_synced(int fd)
{
	char path[DISK_PATH];
	size_t len;
	size_t kept = 0;

	disk_path(fd, path);
	len = strlen(path);
	for (size_t i = 0; i < disk_file_count; i++) {
		if (strcmp(disk_files[i].path, path) == 0 || !disk_files[i].path[0])
			free(disk_files[i].old.ptr);
		else
			disk_files[kept++] = disk_files[i];
	}
	disk_file_count = kept;
	kept = 0;
	for (size_t i = 0; i < disk_name_count; i++) {
		const char *slash = strrchr(disk_names[i].path, '/');

		if (slash && (size_t)(slash - disk_names[i].path) == len &&
		    memcmp(disk_names[i].path, path, len) == 0)
			free(disk_names[i].old.ptr);
		else
			disk_names[kept++] = disk_names[i];
	}
	disk_name_count = kept;
}

/* --- losing it -------------------------------------------------------------------------------- */

/* Sector by sector the old or the new one. */
static void disk_mix(const struct disk_file *file)
{
	struct disk_bytes now;

	disk_read(file->path, &now);
	if (!now.there)
		return;
	if (disk_random(2) && file->old.len < now.len)
		now.len = file->old.len + (size_t)disk_random(now.len - file->old.len + 1);
	for (size_t at = 0; at < now.len; at += DISK_SECTOR) {
		size_t len = now.len - at < DISK_SECTOR ? now.len - at : DISK_SECTOR;

		if (disk_random(2))
			continue;
		/* beyond the old end: room that was given, and never written */
		memset(now.ptr + at, 0, len);
		if (at < file->old.len)
			memcpy(now.ptr + at, file->old.ptr + at,
			       file->old.len - at < len ? file->old.len - at : len);
	}
	disk_write(file->path, &now);
	free(now.ptr);
}

static void disk_undo(const struct disk_name *name)
{
	switch (name->change) {
	case DISK_CREATED:
	case DISK_LINKED:
		remove(name->path);
		return;
	case DISK_RENAMED:
		if (rename(name->path, name->from) == 0)
			disk_renamed(name->path, name->from);
		break;
	default:
		break;
	}
	if (name->old.there)
		disk_write(name->path, &name->old);
}

static void disk_lose(void)
{
	size_t kept = disk_name_count ? (size_t)disk_random(disk_name_count + 1) : 0;

	for (size_t i = 0; i < disk_file_count; i++) {
		const struct disk_file *file = &disk_files[i];

		if (!file->path[0])
			continue;
		switch (disk_random(3)) {
		case 0:
			if (access(file->path, F_OK) == 0)
				disk_write(file->path, &file->old);
			break;
		case 1:
			disk_mix(file);
			break;
		default:
			break;
		}
	}
	for (size_t i = disk_name_count; i > kept; i--)
		disk_undo(&disk_names[i - 1]);
}

/* --- counting --------------------------------------------------------------------------------- */

static void disk_die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* What is to happen to the operation that comes. */
static enum hurry_harm disk_next(void)
{
	struct hurry_disk *d;
	int64_t number;
	enum hurry_harm harm;

	if (!hook_page() || disk_inside)
		return HURRY_WELL;
	d = &hook_page()->disk[HURRY_OF];
	number = __atomic_add_fetch(&d->done, 1, __ATOMIC_RELAXED);
	if (!d->at || number < d->at)
		return disk_broken;
	harm = (enum hurry_harm)d->harm;
	d->at = 0;
	d->hits++;
	if (harm == HURRY_POWER) {
		disk_inside = 1;
		disk_lose();
		disk_die();
	}
	if (harm == HURRY_KILL)
		disk_die();
	if (harm == HURRY_FULL || harm == HURRY_READONLY || harm == HURRY_SYNC)
		disk_broken = harm;
	return harm;
}

static int disk_is_file(int fd)
{
	struct stat st;

	return hook_page() && !disk_inside && fd > STDERR_FILENO && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

/* -1: it fails, errno is set. */
static int disk_fails(enum hurry_harm harm, int syncs, int removes)
{
	if (harm == HURRY_FULL && !removes)
		errno = ENOSPC;
	else if (harm == HURRY_READONLY)
		errno = EROFS;
	else if (harm == HURRY_SYNC && syncs)
		errno = EIO;
	else
		return 0;
	return -1;
}

/* The harm at the operation; -1 when it fails. */
static int disk_before(int fd, size_t *len, enum hurry_harm *ret)
{
	*ret = disk_next();
	if (disk_remembers())
		disk_touch(fd);
	if (disk_fails(*ret, 0, 0) < 0)
		return -1;
	if (*ret == HURRY_KILL_TORN)
		*len /= 2;
	return 0;
}

static void disk_after(enum hurry_harm harm)
{
	if (harm == HURRY_KILL_TORN || harm == HURRY_KILL_DONE)
		disk_die();
}

/* --- operations ------------------------------------------------------------------------------- */

/* NOLINTNEXTLINE */
HOOK(ssize_t, write, int fd, const void *bytes, size_t len)
{
	enum hurry_harm harm;
	ssize_t put;

	if (!disk_is_file(fd))
		return REAL(write)(fd, bytes, len);
	if (disk_before(fd, &len, &harm) < 0)
		return -1;
	put = REAL(write)(fd, bytes, len);
	disk_after(harm);
	return put;
}

#ifndef HURRY_WRAPPED
HOOK(ssize_t, pwrite64, int fd, const void *bytes, size_t len, off64_t at) /* NOLINT */
{
	enum hurry_harm harm;
	ssize_t put;

	if (!disk_is_file(fd))
		return REAL(pwrite64)(fd, bytes, len, at);
	if (disk_before(fd, &len, &harm) < 0)
		return -1;
	put = REAL(pwrite64)(fd, bytes, len, at);
	disk_after(harm);
	return put;
}

HOOK(int, ftruncate64, int fd, off64_t len) /* NOLINT */
{
	enum hurry_harm harm;
	size_t unused = 0;
	int result;

	if (!disk_is_file(fd))
		return REAL(ftruncate64)(fd, len);
	if (disk_before(fd, &unused, &harm) < 0)
		return -1;
	result = REAL(ftruncate64)(fd, len);
	disk_after(harm);
	return result;
}
#endif

static int disk_sync(int fd, int (*real)(int fd))
{
	struct stat st;
	enum hurry_harm harm;
	int result;

	if (!hook_page() || disk_inside)
		return real(fd);
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return real(fd);
	harm = disk_next();
	if (disk_fails(harm, 1, 0) < 0) {
		if (harm == HURRY_SYNC)
			disk_broken = HURRY_WELL;
		return -1;
	}
	if (disk_remembers())
		disk_synced(fd);
	result = real(fd);
	disk_after(harm);
	return result;
}

HOOK(int, fsync, int fd) /* NOLINT */
{
	return disk_sync(fd, REAL(fsync));
}

#ifndef HURRY_WRAPPED
HOOK(int, fdatasync, int fd) /* NOLINT */
{
	return disk_sync(fd, REAL(fdatasync));
}
#endif

/* Files of nodes tell by their times what was there when kubelet started. */
static void disk_stamp(const char *path)
{
#ifdef HURRY_WRAPPED
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[1] = times[0];
	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
#else
	(void)path;
#endif
}

HOOK(int, rename, const char *from, const char *to) /* NOLINT */
{
	enum hurry_harm harm;
	int result;

	if (!hook_page() || disk_inside)
		return REAL(rename)(from, to);
	harm = disk_next();
	if (disk_fails(harm, 0, 0) < 0)
		return -1;
	disk_stamp(from);
	if (disk_remembers()) {
		disk_note(DISK_RENAMED, to, from);
		disk_renamed(from, to);
	}
	result = REAL(rename)(from, to);
	disk_after(harm);
	return result;
}

HOOK(int, link, const char *from, const char *to) /* NOLINT */
{
	enum hurry_harm harm;
	int result;

	if (!hook_page() || disk_inside)
		return REAL(link)(from, to);
	harm = disk_next();
	if (disk_fails(harm, 0, 0) < 0)
		return -1;
	disk_stamp(from);
	if (disk_remembers())
		disk_note(DISK_LINKED, to, from);
	result = REAL(link)(from, to);
	disk_after(harm);
	return result;
}

HOOK(int, unlink, const char *path) /* NOLINT */
{
	enum hurry_harm harm;
	int result;

	if (!hook_page() || disk_inside)
		return REAL(unlink)(path);
	harm = disk_next();
	if (disk_fails(harm, 0, 1) < 0)
		return -1;
	if (disk_remembers() && access(path, F_OK) == 0)
		disk_note(DISK_REMOVED, path, "");
	result = REAL(unlink)(path);
	disk_after(harm);
	return result;
}

#ifdef HURRY_WRAPPED
/* The time since a machine was started, by the clock that its processes are told. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
	size_t len = strlen(path);
	struct timespec now;
	char text[64];
	int pipes[2];

	if (!hook_page() || len < 7 || strcmp(path + len - 7, "/uptime") != 0)
		return __real_open(path, flags, mode);
	clock_gettime(CLOCK_MONOTONIC, &now);
	len = (size_t)snprintf(text, sizeof(text), "%lld.%02ld 0.00\n", (long long)now.tv_sec,
			       now.tv_nsec / 10000000);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	(void)!REAL(write)(pipes[1], text, len);
	close(pipes[1]);
	return pipes[0];
}
#endif
