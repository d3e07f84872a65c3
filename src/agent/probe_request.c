/* SPDX-License-Identifier: MIT */
#include "agent/probe_request.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/dial.h"
#include "agent/dns.h"
#include "base/clock.h"

#define PROBE_DNS_MAX 1500

void probe_request_release(struct probe_request *r)
{
	if (r->state == PROBE_FREE)
		return;
	SSL_free(r->tls);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct probe_request){.fd = -1};
}

static void probe_over(struct probe_request *r, const char *why)
{
	SSL_free(r->tls);
	r->tls = NULL;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->events = 0;
	r->state = PROBE_OVER;
	r->took_ms = clock_monotonic_ms() - r->begun_ms;
	r->answered = !why;
	if (why && why != r->why)
		snprintf(r->why, sizeof(r->why), "%s", why);
	ERR_clear_error();
}

/* What a person would say; texts of errno begin with a capital letter. */
static void probe_failed(struct probe_request *r, int number)
{
	switch (number) {
	case ECONNREFUSED:
		probe_over(r, "connection refused");
		return;
	case ECONNRESET:
		probe_over(r, "connection reset");
		return;
	case EHOSTUNREACH:
		probe_over(r, "no route to the host");
		return;
	case ENETUNREACH:
		probe_over(r, "network is unreachable");
		return;
	default:
		probe_over(r, strerror(number));
	}
}

static void probe_ask_dns(struct probe_request *r, const struct probe_goal *goal)
{
	auto_buffer struct buffer packet = {0};
	auto_error struct error err = {0};
	unsigned char random[2];

	if (RAND_bytes(random, sizeof(random)) != 1) {
		probe_over(r, "there are no random numbers");
		return;
	}
	r->number = (uint16_t)(random[0] << 8 | random[1]);
	if (dns_query(goal->name, r->number, &packet, &err) < 0)
		probe_over(r, error_text(&err));
	else if (send(r->fd, packet.ptr, packet.len, 0) != (ssize_t)packet.len)
		probe_failed(r, errno);
	else
		r->state = PROBE_ASKED;
	r->events = POLLIN;
}

/*
 * The kernel gives consecutive ports to connections to one destination. Two addresses of one Service
 * have the same servers behind them, and where both come by the same ports the servers (and the
 * connection tables on the way) still know the earlier ones: a second of failed requests in a row
 * that no client with ports of its own sees. Any port is as good as another, so ours are random.
 */
#define PROBE_PORT_FIRST 32768
#define PROBE_PORT_COUNT 28000
#define PROBE_PORT_TRIES 4

static void probe_choose_port(int fd, sa_family_t family)
{
	const struct net_address any = {.family = family == AF_INET ? NET_IPV4 : NET_IPV6};
	const int yes = 1;
	struct sockaddr_storage from;
	unsigned char random[2];
	socklen_t len;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	len = dial_socket_address(
		any, (uint16_t)(PROBE_PORT_FIRST + (random[0] << 8 | random[1]) % PROBE_PORT_COUNT),
		&from);
	/* one that is taken: the kernel gives another */
	if (bind(fd, (struct sockaddr *)&from, len) < 0)
		return;
}

/* A port that an earlier connection to the same place still has is tried with another: nothing was
 * sent. Gives 0, or errno. */
static int probe_open(struct probe_request *r, const struct sockaddr_storage *to, socklen_t len,
		      int type)
{
	int number = 0;

	for (int i = 0; i < PROBE_PORT_TRIES; i++) {
		r->fd = socket(to->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (r->fd < 0)
			return errno;
		if (type == SOCK_STREAM && i < PROBE_PORT_TRIES - 1)
			probe_choose_port(r->fd, to->ss_family);
		if (connect(r->fd, (const struct sockaddr *)to, len) == 0 || errno == EINPROGRESS)
			return 0;
		number = errno;
		if (number != EADDRNOTAVAIL && number != EADDRINUSE)
			return number;
		close(r->fd);
		r->fd = -1;
	}
	return number;
}

void probe_request_begin(struct probe_request *r, const struct probe_goal *goal, int64_t timeout_ms)
{
	struct sockaddr_storage to;
	socklen_t len = dial_socket_address(goal->address, goal->port, &to);
	int number;

	*r = (struct probe_request){
		.state = PROBE_CONNECTING,
		.events = POLLOUT,
		.begun_ms = clock_monotonic_ms(),
		.begun_wall_ms = clock_wall_ms(),
	};
	r->deadline_ms = r->begun_ms + timeout_ms;
	number = probe_open(r, &to, len, goal->kind == PROBE_DNS ? SOCK_DGRAM : SOCK_STREAM);
	if (number)
		probe_failed(r, number);
	else if (goal->kind == PROBE_DNS)
		probe_ask_dns(r, goal);
}

static void probe_connected(struct probe_request *r, const struct probe_goal *goal)
{
	socklen_t size = sizeof(int);
	int result = 0;

	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0)
		result = errno;
	if (result) {
		probe_failed(r, result);
		return;
	}
	if (goal->kind == PROBE_TCP) {
		probe_over(r, NULL);
		return;
	}
	r->tls = SSL_new(goal->context);
	if (!r->tls || SSL_set_fd(r->tls, r->fd) != 1) {
		probe_over(r, "cannot prepare TLS");
		return;
	}
	X509_VERIFY_PARAM_set_time(SSL_get0_param(r->tls), (time_t)clock_wall_s());
	/* An address as the server's name is not sent, but looked for in the certificate. */
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(r->tls), goal->name) != 1 &&
	    (SSL_set1_host(r->tls, goal->name) != 1 ||
	     SSL_set_tlsext_host_name(r->tls, goal->name) != 1)) {
		probe_over(r, "the name of the server is malformed");
		return;
	}
	ERR_clear_error();
	SSL_set_connect_state(r->tls);
	r->state = PROBE_HANDSHAKE;
}

