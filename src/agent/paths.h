/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PATHS_H
#define AGENT_PATHS_H

#include <sys/stat.h>

#include "base/secret.h"
#include "base/slice.h"

/*
 * The closed list of what the agent may touch on a node, and the only way to a file of it. The
 * table is in paths.c; each row names a file or folder and what may be done with it.
 *
 * `root` is "" on a node and a folder in tests; it stands before every path.
 *
 * Symbolic links are followed only to places that the list permits as well (kubespray makes
 * /etc/kubernetes/pki a link to /etc/kubernetes/ssl; /etc/resolv.conf mostly is one), and a file that
 * is written must not be one.
 */
enum paths_use {
	PATHS_LIST = 1 << 0,  /* a folder: names and attributes of what is in it */
	PATHS_READ = 1 << 1,  /* its content may leave the node (private keys never do) */
	PATHS_WRITE = 1 << 2, /* it may be written, created and removed */
	PATHS_KEEP = 1 << 3,  /* it may be copied to the node's backup, and restored */
	PATHS_PKI = 1 << 4,   /* a folder of certificates for pki/op.h */
};

/* Where the agent keeps backups of its own. */
#define PATHS_STATE "/var/lib/kubectl-renumber"

/* Looks at the text only: absolute, no "//", ".", "..", control characters, and in the list for
 * `use`. ERROR_REFUSED. */
must_check int paths_permit(const char *path, enum paths_use use, struct error *err);

/* The path with every link resolved, permitted for `use` as well; for the caller to free. The file
 * itself may be missing, its folder not (ERROR_NOT_FOUND). With PATHS_WRITE or PATHS_KEEP the file
 * is not a link. Without `root` in front. */
must_check int paths_resolve(const char *root, const char *path, enum paths_use use,
			     char **ret_real, struct error *err);

/* Opens what paths_resolve gave, component by component, never through a link. */
must_check int paths_open(const char *root, const char *real, int flags, int *ret_fd,
			  struct error *err);

/* Reads a regular file of at most LIMIT_CONFIG_FILE bytes. `ret_stat` and `ret_real` may be NULL.
 * Any file may hold a key, hence the secret. */
must_check int paths_read(const char *root, const char *path, enum paths_use use,
			  struct secret *ret, struct stat *ret_stat, char **ret_real,
			  struct error *err);

#endif
