/* SPDX-License-Identifier: MIT */
#include "base/interrupt.h"

#include <signal.h>
#include <unistd.h>

#define INTERRUPT_EXIT 4

static volatile sig_atomic_t interrupt_count;

static void interrupt_handle(int number)
{
	(void)number;
	if (interrupt_count++)
		_exit(INTERRUPT_EXIT);
}

void interrupt_install(void)
{
	struct sigaction action = {.sa_handler = interrupt_handle};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A closed pipe is an error of write(), not the end of the process. */
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

bool interrupt_requested(void)
{
	return interrupt_count > 0;
}

void interrupt_reset(void)
{
	interrupt_count = 0;
}
