/* SPDX-License-Identifier: MIT */
#ifndef AGENT_FILES_H
#define AGENT_FILES_H

#include "agent/agent.h"
#include "base/slice.h"

/* list-files, read-file, read-files, write-file, replace-in-file, remove-file. */
agent_operation files_list, files_read, files_read_many, files_write, files_replace_in,
	files_remove;

/* SHA-256 as lower-case hex. */
struct files_digest {
	char text[65];
};
struct files_digest files_digest_of(struct slice bytes);

/* Replaces or creates the file at the resolved path (paths_resolve with PATHS_WRITE or PATHS_KEEP);
 * attributes of a file that is there stay, `mode` is for a new one. No other name appears in a
 * manifests folder meanwhile. */
must_check int files_put(const struct agent *agent, const char *real, struct slice bytes,
			 unsigned int mode, struct error *err);

/* Removes what an agent that was killed in the middle of files_put left beside the file; such a
 * remainder may hold what the file does. Failing is no error. */
void files_tidy(const struct agent *agent, const char *real);

/* Removes the file at the resolved path; *ret_changed becomes true when it was there. */
must_check int files_unlink(const struct agent *agent, const char *real, bool *ret_changed,
			    struct error *err);

#endif
