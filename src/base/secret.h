/* SPDX-License-Identifier: MIT */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

#include "base/error.h"

/*
 * Private keys and tokens. Kept in memory that is wiped on release; never formatted, logged, put
 * into argv or a temporary file. {0} is an empty secret.
 */
struct secret {
	char *ptr; /* owned, NUL-terminated behind len bytes */
	size_t len;
};

void secret_set(struct secret *s, const void *bytes, size_t len);

/* Reads a file of at most `max` bytes; errors as file_read. */
must_check int secret_read(struct secret *s, const char *path, size_t max, struct error *err);

void secret_release(struct secret *s);

/* No core dump of this process will hold a key (RLIMIT_CORE, PR_SET_DUMPABLE). Call first in main. */
void secret_protect_process(void);

#define auto_secret __attribute__((cleanup(secret_release)))

#endif
