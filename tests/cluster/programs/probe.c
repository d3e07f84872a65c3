/* SPDX-License-Identifier: MIT */
/*
 * probe --config FILE --out FILE --ca FILE --node NAME --from node|pod [--control PORT]
 *
 * Lines of FILE: KIND NAME ADDRESS PORT PERIOD_MS [QUESTION]
 *   tls   verified GET /livez     tcp, udp   "ping" to an echo server
 *   dns   an A record of QUESTION
 * When FILE changes the counting begins anew with what it says then. The summary
 * is written to --out every two seconds and at the end (SIGTERM), changes between
 * answered and failed to OUT.events as they happen, and two files grow for those
 * who look at a part of the time only:
 *   OUT.counts    TIME NAME REQUESTS FAILED, since the beginning, every two seconds
 *   OUT.failures  FROM TO COUNT NODE node|pod NAME ADDRESS:PORT REASON
 * Failed requests have a line each, the many of a long outage one for two seconds.
 * With --control PORT a second process echoes on that port. A target named control…
 * has its slow answers in OUT.failures, too: they tell a stall of the machine from
 * one of what is probed.
 */
#include "probe.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REPORT_US 2000000
#define EVENTS 256

static struct probe probe;
static volatile sig_atomic_t stopping;

static void on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

static int64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t probe_monotonic(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t probe_realtime(void)
{
	return clock_us(CLOCK_REALTIME);
}

static int option_read(int argc, char **argv, const char **ret_ca)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"out", required_argument, NULL, 'o'},
		{"ca", required_argument, NULL, 'a'},
		{"node", required_argument, NULL, 'n'},
		{"from", required_argument, NULL, 'f'},
		{"control", required_argument, NULL, 'l'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			probe.config = optarg;
			break;
		case 'o':
			probe.out = optarg;
			break;
		case 'a':
			*ret_ca = optarg;
			break;
		case 'n':
			probe.node = optarg;
			break;
		case 'f':
			probe.from = optarg;
			break;
		case 'l':
			probe.control_port = (int)strtol(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	}
	return probe.config && probe.out && probe.node && probe.from && *ret_ca ? 0 : -1;
}

/* What is under way is dropped: nobody can say how it would have ended. */
static void begin(void)
{
	size_t i;
	int k;

	for (i = 0; i < probe.n_targets; i++)
		for (k = 0; k < PROBE_RING; k++)
			request_drop(&probe.targets[i].ring[k]);
	memset(probe.targets, 0, sizeof(probe.targets));
	probe.n_targets = 0;
	probe.since = probe_realtime();
	probe.greatest_stall = 0;
	if (probe_configure(&probe) < 0)
		exit(1);
}

static bool config_changed(void)
{
	static struct timespec seen;
	static ino_t inode;
	struct stat about;

	if (stat(probe.config, &about) < 0)
		return false;
	if (about.st_ino == inode && about.st_mtim.tv_sec == seen.tv_sec &&
	    about.st_mtim.tv_nsec == seen.tv_nsec)
		return false;
	inode = about.st_ino;
	seen = about.st_mtim;
	return true;
}

/* Starts what is due, ends what is overdue; returns when there is something to do next. */
static int64_t beat(int64_t now)
{
	static int64_t late;
	int64_t next = now + 100000;
	size_t i;

	for (i = 0; i < probe.n_targets; i++) {
		struct target *t = &probe.targets[i];
		uint64_t k;

		for (k = t->counted; k < t->started; k++) {
			struct request *r = &t->ring[k % PROBE_RING];

			if (r->active && now - r->start >= PROBE_LIMIT_MS * 1000)
				request_fail(r, r->connected ? "timeout after connect" : "timeout");
		}
		target_count(&probe, t);
		if (now >= t->next && t->started - t->counted < PROBE_RING) {
			if (now - t->next > probe.greatest_stall)
				probe.greatest_stall = now - t->next;
			if (now - t->next > PROBE_SLOW_MS * 1000 &&
			    now - late > PROBE_SLOW_MS * 1000) {
				probe_late(&probe, now - t->next);
				late = now;
			}
			request_start(&probe, t);
			/* After a stall of this process the beat goes on; nothing is made up for. */
			t->next += t->period * (1 + (now - t->next) / t->period);
		}
		if (t->next < next)
			next = t->next;
	}
	return next;
}

static void loop(void)
{
	struct epoll_event events[EVENTS];
	int64_t reported = 0, now, next;
	int i, n;

	while (!stopping) {
		now = probe_monotonic();
		if (now - reported >= REPORT_US) {
			if (config_changed())
				begin();
			probe_report(&probe);
			reported = now = probe_monotonic();
		}
		next = beat(now);
		n = epoll_wait(probe.epoll, events, EVENTS, (int)((next - now) / 1000));
		for (i = 0; i < n; i++)
			request_step(events[i].data.ptr);
	}
	probe_report(&probe);
}

int main(int argc, char **argv)
{
	const char *ca = NULL;

	if (option_read(argc, argv, &ca) < 0) {
		fprintf(stderr, "usage: probe --config FILE --out FILE --ca FILE --node NAME "
				"--from node|pod [--control PORT]\n");
		return 1;
	}
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	signal(SIGPIPE, SIG_IGN);
	if (probe.control_port && probe_control(probe.control_port) < 0)
		return 1;
	probe.tls = SSL_CTX_new(TLS_client_method());
	if (!probe.tls || SSL_CTX_load_verify_file(probe.tls, ca) != 1) {
		fprintf(stderr, "probe: cannot read the certificate authority '%s'\n", ca);
		return 1;
	}
	SSL_CTX_set_verify(probe.tls, SSL_VERIFY_PEER, NULL);
	/* A resumed session would not look at the certificate. */
	SSL_CTX_set_session_cache_mode(probe.tls, SSL_SESS_CACHE_OFF);
	probe.epoll = epoll_create1(EPOLL_CLOEXEC);
	loop();
	return 0;
}
