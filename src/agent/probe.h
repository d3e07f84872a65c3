/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROBE_H
#define AGENT_PROBE_H

#include "agent/agent.h"

/*
 * Requests at a steady pace to a set of targets, in a thread of their own, while the agent answers
 * other operations. There is one set; it ends with probe-stop or with the agent. The ceilings
 * (targets, requests a second, requests under way) are refused at the start, so that neither the
 * agent nor what it asks is flooded.
 */
enum {
	PROBE_TARGETS_MAX = 128,
	PROBE_TLS_TARGETS_MAX = 8,
	PROBE_EVERY_MIN_MS = 10,
	PROBE_RATE_MAX = 2000, /* requests a second, all targets */
	PROBE_FLIGHT_MAX = 32, /* requests to one target that wait for an answer */
};

/* A set with targets known already (same name and all) goes on with them. */
agent_operation probe_start;
agent_operation probe_read;
agent_operation probe_stop;

#endif
