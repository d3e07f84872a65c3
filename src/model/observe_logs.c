/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "text/json.h"

/*
 * Why a Pod crash-loops stands in the log of its last container. Only one line of it is kept, and
 * only one that speaks of the API servers' address or of certificates: other lines are not ours to
 * pass on.
 */
enum { POD_MAX = 10, LINE_MAX_BYTES = 400, LOG_TIMEOUT_MS = 3000 };

static bool is_telling(struct slice line)
{
	static const char *const words[] = {
		"x509:",       "dial tcp",
		"i/o timeout", "connection refused",
		"no route to", "KUBERNETES_SERVICE_",
		"in-cluster",  "not in cluster",
		"timed out",
	};
	auto_free char *text = slice_dup(line);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(text, words[i]))
			return true;
	}
	return false;
}

/* The last such line, cut; NULL: none. The caller frees. */
static char *telling_line(struct slice log)
{
	struct slice found = {0};
	struct slice line;
	char *text;

	while (slice_next(&log, '\n', &line)) {
		if (is_telling(line))
			found = slice_trim(line);
	}
	if (!found.len)
		return NULL;
	if (found.len > LINE_MAX_BYTES)
		found.len = LINE_MAX_BYTES;
	text = slice_dup(found);
	log_filter(text);
	return text;
}

/* It waits to be started again, or runs once more for as long as it takes to fail. */
static bool is_crashing(const json_t *status)
{
	return json_path_is(status, "state.waiting.reason", "CrashLoopBackOff") ||
	       (json_path_int(status, "restartCount", 0) >= 2 &&
		json_path(status, "lastState.terminated") &&
		!json_path_bool(status, "ready", true));
}

static const char *crashing_container(const json_t *pod)
{
	static const char *const lists[] = {"status.initContainerStatuses",
					    "status.containerStatuses"};
	const json_t *status;
	size_t k;

	for (size_t i = 0; i < 2; i++) {
		json_array_foreach(json_path(pod, lists[i]), k, status) {
			if (is_crashing(status))
				return json_path_text(status, "name");
		}
	}
	return NULL;
}

static char *fetch_line(struct kube_client *kube, json_t *document, const json_t *pod,
			const char *container)
{
	const struct kube_target target = {
		.version = "v1",
		.plural = "pods",
		.space = json_path_text(pod, "metadata.namespace"),
		.name = json_path_text(pod, "metadata.name"),
		.subresource = "log",
	};
	auto_free char *path = kube_path(&target);
	auto_buffer struct buffer query = {0};
	struct kube_request request = {
		.method = KUBE_GET, .accept = "*/*", .timeout_ms = LOG_TIMEOUT_MS};
	auto_kube_reply struct kube_reply reply = {0};
	auto_error struct error err = {0};

	buffer_text(&query, path);
	kube_path_query(&query, "container", container);
	kube_path_query(&query, "previous", "true");
	kube_path_query(&query, "tailLines", "50");
	kube_path_query(&query, "limitBytes", "65536");
	request.path = buffer_cstr(&query);
	if (kube_client_send(kube, &request, &reply, &err) < 0) {
		if (reply.status == 403)
			observe_without(document, &err);
		else
			log_debug("observe: log of a crashed container: %s", error_text(&err));
		return NULL;
	}
	return telling_line(buffer_as_slice(&reply.body));
}

void observe_logs(struct kube_client *kube, json_t *document)
{
	json_t *logs = json_object();
	const json_t *pod;
	size_t asked = 0;
	size_t i;

	json_object_set_new(document, "logs", logs);
	json_array_foreach(json_path(document, "pods"), i, pod) {
		const char *container = crashing_container(pod);
		auto_free char *line = NULL;
		auto_free char *place = NULL;

		if (!container || asked == POD_MAX)
			continue;
		asked++;
		line = fetch_line(kube, document, pod, container);
		if (!line)
			continue;
		place = alloc_format("%s/%s", json_path_text(pod, "metadata.namespace"),
				     json_path_text(pod, "metadata.name"));
		json_object_set_new(logs, place, json_string(line));
	}
}
