/* SPDX-License-Identifier: MIT */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Child processes: the user's ssh, credential plugins, systemctl. Started from an argument vector,
 * never through a shell. stdin, stdout and stderr are pipes of ours.
 */
struct process {
	pid_t pid;  /* 0: none */
	int input;  /* to write to its stdin; -1 when closed */
	int output; /* its stdout */
	int errors; /* its stderr */
};

struct process_options {
	char *const *environment; /* NULL: ours */
	bool inherit_errors;	  /* stderr goes to our stderr (ssh asking for a passphrase) */
	bool own_group;		  /* ^C at the terminal reaches us but not the child */
};

/* Looks argv[0] up in PATH. ERROR_NOT_FOUND when there is no such program. */
must_check int process_start(struct process *p, const char *const argv[],
			     const struct process_options *options, struct error *err);

/* Writes all of it; ERROR_NETWORK when the other end has closed. */
must_check int process_write(struct process *p, const void *bytes, size_t len, struct error *err);

/* Closes our ends, waits at most timeout_ms, then SIGTERM, 2 s, SIGKILL. *ret_status: exit status,
 * or 128 + signal. */
int process_finish(struct process *p, int64_t timeout_ms, int *ret_status);

/* Runs to the end: writes `input`, collects stdout and stderr (each up to its buffer's ceiling).
 * ERROR_NETWORK after timeout_ms (the child is killed then). The exit status is no error here. */
must_check int process_run(const char *const argv[], const struct process_options *options,
			   struct slice input, int64_t timeout_ms, struct buffer *ret_output,
			   struct buffer *ret_errors, int *ret_status, struct error *err);

/* Kills what still runs. Safe on {0} and after process_finish. */
void process_release(struct process *p);

#define auto_process __attribute__((cleanup(process_release)))

#endif
