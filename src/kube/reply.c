/* SPDX-License-Identifier: MIT */
#include "kube/reply.h"

#include <string.h>

#include "base/alloc.h"

void kube_reply_release(struct kube_reply *reply)
{
	free(reply->reason);
	free(reply->message);
	json_decref(reply->details);
	buffer_release(&reply->body);
	*reply = (struct kube_reply){0};
}

static char *kube_reply_copy(const json_t *status, const char *key)
{
	const char *text = json_path_text(status, key);

	return text && *text ? alloc_text(text) : NULL;
}

void kube_reply_decode(struct kube_reply *reply)
{
	auto_error struct error ignored = {0};
	auto_json json_t *status = NULL;

	if (reply->body.len == 0 || reply->body.ptr[0] != '{')
		return;
	status = json_parse(buffer_as_slice(&reply->body), "", &ignored);
	if (!json_path_is(status, "kind", "Status"))
		return;
	free(reply->reason);
	free(reply->message);
	json_decref(reply->details);
	reply->reason = kube_reply_copy(status, "reason");
	reply->message = kube_reply_copy(status, "message");
	reply->details = json_incref(json_path(status, "details"));
}

/* etcd between two leaders, or slow: the API server passes its words on as its own failure, and a
 * moment later all is well ("etcdserver: leader changed", "etcdserver: request timed out"). */
static bool kube_reply_is_passing(const struct kube_reply *reply)
{
	return reply->status == 500 && reply->message && strstr(reply->message, "etcdserver: ");
}

static enum error_kind kube_reply_kind(const struct kube_reply *reply)
{
	if (kube_reply_is_passing(reply))
		return ERROR_NETWORK;
	switch (reply->status) {
	case 404:
		return ERROR_NOT_FOUND;
	case 409:
	case 412:
		return ERROR_CONFLICT;
	case 429:
	case 502:
	case 503:
	case 504:
		return ERROR_NETWORK;
	default:
		return ERROR_API;
	}
}

/* What a proxy or a load balancer wrote, on one line and not all of it. */
static char *kube_reply_excerpt(const struct kube_reply *reply)
{
	struct slice text = slice_trim(buffer_as_slice(&reply->body));
	char *copy;

	if (text.len > 200)
		text.len = 200;
	copy = slice_dup(text);
	for (char *p = copy; *p; p++) {
		if (*p == '\n' || *p == '\r' || *p == '\t')
			*p = ' ';
	}
	return copy;
}

int kube_reply_error(const struct kube_reply *reply, const char *request, const char *server,
		     struct error *err)
{
	auto_free char *said =
		reply->message ? alloc_text(reply->message) : kube_reply_excerpt(reply);
	enum error_kind kind = kube_reply_kind(reply);

	if (reply->status == 403)
		return error_set(err, kind, "not allowed: %s", *said ? said : request);
	if (reply->status >= 200 && reply->status < 400)
		return error_set(err, kind,
				 "%s answers %s with HTTP status %d, as no API server does", server,
				 request, reply->status);
	return error_set(err, kind, "the API server answers %d%s%s to %s%s%s", reply->status,
			 reply->reason ? " " : "", reply->reason ? reply->reason : "", request,
			 *said ? ": " : "", said);
}
