/* SPDX-License-Identifier: MIT */
/* Holds the namespaces of a Pod: waits, and collects what dies in there. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal)
{
	(void)signal;
	_exit(0);
}

static void collect(int signal)
{
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(void)
{
	struct sigaction on_stop = {.sa_handler = stop};
	struct sigaction on_child = {.sa_handler = collect, .sa_flags = SA_NOCLDSTOP};

	sigaction(SIGTERM, &on_stop, NULL);
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGCHLD, &on_child, NULL);
	for (;;)
		pause();
}
