/* SPDX-License-Identifier: MIT */
#include "kube/client.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "kube/client_parts.h"

#define KUBE_CLIENT_TIMEOUT_MS 60000
#define KUBE_CLIENT_CONNECT_MS 10000
#define KUBE_CLIENT_RETRY_MS 20000
/* for a server that never answered: a typo should not cost half a minute */
#define KUBE_CLIENT_FIRST_RETRY_MS 1000
#define KUBE_CLIENT_BACKOFF_MS 250
#define KUBE_CLIENT_BACKOFF_MAX_MS 5000

/* --- life ------------------------------------------------------------------------------------ */

static struct kube_client *kube_client_new(const struct kube_config *config,
					   const struct kube_transport_options *options,
					   struct error *err)
{
	struct kube_transport *transport = kube_transport_new(config, options, err);
	struct kube_client *kube;

	if (!transport)
		return NULL;
	kube = ALLOC_NEW(struct kube_client);
	kube->config = config;
	kube->transport = transport;
	return kube;
}

struct kube_client *kube_client_open(const struct kube_config *config,
				     const struct kube_client_options *options, struct error *err)
{
	struct kube_client *kube = kube_client_new(config, NULL, err);
	int64_t timeout_ms = options ? options->request_timeout_ms : 0;
	int64_t retry_ms = options ? options->retry_ms : 0;

	if (!kube)
		return NULL;
	kube->timeout_ms = timeout_ms == 0  ? KUBE_CLIENT_TIMEOUT_MS
			   : timeout_ms < 0 ? 0
					    : timeout_ms;
	kube->connect_ms = options && options->connect_timeout_ms ? options->connect_timeout_ms
								  : KUBE_CLIENT_CONNECT_MS;
	kube->retry_ms = retry_ms == 0 ? KUBE_CLIENT_RETRY_MS : retry_ms < 0 ? 0 : retry_ms;
	return kube;
}

static struct kube_client *kube_client_child(struct kube_client *kube,
					     const struct kube_transport_options *options,
					     struct error *err)
{
	struct kube_client *child = kube_client_new(kube->config, options, err);

	if (!child)
		return NULL;
	child->parent = kube->parent ? kube->parent : kube;
	child->timeout_ms = kube->timeout_ms;
	child->connect_ms = kube->connect_ms;
	child->retry_ms = kube->retry_ms;
	return child;
}

struct kube_client *kube_client_pinned(struct kube_client *kube, struct error *err)
{
	struct kube_transport_options options = {.pinned = true};
	struct kube_client *child;

	options.address = kube_transport_address(kube->transport, &options.port);
	child = kube_client_child(kube, &options, err);
	if (child)
		child->reached = kube->reached;
	return child;
}

void kube_client_repin(struct kube_client *pinned)
{
	kube_transport_unpin(pinned->transport);
}

struct kube_client *kube_client_at(struct kube_client *kube, const char *address, uint16_t port,
				   struct error *err)
{
	struct kube_transport_options options = {.address = address, .port = port};

	return kube_client_child(kube, &options, err);
}

void kube_client_free(struct kube_client *kube)
{
	if (!kube)
		return;
	kube_transport_free(kube->transport);
	kube_credential_release(&kube->credential);
	free(kube);
}

const char *kube_client_server(const struct kube_client *kube)
{
	return kube_transport_server(kube->transport);
}

const struct kube_config *kube_client_config(const struct kube_client *kube)
{
	return kube->config;
}

/* --- one request, tried until it is answered ------------------------------------------------- */

const char *kube_client_method(enum kube_method method)
{
	static const char *const names[] = {"GET",   "POST",  "PUT",   "PATCH",
					    "PATCH", "PATCH", "PATCH", "DELETE"};

	return names[method];
}

const char *kube_client_content(enum kube_method method)
{
	switch (method) {
	case KUBE_PATCH_MERGE:
		return "application/merge-patch+json";
	case KUBE_PATCH_JSON:
		return "application/json-patch+json";
	case KUBE_PATCH_STRATEGIC:
		return "application/strategic-merge-patch+json";
	case KUBE_PATCH_APPLY:
		return "application/apply-patch+yaml";
	default:
		return "application/json";
	}
}

struct kube_credential *kube_client_credential(struct kube_client *kube)
{
	return kube->parent ? &kube->parent->credential : &kube->credential;
}

