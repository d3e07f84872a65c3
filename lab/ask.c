/* SPDX-License-Identifier: MIT */
#include "lab/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "text/json.h"

int ask_address(const char *folder, struct sockaddr_un *ret, struct error *err)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/control", folder) >=
	    (int)sizeof(ret->sun_path))
		return error_set(err, ERROR_USAGE, "the folder '%s' has too long a name", folder);
	return 0;
}

int ask_connect(const char *folder, int *ret_fd, struct error *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (ask_address(folder, &address, err) < 0)
		return -1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_NETWORK, "the lab does not run any more");
	*ret_fd = steal_fd(&fd);
	return 0;
}

json_t *ask_lab(int fd, json_t *request, struct error *err)
{
	auto_json json_t *asked = request;
	auto_free char *text = json_print(asked);
	auto_buffer struct buffer line = {0};
	auto_buffer struct buffer answer = {.max = ASK_LINE};
	char chunk[4096];
	ssize_t got;

	buffer_format(&line, "%s\n", text);
	if (send(fd, line.ptr, line.len, MSG_NOSIGNAL) != (ssize_t)line.len) {
		error_set(err, ERROR_NETWORK, "the lab does not run any more");
		return NULL;
	}
	while (!memchr(buffer_cstr(&answer), '\n', answer.len)) {
		got = recv(fd, chunk, sizeof(chunk), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			error_set(err, ERROR_NETWORK, "the lab does not answer");
			return NULL;
		}
		buffer_append(&answer, chunk, (size_t)got);
	}
	return json_parse(slice_trim(buffer_as_slice(&answer)), "the lab's answer", err);
}
