/* SPDX-License-Identifier: MIT */
#include "kube/transport.h"

#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/limits.h"
#include "base/log.h"
#include "kube/trust.h"
#include "version.h"

/* from then on ^C ends an attempt that has reached nobody yet */
#define KUBE_TRANSPORT_PATIENCE_MS 1000

/* An attempt under way. */
struct kube_transport_run {
	struct kube_transport *transport;
	struct kube_attempt *attempt;
	int64_t started_ms;
	bool other_connection; /* refused: the pinned one is gone */
	bool refused_repeat;   /* refused: libcurl wanted to send a write twice */
	bool interrupted;
};

struct kube_transport {
	const struct kube_config *config; /* borrowed */
	CURL *easy;
	char *server;	   /* owned; for messages */
	char *base;	   /* owned; "https://NAME:PORT/prefix" of the requests */
	char *base_there;  /* owned; the same with the address as name; NULL without address */
	bool by_address;   /* the certificate has the address, not the name */
	char *name;	   /* owned; that the server's certificate must have, without brackets */
	char *connect_to;  /* owned; "::10.1.15.121:6443", NULL: as the URL says */
	char *host_header; /* owned; "Host: …" where the URL has the TLS name; NULL */
	char *address;	   /* owned; of kube_transport_options */
	uint16_t port;
	struct kube_trust trust;
	bool pinned;
	bool chosen; /* the pinned connection is the one with these ends */
	char *local; /* owned; "10.1.15.1 41234" */

	/* from begin to end of an attempt */
	struct kube_transport_run run;
	struct curl_slist *headers;
	struct curl_slist *connect_list;
	char detail[CURL_ERROR_SIZE];
};

/* --- the server's address -------------------------------------------------------------------- */

static char *kube_transport_url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	char *copy;

	if (curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) !=
	    CURLUE_OK)
		return alloc_text("");
	copy = alloc_text(text);
	curl_free(text);
	return copy;
}

static char *kube_transport_unbracket(const char *host)
{
	size_t len = strlen(host);

	return host[0] == '[' ? alloc_text_n(host + 1, len - 2) : alloc_text(host);
}

/* "a:b" for IPv6 needs brackets in front of a port. */
static char *kube_transport_place(const char *prefix, const char *host, const char *port)
{
	bool bare_v6 = strchr(host, ':') && host[0] != '[';

	return alloc_format(bare_v6 ? "%s[%s]:%s" : "%s%s:%s", prefix, host, port);
}

static void kube_transport_address_from(struct kube_transport *t, CURLU *url,
					const struct kube_transport_options *options)
{
	const struct kube_config *config = t->config;
	auto_free char *scheme = kube_transport_url_part(url, CURLUPART_SCHEME);
	auto_free char *host = kube_transport_url_part(url, CURLUPART_HOST);
	auto_free char *port = kube_transport_url_part(url, CURLUPART_PORT);
	auto_free char *path = kube_transport_url_part(url, CURLUPART_PATH);
	const char *url_host = config->tls_server_name ? config->tls_server_name : host;
	auto_free char *origin = kube_transport_place("", url_host, port);
	auto_free char *host_port = kube_transport_place("", host, port);
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		path[--len] = '\0';
	t->base = alloc_format("%s://%s%s", scheme, origin, path);
	t->name = kube_transport_unbracket(url_host);
	if (config->tls_server_name) {
		t->host_header = alloc_format("Host: %s", host_port);
		t->connect_to = alloc_format("::%s", host_port);
	}
	t->server = alloc_text(config->server);
	if (options && options->address) {
		auto_free char *number = alloc_format("%u", options->port);
		auto_free char *there = kube_transport_place("", options->address, number);

		free(t->connect_to);
		t->connect_to = alloc_format("::%s", there);
		t->address = alloc_text(options->address);
		t->port = options->port;
		free(t->server);
		t->server = alloc_format("%s at %s", config->server, there);
		t->base_there = alloc_format("%s://%s%s", scheme, there, path);
	}
}

