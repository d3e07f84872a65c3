/* SPDX-License-Identifier: MIT */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Files that must be old or new but never half. Nothing else in the program writes a user's file.
 */

/* Appends the whole of `path` to *ret, reading at most `max` bytes (one of base/limits.h).
 * ERROR_NOT_FOUND when it does not exist, ERROR_PARSE when it is larger. `-` is not special. */
must_check int file_read(const char *path, size_t max, struct buffer *ret, struct error *err);

/* The same for a file that says what will be done: ERROR_REFUSED when it is not ours or root's, or
 * others may write it. */
must_check int file_read_own(const char *path, size_t max, struct buffer *ret, struct error *err);

/* ERROR_REFUSED unless the folder is ours and nobody else may write in it. */
must_check int file_check_own_folder(const char *path, struct error *err);

/* How temporary names begin, six letters follow: a process that was killed leaves one. */
#define FILE_TEMPORARY ".kubectl-renumber."

enum file_replace_flags {
	/* Fail with ERROR_CONFLICT when path exists. */
	FILE_REPLACE_NEW = 1 << 0,
	/* Owner, group, mode and SELinux label of the file that is replaced are kept; `mode` is
	 * for a file that is new. */
	FILE_REPLACE_KEEP = 1 << 1,
};

/* Writes `bytes` to a temporary file beside `path` (name begins with a dot, so that kubelet passes
 * it over), fsyncs it, renames it over `path` and fsyncs the folder. On failure path is as it was
 * and no temporary file remains. A symbolic link at `path` is replaced, never followed. */
must_check int file_replace(const char *path, const void *bytes, size_t len, mode_t mode,
			    enum file_replace_flags flags, struct error *err);

/* The same, but the temporary file is made in the folder `stage` (same file system), for watched
 * folders in which no other name may appear even for a moment. */
must_check int file_replace_staged(const char *path, const char *stage, const void *bytes,
				   size_t len, mode_t mode, enum file_replace_flags flags,
				   struct error *err);

/* Creates the folder and its missing parents with `mode`. An existing folder is fine. */
must_check int file_make_folder(const char *path, mode_t mode, struct error *err);

/* fsyncs the folder that holds `path`, so that a rename or unlink in it is on disk. */
must_check int file_sync_parent(const char *path, struct error *err);

bool file_exists(const char *path);

/* Takes an exclusive lock (flock) on `path`, creating it 0600. *ret_fd holds the lock until it is
 * closed. ERROR_REFUSED naming the holder's process id when somebody else has it. */
must_check int file_lock(const char *path, int *ret_fd, struct error *err);

/* "a/b": the two joined by exactly one slash; the caller frees. */
char *file_join(const char *folder, const char *name);

#endif
