/* SPDX-License-Identifier: MIT */
#include "lab/http.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/limits.h"

enum { HTTP_CHAIN = 4, HTTP_PIECE = 16 };

/* What a Go server chooses where the processor knows AES. Suites with SHA-384, which clients prefer,
 * take a third of a handshake's time to hash. */
static const char http_priorities[] = "NORMAL:-AES-256-GCM:-AES-256-CBC:-CHACHA20-POLY1305";

struct http_stream {
	struct http *server;
	struct MHD_Connection *connection;
	struct http_reply reply; /* with more */
	struct buffer pending;
	size_t sent;
	bool suspended;
	bool over;
	struct http_stream *next;
};

struct http {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	int fd; /* of its epoll */
	http_handler *handler;
	void *data;
	gnutls_pcert_st chain[HTTP_CHAIN];
	unsigned int chain_count;
	gnutls_privkey_t key;
	struct http_stream *streams;
	size_t greeting; /* connections that asked nothing yet, and may be in a handshake */
	bool closing;
	bool resumed; /* streams of it go on */
	struct http *next;
};

/* The servers that are open. The certificate callback has no other way to tell for whom it is
 * asked than which of them runs: there is one loop, and nothing runs beside it. */
static struct http *http_all;
static struct http *http_running;

struct http_call {
	struct buffer body;
};

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->query, MHD_GET_ARGUMENT_KIND, name);
}

/* --- certificate ------------------------------------------------------------------------------ */

static int http_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
			 const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
			 gnutls_pcert_st **ret_chain, unsigned int *ret_count,
			 gnutls_privkey_t *ret_key)
{
	(void)session;
	(void)authorities;
	(void)count;
	(void)algorithms;
	(void)algorithm_count;
	if (!http_running || !http_running->chain_count)
		return -1;
	*ret_chain = http_running->chain;
	*ret_count = http_running->chain_count;
	*ret_key = http_running->key;
	return 0;
}

static void http_forget_certificate(struct http *h)
{
	for (unsigned int i = 0; i < h->chain_count; i++)
		gnutls_pcert_deinit(&h->chain[i]);
	h->chain_count = 0;
	if (h->key)
		gnutls_privkey_deinit(h->key);
	h->key = NULL;
}

static gnutls_datum_t http_datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned int)strlen(text)};
}

