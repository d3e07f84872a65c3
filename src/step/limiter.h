/* SPDX-License-Identifier: MIT */
#ifndef STEP_LIMITER_H
#define STEP_LIMITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * How far one node's kube-proxy has come and when it may sync next, told from its own metrics (the
 * agent's proxy-metrics). Pure: answers come in, times of our clock come out. What cannot be known
 * exactly (how long an answer was under way) makes `begun_ms`, `done_ms` and `free_ms` too early,
 * never too late.
 *
 *	≥ 1.34	minSyncPeriod passes between the end of a sync and the beginning of the next
 *		(pkg/proxy/runner/bounded_frequency_runner.go)
 *	before	a bucket of two tokens that gets one each minSyncPeriod; a change syncs at once
 *		while there is one (pkg/util/async/bounded_frequency_runner.go)
 */
struct limiter {
	int64_t period_ms;
	bool bucket; /* before 1.34 */

	bool known;	  /* told at least once */
	double syncs;	  /* so many there were */
	double seconds;	  /* that they took in all */
	double last_sync; /* of the node's clock */
	int64_t done_ms;  /* when the last one was over */
	int64_t begun_ms; /* when it began; valid with `timed` */
	bool timed;	  /* it was watched from one answer to the next */
	int64_t took_ms;  /* at the longest */
	int64_t usual_ms; /* what a sync took in the mean of late */
	int64_t free_ms;  /* from then on the next change begins a sync at once */
	bool pending;	  /* a change surely waits for a sync */
	bool idle;	  /* surely none does */
};

/* Takes in what a node answered to a question that was sent at `asked_ms`. False when the answer
 * does not say what is needed. */
bool limiter_tell(struct limiter *l, const json_t *reply, int64_t asked_ms);

/* When the sync for a change of `changed_ms` is over, if all goes as usual. */
int64_t limiter_expect(const struct limiter *l, int64_t changed_ms);

#endif
