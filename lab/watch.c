/* SPDX-License-Identifier: MIT */
#include "lab/watch.h"

#include <string.h>

#include "base/alloc.h"
#include "lab/list.h"
#include "lab/selector.h"
#include "text/json.h"

enum { WATCH_DEFAULT_S = 1800, WATCH_BOOKMARK_MS = 60000 };

struct watch {
	struct lab_server *server;
	struct api_target target; /* owned texts */
	char *labels;		  /* owned, or NULL */
	char *fields;
	uint64_t version; /* told up to here */
	bool initial;	  /* what is there now comes first */
	bool bookmarks;
	int64_t bookmark_at;
	int64_t ends;
	struct loop_timer *timer;
};

static void watch_line(struct watch *w, const char *type, json_t *object, struct buffer *out)
{
	json_t *event = json_pack("{s:s,s:o}", "type", type, "object", object);
	char *text = json_print(event);

	(void)w;
	buffer_text(out, text);
	buffer_char(out, '\n');
	free(text);
	json_decref(event);
}

static bool watch_wants(const struct watch *w, const json_t *object)
{
	return object &&
	       (!w->target.space || json_path_is(object, "metadata.namespace", w->target.space)) &&
	       (!w->target.name || json_path_is(object, "metadata.name", w->target.name)) &&
	       selector_labels(w->labels, json_path(object, "metadata.labels")) &&
	       selector_fields(w->fields, object);
}

/* What no longer fits the selectors is told as it was, with the version of the change. */
static void watch_left(struct watch *w, const struct store_event *event, struct buffer *out)
{
	json_t *shown = api_show(&w->target, event->before);
	json_t *metadata = json_copy(json_object_get(shown, "metadata"));

	json_object_set(metadata, "resourceVersion",
			json_path(event->object, "metadata.resourceVersion"));
	json_object_set_new(shown, "metadata", metadata);
	watch_line(w, "DELETED", shown, out);
}

static void watch_event(struct watch *w, const struct store_event *event, struct buffer *out)
{
	bool before = watch_wants(w, event->before);
	bool after = event->change != STORE_DELETED && watch_wants(w, event->object);

	if (event->type != w->target.type || (!before && !after))
		return;
	if (after || event->change == STORE_DELETED)
		watch_line(w,
			   !after   ? "DELETED"
			   : before ? "MODIFIED"
				    : "ADDED",
			   api_show(&w->target, event->object), out);
	else
		watch_left(w, event, out);
}

static void watch_present(struct watch *w, struct buffer *out)
{
	struct store *store = w->server->lab->store;
	size_t count;
	const char *const *keys = store_keys(store, w->target.type, &count);

	for (size_t i = 0; i < count; i++) {
		const json_t *object = store_by_key(store, w->target.type, keys[i]);

		if (watch_wants(w, object))
			watch_line(w, "ADDED", api_show(&w->target, object), out);
	}
	w->version = store_version(store);
	w->initial = false;
}

static void watch_bookmark(struct watch *w, struct buffer *out)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)w->version);
	{
		auto_json json_t *empty =
			json_pack("{s:{s:s}}", "metadata", "resourceVersion", text);
		json_t *shown = api_show(&w->target, empty);

		json_object_set_new(shown, "kind", json_string(w->target.type->kind));
		watch_line(w, "BOOKMARK", shown, out);
	}
	w->bookmark_at = loop_now(w->server->lab->loop) + WATCH_BOOKMARK_MS;
}

static bool watch_more(void *data, struct buffer *out)
{
	struct watch *w = data;
	struct lab *lab = w->server->lab;
	bool expired = false;

	if (w->initial)
		watch_present(w, out);
	while (!expired) {
		const struct store_event *event = store_after(lab->store, w->version, &expired);

		if (expired || !event)
			break;
		w->version = event->version;
		watch_event(w, event, out);
	}
	if (expired) {
		auto_answer struct answer gone = {0};

		answer_refuse(&gone, 410, "Expired", "too old resource version: %llu (%llu)",
			      (unsigned long long)w->version,
			      (unsigned long long)store_version(lab->store));
		watch_line(w, "ERROR", answer_status(&gone), out);
		return false;
	}
	if (loop_now(lab->loop) >= w->ends)
		return false;
	if (w->bookmarks && loop_now(lab->loop) >= w->bookmark_at)
		watch_bookmark(w, out);
	return true;
}

static void watch_due(void *data)
{
	struct watch *w = data;

	w->timer = NULL;
	http_wake(w->server->http);
}

static void watch_done(void *data)
{
	struct watch *w = data;

	loop_cancel(w->server->lab->loop, w->timer);
	free(w->target.version);
	free(w->target.space);
	free(w->target.name);
	free(w->labels);
	free(w->fields);
	free(w);
}

static char *watch_copy(const char *text)
{
	return text ? alloc_text(text) : NULL;
}

int watch_start(struct lab_server *server, const struct api_target *target,
		const struct http_request *request, struct http_reply *reply, struct answer *answer)
{
	const char *version = http_query(request, "resourceVersion");
	const char *seconds = http_query(request, "timeoutSeconds");
	const char *bookmarks = http_query(request, "allowWatchBookmarks");
	uint64_t from = 0;
	uint64_t s = WATCH_DEFAULT_S;
	struct watch *w;

	if (version && *version && !slice_to_u64(slice_of(version), UINT64_MAX, &from))
		return answer_refuse(answer, 500, NULL,
				     "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: "
				     "parsing \"%s\": invalid syntax",
				     version, version);
	if (list_check_fields(target, request, answer) < 0)
		return -1;
	w = ALLOC_NEW(struct watch);
	w->version = from;
	w->server = server;
	w->target = (struct api_target){target->type, watch_copy(target->version),
					watch_copy(target->space), watch_copy(target->name), NULL};
	w->labels = watch_copy(http_query(request, "labelSelector"));
	w->fields = watch_copy(http_query(request, "fieldSelector"));
	w->bookmarks = bookmarks && strcmp(bookmarks, "true") == 0;
	w->initial = from == 0;
	if (seconds && !slice_to_u64(slice_of(seconds), 86400, &s))
		s = WATCH_DEFAULT_S;
	/* a client counts in real seconds */
	w->ends = loop_now(server->lab->loop) + (int64_t)s * 1000 * server->lab->options.pace;
	w->bookmark_at = loop_now(server->lab->loop) + WATCH_BOOKMARK_MS;
	w->timer =
		loop_after(server->lab->loop, w->ends - loop_now(server->lab->loop), watch_due, w);
	reply->status = 200;
	reply->more = watch_more;
	reply->done = watch_done;
	reply->data = w;
	return 0;
}
