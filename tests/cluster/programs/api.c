/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX (256 * 1024)

/* What the verify callback saw; these programs have one thread. */
static char verify_text[768];
static const char *verify_host;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void api_log(const char *format, ...)
{
	struct timespec t;
	struct tm tm;
	char when[32];
	va_list args;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld ", when, t.tv_nsec / 1000000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

char *api_read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;
	size_t length;

	if (!file)
		return NULL;
	text = malloc(FILE_MAX + 1);
	if (!text)
		abort();
	length = fread(text, 1, FILE_MAX, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

/* The names of a certificate in the order of Go's error text. */
static void append_names(X509 *certificate, char *text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char address[INET6_ADDRSTRLEN];
	size_t used = 0;
	int i;

	for (i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_OCTET_STRING *ip = name->d.iPAddress;

		if (name->type != GEN_IPADD)
			continue;
		if (!inet_ntop(ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6,
			       ASN1_STRING_get0_data(ip), address, sizeof(address)))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
					 address);
		if (used >= size)
			break;
	}
	GENERAL_NAMES_free(names);
}

static int on_verify(int ok, X509_STORE_CTX *context)
{
	int error = X509_STORE_CTX_get_error(context);
	char names[640] = "";

	if (ok || verify_text[0])
		return ok;
	if (error == X509_V_ERR_IP_ADDRESS_MISMATCH || error == X509_V_ERR_HOSTNAME_MISMATCH) {
		append_names(X509_STORE_CTX_get_current_cert(context), names, sizeof(names));
		snprintf(verify_text, sizeof(verify_text),
			 "x509: certificate is valid for %s, not %s", names, verify_host);
	} else {
		snprintf(verify_text, sizeof(verify_text), "x509: %s",
			 X509_verify_cert_error_string(error));
	}
	return 0;
}

/* /etc/hosts only: a static program has no resolver plugins. */
static int hosts_lookup(const char *name, char *address, size_t size)
{
	FILE *file = fopen("/etc/hosts", "re");
	char line[1024], *at, *word, *rest;

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "#\n")] = '\0';
		rest = line;
		at = strsep(&rest, " \t");
		while (rest && (word = strsep(&rest, " \t"))) {
			if (strcmp(word, name) != 0)
				continue;
			snprintf(address, size, "%s", at);
			fclose(file);
			return 0;
		}
	}
	if (file)
		fclose(file);
	return -1;
}

static int dial(const struct api_request *r, long deadline, struct api_answer *answer)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *found;
	char address[64];
	socklen_t length = sizeof(int);
	struct pollfd poller;
	int fd, error = 0;

	snprintf(address, sizeof(address), "%s", r->host);
	if (getaddrinfo(address, r->port, &hints, &found) != 0) {
		if (hosts_lookup(r->host, address, sizeof(address)) < 0 ||
		    getaddrinfo(address, r->port, &hints, &found) != 0) {
			snprintf(answer->error, sizeof(answer->error),
				 "dial tcp: lookup %s: no such host", r->host);
			return -1;
		}
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS))
		error = errno;
	freeaddrinfo(found);
	poller = (struct pollfd){.fd = fd, .events = POLLOUT};
	if (!error && poll(&poller, 1, (int)(deadline - now_ms())) == 0)
		error = ETIMEDOUT;
	if (!error)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (!error)
		return fd;
	snprintf(answer->error, sizeof(answer->error), "dial tcp %s:%s: %s", address, r->port,
		 error == ETIMEDOUT ? "i/o timeout" : strerror(error));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Handshake, request and answer on a non-blocking socket. */
static int wait_for(SSL *ssl, int result, long deadline)
{
	int error = SSL_get_error(ssl, result);
	struct pollfd poller = {.fd = SSL_get_fd(ssl)};

	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return -1;
	poller.events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
	return now_ms() < deadline && poll(&poller, 1, (int)(deadline - now_ms())) > 0 ? 0 : -1;
}

static int exchange(const struct api_request *r, SSL *ssl, long deadline, struct api_answer *answer)
{
	char text[8192], *space;
	size_t used = 0;
	int n, length;

	while ((n = SSL_connect(ssl)) != 1) {
		if (wait_for(ssl, n, deadline) < 0) {
			snprintf(answer->error, sizeof(answer->error), "%s%s",
				 verify_text[0] ? "tls: failed to verify certificate: " : "",
				 verify_text[0] ? verify_text : "net/http: TLS handshake timeout");
			return -1;
		}
	}
	length = snprintf(text, sizeof(text),
			  "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: renumber-test\r\n"
			  "Accept: application/json\r\nConnection: close\r\n%s%s%s\r\n",
			  r->path, r->host, r->port, r->token ? "Authorization: Bearer " : "",
			  r->token ? r->token : "", r->token ? "\r\n" : "");
	if (length < 0 || (size_t)length >= sizeof(text)) {
		snprintf(answer->error, sizeof(answer->error), "the token is too long");
		return -1;
	}
	while ((n = SSL_write(ssl, text, length)) <= 0)
		if (wait_for(ssl, n, deadline) < 0)
			break;
	while (used < sizeof(text) - 1) {
		n = SSL_read(ssl, text + used, (int)(sizeof(text) - 1 - used));
		if (n > 0)
			used += (size_t)n;
		else if (wait_for(ssl, n, deadline) < 0)
			break;
	}
	text[used] = '\0';
	space = strchr(text, ' ');
	if (strncmp(text, "HTTP/1.", 7) != 0 || !space) {
		snprintf(answer->error, sizeof(answer->error), "no answer: %s",
			 now_ms() >= deadline ? "context deadline exceeded" : "EOF");
		return -1;
	}
	answer->status = (int)strtol(space + 1, NULL, 10);
	return 0;
}

int api_get(const struct api_request *r, struct api_answer *answer)
{
	long start = now_ms(), deadline = start + r->timeout_ms;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct in6_addr any;
	int fd, numeric;
	SSL *ssl;

	*answer = (struct api_answer){0};
	verify_text[0] = '\0';
	verify_host = r->host;
	if (!context || SSL_CTX_load_verify_file(context, r->ca) != 1) {
		snprintf(answer->error, sizeof(answer->error), "open %s: no certificate authority",
			 r->ca);
		SSL_CTX_free(context);
		return -1;
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
	fd = dial(r, deadline, answer);
	if (fd >= 0) {
		ssl = SSL_new(context);
		if (!ssl)
			abort();
		numeric = inet_pton(AF_INET, r->host, &any) == 1 ||
			  inet_pton(AF_INET6, r->host, &any) == 1;
		if (numeric)
			X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), r->host);
		else
			SSL_set1_host(ssl, r->host);
		SSL_set_fd(ssl, fd);
		exchange(r, ssl, deadline, answer);
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fd);
	}
	SSL_CTX_free(context);
	ERR_clear_error();
	answer->ms = (int)(now_ms() - start);
	if (!answer->error[0] && answer->status != 200)
		snprintf(answer->error, sizeof(answer->error), "the server answered %d",
			 answer->status);
	return answer->error[0] ? -1 : 0;
}
