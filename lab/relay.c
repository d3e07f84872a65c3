/* SPDX-License-Identifier: MIT */
#include "lab/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"
#include "lab/proxy.h"

enum { RELAY_ROOM = 65536 };

/* One direction. */
struct relay_way {
	char *bytes; /* owned */
	size_t start;
	size_t len;
	bool ended; /* nothing more comes */
};

struct relay_pair {
	struct relay *relay;
	int fd[2];
	struct relay_way way[2]; /* way[i] is read from fd[i] */
	bool connected;
	bool slow; /* nobody waits for it */
	struct relay_pair *next;
};

/* A connection to a Pod. */
struct relay_guest {
	struct loop *loop;
	int fd;
};

struct relay {
	struct lab *lab;
	struct lab_node *node; /* NULL: the balancer */
	char *address;
	unsigned int port;
	uint16_t local; /* where it listens */
	int fd;
	size_t turn;
	struct relay_pair *pairs;
	struct relay *next;
};

static void relay_end(struct relay_pair *pair)
{
	struct loop *loop = pair->relay->lab->loop;

	for (struct relay_pair **at = &pair->relay->pairs; *at; at = &(*at)->next) {
		if (*at == pair) {
			*at = pair->next;
			break;
		}
	}
	for (int i = 0; i < 2; i++) {
		loop_forget(loop, pair->fd[i]);
		close(pair->fd[i]);
		free(pair->way[i].bytes);
	}
	free(pair);
}

static void relay_ready(void *data, uint32_t events);

static void relay_watch(struct relay_pair *pair)
{
	for (int i = 0; i < 2; i++) {
		const struct relay_way *in = &pair->way[i];
		const struct relay_way *out = &pair->way[!i];
		uint32_t events = 0;

		if (!in->ended && in->len < RELAY_ROOM)
			events |= EPOLLIN;
		if (out->len || (i == 1 && !pair->connected))
			events |= EPOLLOUT;
		loop_watch(pair->relay->lab->loop, pair->fd[i], events, relay_ready, pair);
	}
}

