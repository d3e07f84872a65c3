/* SPDX-License-Identifier: MIT */
#include "step/limiter.h"

#include <string.h>

#include "text/json.h"

/* A sync of which only the mean is known may have taken so many times that. */
#define LIMITER_MEANS 5

struct limiter_answer {
	double now;
	double last_sync;
	double last_queued;
	double syncs;
	double seconds;
};

/* Endpoints of the pulse are IPv4's; proxies before 1.34 do not say the family. */
static const json_t *limiter_family(const json_t *reply)
{
	const json_t *families = json_object_get(reply, "families");
	const json_t *row;
	size_t i;

	json_array_foreach(families, i, row) {
		if (json_path_is(row, "family", "IPv4") || json_path_is(row, "family", ""))
			return row;
	}
	return json_array_get(families, 0);
}

static bool limiter_read(const json_t *reply, struct limiter_answer *a)
{
	const json_t *row = limiter_family(reply);
	const struct {
		const json_t *value;
		double *to;
	} members[] = {
		{json_object_get(reply, "now"), &a->now},
		{json_object_get(row, "lastSync"), &a->last_sync},
		{json_object_get(row, "lastQueued"), &a->last_queued},
		{json_object_get(row, "syncs"), &a->syncs},
		{json_object_get(row, "syncSeconds"), &a->seconds},
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!json_is_number(members[i].value))
			return false;
		*members[i].to = json_number_value(members[i].value);
	}
	/* a proxy that has not synced yet is no measure; a clock that went back neither */
	return a->syncs >= 1 && a->last_sync > 0 && a->now - a->last_sync > -1 &&
	       a->now - a->last_sync < 1e9;
}

/* The node's moment on our clock, at the earliest: the answer's clock was read after we asked. */
static int64_t limiter_ours(const struct limiter_answer *a, double moment, int64_t asked_ms)
{
	/* rounded away from the future */
	return asked_ms - (int64_t)((a->now - moment) * 1000) - 1;
}

/*
 * A bucket is told by the moment at which it has one token: a sync takes one and so moves that
 * moment on by a period, but a bucket that was full holds no more than two. Of several syncs between
 * two answers only one is counted: some may be the other family's, which has its own bucket.
 */
static void limiter_take_token(struct limiter *l)
{
	int64_t full_ms = l->begun_ms - l->period_ms;

	l->free_ms = (l->free_ms > full_ms ? l->free_ms : full_ms) + l->period_ms;
}

/* A sync that was not known of yet. */
static void limiter_synced(struct limiter *l, const struct limiter_answer *a, int64_t asked_ms)
{
	bool first = !l->known || a->syncs < l->syncs; /* counted anew: it was started anew */
	double syncs = first ? a->syncs : a->syncs - l->syncs;
	double seconds = first ? a->seconds : a->seconds - l->seconds;

	l->timed = !first;
	l->usual_ms = (int64_t)(1000 * seconds / syncs) + 1;
	l->took_ms = first ? LIMITER_MEANS * l->usual_ms : (int64_t)(1000 * seconds) + 1;
	l->done_ms = limiter_ours(a, a->last_sync, asked_ms);
	l->begun_ms = l->done_ms - l->took_ms;
	if (!l->bucket)
		l->free_ms = l->done_ms + l->period_ms;
	else if (first)
		/* full, as far as anybody knows */
		l->free_ms = asked_ms - l->period_ms;
	else
		limiter_take_token(l);
	l->known = true;
	l->syncs = a->syncs;
	l->seconds = a->seconds;
	l->last_sync = a->last_sync;
}

bool limiter_tell(struct limiter *l, const json_t *reply, int64_t asked_ms)
{
	struct limiter_answer a;

	if (!limiter_read(reply, &a))
		return false;
	if (!l->known || a.syncs != l->syncs) {
		limiter_synced(l, &a, asked_ms);
	} else if (a.last_sync <= l->last_sync &&
		   limiter_ours(&a, a.last_sync, asked_ms) > l->done_ms) {
		/* the same one, told by an answer that was faster */
		l->done_ms = limiter_ours(&a, a.last_sync, asked_ms);
		if (!l->bucket)
			l->free_ms = l->done_ms + l->period_ms;
	}
	l->pending = a.last_queued > l->last_sync;
	/* it may have come while the proxy synced, and waits for the next one then */
	l->idle = (l->last_sync - a.last_queued) * 1000 > (double)(LIMITER_MEANS * l->usual_ms);
	return true;
}

int64_t limiter_expect(const struct limiter *l, int64_t changed_ms)
{
	int64_t begin = l->done_ms + l->period_ms;

	if (l->free_ms <= changed_ms || begin < changed_ms)
		begin = changed_ms;
	return begin + l->usual_ms;
}
