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

/* probe_report.c: counts what has ended, in order; writes the summary, one JSON object a line. */
void target_count(struct probe *p, struct target *t);
void probe_report(const struct probe *p);

#endif
