/* SPDX-License-Identifier: MIT */
#ifndef CLUSTER_PROBE_H
#define CLUSTER_PROBE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The probe asks each of its targets again and again, on a fixed beat, each time
 * on a new connection, and counts what was not answered within PROBE_LIMIT_MS.
 * It retries nothing and closes first. One thread, one epoll loop.
 */

#define PROBE_LIMIT_MS 500
#define PROBE_TARGETS 64
#define PROBE_RING 128	  /* requests of one target under way; more than LIMIT / period */
#define PROBE_FAILURES 20 /* the first of them are reported one by one */
#define PROBE_REASON 96
#define PROBE_RUN 50	  /* failures of one run that OUT.failures has a line for each */
#define PROBE_SLOW_MS 400 /* a control that takes longer shows a stall of the machine */

enum probe_kind { PROBE_TLS, PROBE_TCP, PROBE_UDP, PROBE_DNS };

struct target;

/* One request. Times are in microseconds of CLOCK_MONOTONIC. */
struct request {
	struct target *target;
	SSL *ssl;
	int fd;
	bool active; /* started, no outcome yet */
	bool ended;  /* outcome known, waits for its turn to be counted */
	bool failed;
	bool connected;
	bool sent;
	int64_t start;
	int64_t end;
	size_t used;
	uint8_t text[1024];
	char reason[PROBE_REASON];
};

struct failure {
	int64_t at; /* microseconds of CLOCK_REALTIME */
	char reason[PROBE_REASON];
};

struct target {
	enum probe_kind kind;
	char name[64];
	char address[64];
	int port;
	char question[128]; /* dns: the name asked for */
	struct sockaddr_in to;
	int64_t period;
	int64_t next; /* when the next request starts */
	int source_port;
	struct request ring[PROBE_RING];
	uint64_t started; /* requests started; their number picks the place in the ring */
	uint64_t counted; /* requests whose outcome is counted, in the order of their start */

	uint64_t failed;
	uint64_t gaps;	   /* runs of failures */
	int64_t gap_start; /* start of the first failed request of the run under way, 0: none */
	int64_t greatest_gap;
	int64_t greatest_latency;
	int64_t first_ok; /* CLOCK_REALTIME, 0: never */
	bool events_known;
	bool last_failed;
	bool control;	   /* its name begins with "control": what is slow is noted, too */
	uint64_t run;	   /* failures in a row */
	uint64_t rest;	   /* those of them that wait for one line together */
	int64_t rest_from; /* CLOCK_REALTIME */
	int64_t rest_to;
	struct failure failures[PROBE_FAILURES];
};

struct probe {
	struct target targets[PROBE_TARGETS];
	size_t n_targets;
	SSL_CTX *tls;
	int epoll;
	const char *from; /* "node" or "pod" */
	const char *node;
	const char *config;
	const char *out;
	int control_port;	/* 0: no control */
	int64_t since;		/* CLOCK_REALTIME when counting began */
	int64_t greatest_stall; /* how late this process itself once was */
};

int64_t probe_monotonic(void);
int64_t probe_realtime(void);

/* probe_config.c: reads the targets; the file may be empty. 0, or -1 with a line on stderr. */
int probe_configure(struct probe *p);

/* probe_request.c: starts one; goes on with one after an event; ends one as failed. */
void request_start(struct probe *p, struct target *t);
void request_step(struct request *r);
void request_fail(struct request *r, const char *reason);
void request_drop(struct request *r);

/*
 * probe_control.c: a process of its own, of ordinary priority, that answers "pong" on TCP port
 * of all addresses for as long as this process lives. Who asks it on loopback learns how the
 * machine is, and nothing else. 0, or -1 with a line on stderr.
 */
int probe_control(int port);

/* probe_report.c: counts what has ended, in order; writes the summary, one JSON object a line. */
void target_count(struct probe *p, struct target *t);
void probe_report(struct probe *p);

/* How late this process once was: a line of its own in OUT.failures, named "self". */
void probe_late(const struct probe *p, int64_t late);

#endif
