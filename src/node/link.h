/* SPDX-License-Identifier: MIT */
#ifndef NODE_LINK_H
#define NODE_LINK_H

#include <jansson.h>
#include <poll.h>

#include "base/process.h"

/*
 * One agent at the end of one child process (ssh, sudo, or the agent itself), without ever
 * waiting: the caller polls the descriptors of many links (link_poll) and tells each what is ready
 * (link_step).
 *
 *	DOWN --link_start--> STARTING --hello--> IDLE --link_send--> BUSY --answer--> IDLE
 *
 * What goes wrong brings a link down; the caller starts it again or gives up.
 */
enum link_state { LINK_DOWN = 0, LINK_STARTING, LINK_IDLE, LINK_BUSY };

struct link {
	enum link_state state;
	struct process process;
	struct slice stream; /* what is left to send of the agent; borrowed */
	struct buffer out;   /* a request */
	size_t out_sent;
	struct buffer in;     /* what came and is not looked at yet */
	size_t in_seen;	      /* of it, without a line feed */
	struct buffer errors; /* stderr */
	int64_t deadline;
	int64_t id;    /* of the request under way */
	json_t *hello; /* owned: what the agent said first */
};

/* Starts the child; `stream` is sent to its stdin before anything else. */
must_check int link_start(struct link *l, const char *const argv[], struct slice stream,
			  int64_t timeout_ms, struct error *err);

/* Sends a request to an idle link. */
must_check int link_send(struct link *l, const json_t *request, int64_t timeout_ms,
			 struct error *err);

/* Fills in at most three entries and gives their number. */
#define LINK_POLL_MAX 3
size_t link_poll(const struct link *l, struct pollfd *ret);

enum link_event {
	LINK_NOTHING, /* go on polling */
	LINK_READY,   /* it was STARTING and is IDLE */
	LINK_ANSWER,  /* it was BUSY and is IDLE; *ret_reply is the caller's */
	LINK_ENDED,   /* the child has closed its stdout; link_close gives its status */
	LINK_LATE,    /* the deadline has passed */
	LINK_BROKEN,  /* what came is not the protocol; err is set */
};

/* Writes and reads what can be without waiting. */
enum link_event link_step(struct link *l, json_t **ret_reply, struct error *err);

/* True when an idle link has ended meanwhile, or says something that was not asked for. */
bool link_is_stale(const struct link *l);

/* Takes the link down: after `patience_ms` the child is killed. What it said on stderr stays in
 * l->errors. Gives the exit status. */
int link_close(struct link *l, int64_t patience_ms);

void link_release(struct link *l);

#endif
