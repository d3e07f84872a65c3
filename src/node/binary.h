/* SPDX-License-Identifier: MIT */
#ifndef NODE_BINARY_H
#define NODE_BINARY_H

#include "base/buffer.h"

/* The file renumber-agent that is streamed to nodes, or started here. */
struct binary {
	char *path;	     /* owned */
	struct buffer bytes; /* empty until binary_load */
	const char *machine; /* as "uname -m" says it */
};

/* `wanted` (NULL: $KUBECTL_RENUMBER_AGENT), else beside this program, else in
 * ../libexec/kubectl-renumber. ERROR_NOT_FOUND says where it was looked for. */
must_check int binary_find(struct binary *b, const char *wanted, struct error *err);

/* Reads it. ERROR_PARSE when it is not a program for a machine that we know. */
must_check int binary_load(struct binary *b, struct error *err);

void binary_release(struct binary *b);

#endif
