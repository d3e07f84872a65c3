/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Cleanup attributes: `auto_free char *name = NULL;` frees name on every path out of the scope.
 * Initialise at the declaration. Ownership leaves the scope by `return steal(name);`.
 * A type of our own has its attribute beside its release function (auto_error, auto_buffer, …).
 */
#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))
#define auto_file __attribute__((cleanup(cleanup_file)))

#define steal(p)                            \
	__extension__({                     \
		__typeof__(p) steal_ = (p); \
		(p) = NULL;                 \
		steal_;                     \
	})

/* The same for a descriptor: -1 stays behind. */
static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void cleanup_free(void *pointer)
{
	void **p = pointer;

	free(*p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#endif
