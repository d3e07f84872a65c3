/* SPDX-License-Identifier: MIT */
#include "step/limiter.h"

#include "lib/test.h"
#include "text/json.h"

/* The node's clock is far from ours, and its answers are 5 ms under way in each direction. */
#define NODE 1700000000.0
#define WAY_MS 5

static bool tell(struct limiter *l, int64_t asked_ms, int64_t sync_ms, int64_t queued_ms,
		 double syncs, double seconds)
{
	auto_json json_t *reply =
		json_pack("{s:f, s:[{s:s, s:f}, {s:s, s:f, s:f, s:f, s:f}]}", "now",
			  NODE + (double)(asked_ms + WAY_MS) / 1000, "families", "family", "IPv6",
			  "lastSync", NODE + 1e6, "family", "IPv4", "lastSync",
			  NODE + (double)sync_ms / 1000, "lastQueued",
			  NODE + (double)queued_ms / 1000, "syncs", syncs, "syncSeconds", seconds);

	return limiter_tell(l, reply, asked_ms);
}

/* Too early by the way of the answer and what is rounded, never late. */
static bool about(int64_t told_ms, int64_t true_ms)
{
	return told_ms <= true_ms && told_ms >= true_ms - WAY_MS - 3;
}

static void test_pause(void)
{
	struct limiter l = {.period_ms = 1000};

	TEST("from 1.34 on a period passes after the end of a sync");
	CHECK(tell(&l, 10000, 9500, 9300, 7, 0.7));
	CHECK(about(l.done_ms, 9500) && about(l.free_ms, 10500));
	CHECK(!l.timed && !l.pending);

	TEST("one that is watched is timed");
	CHECK(tell(&l, 10700, 10600, 10550, 8, 0.75));
	CHECK(l.timed);
	CHECK(about(l.begun_ms, 10550) && about(l.done_ms, 10600) && about(l.free_ms, 11600));

	TEST("the same sync told again, sooner: the later moment is right");
	CHECK(tell(&l, 10704, 10600, 10550, 8, 0.75));
	CHECK(about(l.free_ms, 11600));

	TEST("its end is noted before it is counted");
	CHECK(tell(&l, 11650, 11640, 11500, 8, 0.75));
	CHECK(about(l.done_ms, 10600));

	TEST("a change that came since waits");
	CHECK(tell(&l, 11700, 11640, 11690, 9, 0.85));
	CHECK(l.pending && !l.idle);
	CHECK(about(limiter_expect(&l, 11690), 11640 + 1000 + 100));

	TEST("one that came while it synced may wait, too");
	CHECK(tell(&l, 12800, 12750, 12720, 10, 0.95));
	CHECK(!l.pending && !l.idle);
	CHECK(tell(&l, 14000, 13900, 13000, 11, 1.05));
	CHECK(!l.pending && l.idle);

	TEST("a change after the pause is synced at once");
	CHECK(limiter_expect(&l, 20000) >= 20090 && limiter_expect(&l, 20000) <= 20110);
}

static void test_bucket(void)
{
	struct limiter l = {.period_ms = 1000, .bucket = true};

	TEST("before 1.34 nobody knows how full the bucket is: it may sync at any moment");
	CHECK(tell(&l, 10000, 4000, 3900, 3, 0.3));
	CHECK(l.free_ms <= 10000);

	TEST("a full bucket has another token after one sync");
	CHECK(tell(&l, 10100, 10050, 10010, 4, 0.32));
	CHECK(about(l.free_ms, 10030));

	TEST("the second takes it: the next comes a period after the first");
	CHECK(tell(&l, 10300, 10220, 10200, 5, 0.34));
	CHECK(about(l.free_ms, 11030));

	TEST("a sync by the timer comes later than the token, which is not lost");
	CHECK(tell(&l, 11400, 11240, 11000, 6, 0.36));
	CHECK(about(l.free_ms, 12030));

	TEST("of two syncs between two looks one may be the other family's");
	CHECK(tell(&l, 13000, 12900, 12890, 8, 0.40));
	CHECK(l.free_ms <= 13030);

	TEST("no more than two tokens are saved up");
	CHECK(tell(&l, 60000, 59900, 59890, 9, 0.42));
	CHECK(about(l.free_ms, 59880));
}

static void test_restart(void)
{
	struct limiter l = {.period_ms = 1000};

	TEST("a proxy that was started anew is not timed by what was before");
	CHECK(tell(&l, 10000, 9500, 9300, 70, 7));
	CHECK(tell(&l, 12000, 11500, 11300, 2, 0.2));
	CHECK(!l.timed && about(l.free_ms, 12500));
}

static void test_useless(void)
{
	struct limiter l = {.period_ms = 1000};
	auto_json json_t *empty = json_pack("{s:f, s:[]}", "now", NODE, "families");

	TEST("answers that say nothing");
	CHECK(!limiter_tell(&l, empty, 1000));
	CHECK(!tell(&l, 1000, 900, 800, 0, 0));
	CHECK(!tell(&l, 1000, 900000, 800, 1, 0));
}

int main(void)
{
	test_pause();
	test_bucket();
	test_restart();
	test_useless();
	return test_done();
}
