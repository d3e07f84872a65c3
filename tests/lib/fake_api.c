/* SPDX-License-Identifier: MIT */
#include "lib/fake_api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/test.h"

enum { FAKE_CONNECTIONS = 32, FAKE_STEPS = 64, FAKE_REQUEST = 1 << 20 };

struct fake_connection {
	int fd; /* -1: free */
	SSL *ssl;
	unsigned number;
};

struct fake_api {
	const struct fake_step *steps;
	size_t count;
	size_t next;
	int listener;
	int wake[2];
	uint16_t port;
	SSL_CTX *context;
	pthread_t thread;
	pthread_mutex_t lock;
	struct fake_connection connections[FAKE_CONNECTIONS];
	unsigned accepted;
	unsigned on[FAKE_STEPS];
	char complaint[2048];
};

static void fake_must(bool held, const char *what)
{
	if (held)
		return;
	printf("Bail out! fake API server: %s\n", what);
	exit(EXIT_FAILURE);
}

__attribute__((format(printf, 2, 3))) static void fake_complain(struct fake_api *api,
								const char *fmt, ...)
{
	size_t len = strlen(api->complaint);
	va_list args;

	va_start(args, fmt);
	vsnprintf(api->complaint + len, sizeof(api->complaint) - len, fmt, args);
	va_end(args);
}

static ssize_t fake_read(struct fake_connection *c, char *bytes, size_t len)
{
	return c->ssl ? SSL_read(c->ssl, bytes, (int)len) : read(c->fd, bytes, len);
}

static void fake_write(struct fake_connection *c, const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = c->ssl ? SSL_write(c->ssl, bytes, (int)len)
				     : send(c->fd, bytes, len, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		bytes += put;
		len -= (size_t)put;
	}
}

static void fake_close(struct fake_connection *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Reads one whole request into a text; false when the client has gone. */
static bool fake_request(struct fake_connection *c, char *text)
{
	size_t len = 0;

	for (;;) {
		ssize_t got = fake_read(c, text + len, FAKE_REQUEST - 1 - len);
		size_t body = 0;
		char *end;
		char *length;

		if (got <= 0)
			return false;
		len += (size_t)got;
		text[len] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(text, "\r\nContent-Length:");
		if (length && length < end)
			body = strtoul(length + 17, NULL, 10);
		if (len >= (size_t)(end + 4 - text) + body)
			return true;
	}
}

static bool fake_matches(const struct fake_step *step, const char *text)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), "%s %s HTTP/1.1\r\n", step->method, step->path);

	return strncmp(text, line, (size_t)len) == 0 && (!step->wants || strstr(text, step->wants));
}

static size_t fake_gzip(const char *body, size_t len, char *out, size_t size)
{
	z_stream z = {0};

	deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (Bytef *)(uintptr_t)body;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)size;
	fake_must(deflate(&z, Z_FINISH) == Z_STREAM_END, "gzip");
	deflateEnd(&z);
	return size - z.avail_out;
}

static void fake_answer(struct fake_connection *c, const struct fake_step *step)
{
	const char *body = step->body ? step->body : "";
	bool gzip = step->fault == FAKE_GZIP;
	size_t len = strlen(body);
	char packed[8192];
	char head[1024];

	if (gzip) {
		len = fake_gzip(body, len, packed, sizeof(packed));
		body = packed;
	}
	snprintf(head, sizeof(head), "HTTP/1.1 %d Fake\r\nContent-Type: application/json\r\n%s%s",
		 step->status, step->headers ? step->headers : "",
		 gzip ? "Content-Encoding: gzip\r\n" : "");
	if (step->fault == FAKE_STREAM)
		snprintf(head + strlen(head), sizeof(head) - strlen(head),
			 "Connection: close\r\n\r\n");
	else
		snprintf(head + strlen(head), sizeof(head) - strlen(head),
			 "Content-Length: %zu\r\n\r\n", len);
	fake_write(c, head, strlen(head));
	fake_write(c, body, step->fault == FAKE_CUT_BODY ? len / 2 : len);
	if (step->fault == FAKE_CUT_BODY || step->fault == FAKE_CLOSE || step->fault == FAKE_STREAM)
		fake_close(c);
}

static void fake_serve(struct fake_api *api, struct fake_connection *c, char *text)
{
	const struct fake_step *step;

	if (!fake_request(c, text)) {
		fake_close(c);
		return;
	}
	if (api->next >= api->count) {
		fake_complain(api, "a request behind the end of the script: %.300s\n", text);
		fake_close(c);
		return;
	}
	step = &api->steps[api->next];
	if (!fake_matches(step, text)) {
		fake_complain(api, "step %zu wants %s %s%s%s, got: %.600s\n", api->next,
			      step->method, step->path, step->wants ? " with " : "",
			      step->wants ? step->wants : "", text);
		fake_close(c);
		return;
	}
	api->on[api->next++] = c->number;
	if (step->fault == FAKE_CUT)
		fake_close(c);
	else if (step->fault != FAKE_SILENT)
		fake_answer(c, step);
}

