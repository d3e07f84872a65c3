/* SPDX-License-Identifier: MIT */
/*
 * extension PORT CERT KEY: what API servers call, over HTTPS
 *
 *   POST /admit                      an admission webhook that allows everything
 *   GET  /apis/renumber.test/v1...   an aggregated API with one empty resource
 *
 * A thread for each connection; connections are kept. When it is ended it goes on
 * for DRAIN_SECONDS and asks its clients to leave.
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_SECONDS 6 /* unless the environment has a DRAIN_SECONDS of its own */
#define REQUEST_MAX (1024 * 1024)

static SSL_CTX *tls;
static volatile sig_atomic_t ending;
static unsigned int drain_s = DRAIN_SECONDS;

static void on_term(int signal)
{
	(void)signal;
	ending = 1;
	alarm(drain_s);
}

static void on_alarm(int signal)
{
	(void)signal;
	_exit(0);
}

struct exchange {
	SSL *ssl;
	char *text;
	size_t used;
	size_t head; /* length of the header, with its empty line */
	size_t body;
};

/* Bytes of the body that is announced, 0 without one. */
static size_t body_length(const struct exchange *x)
{
	static const char name[] = "content-length:";
	const char *at = x->text, *end = x->text + x->head;

	while (at < end) {
		if (strncasecmp(at, name, sizeof(name) - 1) == 0)
			return strtoul(at + sizeof(name) - 1, NULL, 10);
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			return 0;
		at++;
	}
	return 0;
}

/* One whole request to the beginning of text; false at the end of the connection. */
static bool request_read(struct exchange *x)
{
	char *end;
	int n;

	x->head = 0;
	for (;;) {
		x->text[x->used] = '\0';
		if (!x->head && (end = strstr(x->text, "\r\n\r\n"))) {
			x->head = (size_t)(end - x->text) + 4;
			x->body = body_length(x);
		}
		if (x->head && x->used >= x->head + x->body)
			return true;
		if (x->used >= REQUEST_MAX)
			return false;
		n = SSL_read(x->ssl, x->text + x->used, (int)(REQUEST_MAX - x->used));
		if (n <= 0)
			return false;
		x->used += (size_t)n;
	}
}

/* The first uid of an AdmissionReview is the request's. */
static void review_answer(const struct exchange *x, char *answer, size_t size)
{
	const char *at = strstr(x->text + x->head, "\"uid\":\"");
	size_t length = at ? strcspn(at + 7, "\"") : 0;

	snprintf(answer, size,
		 "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
		 "\"response\":{\"uid\":\"%.*s\",\"allowed\":true}}",
		 (int)length, at ? at + 7 : "");
}

/* The HTTP status; the answer is JSON. */
static int answer_make(const struct exchange *x, char *answer, size_t size)
{
	static const struct {
		const char *request, *answer;
	} pages[] = {
		{"GET /apis/renumber.test/v1/things",
		 "{\"kind\":\"ThingList\",\"apiVersion\":\"renumber.test/v1\",\"metadata\":{},"
		 "\"items\":[]}"},
		{"GET /apis/renumber.test/v1",
		 "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"renumber."
		 "test/v1\",\"resources\":[{\"name\":\"things\",\"singularName\":\"thing\","
		 "\"namespaced\":true,\"kind\":\"Thing\",\"verbs\":[\"get\",\"list\"]}]}"},
		{"GET /healthz", "{}"},
	};
	size_t i;

	if (strncmp(x->text, "POST /admit", 11) == 0) {
		review_answer(x, answer, size);
		return 200;
	}
	for (i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		if (strncmp(x->text, pages[i].request, strlen(pages[i].request)) != 0)
			continue;
		snprintf(answer, size, "%s", pages[i].answer);
		return 200;
	}
	snprintf(answer, size, "{}");
	return 404;
}

static bool answer_write(struct exchange *x)
{
	char body[1024], text[2048];
	int status = answer_make(x, body, sizeof(body));
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n%s\r\n%s",
			 status, status == 200 ? "OK" : "Not Found", strlen(body),
			 ending ? "Connection: close\r\n" : "", body);

	return SSL_write(x->ssl, text, n) == n;
}

static void *serve(void *data)
{
	struct exchange x = {.ssl = SSL_new(tls), .text = malloc(REQUEST_MAX + 1)};
	int fd = *(int *)data;
	bool more = true;

	free(data);
	if (x.ssl && x.text && SSL_set_fd(x.ssl, fd) == 1 && SSL_accept(x.ssl) == 1) {
		while (more && request_read(&x)) {
			more = answer_write(&x) && !ending;
			x.used -= x.head + x.body;
			memmove(x.text, x.text + x.head + x.body, x.used);
		}
		SSL_shutdown(x.ssl);
	}
	SSL_free(x.ssl);
	free(x.text);
	close(fd);
	return NULL;
}

static int listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 128) < 0) {
		perror("extension: cannot listen");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	pthread_attr_t detached;
	pthread_t thread;
	int listener, *fd;

	if (argc != 4) {
		fprintf(stderr, "usage: extension PORT CERT KEY\n");
		return 1;
	}
	signal(SIGALRM, on_alarm);
	if (getenv("DRAIN_SECONDS"))
		drain_s = (unsigned int)strtoul(getenv("DRAIN_SECONDS"), NULL, 10);
	signal(SIGTERM, on_term);
	signal(SIGPIPE, SIG_IGN);
	tls = SSL_CTX_new(TLS_server_method());
	if (!tls || SSL_CTX_use_certificate_chain_file(tls, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, argv[3], SSL_FILETYPE_PEM) != 1) {
		fprintf(stderr, "extension: cannot use '%s' and '%s'\n", argv[2], argv[3]);
		return 1;
	}
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	listener = listen_on((int)strtol(argv[1], NULL, 10));
	for (;;) {
		fd = malloc(sizeof(*fd));
		if (!fd)
			return 1;
		*fd = accept(listener, NULL, NULL);
		if (*fd < 0 || pthread_create(&thread, &detached, serve, fd) != 0) {
			if (*fd >= 0)
				close(*fd);
			free(fd);
		}
	}
}
