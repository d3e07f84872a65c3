/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/slice.h"

static bool clock_virtual;
static int64_t clock_virtual_ms;
static int64_t clock_virtual_wall_ms;

static int64_t clock_read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
	return clock_virtual ? clock_virtual_ms : clock_read_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return clock_virtual ? clock_virtual_wall_ms : clock_read_ms(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
	return clock_wall_ms() / 1000;
}

/* Slept in pieces: a signal that arrives just before the system call would otherwise be seen
 * only at the end of a long wait. */
#define CLOCK_PIECE_MS 100

int clock_sleep_ms(int64_t ms, struct error *err)
{
	int64_t end = clock_monotonic_ms() + ms;

	for (;;) {
		int64_t left = end - clock_monotonic_ms();
		struct timespec piece;

		if (interrupt_requested())
			return error_set(err, ERROR_INTERRUPTED, "stopped by request");
		if (left <= 0)
			return 0;
		if (clock_virtual) {
			clock_virtual_ms += left;
			clock_virtual_wall_ms += left;
			continue;
		}
		if (left > CLOCK_PIECE_MS)
			left = CLOCK_PIECE_MS;
		piece = (struct timespec){left / 1000, left % 1000 * 1000000};
		nanosleep(&piece, NULL);
	}
}

char *clock_format(int64_t wall_s)
{
	time_t when = (time_t)wall_s;
	struct tm parts;
	char text[40];

	if (!gmtime_r(&when, &parts) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
		return alloc_text("an unknown time");
	return alloc_text(text);
}

/* Takes exactly `digits` digits off the front. */
static bool clock_digits(struct slice *rest, size_t digits, int *ret)
{
	uint64_t value;

	if (rest->len < digits || !slice_to_u64((struct slice){rest->ptr, digits}, 9999, &value))
		return false;
	rest->ptr += digits;
	rest->len -= digits;
	*ret = (int)value;
	return true;
}

static bool clock_literal(struct slice *rest, char c)
{
	if (rest->len == 0 || rest->ptr[0] != c)
		return false;
	rest->ptr++;
	rest->len--;
	return true;
}

static void clock_skip_fraction(struct slice *rest)
{
	if (!clock_literal(rest, '.'))
		return;
	while (rest->len && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
		rest->ptr++;
		rest->len--;
	}
}

static bool clock_offset(struct slice *rest, int *ret_s)
{
	int hours;
	int minutes;
	int sign;

	*ret_s = 0;
	if (clock_literal(rest, 'Z'))
		return rest->len == 0;
	sign = clock_literal(rest, '+') ? 1 : clock_literal(rest, '-') ? -1 : 0;
	if (!sign || !clock_digits(rest, 2, &hours) || !clock_literal(rest, ':') ||
	    !clock_digits(rest, 2, &minutes))
		return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return rest->len == 0;
}

bool clock_parse(const char *text, int64_t *ret_wall_s)
{
	struct slice rest = slice_of(text);
	struct tm t = {0};
	int offset;

	if (!clock_digits(&rest, 4, &t.tm_year) || !clock_literal(&rest, '-') ||
	    !clock_digits(&rest, 2, &t.tm_mon) || !clock_literal(&rest, '-') ||
	    !clock_digits(&rest, 2, &t.tm_mday) || !clock_literal(&rest, 'T') ||
	    !clock_digits(&rest, 2, &t.tm_hour) || !clock_literal(&rest, ':') ||
	    !clock_digits(&rest, 2, &t.tm_min) || !clock_literal(&rest, ':') ||
	    !clock_digits(&rest, 2, &t.tm_sec))
		return false;
	clock_skip_fraction(&rest);
	if (!clock_offset(&rest, &offset))
		return false;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	*ret_wall_s = (int64_t)timegm(&t) - offset;
	return true;
}

char *clock_duration(int64_t ms)
{
	long long s = ms / 1000;

	if (ms < 10000)
		return alloc_format("%lld.%lld s", s, (long long)(ms % 1000 / 100));
	if (s < 60)
		return alloc_format("%lld s", s);
	if (s < 3600)
		return alloc_format("%lld min %lld s", s / 60, s % 60);
	return alloc_format("%lld h %lld min", s / 3600, s % 3600 / 60);
}

void clock_set_virtual(int64_t monotonic_ms, int64_t wall_s)
{
	clock_virtual = true;
	clock_virtual_ms = monotonic_ms;
	clock_virtual_wall_ms = wall_s * 1000;
}
