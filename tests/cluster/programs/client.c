/* SPDX-License-Identifier: MIT */
/*
 * client: a plain program in a Pod that talks to the API server.
 *
 * Without arguments it dials what its environment named when it was started,
 * once a second, says how each request went, and never gives up. With an URL
 * (https://ADDRESS:PORT/PATH) it makes that one request, tried for ten seconds,
 * and exits 0 or 1.
 */
#include "api.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 2000
#define ONCE_TRIES 10

static void on_term(int signal)
{
	(void)signal;
	_exit(0);
}

static int try(struct api_request *request, char *token)
{
	struct api_answer answer;
	int result;

	if (token)
		token[strcspn(token, "\r\n")] = '\0';
	request->token = token;
	result = api_get(request, &answer);
	if (result == 0)
		api_log("ok https://%s:%s%s %d ms", request->host, request->port, request->path,
			answer.ms);
	else
		api_log("failed Get \"https://%s:%s%s\": %s", request->host, request->port,
			request->path, answer.error);
	free(token);
	return result;
}

static int once(char *url)
{
	struct api_request request = {.ca = API_CA, .timeout_ms = TIMEOUT_MS};
	char *host, *port, *path;
	char with_slash[256];
	int i;

	if (strncmp(url, "https://", 8) != 0)
		return 1;
	host = url + 8;
	path = strchr(host, '/');
	snprintf(with_slash, sizeof(with_slash), "%s", path ? path : "/");
	if (path)
		*path = '\0';
	port = strrchr(host, ':');
	if (port)
		*port++ = '\0';
	request.host = host;
	request.port = port ? port : "443";
	request.path = with_slash;
	for (i = 0; i < ONCE_TRIES; i++) {
		if (try(&request, api_read_file(API_TOKEN)) == 0)
			return 0;
		sleep(1);
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct api_request request = {.path = "/version", .ca = API_CA, .timeout_ms = TIMEOUT_MS};

	/* A process with id 1 has no default actions. */
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2)
		return once(argv[1]);
	request.host = getenv("KUBERNETES_SERVICE_HOST");
	request.port = getenv("KUBERNETES_SERVICE_PORT");
	for (;;) {
		if (request.host && request.port)
			try(&request, api_read_file(API_TOKEN));
		else
			api_log("failed no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in "
				"the environment");
		sleep(1);
	}
}
