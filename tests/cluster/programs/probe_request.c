/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void release(struct request *r)
{
	if (r->ssl) {
		/* Says goodbye without waiting for the answer: the client closes first. */
		if (!r->failed)
			SSL_shutdown(r->ssl);
		SSL_free(r->ssl);
		r->ssl = NULL;
		ERR_clear_error();
	}
	close(r->fd);
	r->active = false;
}

static void finish(struct request *r)
{
	r->end = probe_monotonic();
	/* An answer that came too late is none, even if this process was slow to look. */
	if (!r->failed && r->end - r->start > PROBE_LIMIT_MS * 1000) {
		r->failed = true;
		snprintf(r->reason, sizeof(r->reason), "late answer");
	}
	r->ended = true;
	release(r);
}

void request_fail(struct request *r, const char *reason)
{
	r->failed = true;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	finish(r);
}

void request_drop(struct request *r)
{
	if (!r->active)
		return;
	r->failed = true;
	release(r);
}

static void fail_errno(struct request *r, const char *what, int error)
{
	char reason[PROBE_REASON];

	snprintf(reason, sizeof(reason), "%s: %s", what, strerror(error));
	request_fail(r, reason);
}

static size_t dns_question(const struct target *t, uint16_t id, uint8_t *text)
{
	const char *label = t->question;
	size_t used = 12, length;

	memset(text, 0, 12);
	text[0] = (uint8_t)(id >> 8);
	text[1] = (uint8_t)id;
	text[2] = 1; /* recursion desired */
	text[5] = 1; /* one question */
	while (*label) {
		length = strcspn(label, ".");
		text[used++] = (uint8_t)length;
		memcpy(text + used, label, length);
		used += length;
		label += length + (label[length] == '.');
	}
	memcpy(text + used, "\0\0\1\0\1", 5);
	return used + 5;
}

/* What is to be sent; for DNS the place in the ring is the id. */
static size_t question(const struct request *r, uint8_t *text, size_t size)
{
	const struct target *t = r->target;

	switch (t->kind) {
	case PROBE_TLS:
		return (size_t)snprintf(
			(char *)text, size,
			"GET /livez HTTP/1.1\r\nHost: %s\r\nUser-Agent: renumber-probe\r\n\r\n",
			t->address);
	case PROBE_DNS:
		return dns_question(t, (uint16_t)(r - t->ring + 1), text);
	default:
		return (size_t)snprintf((char *)text, size, "ping\n");
	}
}

/* 1 complete and right, 0 more is needed, -1 wrong. */
static int http_check(struct request *r)
{
	static const char length_header[] = "\r\nContent-Length: ";
	char *text = (char *)r->text, *body, *at;
	unsigned long length = 0;

	text[r->used] = '\0';
	body = strstr(text, "\r\n\r\n");
	if (!body)
		return 0;
	if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	at = strstr(text, length_header);
	if (at && at < body)
		length = strtoul(at + sizeof(length_header) - 1, NULL, 10);
	return r->used - (size_t)(body + 4 - text) >= length ? 1 : 0;
}

static int answer_check(struct request *r)
{
	const uint8_t *text = r->text;
	uint16_t id = (uint16_t)(r - r->target->ring + 1);

	switch (r->target->kind) {
	case PROBE_TLS:
		return http_check(r);
	case PROBE_DNS:
		if (r->used < 12 || text[0] != (uint8_t)(id >> 8) || text[1] != (uint8_t)id)
			return -1;
		/* An answer, without an error code, with at least one record. */
		return (text[2] & 0x80) && (text[3] & 0x0f) == 0 && (text[6] || text[7]) ? 1 : -1;
	default:
		if (!memchr(text, '\n', r->used))
			return 0;
		return r->used > 5 && memcmp(text, "pong ", 5) == 0 ? 1 : -1;
	}
}

static void received(struct request *r)
{
	char reason[PROBE_REASON];
	int good = answer_check(r);

	if (good > 0) {
		finish(r);
	} else if (good < 0 || r->used >= sizeof(r->text) - 1) {
		snprintf(reason, sizeof(reason), "wrong answer: %.40s",
			 r->target->kind == PROBE_DNS ? "dns" : (const char *)r->text);
		reason[strcspn(reason, "\r\n")] = '\0';
		request_fail(r, reason);
	}
}