struct kube_transport *kube_transport_new(const struct kube_config *config,
					  const struct kube_transport_options *options,
					  struct error *err)
{
	CURLU *url = curl_url();
	struct kube_transport *t;
	CURLUcode code;

	code = curl_url_set(url, CURLUPART_URL, config->server, 0);
	if (code != CURLUE_OK) {
		curl_url_cleanup(url);
		error_set(err, ERROR_USAGE, "the server address '%s' is malformed: %s",
			  config->server, curl_url_strerror(code));
		return NULL;
	}
	t = ALLOC_NEW(struct kube_transport);
	t->config = config;
	t->pinned = options && options->pinned;
	kube_transport_address_from(t, url, options);
	curl_url_cleanup(url);
	t->easy = curl_easy_init();
	if (!t->easy) {
		kube_transport_free(t);
		error_set(err, ERROR_IO, "cannot initialise libcurl");
		return NULL;
	}
	return t;
}

void kube_transport_free(struct kube_transport *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	free(t->server);
	free(t->base);
	free(t->base_there);
	free(t->name);
	free(t->connect_to);
	free(t->host_header);
	free(t->address);
	free(t->local);
	kube_trust_release(&t->trust);
	free(t);
}

const char *kube_transport_server(const struct kube_transport *t)
{
	return t->server;
}

const char *kube_transport_address(const struct kube_transport *t, uint16_t *ret_port)
{
	*ret_port = t->port;
	return t->address;
}

void kube_transport_unpin(struct kube_transport *t)
{
	t->chosen = false;
}

/* --- callbacks of one attempt ---------------------------------------------------------------- */

static size_t kube_transport_write(char *bytes, size_t size, size_t count, void *data)
{
	struct kube_transport_run *run = data;
	long status = 0;

	curl_easy_getinfo(run->transport->easy, CURLINFO_RESPONSE_CODE, &status);
	if (run->attempt->take(run->attempt->data, (int)status,
			       (struct slice){bytes, size * count}))
		return size * count;
	run->attempt->ended = true;
	return 0;
}

