/* SPDX-License-Identifier: MIT */
/*
 * echo PORT...: answers each line (TCP) and each datagram (UDP) on every port
 * with "pong HOSTNAME PORT", and leaves it to the client to close. When it is
 * ended it goes on for DRAIN_SECONDS, as a server should that others still send
 * requests to until they have heard of it.
 */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORTS 8
#define CLIENTS 1000
#define IDLE_SECONDS 10
#define DRAIN_SECONDS 6 /* unless the environment has a DRAIN_SECONDS of its own */

struct client {
	int port;
	time_t since;
};

static struct pollfd polled[2 * PORTS + CLIENTS];
static struct client clients[2 * PORTS + CLIENTS];
static size_t n_polled, n_fixed;
static char host[64];
static unsigned int drain_s = DRAIN_SECONDS;

static void on_term(int signal)
{
	(void)signal;
	alarm(drain_s);
}

static void on_alarm(int signal)
{
	(void)signal;
	_exit(0);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void add(int fd, int port)
{
	polled[n_polled] = (struct pollfd){.fd = fd, .events = POLLIN};
	clients[n_polled] = (struct client){.port = port, .since = now()};
	n_polled++;
}

static void listen_on(int port, int type)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 512) < 0)) {
		perror("echo: cannot listen");
		exit(1);
	}
	add(fd, port);
}

static int answer_text(char *text, size_t size, int port)
{
	return snprintf(text, size, "pong %s %d\n", host, port);
}

static void serve_datagram(size_t i)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	char text[512];

	while (recvfrom(polled[i].fd, text, sizeof(text), 0, (struct sockaddr *)&from, &length) >=
	       0) {
		int n = answer_text(text, sizeof(text), clients[i].port);

		sendto(polled[i].fd, text, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from,
		       length);
		length = sizeof(from);
	}
}

static void serve_listener(size_t i)
{
	int fd;

	while (n_polled < sizeof(polled) / sizeof(*polled)) {
		fd = accept4(polled[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		add(fd, clients[i].port);
	}
}

/* Returns -1 when the client has gone or idled too long. */
static int serve_client(size_t i)
{
	char text[512];
	ssize_t n;

	if (!polled[i].revents)
		return now() - clients[i].since > IDLE_SECONDS ? -1 : 0;
	n = recv(polled[i].fd, text, sizeof(text), 0);
	if (n <= 0)
		return -1;
	if (!memchr(text, '\n', (size_t)n))
		return 0;
	n = answer_text(text, sizeof(text), clients[i].port);
	return send(polled[i].fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -1;
}

int main(int argc, char **argv)
{
	size_t i;
	int a;

	signal(SIGALRM, on_alarm);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	if (getenv("DRAIN_SECONDS"))
		drain_s = (unsigned int)strtoul(getenv("DRAIN_SECONDS"), NULL, 10);
	gethostname(host, sizeof(host) - 1);
	for (a = 1; a < argc && a <= PORTS; a++) {
		listen_on((int)strtol(argv[a], NULL, 10), SOCK_STREAM);
		listen_on((int)strtol(argv[a], NULL, 10), SOCK_DGRAM);
	}
	n_fixed = n_polled;
	for (;;) {
		if (poll(polled, n_polled, 1000) < 0)
			continue;
		for (i = n_polled; i-- > n_fixed;) {
			if (serve_client(i) == 0)
				continue;
			close(polled[i].fd);
			n_polled--;
			polled[i] = polled[n_polled];
			clients[i] = clients[n_polled];
		}
		for (i = 0; i < n_fixed; i++) {
			if (!polled[i].revents)
				continue;
			if (i % 2 == 0)
				serve_listener(i);
			else
				serve_datagram(i);
		}
	}
}
