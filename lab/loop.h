/* SPDX-License-Identifier: MIT */
#ifndef LAB_LOOP_H
#define LAB_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * The one loop of the lab, and its clock. Everything happens in it, one thing after the other: no
 * threads, no locks.
 *
 * The clock counts milliseconds of the simulated cluster. It runs `pace` times as fast as real time
 * (a kubelet's 10 s are 1 s at pace 10), or jumps from timer to timer while a scenario is played
 * before anybody looks (loop_jump).
 */
struct loop;

struct loop *loop_new(int pace);
void loop_free(struct loop *l);

/* Now, by the clock of the cluster. */
int64_t loop_now(const struct loop *l);

/* The same since 1970, as nodes and API objects tell it. What was played by jumping lies in the
 * past. */
int64_t loop_wall_s(const struct loop *l, int64_t at);
int64_t loop_wall_ms(const struct loop *l, int64_t at);

typedef void loop_ready(void *data, uint32_t events);

/* Calls fn when the descriptor is ready; again for other events. loop_forget before closing. */
void loop_watch(struct loop *l, int fd, uint32_t events, loop_ready *fn, void *data);
void loop_forget(struct loop *l, int fd);

/* Called before each wait; what it gives is the real time in ms that the wait may last at most, -1
 * for as long as it likes. */
typedef int loop_before(void *data);
void loop_prepare(struct loop *l, loop_before *fn, void *data);

typedef void loop_due(void *data);
struct loop_timer;

/* Once, after that time of the cluster. The timer is gone when fn is called. */
struct loop_timer *loop_after(struct loop *l, int64_t ms, loop_due *fn, void *data);
/* NULL is fine. */
void loop_cancel(struct loop *l, struct loop_timer *timer);

/* Lets that time pass without waiting. */
void loop_jump(struct loop *l, int64_t ms);

/* From here on the clock runs. */
void loop_start(struct loop *l);

/*
 * The clock is shared instead: it stands still until somebody sleeps, and then passes at once.
 * `until`: when the first of those who sleep is to be told, or -1 when nobody does. `reached`: so late
 * it is now. `busy`: somebody who does not sleep must get on with his work before time passes.
 */
struct loop_share {
	int64_t (*until)(void *data);
	void (*reached)(void *data, int64_t now);
	bool (*busy)(void *data);
};
/* Before loop_start; `share` is borrowed. */
void loop_share(struct loop *l, const struct loop_share *share, void *data);
/* True when it is. */
bool loop_is_shared(const struct loop *l);
/* After fork(): descriptors are the parent's, and are forgotten; timers go on. Nothing is watched. */
void loop_leave_parent(struct loop *l);

/* So much time passes by work that is done, while the clock is shared. */
void loop_spend(struct loop *l, int64_t ms);

/* Until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
