/* SPDX-License-Identifier: MIT */
#include "lab/beat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "lab/hurry/page.h"
#include "lab/relay.h"

/* Who was woken gets so much real time to sleep again. */
enum { BEAT_PATIENCE_MS = 100 };

struct beat_client {
	struct beat *beat;
	int fd;
	int64_t until; /* sleeps so long; -1: does not */
	int64_t rests; /* is to be told then; -1: not, or works */
	bool steady;   /* rests from time to time */
	int64_t number;
	struct beat_client *next;
};

struct beat {
	struct lab *lab;
	struct hurry_page *page;
	int fd;
	struct beat_client *clients;
	int64_t busy_since_ms; /* real; 0: not busy */
};

struct hurry_page *beat_page(const struct beat *beat)
{
	return beat ? beat->page : NULL;
}

static void beat_tell(struct beat_client *client)
{
	struct hurry_message message = {HURRY_SLEEP, client->beat->page->ns, client->number};

	client->until = client->rests = -1;
	(void)!send(client->fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void beat_end(struct beat_client *client)
{
	struct beat *beat = client->beat;

	for (struct beat_client **at = &beat->clients; *at; at = &(*at)->next) {
		if (*at == client) {
			*at = client->next;
			break;
		}
	}
	loop_forget(beat->lab->loop, client->fd);
	close(client->fd);
	free(client);
}

static void beat_ready(void *data, uint32_t events)
{
	struct beat_client *client = data;
	struct hurry_message message;
	ssize_t got = recv(client->fd, &message, sizeof(message), MSG_DONTWAIT);
	int64_t now = loop_now(client->beat->lab->loop);
	int64_t ms;

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got != sizeof(message)) {
		beat_end(client);
		return;
	}
	client->number = message.number;
	client->until = client->rests = -1;
	ms = (message.ns + 999999) / 1000000;
	if (message.kind == HURRY_SLEEP)
		client->until = now + (ms > 0 ? ms : 0);
	if (message.kind == HURRY_REST) {
		client->rests = ms;
		client->steady = true;
	}
}

static void beat_accept(void *data, uint32_t events)
{
	struct beat *beat = data;
	int fd = accept4(beat->fd, NULL, NULL, SOCK_CLOEXEC);
	struct beat_client *client;

	(void)events;
	if (fd < 0)
		return;
	client = ALLOC_NEW(struct beat_client);
	*client = (struct beat_client){.beat = beat, .fd = fd, .until = -1, .rests = -1};
	client->next = beat->clients;
	beat->clients = client;
	loop_watch(beat->lab->loop, fd, EPOLLIN, beat_ready, client);
}

/* --- for the loop ----------------------------------------------------------------------------- */

static int64_t beat_until(void *data)
{
	const struct beat *beat = data;
	int64_t until = -1;
	bool sleeps = false;

	for (const struct beat_client *c = beat->clients; c; c = c->next) {
		sleeps |= c->until >= 0;
		if (c->until >= 0 && (until < 0 || c->until < until))
			until = c->until;
		if (c->rests >= 0 && (until < 0 || c->rests < until))
			until = c->rests;
	}
	return sleeps ? until : -1;
}

static void beat_reached(void *data, int64_t now)
{
	struct beat *beat = data;

	beat->busy_since_ms = 0;
	__atomic_store_n(&beat->page->ns, now * 1000000, __ATOMIC_RELEASE);
	for (struct beat_client *c = beat->clients; c; c = c->next)
		if ((c->until >= 0 && c->until <= now) || (c->rests >= 0 && c->rests <= now))
			beat_tell(c);
}

static bool beat_works(const struct beat *beat)
{
	for (const struct beat_client *c = beat->clients; c; c = c->next)
		if (c->steady && c->rests < 0 && c->until < 0)
			return true;
	return relay_is_busy(beat->lab->balancer);
}

static bool beat_busy(void *data)
{
	struct beat *beat = data;
	int64_t now = clock_monotonic_ms();

	if (!beat_works(beat)) {
		beat->busy_since_ms = 0;
		return false;
	}
	if (!beat->busy_since_ms)
		beat->busy_since_ms = now;
	if (now - beat->busy_since_ms < BEAT_PATIENCE_MS)
		return true;
	/* it does not come back: nobody waits for it again */
	for (struct beat_client *c = beat->clients; c; c = c->next)
		c->steady &= c->rests >= 0;
	relay_give_up(beat->lab->balancer);
	return false;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int beat_map(struct beat *beat, struct error *err)
{
	auto_free char *path = alloc_format("%s/page", beat->lab->folder);
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *page = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*beat->page)) == 0)
		page = mmap(NULL, sizeof(*beat->page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return error_errno(err, "cannot share '%s'", path);
	beat->page = page;
	return 0;
}

static int beat_listen(struct beat *beat, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	beat->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s/clock", beat->lab->folder) >=
	    (int)sizeof(at.sun_path))
		return error_set(err, ERROR_USAGE, "the folder '%s' has too long a name",
				 beat->lab->folder);
	if (beat->fd < 0 || bind(beat->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(beat->fd, 128) < 0)
		return error_errno(err, "cannot listen on '%s'", at.sun_path);
	loop_watch(beat->lab->loop, beat->fd, EPOLLIN, beat_accept, beat);
	return 0;
}

struct beat *beat_open(struct lab *lab, struct error *err)
{
	static const struct loop_share share = {beat_until, beat_reached, beat_busy};
	struct beat *beat = ALLOC_NEW(struct beat);

	beat->lab = lab;
	beat->fd = -1;
	if (beat_map(beat, err) < 0 || beat_listen(beat, err) < 0) {
		beat_free(beat);
		return NULL;
	}
	loop_share(lab->loop, &share, beat);
	beat->page->ns = loop_now(lab->loop) * 1000000;
	beat->page->wall_ns = loop_wall_ms(lab->loop, 0) * 1000000;
	beat->page->random = lab->options.seed;
	return beat;
}

void beat_free(struct beat *beat)
{
	if (!beat)
		return;
	for (struct beat_client *client = beat->clients, *next; client; client = next) {
		next = client->next;
		beat_end(client);
	}
	if (beat->fd >= 0) {
		loop_forget(beat->lab->loop, beat->fd);
		close(beat->fd);
	}
	if (beat->page)
		munmap(beat->page, sizeof(*beat->page));
	free(beat);
}