static void fail_tls(struct request *r, int result)
{
	long verify = SSL_get_verify_result(r->ssl);
	int error = SSL_get_error(r->ssl, result), number = errno;
	char reason[PROBE_REASON];

	if (verify != X509_V_OK)
		snprintf(reason, sizeof(reason), "x509: %s", X509_verify_cert_error_string(verify));
	else
		snprintf(reason, sizeof(reason), "tls: %s",
			 error == SSL_ERROR_SYSCALL && number ? strerror(number) : "closed");
	request_fail(r, reason);
}

/* True when the socket has to say more before it can go on. */
static bool must_wait(const struct request *r, int result)
{
	int error = SSL_get_error(r->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void step_tls(struct request *r)
{
	uint8_t text[256];
	int n;

	errno = 0;
	if (!SSL_is_init_finished(r->ssl)) {
		n = SSL_connect(r->ssl);
		if (n != 1) {
			if (!must_wait(r, n))
				fail_tls(r, n);
			return;
		}
	}
	if (!r->sent) {
		n = SSL_write(r->ssl, text, (int)question(r, text, sizeof(text)));
		if (n <= 0) {
			if (!must_wait(r, n))
				fail_tls(r, n);
			return;
		}
		r->sent = true;
	}
	while (r->active) {
		n = SSL_read(r->ssl, r->text + r->used, (int)(sizeof(r->text) - 1 - r->used));
		if (n <= 0) {
			if (!must_wait(r, n))
				fail_tls(r, n);
			return;
		}
		r->used += (size_t)n;
		received(r);
	}
}

static void step_plain(struct request *r)
{
	uint8_t text[256];
	ssize_t n;

	if (!r->sent) {
		if (send(r->fd, text, question(r, text, sizeof(text)), MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN)
				fail_errno(r, "send", errno);
			return;
		}
		r->sent = true;
	}
	while (r->active) {
		n = recv(r->fd, r->text + r->used, sizeof(r->text) - 1 - r->used, 0);
		if (n < 0) {
			if (errno != EAGAIN)
				fail_errno(r, "receive", errno);
			return;
		}
		if (n == 0) {
			request_fail(r, "closed without an answer");
			return;
		}
		r->used += (size_t)n;
		received(r);
	}
}

void request_step(struct request *r)
{
	int error = 0;
	socklen_t length = sizeof(error);
	struct sockaddr_in peer;

	if (!r->active)
		return;
	if (!r->connected) {
		getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			fail_errno(r, "connect", error);
			return;
		}
		length = sizeof(peer);
		if (getpeername(r->fd, (struct sockaddr *)&peer, &length) < 0)
			return; /* still connecting */
		r->connected = true;
	}
	if (r->ssl)
		step_tls(r);
	else
		step_plain(r);
}

/* below what the kernel gives out by itself (ip_local_port_range) and below NodePorts: another process
 * of the node may have the same connection from one of those, and connect() fails at once then */
#define PORT_FIRST 11000
#define PORT_LAST 29999
#define PORT_TRIES 64

/*
 * The kernel picks source ports at random. With that many connections a second one would soon meet
 * what is left of an earlier one to the same address: an entry of conntrack that leads to where the
 * server was then, or to nowhere. In turn, each port rests for minutes.
 */
static void bind_next_port(struct target *t, int fd)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int i, on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	for (i = 0; i < PORT_TRIES; i++) {
		if (t->source_port < PORT_FIRST || t->source_port == PORT_LAST)
			t->source_port = PORT_FIRST;
		else
			t->source_port++;
		from.sin_port = htons((uint16_t)t->source_port);
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0)
			return;
	}
}

void request_start(struct probe *p, struct target *t)
{
	struct request *r = &t->ring[t->started++ % PROBE_RING];
	int type = t->kind == PROBE_TLS || t->kind == PROBE_TCP ? SOCK_STREAM : SOCK_DGRAM;
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = r};

	memset(r, 0, offsetof(struct request, text));
	r->reason[0] = '\0';
	r->target = t;
	r->active = true;
	r->start = probe_monotonic();
	r->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, r->fd, &event) < 0) {
		perror("probe: socket");
		exit(1);
	}
	bind_next_port(t, r->fd);
	if (t->kind == PROBE_TLS) {
		r->ssl = SSL_new(p->tls);
		if (!r->ssl || !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(r->ssl), t->address)) {
			fprintf(stderr, "probe: cannot start TLS\n");
			exit(1);
		}
		SSL_set_fd(r->ssl, r->fd);
		SSL_set_connect_state(r->ssl);
	}
	if (connect(r->fd, (struct sockaddr *)&t->to, sizeof(t->to)) < 0 && errno != EINPROGRESS)
		fail_errno(r, "connect", errno);
	else
		request_step(r);
}