/* Called with the connection in hand and nothing sent yet: the place to refuse it. */
static int kube_transport_before(void *data, char *remote_ip, char *local_ip, int remote_port,
				 int local_port)
{
	struct kube_transport_run *run = data;
	struct kube_transport *t = run->transport;
	auto_free char *local = alloc_format("%s %d", local_ip ? local_ip : "", local_port);

	(void)remote_ip;
	(void)remote_port;
	if (t->pinned && t->chosen && strcmp(t->local, local) != 0) {
		run->other_connection = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (run->attempt->sent && !run->attempt->safe) {
		run->refused_repeat = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (t->pinned && !t->chosen) {
		free(t->local);
		t->local = steal(local);
		t->chosen = true;
	}
	run->attempt->sent = true;
	return CURL_PREREQFUNC_OK;
}

static int kube_transport_progress(void *data, curl_off_t total_down, curl_off_t down,
				   curl_off_t total_up, curl_off_t up)
{
	struct kube_transport_run *run = data;
	bool waiting = !run->attempt->sent &&
		       clock_monotonic_ms() - run->started_ms > KUBE_TRANSPORT_PATIENCE_MS;

	(void)total_down;
	(void)down;
	(void)total_up;
	(void)up;
	if (!interrupt_requested() || !(waiting || run->attempt->stream))
		return 0;
	run->interrupted = true;
	return 1;
}

/* --- what a request is made of --------------------------------------------------------------- */

static void kube_transport_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (longer)
		*list = longer;
}

static void kube_transport_named(struct curl_slist **list, const char *name, const char *value)
{
	auto_free char *line = NULL;

	if (!value)
		return;
	line = alloc_format("%s: %s", name, value);
	kube_transport_header(list, line);
}

/* "Authorization: Bearer …", built without a copy that stays behind. */
static void kube_transport_authorize(struct curl_slist **list, const struct secret *token)
{
	static const char prefix[] = "Authorization: Bearer ";
	auto_secret struct secret line = {0};
	size_t len = sizeof(prefix) - 1;
	char *text;

	if (token->len == 0)
		return;
	text = alloc_bytes(len + token->len);
	memcpy(text, prefix, len);
	memcpy(text + len, token->ptr, token->len);
	secret_set(&line, text, len + token->len);
	explicit_bzero(text, len + token->len);
	free(text);
	kube_transport_header(list, line.ptr);
}

static struct curl_slist *kube_transport_headers(const struct kube_transport *t,
						 const struct kube_credential *credential,
						 const struct kube_attempt *attempt)
{
	const struct kube_config *config = t->config;
	struct curl_slist *list = NULL;

	kube_transport_named(&list, "Accept", attempt->accept);
	if (attempt->body.len)
		kube_transport_named(&list, "Content-Type", attempt->content_type);
	/* no pause for "100 Continue" before a large body */
	kube_transport_header(&list, "Expect:");
	if (t->host_header)
		kube_transport_header(&list, t->host_header);
	kube_transport_authorize(&list, &credential->token);
	kube_transport_named(&list, "Impersonate-User", config->as_user);
	kube_transport_named(&list, "Impersonate-Uid", config->as_uid);
	for (size_t i = 0; config->as_groups && config->as_groups[i]; i++)
		kube_transport_named(&list, "Impersonate-Group", config->as_groups[i]);
	return list;
}

static void kube_transport_wipe_headers(struct curl_slist *list)
{
	for (struct curl_slist *item = list; item; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(list);
}

static struct curl_blob kube_transport_blob(const char *bytes, size_t len)
{
	/* NOCOPY: config and credential outlive the transfer, and libcurl does not wipe */
	return (struct curl_blob){(char *)(uintptr_t)bytes, len, CURL_BLOB_NOCOPY};
}

static CURLcode kube_transport_context(CURL *easy, void *context, void *data)
{
	struct kube_transport *t = data;

	(void)easy;
	/* not verified at all otherwise: the watched verification would be a refusal */
	if (!t->config->insecure)
		kube_trust_watch(&t->trust, context);
	return CURLE_OK;
}

static void kube_transport_set_tls(struct kube_transport *t,
				   const struct kube_credential *credential)
{
	const struct kube_config *config = t->config;
	const struct secret *certificate = &config->certificate;
	const struct secret *key = &config->key;
	struct curl_blob blob;

	curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, kube_transport_context);
	curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_DATA, t);
	/* a resumed session shows no certificate to look at */
	curl_easy_setopt(t->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (config->insecure) {
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (config->ca) {
		/* the folder of the system's CAs would be trusted besides */
		curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
		blob = kube_transport_blob(config->ca, strlen(config->ca));
		curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (credential->certificate.len) {
		certificate = &credential->certificate;
		key = &credential->key;
	}
	if (certificate->len == 0)
		return;
	blob = kube_transport_blob(certificate->ptr, certificate->len);
	curl_easy_setopt(t->easy, CURLOPT_SSLCERT_BLOB, &blob);
	blob = kube_transport_blob(key->ptr, key->len);
	curl_easy_setopt(t->easy, CURLOPT_SSLKEY_BLOB, &blob);
}

static void kube_transport_set_proxy(struct kube_transport *t)
{
	const char *proxy = t->config->proxy_url;
	auto_free char *resolving = NULL;

	if (t->address) {
		curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
		return;
	}
	if (!proxy)
		return;
	/* kubectl lets the proxy resolve names */
	if (slice_starts(slice_of(proxy), "socks5://"))
		resolving = alloc_format("socks5h%s", proxy + strlen("socks5"));
	curl_easy_setopt(t->easy, CURLOPT_PROXY, resolving ? resolving : proxy);
	curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "");
}

static void kube_transport_set_connection(struct kube_transport *t,
					  const struct kube_attempt *attempt)
{
	CURL *easy = t->easy;
	int64_t connect_ms = attempt->connect_ms;

	if (attempt->timeout_ms && attempt->timeout_ms < connect_ms)
		connect_ms = attempt->timeout_ms;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 15L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)attempt->timeout_ms);
	if (t->pinned)
		curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
	kube_transport_set_proxy(t);
}

