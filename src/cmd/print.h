/* SPDX-License-Identifier: MIT */
#ifndef CMD_PRINT_H
#define CMD_PRINT_H

#include "base/buffer.h"
#include "cmd/session.h"

/*
 * How commands write to stdout, where names from a server, a node or a plan of somebody else may be
 * among the words: without control characters (log_filter).
 */
__attribute__((format(printf, 1, 2))) void print_text(const char *fmt, ...);

/* What a command has put together. Colours of ours pass; JSON and YAML pass as they are, which have
 * escapes instead (report/document.h). */
void print_out(const struct session *session, struct buffer *out);

#endif
