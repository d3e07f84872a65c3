/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"

/*
 * canned_api FOLDER: an API server that gives answers from files, for tests in the shell.
 *
 * GET /a/b?c is answered with FOLDER/a,b when that is there: its first line is the HTTP status, the
 * rest the body. Everything else gets 404 and a Status. Requests are written to FOLDER/requests,
 * "METHOD PATH" a line. The port is printed; it ends when its stdin is closed.
 */
static const char not_found[] =
	"404\n{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"the "
	"server could not find the requested resource\",\"reason\":\"NotFound\",\"code\":404}";

static void give_up(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* Reads the head of one request and what Content-Length announces; false: no request. */
static bool read_request(int fd, struct buffer *text)
{
	size_t wanted = 0;

	while (!wanted || text->len < wanted) {
		char bytes[4096];
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
		const char *end;
		const char *length;

		if (got <= 0)
			return false;
		buffer_append(text, bytes, (size_t)got);
		end = strstr(buffer_cstr(text), "\r\n\r\n");
		if (!end || wanted)
			continue;
		length = strcasestr(buffer_cstr(text), "\r\nContent-Length:");
		wanted = (size_t)(end + 4 - buffer_cstr(text));
		if (length && length < end)
			wanted += strtoul(length + 17, NULL, 10);
	}
	return true;
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = send(fd, bytes, len, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		bytes += put;
		len -= (size_t)put;
	}
}

static char *answer_of(const char *folder, struct slice method, struct slice path)
{
	auto_free char *name = slice_dup(path);
	auto_free char *file = NULL;
	auto_buffer struct buffer text = {0};
	auto_error struct error ignored = {0};

	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = ',';
	file = alloc_format("%s/%s", folder, *name == ',' ? name + 1 : name);
	if (!slice_is(method, "GET") || file_read(file, 16 << 20, &text, &ignored) < 0)
		return alloc_text(not_found);
	return buffer_detach(&text);
}

static void serve(int fd, const char *folder, FILE *requests)
{
	auto_buffer struct buffer text = {0};
	auto_buffer struct buffer head = {0};
	auto_free char *answer = NULL;
	struct slice rest, method, path, target;
	const char *body;

	if (!read_request(fd, &text))
		return;
	rest = buffer_as_slice(&text);
	slice_next(&rest, ' ', &method);
	slice_next(&rest, ' ', &target);
	fprintf(requests, "%.*s %.*s\n", (int)method.len, method.ptr, (int)target.len, target.ptr);
	fflush(requests);
	slice_next(&target, '?', &path);
	answer = answer_of(folder, method, path);
	body = answer + strcspn(answer, "\n");
	body += *body != '\0';
	buffer_format(&head,
		      "HTTP/1.1 %.3s Canned\r\nContent-Type: application/json\r\n"
		      "Content-Length: %zu\r\nConnection: close\r\n\r\n",
		      answer, strlen(body));
	write_all(fd, buffer_cstr(&head), head.len);
	write_all(fd, body, strlen(body));
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd fds[2] = {{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	auto_free char *log = NULL;
	FILE *requests;

	if (argc != 2)
		return 64;
	log = alloc_format("%s/requests", argv[1]);
	requests = fopen(log, "ae");
	if (!requests || bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		give_up("canned_api");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		struct timeval limit = {5, 0};
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		serve(fd, argv[1], requests);
		close(fd);
	}
	fclose(requests);
	return EXIT_SUCCESS;
}
