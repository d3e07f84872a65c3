/* SPDX-License-Identifier: MIT */
#include "kube/watch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/limits.h"
#include "base/log.h"

/* The server ends each request after this time: a connection that died in silence is found then. */
#define KUBE_WATCH_ROUND_S 240
#define KUBE_WATCH_GRACE_MS 15000
#define KUBE_WATCH_BACKOFF_MS 250
#define KUBE_WATCH_BACKOFF_MAX_MS 5000

struct kube_watch {
	struct kube_client *kube;
	const struct kube_target *target;
	const struct kube_watch_options *options;
	kube_watch_event event;
	void *data;
	char *version;	       /* owned; last one seen; NULL: none */
	struct buffer line;    /* an event of which the end has not come yet */
	struct buffer refusal; /* the body of an answer that is not 200 */
	struct error failure;
	bool failed;
	bool enough;
	bool expired;
	bool progress; /* something came in this round */
};

static int kube_watch_status(struct kube_watch *w, const json_t *status)
{
	const char *message = json_path_text(status, "message");

	if (json_path_int(status, "code", 0) == 410) {
		w->expired = true;
		return 0;
	}
	/* "too old", "etcd leader changed": the server closes the stream after it; list again */
	log_debug("watch of %s: %s", w->target->plural,
		  message ? message : "an error without a message");
	return 0;
}

static void kube_watch_remember(struct kube_watch *w, const json_t *object)
{
	const char *version = json_path_text(object, "metadata.resourceVersion");

	if (!version || !*version)
		return;
	free(w->version);
	w->version = alloc_text(version);
}

static int kube_watch_dispatch(struct kube_watch *w, const json_t *event)
{
	static const char *const names[] = {"ADDED", "MODIFIED", "DELETED"};
	const json_t *object = json_path(event, "object");

	w->progress = true;
	if (json_path_is(event, "type", "ERROR"))
		return kube_watch_status(w, object);
	for (int type = KUBE_WATCH_ADDED; type <= KUBE_WATCH_DELETED; type++) {
		int result;

		if (!json_path_is(event, "type", names[type]))
			continue;
		result = w->event(w->data, (enum kube_watch_type)type, object, &w->failure);
		if (result < 0)
			return -1;
		w->enough = result > 0;
	}
	/* remembered after the callback: an event that failed comes again */
	kube_watch_remember(w, object);
	return 0;
}

static int kube_watch_line(struct kube_watch *w)
{
	auto_json json_t *event = NULL;

	if (slice_trim(buffer_as_slice(&w->line)).len == 0)
		return 0;
	event = json_parse(buffer_as_slice(&w->line), "watch event", &w->failure);
	return event ? kube_watch_dispatch(w, event) : -1;
}

static bool kube_watch_take(void *data, int status, struct slice bytes)
{
	struct kube_watch *w = data;

	if (status != 200) {
		buffer_slice(&w->refusal, bytes);
		return !w->refusal.overflowed;
	}
	while (bytes.len) {
		const char *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end ? (size_t)(end - bytes.ptr) : bytes.len;

		buffer_append(&w->line, bytes.ptr, len);
		if (!end)
			return !w->line.overflowed;
		w->failed = kube_watch_line(w) < 0;
		buffer_clear(&w->line);
		if (w->failed || w->enough || w->expired)
			return false;
		bytes.ptr += len + 1;
		bytes.len -= len + 1;
	}
	return true;
}

static char *kube_watch_path(const struct kube_watch *w, int64_t seconds)
{
	auto_free char *start = kube_path(w->target);
	auto_buffer struct buffer path = {0};
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)seconds);
	buffer_text(&path, start);
	kube_path_query(&path, "watch", "true");
	kube_path_query(&path, "allowWatchBookmarks", "true");
	kube_path_query(&path, "timeoutSeconds", text);
	if (w->version)
		kube_path_query(&path, "resourceVersion", w->version);
	if (w->options->label_selector)
		kube_path_query(&path, "labelSelector", w->options->label_selector);
	if (w->options->field_selector)
		kube_path_query(&path, "fieldSelector", w->options->field_selector);
	return buffer_detach(&path);
}

