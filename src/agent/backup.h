/* SPDX-License-Identifier: MIT */
#ifndef AGENT_BACKUP_H
#define AGENT_BACKUP_H

#include "agent/agent.h"

/* backup, restore, list-backups, forget. */
agent_operation backup_make, backup_restore, backup_list, backup_forget;

/* Keeps the state of a file (or its absence) in the folder of the run, unless the run has kept it
 * before. `run` is the request's text; NULL keeps nothing. `path` as in paths_resolve. */
must_check int backup_keep(const struct agent *agent, const char *run, const char *path,
			   struct error *err);

/* The folder PATHS_STATE/RUN/NAME with the agent's root in front, made root-only; the caller frees. */
must_check int backup_folder(const struct agent *agent, const char *run, const char *name,
			     char **ret, struct error *err);

#endif