struct kube_client_try {
	struct kube_attempt attempt;
	int64_t started_ms;
	int64_t pause_ms;
	bool repeatable;
	bool once;
	bool renewed; /* the credential was renewed after a 401 */
};

/* Whether the server has surely not acted, or acting twice does no harm. */
static bool kube_client_may_repeat(const struct kube_client_try *try)
{
	int status = try->attempt.status;

	if (try->once)
		return false;
	if (status == 0)
		return !try->attempt.hopeless && (try->repeatable || !try->attempt.sent);
	if (status == 429 || (status >= 500 && try->attempt.retry_after_s > 0))
		return true;
	return try->repeatable && (status == 502 || status == 503 || status == 504);
}

/* True when the wait is over and another attempt is due. False: give up; with an error when the
 * user asked to stop. */
static bool kube_client_wait(const struct kube_client *kube, struct kube_client_try *try,
			     struct error *err)
{
	auto_error struct error stop = {0};
	int64_t patience_ms = kube->retry_ms;
	int64_t pause_ms = try->pause_ms;

	if (try->attempt.retry_after_s * 1000 > pause_ms)
		pause_ms = try->attempt.retry_after_s * 1000;
	if (!kube->reached && patience_ms > KUBE_CLIENT_FIRST_RETRY_MS)
		patience_ms = KUBE_CLIENT_FIRST_RETRY_MS;
	if (!kube_client_may_repeat(try) ||
	    clock_monotonic_ms() + pause_ms > try->started_ms + patience_ms)
		return false;
	log_debug("trying again in %lld ms", (long long)pause_ms);
	if (clock_sleep_ms(pause_ms, &stop) < 0) {
		error_move(err, &stop);
		return false;
	}
	try->pause_ms = try->pause_ms * 2 < KUBE_CLIENT_BACKOFF_MAX_MS ? try->pause_ms * 2
								       : KUBE_CLIENT_BACKOFF_MAX_MS;
	return true;
}

bool kube_client_take(void *data, int status, struct slice bytes)
{
	struct buffer *body = data;

	(void)status;
	buffer_slice(body, bytes);
	return !body->overflowed;
}

/* One attempt; 0 for an answer of any status. */
static int kube_client_attempt(struct kube_client *kube, struct kube_client_try *try,
			       struct buffer *body, struct error *err)
{
	struct kube_credential *credential = kube_client_credential(kube);

	if (kube_credential_refresh(credential, kube->config, false, err) < 0) {
		try->attempt.status = 0;
		try->attempt.hopeless = true;
		return -1;
	}
	if (body)
		buffer_clear(body);
	if (kube_transport_perform(kube->transport, credential, &try->attempt, err) < 0 &&
	    !(body && body->overflowed)) {
		try->attempt.status = 0;
		return -1;
	}
	/* of a compressed answer libcurl says only that it could not be written */
	error_release(err);
	kube->reached = true;
	if (body && buffer_check(body, "the answer", err) < 0) {
		try->attempt.hopeless = true;
		try->attempt.status = 0;
		return -1;
	}
	return 0;
}

/* True when a 401 was answered with a new credential. */
static bool kube_client_renew(struct kube_client *kube, struct kube_client_try *try)
{
	auto_error struct error ignored = {0};

	if (try->attempt.status != 401 || try->renewed || !kube_credential_can_renew(kube->config))
		return false;
	try->renewed = true;
	return kube_credential_refresh(kube_client_credential(kube), kube->config, true,
				       &ignored) == 0;
}

static int kube_client_insist(struct kube_client *kube, struct kube_client_try *try,
			      struct buffer *body, struct error *err)
{
	try->pause_ms = KUBE_CLIENT_BACKOFF_MS;
	try->started_ms = clock_monotonic_ms();
	for (;;) {
		auto_error struct error failure = {0};
		int result = kube_client_attempt(kube, try, body, &failure);

		if (result == 0 && kube_client_renew(kube, try))
			continue;
		if (result < 0)
			log_debug("%s %s: %s", try->attempt.method, try->attempt.path,
				  error_text(&failure));
		if (result < 0 && failure.kind != ERROR_NETWORK)
			return error_move(err, &failure);
		if (kube_client_wait(kube, try, err))
			continue;
		if (err->kind == ERROR_INTERRUPTED)
			return -1;
		return result < 0 ? error_move(err, &failure) : 0;
	}
}