static void kube_transport_set_request(struct kube_transport *t, struct kube_transport_run *run)
{
	const struct kube_attempt *attempt = run->attempt;
	auto_free char *url =
		alloc_format("%s%s", t->by_address ? t->base_there : t->base, attempt->path);
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "kubectl-renumber/" KUBECTL_RENUMBER_VERSION);
	if (attempt->body.len) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, attempt->body.ptr);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)attempt->body.len);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, attempt->method);
	if (t->config->compression && !attempt->stream)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, kube_transport_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, run);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, kube_transport_before);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, run);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, kube_transport_progress);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, run);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
}

/* --- libcurl's results to our errors --------------------------------------------------------- */

static int kube_transport_distrusted(struct kube_transport *t, struct kube_attempt *attempt,
				     struct error *err)
{
	attempt->hopeless = true;
	return kube_trust_error(&t->trust, t->server, t->name, t->config->ca != NULL, err);
}

static int kube_transport_refused(const struct kube_transport *t, const char *detail,
				  struct error *err)
{
	long number = 0;

	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
	return error_set(err, ERROR_NETWORK, "cannot connect to %s: %s", t->server,
			 number ? strerror((int)number) : detail);
}

static int kube_transport_late(const struct kube_transport *t, const struct kube_attempt *attempt,
			       struct error *err)
{
	curl_off_t spent_us = 0;
	auto_free char *after = NULL;

	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &spent_us);
	after = clock_duration(spent_us / 1000);
	return error_set(err, ERROR_NETWORK,
			 attempt->sent ? "no answer from %s within %s"
				       : "no connection to %s within %s",
			 t->server, after);
}

static bool kube_transport_is_distrust(const struct kube_transport *t, CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION ||
	       (code == CURLE_SSL_CONNECT_ERROR && t->trust.met &&
		t->trust.verify_result != X509_V_OK);
}

/* `detail` is libcurl's own sentence. */
static int kube_transport_error(struct kube_transport *t, struct kube_transport_run *run,
				CURLcode code, const char *detail, struct error *err)
{
	struct kube_attempt *attempt = run->attempt;

	if (run->interrupted)
		return error_set(err, ERROR_INTERRUPTED, "stopped by request");
	if (run->other_connection) {
		attempt->hopeless = true;
		return error_set(err, ERROR_NETWORK,
				 "the connection to %s was lost in the middle of "
				 "requests that must meet one server",
				 t->server);
	}
	if (run->refused_repeat)
		return error_set(err, ERROR_NETWORK,
				 "the connection to %s was cut before the answer "
				 "came",
				 t->server);
	if (kube_transport_is_distrust(t, code))
		return kube_transport_distrusted(t, attempt, err);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		attempt->hopeless = true;
		return error_set(err, ERROR_NETWORK,
				 "cannot reach %s: the name '%s' has no address "
				 "here",
				 t->server, t->address ? t->address : t->name);
	case CURLE_COULDNT_CONNECT:
		return kube_transport_refused(t, detail, err);
	case CURLE_OPERATION_TIMEDOUT:
		return kube_transport_late(t, attempt, err);
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		attempt->hopeless = true;
		return error_set(err, ERROR_PARSE,
				 "the kubeconfig's certificates cannot be used: %s", detail);
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return error_set(err, ERROR_NETWORK,
				 "the connection to %s was cut before the whole "
				 "answer came: %s",
				 t->server, detail);
	default:
		return error_set(err, ERROR_NETWORK, "no answer from %s: %s", t->server, detail);
	}
}

