/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the tool under test: what it sleeps, it sleeps a fraction of, and its monotonic
 * clock jumps over the rest. Waiting for answers takes the time that it takes. The fraction is in
 * the environment, RENUMBER_LAB_HURRY=10 for a tenth.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define HURRY_SECOND INT64_C(1000000000)

static int64_t hurry_ahead; /* of the real clock, in nanoseconds */

static int64_t hurry_factor(void)
{
	static int64_t factor;
	const char *text = factor ? NULL : getenv("RENUMBER_LAB_HURRY");

	for (; text && *text >= '0' && *text <= '9' && factor < 1000; text++)
		factor = factor * 10 + (*text - '0');
	if (factor < 1)
		factor = 1;
	return factor;
}

/* libc names the parameters of the two with underscores: NOLINTNEXTLINE */
__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	int64_t ns;

	if (!real) {
		/* a function is no object pointer to ISO C, but to POSIX */
		void *found = dlsym(RTLD_NEXT, "clock_gettime");

		*(void **)&real = found;
	}
	if (real(id, ret) < 0)
		return -1;
	if (id != CLOCK_MONOTONIC)
		return 0;
	ns = ret->tv_nsec + hurry_ahead;
	ret->tv_sec += ns / HURRY_SECOND;
	ret->tv_nsec = ns % HURRY_SECOND;
	return 0;
}

/* NOLINTNEXTLINE */
__attribute__((visibility("default"))) int nanosleep(const struct timespec *wanted,
						     struct timespec *ret_left)
{
	int64_t ns = wanted->tv_sec * HURRY_SECOND + wanted->tv_nsec;
	int64_t slept = ns / hurry_factor();
	struct timespec real = {slept / HURRY_SECOND, slept % HURRY_SECOND};
	int result = clock_nanosleep(CLOCK_REALTIME, 0, &real, NULL);

	if (ret_left)
		*ret_left = (struct timespec){0};
	if (result != 0) {
		errno = result;
		return -1;
	}
	hurry_ahead += ns - slept;
	return 0;
}