static int http_same_key(const gnutls_pcert_st *chain, gnutls_privkey_t key)
{
	unsigned char a[64];
	unsigned char b[64];
	size_t a_len = sizeof(a);
	size_t b_len = sizeof(b);
	gnutls_pubkey_t public;
	int result = -1;

	if (gnutls_pubkey_init(&public) < 0)
		return -1;
	if (gnutls_pubkey_import_privkey(public, key, 0, 0) == 0 &&
	    gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
	    gnutls_pubkey_get_key_id(chain->pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
	    a_len == b_len && memcmp(a, b, a_len) == 0)
		result = 0;
	gnutls_pubkey_deinit(public);
	return result;
}

int http_certificate(struct http *h, const char *pem, const char *key, struct error *err)
{
	gnutls_pcert_st chain[HTTP_CHAIN];
	unsigned int count = HTTP_CHAIN;
	gnutls_datum_t pem_datum = http_datum(pem);
	gnutls_datum_t key_datum = http_datum(key);
	gnutls_privkey_t private = NULL;

	if (gnutls_pcert_list_import_x509_raw(chain, &count, &pem_datum, GNUTLS_X509_FMT_PEM, 0) <
	    0)
		return error_set(err, ERROR_PARSE, "the certificate cannot be read");
	if (gnutls_privkey_init(&private) < 0 ||
	    gnutls_privkey_import_x509_raw(private, &key_datum, GNUTLS_X509_FMT_PEM, NULL, 0) < 0 ||
	    http_same_key(chain, private) < 0) {
		for (unsigned int i = 0; i < count; i++)
			gnutls_pcert_deinit(&chain[i]);
		if (private)
			gnutls_privkey_deinit(private);
		return error_set(err, ERROR_PARSE, "key and certificate are no pair");
	}
	http_forget_certificate(h);
	memcpy(h->chain, chain, sizeof(chain));
	h->chain_count = count;
	h->key = private;
	return 0;
}

/* --- streams ---------------------------------------------------------------------------------- */

static ssize_t http_stream_read(void *data, uint64_t at, char *buffer, size_t max)
{
	struct http_stream *s = data;
	size_t left;

	(void)at;
	if (s->sent == s->pending.len) {
		buffer_clear(&s->pending);
		s->sent = 0;
		if (!s->over && !s->server->closing)
			s->over = !s->reply.more(s->reply.data, &s->pending);
	}
	left = s->pending.len - s->sent;
	if (left == 0) {
		if (s->over || s->server->closing)
			return MHD_CONTENT_READER_END_OF_STREAM;
		s->suspended = true;
		MHD_suspend_connection(s->connection);
		return 0;
	}
	if (left > max)
		left = max;
	memcpy(buffer, s->pending.ptr + s->sent, left);
	s->sent += left;
	return (ssize_t)left;
}

static void http_stream_free(void *data)
{
	struct http_stream *s = data;

	for (struct http_stream **at = &s->server->streams; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	if (s->reply.done)
		s->reply.done(s->reply.data);
	buffer_release(&s->pending);
	free(s);
}

static void http_stream_wake(struct http_stream *s)
{
	if (!s->suspended)
		return;
	s->suspended = false;
	s->server->resumed = true;
	MHD_resume_connection(s->connection);
}

void http_wake(struct http *h)
{
	for (struct http_stream *s = h->streams; s; s = s->next)
		http_stream_wake(s);
}

static struct MHD_Response *http_stream_response(struct http *h, struct MHD_Connection *connection,
						 const struct http_reply *reply)
{
	struct http_stream *s = ALLOC_NEW(struct http_stream);

	*s = (struct http_stream){h, connection, *reply, {0}, 0, false, false, h->streams};
	h->streams = s;
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32768, http_stream_read, s,
						 http_stream_free);
}

/* --- answers that go wrong -------------------------------------------------------------------- */

struct http_spoilt {
	char *body; /* owned */
	size_t len;
	enum http_fault fault;
};

static ssize_t http_spoilt_read(void *data, uint64_t at, char *buffer, size_t max)
{
	const struct http_spoilt *s = data;
	size_t end = s->fault == HTTP_CUT_BODY ? s->len / 2 : s->len;
	size_t left = at < end ? end - (size_t)at : 0;

	if (left == 0)
		return s->fault == HTTP_CUT_BODY ? MHD_CONTENT_READER_END_WITH_ERROR
						 : MHD_CONTENT_READER_END_OF_STREAM;
	if (left > max)
		left = max;
	if (s->fault == HTTP_TRICKLE && left > HTTP_PIECE)
		left = HTTP_PIECE;
	memcpy(buffer, s->body + at, left);
	return (ssize_t)left;
}

static void http_spoilt_free(void *data)
{
	struct http_spoilt *s = data;

	free(s->body);
	free(s);
}

static bool http_never(void *data, struct buffer *out)
{
	(void)data;
	(void)out;
	return true;
}

static struct MHD_Response *http_spoilt_response(struct http *h, struct MHD_Connection *connection,
						 struct http_reply *reply)
{
	struct http_spoilt *s;

	if (reply->fault == HTTP_SILENT) {
		free(reply->body);
		reply->body = NULL;
		reply->more = http_never;
		return http_stream_response(h, connection, reply);
	}
	s = ALLOC_NEW(struct http_spoilt);
	*s = (struct http_spoilt){reply->body, reply->len, reply->fault};
	return MHD_create_response_from_callback(reply->len, HTTP_PIECE, http_spoilt_read, s,
						 http_spoilt_free);
}

static struct MHD_Response *http_response(struct http *h, struct MHD_Connection *connection,
					  struct http_reply *reply)
{
	if (reply->more)
		return http_stream_response(h, connection, reply);
	if (reply->fault != HTTP_WELL)
		return http_spoilt_response(h, connection, reply);
	return MHD_create_response_from_buffer(reply->len, reply->body, MHD_RESPMEM_MUST_FREE);
}

/* --- requests --------------------------------------------------------------------------------- */

static enum MHD_Result http_answer(struct http *h, struct MHD_Connection *connection,
				   const char *path, const char *method, struct http_call *call)
{
	struct http_request request = {
		.method = method,
		.path = path,
		.accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"),
		.content_type =
			MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type"),
		.authorization =
			MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization"),
		.body = buffer_as_slice(&call->body),
		.query = connection,
	};
	struct http_reply reply = {.status = 500};
	struct MHD_Response *response;
	enum MHD_Result result;

	h->handler(h->data, &request, &reply);
	if (reply.fault == HTTP_CUT) {
		free(reply.body);
		return MHD_NO;
	}
	response = http_response(h, connection, &reply);
	MHD_add_response_header(response, "Content-Type",
				reply.type ? reply.type : "application/json");
	if (reply.retry_after_s) {
		auto_free char *text = alloc_format("%d", reply.retry_after_s);

		MHD_add_response_header(response, "Retry-After", text);
	}
	result = MHD_queue_response(connection, (unsigned int)reply.status, response);
	MHD_destroy_response(response);
	return result;
}

/* Of a connection. */
struct http_guest {
	bool greeting;
};

static void http_connection(void *data, struct MHD_Connection *connection, void **context,
			    enum MHD_ConnectionNotificationCode code)
{
	struct http *h = data;
	struct http_guest *guest = *context;

	(void)connection;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		guest = ALLOC_NEW(struct http_guest);
		guest->greeting = true;
		h->greeting++;
		*context = guest;
	} else if (guest) {
		h->greeting -= guest->greeting;
		free(guest);
		*context = NULL;
	}
}

