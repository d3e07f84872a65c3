/* SPDX-License-Identifier: MIT */
#include "kube/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"

struct kube_tls_place {
	const char *address;
	uint16_t port;
	int64_t end_ms;
};

static int kube_tls_fail(const struct kube_tls_place *place, const char *cause, struct error *err)
{
	bool v6 = strchr(place->address, ':') != NULL;

	return error_set(err, ERROR_NETWORK, "TLS with %s%s%s:%u: %s", v6 ? "[" : "",
			 place->address, v6 ? "]" : "", place->port, cause);
}

/* In pieces, so that ^C is seen. */
static int kube_tls_wait(const struct kube_tls_place *place, int fd, short events,
			 struct error *err)
{
	for (;;) {
		struct pollfd pfd = {fd, events, 0};
		int64_t left = place->end_ms - clock_monotonic_ms();
		int ready;

		if (interrupt_requested())
			return error_set(err, ERROR_INTERRUPTED, "stopped by request");
		if (left <= 0)
			return kube_tls_fail(place, "no answer in time", err);
		ready = poll(&pfd, 1, left > 200 ? 200 : (int)left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return error_errno(err, "cannot wait for a socket");
	}
}

static int kube_tls_connect_to(const struct kube_tls_place *place, const struct addrinfo *to,
			       int *ret_fd, struct error *err)
{
	auto_close int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(int);
	int failure = 0;

	if (fd < 0)
		return kube_tls_fail(place, strerror(errno), err);
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return kube_tls_fail(place, strerror(errno), err);
		if (kube_tls_wait(place, fd, POLLOUT, err) < 0)
			return -1;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) < 0)
			failure = errno;
		if (failure)
			return kube_tls_fail(place, strerror(failure), err);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int kube_tls_connect(const struct kube_tls_place *place, int *ret_fd, struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int result = -1;
	char port[8];
	int failure;

	snprintf(port, sizeof(port), "%u", place->port);
	failure = getaddrinfo(place->address, port, &hints, &found);
	if (failure)
		return kube_tls_fail(place, gai_strerror(failure), err);
	for (const struct addrinfo *a = found; a && result < 0; a = a->ai_next)
		result = kube_tls_connect_to(place, a, ret_fd, err);
	freeaddrinfo(found);
	/* of several addresses an earlier one may have failed */
	if (result == 0)
		error_release(err);
	return result;
}

static const char *kube_tls_reason(void)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return reason ? reason : "the server closed the connection during the handshake";
}

static void kube_tls_take(SSL *ssl, struct kube_tls_chain *chain)
{
	STACK_OF(X509) *stack = SSL_get_peer_cert_chain(ssl);
	int count = sk_X509_num(stack);

	for (int i = 0; i < count; i++) {
		struct kube_tls_der der = {0};
		int len = i2d_X509(sk_X509_value(stack, i), &der.ptr);

		if (len <= 0)
			continue;
		der.len = (size_t)len;
		chain->items = alloc_resize(chain->items, chain->count + 1, sizeof(*chain->items));
		chain->items[chain->count++] = der;
	}
}

/* A server that wants a client certificate may refuse us after it has shown its own: with TLS 1.2
 * the handshake fails then, and the chain is there all the same. */
static int kube_tls_handshake(const struct kube_tls_place *place, SSL *ssl, int fd,
			      struct kube_tls_chain *chain, struct error *err)
{
	for (;;) {
		int result = SSL_connect(ssl);
		int wanted = SSL_get_error(ssl, result);

		if (result != 1 &&
		    (wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE)) {
			if (kube_tls_wait(place, fd,
					  wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
					  err) < 0)
				return -1;
			continue;
		}
		kube_tls_take(ssl, chain);
		if (chain->count)
			return 0;
		return kube_tls_fail(
			place, result == 1 ? "the server shows no certificate" : kube_tls_reason(),
			err);
	}
}

static bool kube_tls_is_address(const char *name)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* One for all handshakes: to make it takes as long as a fifth of one. It holds no state of theirs. */
static SSL_CTX *kube_tls_context(void)
{
	static SSL_CTX *context;

	if (!context)
		context = SSL_CTX_new(TLS_client_method());
	return context;
}

int kube_tls_fetch(const char *address, uint16_t port, const char *name, int64_t timeout_ms,
		   struct kube_tls_chain *ret, struct error *err)
{
	struct kube_tls_place place = {address, port, clock_monotonic_ms() + timeout_ms};
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	auto_close int fd = -1;
	int result = -1;
	SSL_CTX *context;
	SSL *ssl;

	if (kube_tls_connect(&place, &fd, err) < 0)
		return -1;
	ERR_clear_error();
	context = kube_tls_context();
	ssl = context ? SSL_new(context) : NULL;
	if (!ssl)
		return kube_tls_fail(&place, kube_tls_reason(), err);
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (SSL_set_fd(ssl, fd) == 1 &&
	    (!name || kube_tls_is_address(name) || SSL_set_tlsext_host_name(ssl, name) == 1))
		result = kube_tls_handshake(&place, ssl, fd, &chain, err);
	else
		kube_tls_fail(&place, kube_tls_reason(), err);
	if (result == 0)
		SSL_shutdown(ssl);
	SSL_free(ssl);
	if (result < 0)
		return -1;
	*ret = chain;
	chain = (struct kube_tls_chain){0};
	return 0;
}

void kube_tls_chain_release(struct kube_tls_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		OPENSSL_free(chain->items[i].ptr);
	free(chain->items);
	*chain = (struct kube_tls_chain){0};
}