/* True when OpenSSL waits for the socket; else the request is over. */
static bool probe_tls_waits(struct probe_request *r, int result)
{
	long verified = SSL_get_verify_result(r->tls);
	int why = SSL_get_error(r->tls, result);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		r->events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		return true;
	}
	if (r->state == PROBE_HANDSHAKE && verified != X509_V_OK) {
		snprintf(r->why, sizeof(r->why), "certificate: %s",
			 X509_verify_cert_error_string(verified));
		probe_over(r, r->why);
	} else if (why == SSL_ERROR_SYSCALL && errno) {
		probe_failed(r, errno);
	} else {
		probe_over(r, r->state == PROBE_HANDSHAKE ? "the TLS handshake was broken off"
							  : "the connection was closed");
	}
	return false;
}

static void probe_read_head(struct probe_request *r)
{
	int status;

	while (r->have < 12) {
		int got = SSL_read(r->tls, r->head + r->have, (int)(12 - r->have));

		if (got <= 0) {
			probe_tls_waits(r, got);
			return;
		}
		r->have += (size_t)got;
	}
	if (!dial_read_status((struct slice){r->head, r->have}, &status)) {
		probe_over(r, "the answer is not HTTP");
	} else if (!dial_status_lives(status)) {
		snprintf(r->why, sizeof(r->why), "HTTP status %d", status);
		probe_over(r, r->why);
	} else {
		probe_over(r, NULL);
	}
}

static void probe_tls(struct probe_request *r, const struct probe_goal *goal)
{
	int result;

	errno = 0;
	if (r->state == PROBE_HANDSHAKE) {
		result = SSL_connect(r->tls);
		if (result != 1) {
			probe_tls_waits(r, result);
			return;
		}
		r->state = PROBE_SENDING;
	}
	if (r->state == PROBE_SENDING) {
		result = SSL_write(r->tls, goal->http, (int)strlen(goal->http));
		if (result <= 0) {
			probe_tls_waits(r, result);
			return;
		}
		r->state = PROBE_READING;
		r->events = POLLIN;
	}
	probe_read_head(r);
}

static void probe_dns(struct probe_request *r)
{
	auto_error struct error err = {0};
	char packet[PROBE_DNS_MAX];
	ssize_t got = recv(r->fd, packet, sizeof(packet), 0);
	int code = 0;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0) {
		probe_failed(r, errno);
		return;
	}
	/* A stranger's packet is passed over; the true answer may still come. */
	if (dns_parse((struct slice){packet, (size_t)got}, r->number, NULL, &code, &err) < 0)
		return;
	if (code == 0) {
		probe_over(r, NULL);
		return;
	}
	snprintf(r->why, sizeof(r->why), "DNS error code %d", code);
	probe_over(r, r->why);
}

void probe_request_step(struct probe_request *r, const struct probe_goal *goal)
{
	if (r->state == PROBE_CONNECTING)
		probe_connected(r, goal);
	if (r->state == PROBE_HANDSHAKE || r->state == PROBE_SENDING || r->state == PROBE_READING)
		probe_tls(r, goal);
	else if (r->state == PROBE_ASKED)
		probe_dns(r);
}

void probe_request_expire(struct probe_request *r, int64_t timeout_ms)
{
	static const char *const stages[] = {
		[PROBE_CONNECTING] = "not connected",  [PROBE_HANDSHAKE] = "TLS handshake not done",
		[PROBE_SENDING] = "request not taken", [PROBE_READING] = "no answer to the request",
		[PROBE_ASKED] = "no answer",
	};

	snprintf(r->why, sizeof(r->why), "%s after %lld ms", stages[r->state],
		 (long long)timeout_ms);
	probe_over(r, r->why);
}
