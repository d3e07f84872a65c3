/* SPDX-License-Identifier: MIT */
#ifndef NODE_LOCAL_H
#define NODE_LOCAL_H

#include <stdbool.h>

/* Whether the node of that name or with that address (NULL: unknown) is the host that we run on. */
bool local_is_this_host(const char *name, const char *address);

#endif
