/* SPDX-License-Identifier: MIT */
#ifndef RUN_PROBE_JUDGE_H
#define RUN_PROBE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * Whether an address loses more requests than is allowed: pure, times are given. One judge for each
 * address; what it is told comes from all nodes, in spans that may overlap and come late, but not
 * later than the seconds that it remembers.
 */
enum { JUDGE_WINDOW_S = 10, JUDGE_MEMORY_S = 128 };

/* "5": five failed requests to one address, from all nodes together, within ten seconds are
 * borne, one more is not. "2%": so many of its requests in that time. */
struct judge_limit {
	unsigned int failed; /* or percent */
	bool percent;
};

#define JUDGE_LIMIT_DEFAULT ((struct judge_limit){.failed = 5})

/* ERROR_USAGE. */
must_check int judge_limit_parse(const char *text, struct judge_limit *ret, struct error *err);

struct judge_second {
	int64_t second;
	uint64_t ok;
	uint64_t failed;
};

struct judge {
	struct judge_second seconds[JUDGE_MEMORY_S];
	int64_t newest; /* second */
};

/* A node's time as ours; `node_now` and `now` are the same moment on both clocks. One that was set back
 * since then (or lies) makes nothing happen in the future: all that comes later would count as too
 * old. */
int64_t judge_time(int64_t node_ms, int64_t node_now_ms, int64_t now_ms);

/* `ok` requests were answered from begin to end (wall milliseconds). */
void judge_add_ok(struct judge *judge, int64_t begin_ms, int64_t end_ms, uint64_t ok);
void judge_add_failed(struct judge *judge, int64_t at_ms, uint64_t failed);

/* The worst ten seconds among those that end at `since` or later: true when they pass the limit. */
bool judge_exceeds(const struct judge *judge, struct judge_limit limit, int64_t since_ms,
		   uint64_t *ret_failed, uint64_t *ret_all);

#endif
