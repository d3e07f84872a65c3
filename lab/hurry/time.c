/* SPDX-License-Identifier: MIT */
/*
 * Time for the tool and the agents. With RENUMBER_LAB_CLOCK they share the lab's clock: it stands
 * still while anybody works, and whoever sleeps lets it pass at once. With RENUMBER_LAB_HURRY=10 the
 * tool sleeps a tenth of what it means to, and its monotonic clock jumps over the rest; waiting for
 * answers takes the time that it takes.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lab/hurry/hook.h"

#define TIME_SECOND INT64_C(1000000000)
#define TIME_MS INT64_C(1000000)
/* Real time in which an answer that somebody works on may come, before any passes for us. */
enum {
	TIME_GRACE_MS = 30,
	TIME_STEP_MS = 100,
	TIME_PATIENCE = 10,
	TIME_BLINK_MS = 5,
	TIME_LEAP_MS = 500,
	TIME_LOST_MS = 2000,
	TIME_NAP_MS = 2000
};

static int64_t time_ahead; /* of the real clock, in nanoseconds */
static __thread int time_socket = -1;
static __thread int64_t time_number;

static int64_t time_factor(void)
{
	static int64_t factor;
	const char *text = factor ? NULL : getenv("RENUMBER_LAB_HURRY");

	for (; text && *text >= '0' && *text <= '9' && factor < 1000; text++)
		factor = factor * 10 + (*text - '0');
	if (factor < 1)
		factor = 1;
	return factor;
}

/* --- the lab's clock -------------------------------------------------------------------------- */

static int64_t time_now(const struct hurry_page *page)
{
	return __atomic_load_n(&page->ns, __ATOMIC_ACQUIRE);
}

static int time_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(hook_folder());

	if (time_socket >= 0)
		return time_socket;
	memcpy(to.sun_path, hook_folder(), len);
	memcpy(to.sun_path + len, "/clock", sizeof("/clock"));
	time_socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (time_socket >= 0 && connect(time_socket, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(time_socket);
		time_socket = -1;
	}
	return time_socket;
}

