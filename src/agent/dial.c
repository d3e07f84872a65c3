/* SPDX-License-Identifier: MIT */
#include "agent/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

#include "agent/paths.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "pki/cert.h"
#include "pki/x509.h"
#include "text/json.h"

#define DIAL_TIMEOUT_MS 2000
#define DIAL_TIMEOUT_MAX_MS 30000
#define DIAL_CA "/etc/kubernetes/pki/ca.crt"
#define DIAL_CHAIN_MAX 16

struct dial {
	int fd;
	int64_t end; /* clock_monotonic_ms */
	const char *server_name;
	struct net_address source; /* not set: as the routes have it */
	SSL_CTX *context;
	SSL *tls;
};

static void dial_release(struct dial *d)
{
	SSL_free(d->tls);
	SSL_CTX_free(d->context);
	if (d->fd >= 0)
		close(d->fd);
}

socklen_t dial_socket_address(struct net_address address, uint16_t port,
			      struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (address.family == NET_IPV4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address.bytes, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address.bytes, 16);
	return sizeof(*in6);
}

/* Waits until the socket is ready; ERROR_NETWORK at the end of the time. */
static int dial_wait(const struct dial *d, short events, struct error *err)
{
	struct pollfd item = {d->fd, events, 0};
	int64_t left;

	while ((left = d->end - clock_monotonic_ms()) > 0) {
		int ready = poll(&item, 1, (int)left);

		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return error_errno(err, "cannot wait for a connection");
	}
	return error_set(err, ERROR_NETWORK, "no answer in time");
}

static int dial_connect(struct dial *d, struct net_address address, uint16_t port,
			struct error *err)
{
	struct sockaddr_storage to;
	socklen_t len = dial_socket_address(address, port, &to);
	socklen_t size = sizeof(int);
	int result = 0;

