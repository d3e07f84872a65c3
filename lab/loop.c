/* SPDX-License-Identifier: MIT */
#include "lab/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { LOOP_EVENTS = 64 };

struct loop_timer {
	int64_t at;
	uint64_t order; /* equal times: first come, first served */
	loop_due *fn;
	void *data;
	size_t place; /* in the heap */
};

struct loop_watcher {
	loop_ready *fn; /* NULL: none */
	void *data;
	uint32_t life; /* a number is used again as soon as it is closed */
};

struct loop {
	int pace;
	int epoll;
	bool running;
	bool stopped;
	int64_t now;	    /* while the clock does not run, and where it stood when it began to */
	int64_t started_ms; /* clock_monotonic_ms() then */
	int64_t started_wall_ms;
	struct loop_timer **timers; /* owned; a heap */
	size_t timer_count;
	size_t timer_capacity;
	uint64_t order;
	struct loop_watcher *watchers; /* owned; by descriptor */
	size_t watcher_count;
	loop_before *before;
	void *before_data;
	const struct loop_share *share; /* NULL: not shared */
	void *share_data;
	int64_t began; /* the clock when it was shared */
};

static int64_t loop_real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct loop *loop_new(int pace)
{
	struct loop *l = ALLOC_NEW(struct loop);

	l->pace = pace > 0 ? pace : 1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->started_wall_ms = loop_real_ms();
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->timer_count; i++)
		free(l->timers[i]);
	free(l->timers);
	free(l->watchers);
	close(l->epoll);
	free(l);
}

int64_t loop_now(const struct loop *l)
{
	return l->running && !l->share ? l->now + (clock_monotonic_ms() - l->started_ms) * l->pace
				       : l->now;
}

int64_t loop_wall_ms(const struct loop *l, int64_t at)
{
	int64_t since = at - l->now;

	if (l->share)
		return l->started_wall_ms + at - l->began;
	return l->started_wall_ms + (since > 0 ? since / l->pace : since);
}

int64_t loop_wall_s(const struct loop *l, int64_t at)
{
	return loop_wall_ms(l, at) / 1000;
}

/* --- descriptors ------------------------------------------------------------------------------ */

