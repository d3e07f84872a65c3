/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"

static void process_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct process_pipes {
	int in[2];
	int out[2];
	int err[2];
};

static void process_pipes_close(struct process_pipes *pipes)
{
	for (int i = 0; i < 2; i++) {
		process_close(&pipes->in[i]);
		process_close(&pipes->out[i]);
		process_close(&pipes->err[i]);
	}
}

static int process_pipes_open(struct process_pipes *pipes)
{
	*pipes = (struct process_pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	if (pipe2(pipes->in, O_CLOEXEC) == 0 && pipe2(pipes->out, O_CLOEXEC) == 0 &&
	    pipe2(pipes->err, O_CLOEXEC) == 0)
		return 0;
	process_pipes_close(pipes);
	return -1;
}

static int process_spawn(pid_t *ret_pid, const char *const argv[],
			 const struct process_options *options, const struct process_pipes *pipes)
{
	char *const *environment = options && options->environment ? options->environment : environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	short flags = POSIX_SPAWN_SETSIGDEF;
	sigset_t defaults;
	int result;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	/* We ignore SIGPIPE and an ignored signal is inherited; a child expects the default. */
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	if (options && options->own_group)
		flags |= POSIX_SPAWN_SETPGROUP; /* the attribute's group 0: one of its own */
	posix_spawnattr_setflags(&attributes, flags);
	posix_spawn_file_actions_adddup2(&actions, pipes->in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pipes->out[1], STDOUT_FILENO);
	if (!options || !options->inherit_errors)
		posix_spawn_file_actions_adddup2(&actions, pipes->err[1], STDERR_FILENO);
	result = posix_spawnp(ret_pid, argv[0], &actions, &attributes,
			      (char *const *)(uintptr_t)argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return result;
}

int process_start(struct process *p, const char *const argv[],
		  const struct process_options *options, struct error *err)
{
	struct process_pipes pipes;
	int result;
	pid_t pid;

	if (process_pipes_open(&pipes) < 0)
		return error_errno(err, "cannot open pipes for '%s'", argv[0]);
	result = process_spawn(&pid, argv, options, &pipes);
	if (result != 0) {
		process_pipes_close(&pipes);
		errno = result;
		return error_errno(err, "cannot start '%s'", argv[0]);
	}
	*p = (struct process){pid, pipes.in[1], pipes.out[0], pipes.err[0]};
	process_close(&pipes.in[0]);
	process_close(&pipes.out[1]);
	process_close(&pipes.err[1]);
	return 0;
}

int process_write(struct process *p, const void *bytes, size_t len, struct error *err)
{
	const char *next = bytes;

	while (len) {
		ssize_t put = write(p->input, next, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_set(err, ERROR_NETWORK, "the child process has gone: %s",
					 strerror(errno));
		next += put;
		len -= (size_t)put;
	}
	return 0;
}

/* True when the child has ended within the time. */
static bool process_wait(pid_t pid, int64_t timeout_ms, int *ret_status)
{
	int64_t end = clock_monotonic_ms() + timeout_ms;
	int status;

	for (;;) {
		pid_t done = waitpid(pid, &status, WNOHANG);

		if (done == pid) {
			*ret_status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			return true;
		}
		if (done < 0 && errno != EINTR) {
			*ret_status = 127;
			return true;
		}
		if (clock_monotonic_ms() >= end)
			return false;
		poll(NULL, 0, 2);
	}
}

#define PROCESS_GRACE_MS 2000

int process_finish(struct process *p, int64_t timeout_ms, int *ret_status)
{
	int status = 0;

	process_close(&p->input);
	if (p->pid > 0 && !process_wait(p->pid, timeout_ms, &status)) {
		kill(p->pid, SIGTERM);
		if (!process_wait(p->pid, PROCESS_GRACE_MS, &status)) {
			/* A child that became another user (sudo) may not let us: it is left. */
			status = 128 + SIGKILL;
			while (kill(p->pid, SIGKILL) == 0 &&
			       !process_wait(p->pid, PROCESS_GRACE_MS, &status))
				;
		}
	}
	process_close(&p->output);
	process_close(&p->errors);
	p->pid = 0;
	*ret_status = status;
	return 0;
}

/* Takes what is there; false at the end of the stream. */
static bool process_drain(int fd, struct buffer *into)
{
	char chunk[8192];
	ssize_t got = read(fd, chunk, sizeof(chunk));

	if (got > 0)
		buffer_append(into, chunk, (size_t)got);
	return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

static bool process_feed(int fd, struct slice *input)
{
	ssize_t put = write(fd, input->ptr, input->len);

	if (put > 0) {
		input->ptr += put;
		input->len -= (size_t)put;
	}
	return input->len > 0 && (put > 0 || errno == EINTR || errno == EAGAIN);
}

static int process_pump(struct process *p, struct slice input, int64_t end, struct buffer *output,
			struct buffer *errors, struct error *err)
{
	fcntl(p->input, F_SETFL, O_NONBLOCK);
	if (input.len == 0)
		process_close(&p->input);
	while (p->output >= 0 || p->errors >= 0) {
		struct pollfd fds[] = {
			{p->input, POLLOUT, 0}, {p->output, POLLIN, 0}, {p->errors, POLLIN, 0}};
		int64_t left = end - clock_monotonic_ms();

		if (left <= 0)
			return error_set(err, ERROR_NETWORK, "no answer in time");
		if (poll(fds, 3, left > 1000 ? 1000 : (int)left) < 0 && errno != EINTR)
			return error_errno(err, "cannot wait for a child process");
		if (fds[0].revents && !process_feed(p->input, &input))
			process_close(&p->input);
		if (fds[1].revents && !process_drain(p->output, output))
			process_close(&p->output);
		if (fds[2].revents && !process_drain(p->errors, errors))
			process_close(&p->errors);
	}
	return 0;
}

int process_run(const char *const argv[], const struct process_options *options, struct slice input,
		int64_t timeout_ms, struct buffer *ret_output, struct buffer *ret_errors,
		int *ret_status, struct error *err)
{
	int64_t end = clock_monotonic_ms() + timeout_ms;
	auto_process struct process p = {0};

	if (process_start(&p, argv, options, err) < 0)
		return -1;
	if (process_pump(&p, input, end, ret_output, ret_errors, err) < 0)
		return error_wrap(err, "'%s'", argv[0]);
	process_finish(&p, end - clock_monotonic_ms() > 0 ? end - clock_monotonic_ms() : 0,
		       ret_status);
	return 0;
}

void process_release(struct process *p)
{
	int status;

	if (p->pid > 0)
		process_finish(p, 0, &status);
	p->pid = 0;
}