/* 401 says nothing of the cause; the certificate may. */
static int kube_client_unauthorized(struct kube_client *kube, struct error *err)
{
	const struct kube_config *config = kube->config;
	const struct kube_credential *credential = kube_client_credential(kube);
	const char *how = config->exec ? "the credential that its plugin gave"
			  : config->token_file || config->token.len ? "its token"
			  : config->username			    ? "its user name and password"
								    : "its credential";
	auto_free char *who = config->user ? alloc_format("user '%s' of context '%s'", config->user,
							  config->context)
					   : alloc_format("context '%s'", config->context);
	int64_t expires_s;

	if (!credential->token.len && kube_credential_expiry(&config->certificate, &expires_s)) {
		auto_free char *when = clock_format(expires_s);

		if (expires_s < clock_wall_s())
			return error_set(err, ERROR_API,
					 "%s is not let in by %s: its client certificate "
					 "expired at %s, renew it",
					 who, kube_transport_server(kube->transport), when);
		how = "its client certificate, which was issued by another authority than the "
		      "cluster's";
	} else if (!credential->token.len && !config->username) {
		return error_set(err, ERROR_API,
				 "%s has no credential and %s does not let it in without "
				 "one",
				 who, kube_transport_server(kube->transport));
	}
	return error_set(err, ERROR_API,
			 "%s is not let in by %s: %s is wrong or has expired, log in again", who,
			 kube_transport_server(kube->transport), how);
}

/* A server that knows anonymous users answers 403 where another one says 401. */
static bool kube_client_is_anonymous(const struct kube_client *kube)
{
	const struct kube_config *config = kube->config;

	return !config->certificate.len && !config->token.len && !config->token_file &&
	       !config->username && !config->exec;
}

static void kube_client_prepare(struct kube_client *kube, const struct kube_request *request,
				struct kube_client_try *try)
{
	try->once = request->once;
	try->repeatable = request->repeatable || request->method == KUBE_GET;
	try->attempt.method = kube_client_method(request->method);
	try->attempt.path = request->path;
	try->attempt.content_type = kube_client_content(request->method);
	try->attempt.accept = request->accept ? request->accept : "application/json";
	try->attempt.body = request->body;
	try->attempt.timeout_ms = request->timeout_ms ? request->timeout_ms : kube->timeout_ms;
	try->attempt.connect_ms = kube->connect_ms;
	try->attempt.safe = try->repeatable;
}

int kube_client_send(struct kube_client *kube, const struct kube_request *request,
		     struct kube_reply *reply, struct error *err)
{
	struct kube_client_try try = {0};
	auto_free char *label = NULL;
	int result;

	kube_reply_release(reply);
	reply->body.max = LIMIT_HTTP_BODY;
	kube_client_prepare(kube, request, &try);
	try.attempt.take = kube_client_take;
	try.attempt.data = &reply->body;
	result = kube_client_insist(kube, &try, &reply->body, err);
	reply->sent = try.attempt.sent;
	reply->status = try.attempt.status;
	if (result < 0)
		return -1;
	if (reply->status >= 200 && reply->status < 300)
		return 0;
	kube_reply_decode(reply);
	if (reply->status == 401 || (reply->status == 403 && kube_client_is_anonymous(kube)))
		return kube_client_unauthorized(kube, err);
	label = alloc_format("%s %s", try.attempt.method, request->path);
	return kube_reply_error(reply, label, kube_transport_server(kube->transport), err);
}

int kube_client_stream(struct kube_client *kube, const struct kube_stream *stream, int *ret_status,
		       struct error *err)
{
	struct kube_request request = {.path = stream->path, .timeout_ms = stream->timeout_ms};
	struct kube_client_try try = {0};
	int result;

	kube_client_prepare(kube, &request, &try);
	try.attempt.stream = true;
	try.attempt.take = stream->take;
	try.attempt.data = stream->data;
	result = kube_client_attempt(kube, &try, NULL, err);
	if (result == 0 && kube_client_renew(kube, &try))
		result = kube_client_attempt(kube, &try, NULL, err);
	if (result < 0)
		return -1;
	if (try.attempt.status == 401)
		return kube_client_unauthorized(kube, err);
	*ret_status = try.attempt.status;
	return 0;
}

int kube_client_get_raw(struct kube_client *kube, const char *path, struct kube_reply *reply,
			struct error *err)
{
	struct kube_request request = {.method = KUBE_GET, .path = path, .accept = "*/*"};

	return kube_client_send(kube, &request, reply, err);
}
