/* SPDX-License-Identifier: MIT */
#ifndef LAB_FOLDER_H
#define LAB_FOLDER_H

#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"

/* Files of the lab's own folder. Nothing in it outlives the lab: no fsync. */

/* Writes the file and makes the folders on the way. */
must_check int folder_write(const char *path, struct slice text, mode_t mode, struct error *err);

/* Creates or replaces a symbolic link, and the folders on the way. */
must_check int folder_link(const char *path, const char *target, struct error *err);

/* Copies the files and links of a folder, with their modes, into another one that is there. */
must_check int folder_copy(const char *from, const char *to, struct error *err);

/* Removes the folder and all in it; links are not followed. */
void folder_remove(const char *path);

#endif
