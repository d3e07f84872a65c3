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

/* What stands in quotes behind `before`; empty when it is not there. */
static struct slice kube_reply_quoted(const char *text, const char *before)
{
	const char *start = strstr(text, before);
	const char *end;

	if (!start)
		return (struct slice){0};
	start += strlen(before);
	end = strchr(start, '"');
	return end ? (struct slice){start, (size_t)(end - start)} : (struct slice){0};
}

/* Which of our manifests grants it; NULL: none does. Secrets are read by nobody of ours. */
static const char *kube_reply_manifest(struct slice verb, struct slice group, struct slice resource,
				       bool path)
{
	static const char *const groups[] = {
		"",
		"apps",
		"networking.k8s.io",
		"discovery.k8s.io",
		"admissionregistration.k8s.io",
		"apiextensions.k8s.io",
		"apiregistration.k8s.io",
		"coordination.k8s.io",
		"policy",
	};
	bool known = path;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		known = known || slice_is(group, groups[i]);
	if (!known || slice_is(resource, "secrets"))
		return NULL;
	return slice_is(verb, "get") || slice_is(verb, "list") || slice_is(verb, "watch")
		       ? "rbac-read.yaml"
		       : "rbac-run.yaml";
}

/*
 * The authorizer's refusal (k8s.io/apiserver responsewriters/errors.go): 'User "U" cannot VERB
 * resource "R" in API group "G" in the namespace "N"', or 'cannot get path "P"'. Admission, which
 * says 403 too, speaks otherwise: 0.
 */
static int kube_reply_forbidden(const char *said, struct error *err)
{
	struct slice user = kube_reply_quoted(said, "User \"");
	struct slice resource = kube_reply_quoted(said, " resource \"");
	struct slice path = kube_reply_quoted(said, " path \"");
	struct slice group = kube_reply_quoted(said, " in API group \"");
	struct slice space = kube_reply_quoted(said, " in the namespace \"");
	const char *start = strstr(said, "\" cannot ");
	auto_free char *where = NULL;
	const char *manifest;
	struct slice verb;

	if (!user.len || !start || (!resource.len && !path.len))
		return 0;
	verb.ptr = start + strlen("\" cannot ");
	verb.len = strcspn(verb.ptr, " ");
	manifest = kube_reply_manifest(verb, group, resource, path.len > 0);
	if (space.len)
		where = alloc_format(" in namespace '%.*s'", (int)space.len, space.ptr);
	return error_set(err, ERROR_API, "user '%.*s' may not %.*s %.*s%s%.*s%s%s%s%s",
			 (int)user.len, user.ptr, (int)verb.len, verb.ptr,
			 (int)(path.len ? path.len : resource.len),
			 path.len ? path.ptr : resource.ptr, group.len ? "." : "", (int)group.len,
			 group.len ? group.ptr : "", where ? where : "",
			 manifest ? "; a role with this right is in " : "",
			 manifest ? manifest : "", manifest ? " (share/kubectl-renumber)" : "");
}

int kube_reply_error(const struct kube_reply *reply, const char *request, const char *server,
		     struct error *err)
{
	auto_free char *said =
		reply->message ? alloc_text(reply->message) : kube_reply_excerpt(reply);
	enum error_kind kind = kube_reply_kind(reply);

	if (reply->status == 403 && kube_reply_forbidden(said, err) < 0)
		return -1;
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