static int time_tell(enum hurry_kind kind, int64_t ns)
{
	struct hurry_message message = {kind, ns, ++time_number};

	if (time_connect() < 0 ||
	    send(time_socket, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
		return -1;
	return 0;
}

/* False when there is no lab any more. */
static int time_pass(int64_t ns)
{
	struct hurry_message answer = {0};

	if (time_tell(HURRY_SLEEP, ns) < 0)
		return 0;
	do {
		ssize_t got = recv(time_socket, &answer, sizeof(answer), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != sizeof(answer))
			return 0;
	} while (answer.number != time_number);
	return 1;
}

/* No two looks at a clock see the same time, which libcurl relies on. */
static int64_t time_told(const struct hurry_page *page)
{
	static __thread int64_t last;
	int64_t now = time_now(page);

	if (now <= last)
		now = last + (last - now < TIME_MS - 2000 ? 1000 : 0);
	last = now;
	return now;
}

/* --- clocks ----------------------------------------------------------------------------------- */

/* libc names parameters with underscores: NOLINTNEXTLINE */
HOOK(int, clock_gettime, clockid_t id, struct timespec *ret)
{
	const struct hurry_page *page = hook_page();
	int64_t ns;

	if (page && (id == CLOCK_MONOTONIC || id == CLOCK_REALTIME)) {
		ns = time_told(page);
		if (id == CLOCK_REALTIME)
			ns += page->wall_ns +
			      (HURRY_OF == HURRY_TOOL ? page->jump_ns : 0); /* NOLINT */
		else
			ns += HURRY_UPTIME_S * TIME_SECOND;
		*ret = (struct timespec){ns / TIME_SECOND, ns % TIME_SECOND};
		return 0;
	}
	if (REAL(clock_gettime)(id, ret) < 0)
		return -1;
	if (page || id != CLOCK_MONOTONIC)
		return 0;
	ns = ret->tv_nsec + time_ahead;
	ret->tv_sec += ns / TIME_SECOND;
	ret->tv_nsec = ns % TIME_SECOND;
	return 0;
}

/* Certificates are judged by it. */
HOOK(time_t, time, time_t *ret) /* NOLINT */
{
	struct timespec now;

	if (!hook_page())
		return REAL(time)(ret);
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

/* NOLINTNEXTLINE */
HOOK(int, nanosleep, const struct timespec *wanted, struct timespec *ret_left)
{
	int64_t ns = wanted->tv_sec * TIME_SECOND + wanted->tv_nsec;
	int64_t slept = ns / time_factor();
	struct timespec real = {slept / TIME_SECOND, slept % TIME_SECOND};
	int result;

	if (ret_left)
		*ret_left = (struct timespec){0};
	if (hook_page() && time_pass(ns))
		return 0;
	result = clock_nanosleep(CLOCK_REALTIME, 0, &real, NULL);
	if (result != 0) {
		errno = result;
		return -1;
	}
	time_ahead += ns - slept;
	return 0;
}

/* --- waiting ---------------------------------------------------------------------------------- */

#ifdef HURRY_WRAPPED
#define TIME_POLL __real_poll
int __real_poll(struct pollfd *items, nfds_t count, int timeout);
#else
static int (*hook_poll)(struct pollfd *items, nfds_t count, int timeout);
#define TIME_POLL REAL(poll)
#endif

/* Somebody else drives the clock: a thread that asks at a steady pace. */
static int time_rest(struct pollfd *items, nfds_t count, int timeout)
{
	struct pollfd all[260];
	struct hurry_message message = {0};
	int64_t number;
	int ready;

	/* with nothing under way it only looks whether there is something new to ask */
	if (!count && timeout < TIME_NAP_MS)
		timeout = TIME_NAP_MS;
	if (count >= sizeof(all) / sizeof(all[0]) ||
	    time_tell(HURRY_REST, time_now(hook_page()) + timeout * TIME_MS) < 0)
		return TIME_POLL(items, count, timeout);
	number = time_number;
	for (nfds_t i = 0; i < count; i++)
		all[i] = items[i];
	all[count] = (struct pollfd){time_socket, POLLIN, 0};
	ready = TIME_POLL(all, count + 1, TIME_LOST_MS);
	for (nfds_t i = 0; i < count; i++)
		items[i].revents = all[i].revents;
	while (all[count].revents && message.number != number &&
	       recv(time_socket, &message, sizeof(message), MSG_DONTWAIT) == sizeof(message))
		;
	if (message.number != number)
		time_tell(HURRY_WOKE, 0);
	return ready > 0 ? ready - !!all[count].revents : ready;
}

/* What is waited for is being worked on: first real time, and then the clock's in steps. */
static int time_poll(struct pollfd *items, nfds_t count, int timeout)
{
	static __thread int patience;
	int64_t end;
	int ready;

	if (!hook_page() || timeout <= 0)
		return TIME_POLL(items, count, timeout);
	if (HURRY_OF == HURRY_AGENT && gettid() != getpid())
		return time_rest(items, count, timeout);
	end = time_now(hook_page()) + timeout * TIME_MS;
	for (;;) {
		int64_t left = end - time_now(hook_page());
		bool idle = patience > TIME_PATIENCE;
		int64_t step = (idle ? TIME_LEAP_MS : TIME_STEP_MS) * TIME_MS;

		ready = TIME_POLL(items, count, !count ? 1 : idle ? TIME_BLINK_MS : TIME_GRACE_MS);
		if (ready != 0)
			patience = 0;
		if (ready != 0 || left <= 0)
			return ready;
		patience += count > 0;
		if (left > step)
			left = step;
		if (!time_pass(left))
			return TIME_POLL(items, count, timeout);
	}
}

#ifdef HURRY_WRAPPED
int __wrap_poll(struct pollfd *items, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *items, nfds_t count, int timeout)
{
	return time_poll(items, count, timeout);
}

int __wrap___poll_chk(struct pollfd *items, nfds_t count, int timeout, size_t size);
int __wrap___poll_chk(struct pollfd *items, nfds_t count, int timeout, size_t size)
{
	(void)size;
	return time_poll(items, count, timeout);
}
#else
/* NOLINTNEXTLINE */
__attribute__((visibility("default"))) int poll(struct pollfd *items, nfds_t count, int timeout)
{
	return time_poll(items, count, timeout);
}

/* what a fortified poll() calls: NOLINTNEXTLINE */
int __poll_chk(struct pollfd *items, nfds_t count, int timeout, size_t size);
/* NOLINTNEXTLINE */
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *items, nfds_t count,
						      int timeout, size_t size)
{
	(void)size;
	return time_poll(items, count, timeout);
}
#endif