void loop_watch(struct loop *l, int fd, uint32_t events, loop_ready *fn, void *data)
{
	struct epoll_event event = {.events = events};
	uint32_t life;

	while ((size_t)fd >= l->watcher_count) {
		size_t count = alloc_capacity(l->watcher_count, (size_t)fd + 1);

		l->watchers = alloc_resize(l->watchers, count, sizeof(*l->watchers));
		for (size_t i = l->watcher_count; i < count; i++)
			l->watchers[i] = (struct loop_watcher){0};
		l->watcher_count = count;
	}
	life = l->watchers[fd].life;
	event.data.u64 = (uint64_t)life << 32 | (uint32_t)fd;
	epoll_ctl(l->epoll, l->watchers[fd].fn ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
	l->watchers[fd] = (struct loop_watcher){fn, data, life};
}

void loop_forget(struct loop *l, int fd)
{
	if (fd < 0 || (size_t)fd >= l->watcher_count || !l->watchers[fd].fn)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
	l->watchers[fd] = (struct loop_watcher){.life = l->watchers[fd].life + 1};
}

void loop_prepare(struct loop *l, loop_before *fn, void *data)
{
	l->before = fn;
	l->before_data = data;
}

/* --- timers ----------------------------------------------------------------------------------- */

static bool loop_earlier(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void loop_put(struct loop *l, struct loop_timer *timer, size_t place)
{
	l->timers[place] = timer;
	timer->place = place;
}

static void loop_rise(struct loop *l, struct loop_timer *timer)
{
	size_t place = timer->place;

	while (place && loop_earlier(timer, l->timers[(place - 1) / 2])) {
		loop_put(l, l->timers[(place - 1) / 2], place);
		place = (place - 1) / 2;
	}
	loop_put(l, timer, place);
}

static void loop_sink(struct loop *l, struct loop_timer *timer)
{
	size_t place = timer->place;

	for (;;) {
		size_t child = 2 * place + 1;

		if (child >= l->timer_count)
			break;
		if (child + 1 < l->timer_count &&
		    loop_earlier(l->timers[child + 1], l->timers[child]))
			child++;
		if (!loop_earlier(l->timers[child], timer))
			break;
		loop_put(l, l->timers[child], place);
		place = child;
	}
	loop_put(l, timer, place);
}

struct loop_timer *loop_after(struct loop *l, int64_t ms, loop_due *fn, void *data)
{
	struct loop_timer *timer = ALLOC_NEW(struct loop_timer);

	*timer = (struct loop_timer){loop_now(l) + (ms > 0 ? ms : 0), l->order++, fn, data,
				     l->timer_count};
	ALLOC_GROW(l->timers, l->timer_count, l->timer_capacity);
	l->timers[l->timer_count++] = timer;
	loop_rise(l, timer);
	return timer;
}

static void loop_take(struct loop *l, struct loop_timer *timer)
{
	struct loop_timer *last = l->timers[--l->timer_count];

	if (last == timer)
		return;
	loop_put(l, last, timer->place);
	loop_rise(l, last);
	loop_sink(l, last);
}

void loop_cancel(struct loop *l, struct loop_timer *timer)
{
	if (!timer)
		return;
	loop_take(l, timer);
	free(timer);
}

/* Calls what is due at `until`; true when there was something. */
static bool loop_fire(struct loop *l, int64_t until)
{
	struct loop_timer *timer = l->timer_count ? l->timers[0] : NULL;
	struct loop_timer due;

	/* the analyzer does not see that loop_take() put another one first: NOLINTNEXTLINE */
	if (!timer || timer->at > until)
		return false;
	loop_take(l, timer);
	due = *timer;
	free(timer);
	if ((!l->running || l->share) && due.at > l->now)
		l->now = due.at;
	due.fn(due.data);
	return true;
}

void loop_jump(struct loop *l, int64_t ms)
{
	int64_t end = l->now + ms;

	while (loop_fire(l, end))
		;
	l->now = end;
}

/* --- running ---------------------------------------------------------------------------------- */

void loop_start(struct loop *l)
{
	l->running = true;
	if (l->share)
		return;
	l->started_ms = clock_monotonic_ms();
	l->started_wall_ms = loop_real_ms();
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

static int loop_patience(const struct loop *l)
{
	int64_t ms;

	if (!l->timer_count)
		return -1;
	ms = (l->timers[0]->at - loop_now(l) + l->pace - 1) / l->pace;
	return ms < 0 ? 0 : ms > 1000 ? 1000 : (int)ms;
}

void loop_share(struct loop *l, const struct loop_share *share, void *data)
{
	l->share = share;
	l->share_data = data;
	l->began = l->now;
	l->started_wall_ms = loop_real_ms();
}

void loop_leave_parent(struct loop *l)
{
	close(l->epoll);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
}

bool loop_is_shared(const struct loop *l)
{
	return l->share != NULL;
}

void loop_spend(struct loop *l, int64_t ms)
{
	if (!l->share)
		return;
	l->now += ms;
	l->share->reached(l->share_data, l->now);
}

/* Waits and calls whoever is ready; says how many were. */
static int loop_turn(struct loop *l, int wait)
{
	struct epoll_event events[LOOP_EVENTS];
	int count = epoll_wait(l->epoll, events, LOOP_EVENTS, wait);

	for (int i = 0; i < count; i++) {
		uint64_t id = events[i].data.u64;
		const struct loop_watcher *w = &l->watchers[(uint32_t)id];

		/* an earlier one of this round may have forgotten it */
		if (w->fn && w->life == id >> 32)
			w->fn(w->data, events[i].events);
	}
	return count;
}

static void loop_run_paced(struct loop *l)
{
	while (!l->stopped) {
		int64_t now = loop_now(l);
		int wait;
		int asked;

		for (int i = 0; i < 1000 && loop_fire(l, now); i++)
			;
		asked = l->before ? l->before(l->before_data) : -1;
		wait = loop_patience(l);
		if (asked >= 0 && (wait < 0 || asked < wait))
			wait = asked;
		if (!l->stopped)
			loop_turn(l, wait);
	}
}

/* Everything is still: the clock goes on to what comes next. */
static void loop_pass(struct loop *l, int64_t until)
{
	if (l->timer_count && l->timers[0]->at < until)
		until = l->timers[0]->at;
	if (until > l->now)
		l->now = until;
	for (int i = 0; i < 1000 && loop_fire(l, l->now); i++)
		;
	l->share->reached(l->share_data, l->now);
}

static void loop_run_shared(struct loop *l)
{
	while (!l->stopped) {
		int asked = l->before ? l->before(l->before_data) : -1;
		int64_t until;

		if (loop_turn(l, 0) > 0)
			continue;
		until = l->share->until(l->share_data);
		if (until < 0)
			loop_turn(l, asked);
		else if (l->share->busy(l->share_data))
			loop_turn(l, 1);
		else
			loop_pass(l, until);
	}
}

void loop_run(struct loop *l)
{
	l->stopped = false;
	if (l->share)
		loop_run_shared(l);
	else
		loop_run_paced(l);
}