/* False when the connection is over. */
static bool relay_read(struct relay_pair *pair, int i)
{
	struct relay_way *way = &pair->way[i];
	ssize_t got;

	if (way->ended || way->len == RELAY_ROOM)
		return true;
	if (way->start) {
		memmove(way->bytes, way->bytes + way->start, way->len);
		way->start = 0;
	}
	got = recv(pair->fd[i], way->bytes + way->len, RELAY_ROOM - way->len, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	way->ended = got == 0;
	way->len += (size_t)got;
	return true;
}

static bool relay_send(struct relay_pair *pair, int i)
{
	struct relay_way *way = &pair->way[!i];
	ssize_t put;

	if (!way->len)
		return true;
	put = send(pair->fd[i], way->bytes + way->start, way->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
	way->start += (size_t)put;
	way->len -= (size_t)put;
	return true;
}

static void relay_ready(void *data, uint32_t events)
{
	struct relay_pair *pair = data;
	bool alive = true;

	if (events & EPOLLOUT)
		pair->connected = true;
	for (int i = 0; i < 2 && alive; i++)
		alive = (i == 1 && !pair->connected) ||
			(relay_read(pair, i) && relay_send(pair, i));
	for (int i = 0; i < 2 && alive; i++)
		alive = !pair->connected || relay_send(pair, i);
	if (events & EPOLLERR)
		alive = false;
	/* one side has ended and all of it was told */
	if (alive && ((pair->way[0].ended && !pair->way[0].len) ||
		      (pair->way[1].ended && !pair->way[1].len)))
		alive = false;
	if (!alive)
		relay_end(pair);
	else
		relay_watch(pair);
}

/* --- where to --------------------------------------------------------------------------------- */

static char *relay_place(struct relay *relay)
{
	struct lab *lab = relay->lab;

	if (relay->node && strncmp(relay->address, "127.", 4) == 0)
		return alloc_format("%s:%u", relay->address, relay->port);
	if (relay->node)
		return proxy_path(relay->node, relay->address, relay->port, "TCP");
	for (size_t i = 0; i < lab->server_count; i++) {
		const struct lab_server *server =
			&lab->servers[(relay->turn + i) % lab->server_count];

		if (server->state != LAB_READY)
			continue;
		relay->turn += i + 1;
		return alloc_format("%s:%u", server->node->address, lab->port);
	}
	return NULL;
}

/* Pods have no sockets of their own: whatever leads to one ends at a listener that takes it. */
static void relay_swallow(void *data, uint32_t events)
{
	struct relay_guest *guest = data;
	char chunk[4096];
	ssize_t got;

	(void)events;
	while ((got = recv(guest->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_forget(guest->loop, guest->fd);
	close(guest->fd);
	free(guest);
}

static int relay_connect_pod(struct lab *lab)
{
	int fd[2];
	struct relay_guest *guest;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	guest = ALLOC_NEW(struct relay_guest);
	*guest = (struct relay_guest){lab->loop, fd[1]};
	loop_watch(lab->loop, fd[1], EPOLLIN, relay_swallow, guest);
	return fd[0];
}

static int relay_connect(struct lab *lab, const char *place)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct slice rest = slice_of(place);
	struct slice host;
	auto_free char *name = NULL;
	uint64_t port = 0;
	int fd;

	if (strncmp(place, LAB_POD_PREFIX ".", sizeof(LAB_POD_PREFIX)) == 0)
		return relay_connect_pod(lab);
	slice_next(&rest, ':', &host);
	name = slice_dup(host);
	if (!slice_to_u64(rest, 65535, &port) || inet_pton(AF_INET, name, &to.sin_addr) != 1)
		return -1;
	to.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void relay_accept(void *data, uint32_t events)
{
	struct relay *relay = data;
	int from = accept4(relay->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	auto_free char *place = relay_place(relay);
	struct relay_pair *pair;
	int to;

	(void)events;
	if (from < 0)
		return;
	to = place ? relay_connect(relay->lab, place) : -1;
	if (to < 0) {
		struct linger reset = {1, 0};

		setsockopt(from, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(from);
		return;
	}
	pair = ALLOC_NEW(struct relay_pair);
	pair->relay = relay;
	pair->fd[0] = from;
	pair->fd[1] = to;
	pair->way[0].bytes = alloc_bytes(RELAY_ROOM);
	pair->way[1].bytes = alloc_bytes(RELAY_ROOM);
	pair->next = relay->pairs;
	relay->pairs = pair;
	relay_watch(pair);
}

static struct relay *relay_listen(struct lab *lab, const char *address, uint16_t port,
				  struct error *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(at);
	struct relay *relay;
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &at.sin_addr);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		error_errno(err, "cannot listen on %s:%u", address, port);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	relay = ALLOC_NEW(struct relay);
	relay->lab = lab;
	relay->fd = fd;
	relay->local = ntohs(at.sin_port);
	loop_watch(lab->loop, fd, EPOLLIN, relay_accept, relay);
	return relay;
}

struct relay *relay_balance(struct lab *lab, struct error *err)
{
	return relay_listen(lab, lab->endpoint, lab->port, err);
}

int relay_service(struct lab_node *node, const char *address, unsigned int port, uint16_t *ret_port,
		  struct error *err)
{
	struct lab *lab = node->lab;
	struct relay *relay;

	for (relay = lab->balancer; relay; relay = relay->next) {
		if (relay->node == node && relay->port == port &&
		    strcmp(relay->address, address) == 0) {
			*ret_port = relay->local;
			return 0;
		}
	}
	relay = relay_listen(lab, "127.0.0.1", 0, err);
	if (!relay)
		return -1;
	relay->node = node;
	relay->address = alloc_text(address);
	relay->port = port;
	relay->next = lab->balancer->next;
	lab->balancer->next = relay;
	*ret_port = relay->local;
	return 0;
}

bool relay_is_busy(const struct relay *relay)
{
	for (; relay; relay = relay->next)
		for (const struct relay_pair *pair = relay->pairs; pair; pair = pair->next)
			if (relay->node && !pair->slow)
				return true;
	return false;
}

void relay_give_up(struct relay *relay)
{
	for (; relay; relay = relay->next)
		for (struct relay_pair *pair = relay->pairs; pair; pair = pair->next)
			pair->slow = true;
}

void relay_free(struct relay *relay)
{
	while (relay) {
		struct relay *next = relay->next;

		for (struct relay_pair *pair = relay->pairs, *after; pair; pair = after) {
			after = pair->next;
			relay_end(pair);
		}
		loop_forget(relay->lab->loop, relay->fd);
		close(relay->fd);
		free(relay->address);
		free(relay);
		relay = next;
	}
}
