/* SPDX-License-Identifier: MIT */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <jansson.h>

#include "base/error.h"

/* What an operation of the agent works on. */
struct agent {
	const char *root; /* "" on a node; a folder that stands before every path in tests */
	const char *proc; /* "/proc", or below root in tests */
};

/* Puts members into `reply` (an empty object), or fails. Payloads: agent/protocol.h. */
typedef int agent_operation(const struct agent *agent, const json_t *request, json_t *reply,
			    struct error *err);

#endif
