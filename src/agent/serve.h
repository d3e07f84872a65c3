/* SPDX-License-Identifier: MIT */
#ifndef AGENT_SERVE_H
#define AGENT_SERVE_H

#include "agent/agent.h"
#include "base/buffer.h"

/* Answers one request: appends one line to `out`, whatever the request is. */
void serve_line(const struct agent *agent, struct slice line, struct buffer *out);

/* Says hello on `output`, then answers the requests of `input` until it ends. 0 at the end of the
 * input; -1 when a message is too large or the other side does not read. */
must_check int serve(const struct agent *agent, int input, int output, struct error *err);

/* True when there is a function for the operation: for the test that compares the tables. */
bool serve_knows(const char *op);

#endif
