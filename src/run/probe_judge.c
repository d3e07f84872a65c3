/* SPDX-License-Identifier: MIT */
#include "run/probe_judge.h"

/* A share of next to nothing says nothing. */
#define JUDGE_PERCENT_MIN 10

int judge_limit_parse(const char *text, struct judge_limit *ret, struct error *err)
{
	struct slice number = slice_of(text);
	bool percent = slice_ends(number, "%");
	uint64_t value;

	if (percent)
		number.len--;
	if (!slice_to_u64(number, percent ? 100 : 1000000, &value))
		return error_set(err, ERROR_USAGE,
				 "--max-failed: '%s' is neither a number of requests, like 5, nor "
				 "a share of them, "
				 "like 2%%",
				 text);
	*ret = (struct judge_limit){(unsigned int)value, percent};
	return 0;
}

int64_t judge_time(int64_t node_ms, int64_t node_now_ms, int64_t now_ms)
{
	uint64_t age = (uint64_t)node_now_ms - (uint64_t)node_ms;

	if (node_ms >= node_now_ms)
		return now_ms;
	return age < (uint64_t)now_ms ? now_ms - (int64_t)age : 0;
}

/* NULL for what is older than all that is remembered. */
static struct judge_second *judge_second_at(struct judge *judge, int64_t second)
{
	struct judge_second *s = &judge->seconds[(uint64_t)second % JUDGE_MEMORY_S];

	if (second > judge->newest)
		judge->newest = second;
	if (second <= judge->newest - JUDGE_MEMORY_S)
		return NULL;
	if (s->second < second)
		*s = (struct judge_second){.second = second};
	return s;
}

void judge_add_ok(struct judge *judge, int64_t begin_ms, int64_t end_ms, uint64_t ok)
{
	int64_t first = begin_ms / 1000;
	int64_t last = end_ms / 1000;
	uint64_t given = 0;

	if (last < first)
		last = first;
	if (last - first >= JUDGE_MEMORY_S)
		first = last - JUDGE_MEMORY_S + 1;
	for (int64_t second = first; second <= last; second++) {
		struct judge_second *s = judge_second_at(judge, second);
		uint64_t until = ok * (uint64_t)(second - first + 1) / (uint64_t)(last - first + 1);

		if (s)
			s->ok += until - given;
		given = until;
	}
}

void judge_add_failed(struct judge *judge, int64_t at_ms, uint64_t failed)
{
	struct judge_second *s = judge_second_at(judge, at_ms / 1000);

	if (s)
		s->failed += failed;
}

static void judge_window(const struct judge *judge, int64_t end, uint64_t *ret_failed,
			 uint64_t *ret_all)
{
	*ret_failed = *ret_all = 0;
	for (int64_t second = end - JUDGE_WINDOW_S + 1; second <= end; second++) {
		const struct judge_second *s = &judge->seconds[(uint64_t)second % JUDGE_MEMORY_S];

		if (second < 0 || s->second != second)
			continue;
		*ret_failed += s->failed;
		*ret_all += s->failed + s->ok;
	}
}

static bool judge_is_over(struct judge_limit limit, uint64_t failed, uint64_t all)
{
	if (!limit.percent)
		return failed > limit.failed;
	return all >= JUDGE_PERCENT_MIN && failed * 100 > all * limit.failed;
}

bool judge_exceeds(const struct judge *judge, struct judge_limit limit, int64_t since_ms,
		   uint64_t *ret_failed, uint64_t *ret_all)
{
	uint64_t worst = 0;
	bool over = false;

	for (size_t i = 0; i < JUDGE_MEMORY_S; i++) {
		uint64_t failed;
		uint64_t all;

		if (judge->seconds[i].second < since_ms / 1000)
			continue;
		judge_window(judge, judge->seconds[i].second, &failed, &all);
		if (!judge_is_over(limit, failed, all) || failed < worst)
			continue;
		worst = failed;
		*ret_failed = failed;
		*ret_all = all;
		over = true;
	}
	return over;
}
