/* SPDX-License-Identifier: MIT */
#include "agent/probe_stats.h"

#include <stdio.h>
#include <string.h>

static void probe_stats_fail(struct probe_stats *stats, int64_t begun, int64_t took,
			     const char *why)
{
	struct probe_failure *failure;

	stats->failed++;
	if (!stats->failing_since_ms)
		stats->failing_since_ms = begun;
	if (stats->failed > PROBE_FAILURES_MAX) {
		stats->failures_dropped++;
		return;
	}
	failure = &stats->failures[stats->failed - 1];
	failure->at_ms = begun;
	failure->took_ms = took;
	snprintf(failure->why, sizeof(failure->why), "%s", why);
}

void probe_stats_add(struct probe_stats *stats, int64_t begun_wall_ms, int64_t took_ms,
		     const char *why)
{
	int64_t gap;

	if (why)
		probe_stats_fail(stats, begun_wall_ms, took_ms, why);
	gap = stats->failing_since_ms ? begun_wall_ms - stats->failing_since_ms : 0;
	if (gap > stats->gap_ms)
		stats->gap_ms = gap;
	if (why)
		return;
	stats->ok++;
	stats->sum_ms += took_ms;
	if (took_ms > stats->max_ms)
		stats->max_ms = took_ms;
	stats->failing_since_ms = 0;
}

void probe_stats_reset(struct probe_stats *stats)
{
	int64_t since = stats->failing_since_ms;

	*stats = (struct probe_stats){.failing_since_ms = since};
}