/* An answer that is no stream: expired, to be tried again (0), or the end of it (-1). */
static int kube_watch_refused(struct kube_watch *w, int status, const char *path, struct error *err)
{
	auto_kube_reply struct kube_reply reply = {.status = status, .body = w->refusal};
	auto_free char *label = alloc_format("GET %s", path);
	auto_error struct error failure = {0};

	w->refusal = (struct buffer){.max = LIMIT_HTTP_BODY};
	if (status == 410) {
		w->expired = true;
		return 0;
	}
	kube_reply_decode(&reply);
	kube_reply_error(&reply, label, kube_client_server(w->kube), &failure);
	if (failure.kind == ERROR_NETWORK)
		return 0;
	return error_move(err, &failure);
}

/* One request. 0: it ended, look at the flags. */
static int kube_watch_round(struct kube_watch *w, int64_t left_ms, struct error *err)
{
	int64_t seconds = left_ms / 1000 + 1;
	auto_free char *path = NULL;
	struct kube_stream stream = {.take = kube_watch_take, .data = w};
	auto_error struct error failure = {0};
	int status = 0;

	if (left_ms == 0 || seconds > KUBE_WATCH_ROUND_S)
		seconds = KUBE_WATCH_ROUND_S;
	path = kube_watch_path(w, seconds);
	stream.path = path;
	stream.timeout_ms = seconds * 1000 + KUBE_WATCH_GRACE_MS;
	if (left_ms && left_ms < stream.timeout_ms)
		stream.timeout_ms = left_ms;
	w->progress = false;
	buffer_clear(&w->line);
	if (kube_client_stream(w->kube, &stream, &status, &failure) < 0) {
		if (failure.kind != ERROR_NETWORK)
			return error_move(err, &failure);
		log_debug("watch of %s: %s", w->target->plural, error_text(&failure));
		return 0;
	}
	if (w->failed)
		return error_move(err, &w->failure);
	if (status != 200)
		return kube_watch_refused(w, status, path, err);
	return buffer_check(&w->line, "a watch event", err);
}

static int kube_watch_run(struct kube_watch *w, enum kube_watch_end *ret_end, struct error *err)
{
	int64_t end_ms = clock_monotonic_ms() + w->options->timeout_ms;
	int64_t pause_ms = KUBE_WATCH_BACKOFF_MS;

	for (;;) {
		int64_t left_ms = w->options->timeout_ms ? end_ms - clock_monotonic_ms() : 0;
		int64_t wait_ms;

		if (w->options->timeout_ms && left_ms <= 0) {
			*ret_end = KUBE_WATCH_TIMEOUT;
			return 0;
		}
		if (kube_watch_round(w, left_ms, err) < 0)
			return -1;
		if (w->enough || w->expired) {
			*ret_end = w->enough ? KUBE_WATCH_ENOUGH : KUBE_WATCH_EXPIRED;
			return 0;
		}
		/* a server that ends each round at once must not be asked without a pause */
		pause_ms = w->progress ? KUBE_WATCH_BACKOFF_MS : pause_ms;
		left_ms = end_ms - clock_monotonic_ms();
		wait_ms = w->options->timeout_ms && left_ms < pause_ms ? left_ms : pause_ms;
		if (clock_sleep_ms(wait_ms > 0 ? wait_ms : 0, err) < 0)
			return -1;
		if (pause_ms < KUBE_WATCH_BACKOFF_MAX_MS)
			pause_ms *= 2;
	}
}

int kube_watch(struct kube_client *kube, const struct kube_target *target,
	       const struct kube_watch_options *options, kube_watch_event event, void *data,
	       enum kube_watch_end *ret_end, struct error *err)
{
	struct kube_watch w = {.kube = kube,
			       .target = target,
			       .options = options,
			       .event = event,
			       .data = data,
			       .line = {.max = LIMIT_HTTP_BODY},
			       .refusal = {.max = LIMIT_HTTP_BODY}};
	int result;

	if (options->resource_version)
		w.version = alloc_text(options->resource_version);
	result = kube_watch_run(&w, ret_end, err);
	free(w.version);
	buffer_release(&w.line);
	buffer_release(&w.refusal);
	error_release(&w.failure);
	return result;
}
