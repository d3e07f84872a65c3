/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROBE_STATS_H
#define AGENT_PROBE_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * What became of the requests to one target since somebody looked last. Pure: times are given.
 * Requests are added in the order in which they began; each counts once, nothing is tried again.
 */
enum { PROBE_FAILURES_MAX = 100, PROBE_WHY_MAX = 80 };

struct probe_failure {
	int64_t at_ms; /* wall clock: when the request began */
	int64_t took_ms;
	char why[PROBE_WHY_MAX]; /* "connection refused", "no answer in 500 ms" */
};

struct probe_stats {
	uint64_t ok;
	uint64_t failed;
	int64_t max_ms; /* greatest latency of an answered request */
	int64_t sum_ms; /* of all answered ones */
	/* Longest time between the beginning of a failed request and of the next one that was
	 * answered; of a gap that is not over, as far as it has come. */
	int64_t gap_ms;
	struct probe_failure failures[PROBE_FAILURES_MAX]; /* the first ones */
	uint64_t failures_dropped;
	int64_t failing_since_ms; /* wall clock, 0: the last request was answered */
};

/* `why` NULL: it was answered. */
void probe_stats_add(struct probe_stats *stats, int64_t begun_wall_ms, int64_t took_ms,
		     const char *why);

/* Begins a new look; a gap that is under way stays known. */
void probe_stats_reset(struct probe_stats *stats);

#endif