static void kube_transport_finish(struct kube_transport *t, struct kube_transport_run *run)
{
	struct kube_attempt *attempt = run->attempt;
	curl_off_t retry_after = 0;
	curl_off_t bytes = 0;
	curl_off_t spent_us = 0;
	char *address = NULL;
	long status = 0;
	long version = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
	attempt->status = (int)status;
	attempt->retry_after_s = retry_after;
	if (!log_is_verbose())
		return;
	curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &spent_us);
	curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &address);
	curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
	log_debug("%s %s: %ld from %s by HTTP/%s, %lld bytes, %lld ms", attempt->method,
		  attempt->path, status, address ? address : "",
		  version == CURL_HTTP_VERSION_2_0 ? "2" : "1", (long long)bytes,
		  (long long)spent_us / 1000);
}

void kube_transport_begin(struct kube_transport *t, const struct kube_credential *credential,
			  struct kube_attempt *attempt)
{
	t->run = (struct kube_transport_run){
		.transport = t, .attempt = attempt, .started_ms = clock_monotonic_ms()};
	*t->detail = '\0';
	attempt->status = 0;
	attempt->sent = attempt->hopeless = attempt->ended = false;
	attempt->retry_after_s = 0;
	kube_trust_release(&t->trust);
	curl_easy_reset(t->easy);
	kube_transport_set_connection(t, attempt);
	kube_transport_set_tls(t, credential);
	kube_transport_set_request(t, &t->run);
	if (t->config->username && !credential->token.len) {
		curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(t->easy, CURLOPT_USERNAME, t->config->username);
		curl_easy_setopt(t->easy, CURLOPT_PASSWORD,
				 t->config->password.len ? t->config->password.ptr : "");
	}
	t->headers = kube_transport_headers(t, credential, attempt);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	if (t->connect_to)
		kube_transport_header(&t->connect_list, t->connect_to);
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_list);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
}

int kube_transport_end(struct kube_transport *t, int result, struct error *err)
{
	CURLcode code = (CURLcode)result;
	bool answered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->run.attempt->ended);

	if (answered)
		kube_transport_finish(t, &t->run);
	else
		kube_transport_error(t, &t->run, code,
				     *t->detail ? t->detail : curl_easy_strerror(code), err);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(t->connect_list);
	kube_transport_wipe_headers(t->headers);
	t->connect_list = t->headers = NULL;
	return answered ? 0 : -1;
}

void *kube_transport_handle(struct kube_transport *t)
{
	return t->easy;
}

static int kube_transport_once(struct kube_transport *t, const struct kube_credential *credential,
			       struct kube_attempt *attempt, struct error *err)
{
	kube_transport_begin(t, credential, attempt);
	return kube_transport_end(t, (int)curl_easy_perform(t->easy), err);
}

/* One certain server was asked for by its address. Its certificate may lack the name by which the
 * kubeconfig knows all of them, which is just what a repair has to find out; the address that we
 * dial proves as well who it is. */
static bool kube_transport_by_address(const struct kube_transport *t)
{
	return t->base_there && !t->by_address && t->trust.met &&
	       t->trust.verify_result == X509_V_OK && pki_cert_covers(&t->trust.cert, t->address) &&
	       !pki_cert_covers(&t->trust.cert, t->name);
}

int kube_transport_perform(struct kube_transport *t, const struct kube_credential *credential,
			   struct kube_attempt *attempt, struct error *err)
{
	auto_error struct error failure = {0};

	if (kube_transport_once(t, credential, attempt, &failure) == 0)
		return 0;
	if (attempt->sent || !kube_transport_by_address(t))
		return error_move(err, &failure);
	log_debug("%s", error_text(&failure));
	t->by_address = true;
	return kube_transport_once(t, credential, attempt, err);
}