static void fake_accept(struct fake_api *api)
{
	int fd = accept(api->listener, NULL, NULL);
	/* a client that stops in the middle must not stop us */
	struct timeval limit = {60, 0};

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
		struct fake_connection *c = &api->connections[i];

		if (c->fd >= 0)
			continue;
		*c = (struct fake_connection){fd, NULL, ++api->accepted};
		if (!api->context)
			return;
		c->ssl = SSL_new(api->context);
		SSL_set_fd(c->ssl, fd);
		if (SSL_accept(c->ssl) != 1)
			fake_close(c);
		return;
	}
	close(fd);
}

static void *fake_run(void *data)
{
	struct fake_api *api = data;
	char *text = malloc(FAKE_REQUEST);
	struct pollfd fds[FAKE_CONNECTIONS + 2];

	fake_must(text != NULL, "memory");
	for (;;) {
		pthread_mutex_lock(&api->lock);
		fds[0] = (struct pollfd){api->listener, POLLIN, 0};
		fds[1] = (struct pollfd){api->wake[0], POLLIN, 0};
		for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
			fds[i + 2] = (struct pollfd){api->connections[i].fd, POLLIN, 0};
		pthread_mutex_unlock(&api->lock);
		poll(fds, FAKE_CONNECTIONS + 2, -1);
		if (fds[1].revents)
			break;
		pthread_mutex_lock(&api->lock);
		for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
			if (fds[i + 2].revents && api->connections[i].fd == fds[i + 2].fd)
				fake_serve(api, &api->connections[i], text);
		}
		if (fds[0].revents)
			fake_accept(api);
		pthread_mutex_unlock(&api->lock);
	}
	free(text);
	return NULL;
}

static BIO *fake_bio(const char *text)
{
	return BIO_new_mem_buf(text, -1);
}

static SSL_CTX *fake_context(const struct fake_tls *tls, const char *client_ca)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	BIO *bio = fake_bio(tls->certificate);
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *key;

	BIO_free(bio);
	bio = fake_bio(tls->key);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	fake_must(SSL_CTX_use_certificate(context, x509) == 1 &&
			  SSL_CTX_use_PrivateKey(context, key) == 1,
		  "certificate");
	X509_free(x509);
	EVP_PKEY_free(key);
	if (client_ca) {
		bio = fake_bio(client_ca);
		x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		BIO_free(bio);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(context), x509);
		X509_free(x509);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   NULL);
	}
	return context;
}

struct fake_api *fake_api_start(const struct fake_step *steps, size_t count,
				const struct fake_tls *tls, const char *client_ca)
{
	struct fake_api *api = calloc(1, sizeof(*api));
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	/* the TLS library writes to connections that the client has closed */
	signal(SIGPIPE, SIG_IGN);
	fake_must(api && count <= FAKE_STEPS, "too many steps");
	api->steps = steps;
	api->count = count;
	for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
		api->connections[i].fd = -1;
	api->context = tls ? fake_context(tls, client_ca) : NULL;
	api->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fake_must(bind(api->listener, (struct sockaddr *)&address, len) == 0 &&
			  listen(api->listener, 16) == 0 &&
			  getsockname(api->listener, (struct sockaddr *)&address, &len) == 0 &&
			  pipe(api->wake) == 0,
		  "socket");
	api->port = ntohs(address.sin_port);
	pthread_mutex_init(&api->lock, NULL);
	fake_must(pthread_create(&api->thread, NULL, fake_run, api) == 0, "thread");
	return api;
}

uint16_t fake_api_port(const struct fake_api *api)
{
	return api->port;
}

unsigned fake_api_connections(struct fake_api *api)
{
	unsigned accepted;

	pthread_mutex_lock(&api->lock);
	accepted = api->accepted;
	pthread_mutex_unlock(&api->lock);
	return accepted;
}

unsigned fake_api_connection_of(struct fake_api *api, size_t index)
{
	unsigned on;

	pthread_mutex_lock(&api->lock);
	on = api->on[index];
	pthread_mutex_unlock(&api->lock);
	return on;
}

void fake_api_drop(struct fake_api *api)
{
	pthread_mutex_lock(&api->lock);
	/* shutdown, so that the thread, which may be in poll() with it, closes it */
	for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
		if (api->connections[i].fd >= 0)
			shutdown(api->connections[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&api->lock);
}

void fake_api_stop(struct fake_api *api)
{
	fake_must(write(api->wake[1], "", 1) == 1, "wake");
	pthread_join(api->thread, NULL);
	if (api->complaint[0])
		CHECK_STR(api->complaint, "");
	CHECK_INT(api->next, api->count);
	for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
		fake_close(&api->connections[i]);
	SSL_CTX_free(api->context);
	close(api->listener);
	close(api->wake[0]);
	close(api->wake[1]);
	pthread_mutex_destroy(&api->lock);
	free(api);
}
