/* SPDX-License-Identifier: MIT */
#ifndef SCAN_FILES_H
#define SCAN_FILES_H

#include "scan/result.h"

/*
 * Looks through a file, a folder with all below it, or stdin ("-"). Folders are read in the order
 * of their names; gzip is unpacked; symbolic links below a folder are not followed, and what is no regular file is
 * passed over. A path that is given and cannot be read is an error; one found below a folder
 * becomes a gap of the result.
 */
must_check int scan_path(struct scan_result *result, const struct scan_matcher *matcher,
			 const char *path, struct error *err);

#endif