static void http_greeted(struct http *h, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_guest *guest = info ? info->socket_context : NULL;

	if (guest && guest->greeting) {
		guest->greeting = false;
		h->greeting--;
	}
}

static enum MHD_Result http_access(void *data, struct MHD_Connection *connection, const char *path,
				   const char *method, const char *version, const char *upload,
				   size_t *upload_len, void **state)
{
	struct http *h = data;
	struct http_call *call = *state;

	(void)version;
	if (!call) {
		http_greeted(h, connection);
		call = ALLOC_NEW(struct http_call);
		call->body.max = LIMIT_HTTP_BODY;
		*state = call;
		return MHD_YES;
	}
	if (*upload_len) {
		buffer_append(&call->body, upload, *upload_len);
		*upload_len = 0;
		return MHD_YES;
	}
	return http_answer(h, connection, path, method, call);
}

static void http_completed(void *data, struct MHD_Connection *connection, void **state,
			   enum MHD_RequestTerminationCode code)
{
	struct http_call *call = *state;

	(void)data;
	(void)connection;
	(void)code;
	if (!call)
		return;
	buffer_release(&call->body);
	free(call);
	*state = NULL;
}

/* --- the server ------------------------------------------------------------------------------- */

/* MHD_run may leave work that needs no new event. Of a handshake that waits for the client it says so,
 * too, and hashes all of it again each time that it is called. */
static void http_run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG wait;
	int times = h->greeting ? 2 : 100;

	http_running = h;
	for (int i = 0; i < times; i++) {
		MHD_run(h->daemon);
		if (MHD_get_timeout(h->daemon, &wait) != MHD_YES || wait > 0)
			break;
	}
	http_running = NULL;
}

static void http_ready(void *data, uint32_t events)
{
	(void)events;
	http_run(data);
}

int http_before(void *unused)
{
	int least = -1;

	(void)unused;
	for (struct http *h = http_all; h; h = h->next) {
		MHD_UNSIGNED_LONG_LONG wait;

		/* MHD_get_timeout says nothing of connections that go on */
		if (h->resumed) {
			h->resumed = false;
			http_run(h);
		}
		if (MHD_get_timeout(h->daemon, &wait) != MHD_YES)
			continue;
		if (wait == 0) {
			http_run(h);
			wait = 1;
		}
		if (least < 0 || wait < (MHD_UNSIGNED_LONG_LONG)least)
			least = wait > 1000 ? 1000 : (int)wait;
	}
	return least;
}

struct http *http_open(struct loop *loop, const char *address, uint16_t port, http_handler *handler,
		       void *data, struct error *err)
{
	struct http *h = ALLOC_NEW(struct http);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	const union MHD_DaemonInfo *info;

	h->loop = loop;
	h->handler = handler;
	h->data = data;
	inet_pton(AF_INET, address, &to.sin_addr);
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME, port, NULL, NULL,
		http_access, h, MHD_OPTION_SOCK_ADDR, &to, MHD_OPTION_HTTPS_CERT_CALLBACK,
		http_retrieve, MHD_OPTION_HTTPS_PRIORITIES, http_priorities,
		MHD_OPTION_NOTIFY_COMPLETED, http_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
		http_connection, h, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
	info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		free(h);
		error_set(err, ERROR_IO, "cannot listen on %s:%u", address, port);
		return NULL;
	}
	h->fd = info->epoll_fd;
	h->next = http_all;
	http_all = h;
	loop_watch(loop, h->fd, EPOLLIN, http_ready, h);
	return h;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	for (struct http **at = &http_all; *at; at = &(*at)->next) {
		if (*at == h) {
			*at = h->next;
			break;
		}
	}
	h->closing = true;
	http_wake(h);
	http_run(h);
	loop_forget(h->loop, h->fd);
	MHD_stop_daemon(h->daemon);
	http_forget_certificate(h);
	free(h);
}
