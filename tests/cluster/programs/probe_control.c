/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 256

static int control_listen(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* False when the client has gone. */
static bool control_answer(int fd)
{
	static const char pong[] = "pong control\n";
	char text[256];

	return recv(fd, text, sizeof(text), 0) > 0 &&
	       send(fd, pong, sizeof(pong) - 1, MSG_NOSIGNAL) > 0;
}

static void control_serve(int listener)
{
	struct pollfd polled[1 + CLIENTS] = {{.fd = listener, .events = POLLIN}};
	nfds_t n = 1, i;
	int fd;

	for (;;) {
		if (poll(polled, n, -1) < 0)
			continue;
		for (i = n; i-- > 1;) {
			if (!polled[i].revents || control_answer(polled[i].fd))
				continue;
			close(polled[i].fd);
			polled[i] = polled[--n];
		}
		while (n < 1 + CLIENTS && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			polled[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

int probe_control(int port)
{
	int listener = control_listen(port);
	pid_t child;

	if (listener < 0) {
		perror("probe: cannot listen for the control");
		return -1;
	}
	child = fork();
	if (child < 0) {
		perror("probe: fork");
		return -1;
	}
	if (child > 0) {
		close(listener);
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	/* What is probed has no priority either. */
	setpriority(PRIO_PROCESS, 0, 0);
	control_serve(listener);
	exit(1);
}