	d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return error_errno(err, "cannot open a socket");
	if (d->source.family) {
		struct sockaddr_storage from;
		socklen_t from_len = dial_socket_address(d->source, 0, &from);

		if (bind(d->fd, (struct sockaddr *)&from, from_len) < 0)
			return error_errno(err, "cannot dial from that address");
	}
	if (connect(d->fd, (struct sockaddr *)&to, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return error_set(err, ERROR_NETWORK, "cannot connect: %s", strerror(errno));
	if (dial_wait(d, POLLOUT, err) < 0)
		return -1;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0)
		result = errno;
	if (result)
		return error_set(err, ERROR_NETWORK, "cannot connect: %s", strerror(result));
	return 0;
}

/* The handshake goes on whatever the chain is worth: the certificate is what we came to see. What
 * verification found is looked at afterwards. */
static int dial_accept_chain(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

int dial_load_ca(const struct agent *agent, SSL_CTX *context, struct error *err)
{
	auto_secret struct secret pem = {0};
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	X509 *x509;
	BIO *bio;
	int count = 0;

	if (paths_read(agent->root, DIAL_CA, PATHS_READ, &pem, NULL, NULL, err) < 0)
		return -1;
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	while (bio && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		count += X509_STORE_add_cert(store, x509) == 1;
		X509_free(x509);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the file is one */
	if (count == 0)
		return error_set(err, ERROR_PARSE, "'%s' holds no certificate", DIAL_CA);
	return 0;
}

static int dial_prepare_tls(const struct agent *agent, struct dial *d, struct error *err)
{
	struct net_address address;

	d->context = SSL_CTX_new(TLS_client_method());
	if (!d->context || SSL_CTX_set_min_proto_version(d->context, TLS1_2_VERSION) != 1)
		return pki_openssl_error(err, ERROR_IO, "cannot prepare TLS");
	if (dial_load_ca(agent, d->context, err) < 0)
		return -1;
	SSL_CTX_set_verify(d->context, SSL_VERIFY_PEER, dial_accept_chain);
	d->tls = SSL_new(d->context);
	if (!d->tls || SSL_set_fd(d->tls, d->fd) != 1)
		return pki_openssl_error(err, ERROR_IO, "cannot prepare TLS");
	X509_VERIFY_PARAM_set_time(SSL_get0_param(d->tls), (time_t)clock_wall_s());
	/* No name for the server in the handshake when an address is dialled, as clients do. */
	if (!net_address_read(slice_of(d->server_name), &address) &&
	    SSL_set_tlsext_host_name(d->tls, d->server_name) != 1)
		return pki_openssl_error(err, ERROR_IO, "cannot prepare TLS");
	return 0;
}

/* Waits for what OpenSSL wants before it is called again. */
static int dial_tls_wait(const struct dial *d, int result, const char *what, struct error *err)
{
	switch (SSL_get_error(d->tls, result)) {
	case SSL_ERROR_WANT_READ:
		return dial_wait(d, POLLIN, err);
	case SSL_ERROR_WANT_WRITE:
		return dial_wait(d, POLLOUT, err);
	case SSL_ERROR_SSL:
		return pki_openssl_error(err, ERROR_NETWORK, "%s", what);
	default:
		ERR_clear_error();
		return error_set(err, ERROR_NETWORK, "%s: the connection was closed", what);
	}
}

static int dial_handshake(struct dial *d, struct error *err)
{
	int result;

	while ((result = SSL_connect(d->tls)) != 1)
		if (dial_tls_wait(d, result, "TLS handshake failed", err) < 0)
			return -1;
	return 0;
}

static void dial_add_chain(const struct dial *d, json_t *reply)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(d->tls);
	json_t *list = json_array();

	json_object_set_new(reply, "chain", list);
	for (int i = 0; i < sk_X509_num(chain) && i < DIAL_CHAIN_MAX; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(chain, i), &der);

		if (len > 0)
			json_array_append_new(list, protocol_base64(der, (size_t)len));
		OPENSSL_free(der);
	}
}

/* Puts the facts of what was served into the reply, then says whether it may be trusted. */
static int dial_judge(const struct dial *d, json_t *reply, struct error *err)
{
	X509 *leaf = SSL_get0_peer_certificate(d->tls);
	auto_pki_cert struct pki_cert cert = {0};
	long verified = SSL_get_verify_result(d->tls);
	unsigned char *der = NULL;
	int result;
	int len;

	if (!leaf)
		return error_set(err, ERROR_API, "the server showed no certificate");
	dial_add_chain(d, reply);
	len = i2d_X509(leaf, &der);
	if (len < 0)
		return pki_openssl_error(err, ERROR_PARSE, "the certificate is malformed");
	result = pki_cert_from_der((struct slice){(const char *)der, (size_t)len}, &cert, err);
	OPENSSL_free(der);
	if (result < 0)
		return -1;
	json_object_set_new(reply, "certificate", pki_cert_to_json(&cert));
	if (verified != X509_V_OK)
		return error_set(err, ERROR_API, "the certificate is not trusted: %s",
				 X509_verify_cert_error_string(verified));
	if (!pki_cert_covers(&cert, d->server_name))
		return error_set(err, ERROR_API, "the certificate is not valid for '%s'",
				 d->server_name);
	return 0;
}

static int dial_send(struct dial *d, const char *text, struct error *err)
{
	int result;

	while ((result = SSL_write(d->tls, text, (int)strlen(text))) <= 0)
		if (dial_tls_wait(d, result, "cannot send a request", err) < 0)
			return -1;
	return 0;
}

bool dial_read_status(struct slice line, int *ret)
{
	struct slice part;
	uint64_t status;

	if (!slice_starts(line, "HTTP/1.") || !slice_next(&line, ' ', &part) ||
	    !slice_next(&line, ' ', &part) || !slice_to_u64(slice_trim(part), 999, &status))
		return false;
	*ret = (int)status;
	return true;
}

bool dial_status_lives(int status)
{
	return status == 200 || status == 401 || status == 403;
}

char *dial_livez_request(const char *server_name)
{
	return alloc_format("GET /livez HTTP/1.1\r\nHost: %s\r\n"
			    "User-Agent: kubectl-renumber\r\n"
			    "Connection: close\r\n\r\n",
			    server_name);
}

static int dial_livez(struct dial *d, json_t *reply, struct error *err)
{
	auto_free char *request = dial_livez_request(d->server_name);
	char line[256] = {0};
	size_t have = 0;
	int status;

	if (dial_send(d, request, err) < 0)
		return -1;
	while (have < sizeof(line) && !memchr(line, '\n', have)) {
		int got = SSL_read(d->tls, line + have, (int)(sizeof(line) - have));

		if (got > 0)
			have += (size_t)got;
		else if (dial_tls_wait(d, got, "no HTTP answer", err) < 0)
			return -1;
	}
	if (!dial_read_status((struct slice){line, have}, &status))
		return error_set(err, ERROR_API, "the answer is not HTTP");
	json_object_set_new(reply, "httpStatus", json_integer(status));
	if (!dial_status_lives(status))
		return error_set(err, ERROR_API, "GET /livez was answered with status %d", status);
	return 0;
}

static int dial_talk(const struct agent *agent, struct dial *d, const char *kind,
		     struct net_address address, uint16_t port, json_t *reply, struct error *err)
{
	if (dial_connect(d, address, port, err) < 0)
		return -1;
	if (strcmp(kind, "tcp") == 0)
		return 0;
	if (dial_prepare_tls(agent, d, err) < 0 || dial_handshake(d, err) < 0 ||
	    dial_judge(d, reply, err) < 0)
		return -1;
	return strcmp(kind, "livez") == 0 ? dial_livez(d, reply, err) : 0;
}

bool dial_is_host(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < 256 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_") == len;
}

int dial_look(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	__attribute__((cleanup(dial_release))) struct dial d = {.fd = -1};
	auto_error struct error problem = {0};
	int64_t start = clock_monotonic_ms();
	struct net_address address;
	const char *text;
	const char *source = NULL;
	const char *kind;
	int64_t timeout;
	int64_t port;
	int result;

	if (protocol_text(request, "address", &text, err) < 0 ||
	    net_address_parse(slice_of(text), &address, err) < 0 ||
	    protocol_integer(request, "port", 1, 65535, &port, err) < 0 ||
	    protocol_text(request, "kind", &kind, err) < 0 ||
	    protocol_optional_text(request, "serverName", &d.server_name, err) < 0 ||
	    protocol_optional_text(request, "source", &source, err) < 0 ||
	    (source && net_address_parse(slice_of(source), &d.source, err) < 0) ||
	    protocol_optional_integer(request, "timeoutMs", 10, DIAL_TIMEOUT_MAX_MS,
				      DIAL_TIMEOUT_MS, &timeout, err) < 0)
		return -1;
	if (strcmp(kind, "tcp") != 0 && strcmp(kind, "tls") != 0 && strcmp(kind, "livez") != 0)
		return error_set(err, ERROR_PARSE, "member 'kind' is not tcp, tls or livez");
	if (!d.server_name)
		d.server_name = text;
	if (!dial_is_host(d.server_name))
		return error_set(err, ERROR_PARSE, "member 'serverName' is no host name");
	d.end = start + timeout;
	result = dial_talk(agent, &d, kind, address, (uint16_t)port, reply, &problem);
	json_object_set_new(reply, "reached", json_boolean(result == 0));
	json_object_set_new(reply, "latencyMs", json_integer(clock_monotonic_ms() - start));
	if (result < 0)
		protocol_set_text(reply, "error", error_text(&problem));
	return 0;
}
