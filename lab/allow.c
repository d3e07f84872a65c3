/* SPDX-License-Identifier: MIT */
#include "lab/allow.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"
#include "text/json.h"

#define ALLOW_ADMIN "Bearer lab"
#define ALLOW_NOBODY "Bearer lab-nobody"
#define ALLOW_ANONYMOUS "system:anonymous"

/* NULL: whoever it is, it is not true. */
static const char *allow_user(const struct http_request *request)
{
	if (!request->authorization)
		return ALLOW_ANONYMOUS;
	if (strcmp(request->authorization, ALLOW_ADMIN) == 0)
		return "admin";
	return strcmp(request->authorization, ALLOW_NOBODY) == 0 ? "nobody" : NULL;
}

/* 1: go on to look. */
static int allow_everything(const struct http_request *request, const char **ret_user,
			    struct answer *answer)
{
	*ret_user = allow_user(request);
	if (!*ret_user) {
		answer_refuse(answer, 401, "Unauthorized", "Unauthorized");
		return -1;
	}
	return strcmp(*ret_user, "admin") != 0;
}

static bool allow_is_below(struct slice path, const char *folder)
{
	size_t len = strlen(folder);

	return slice_starts(path, folder) && (path.len == len || path.ptr[len] == '/');
}

int allow_path(const struct http_request *request, struct answer *answer)
{
	static const char *const everybody[] = {"/healthz", "/livez", "/readyz", "/version"};
	static const char *const users[] = {"/api", "/apis", "/openapi"};
	struct slice path = slice_of(request->path);
	const char *user;
	int result = allow_everything(request, &user, answer);

	if (result <= 0)
		return result;
	for (size_t i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++)
		if (allow_is_below(path, everybody[i]))
			return 0;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (allow_is_below(path, users[i]) && strcmp(user, ALLOW_ANONYMOUS) != 0)
			return 0;
	answer_refuse(answer, 403, "Forbidden", "forbidden: User \"%s\" cannot get path \"%s\"",
		      user, request->path);
	answer->details = json_object();
	return -1;
}

static const char *allow_verb(const struct http_request *request, const struct api_target *target)
{
	const char *watch = http_query(request, "watch");

	if (strcmp(request->method, "POST") == 0)
		return "create";
	if (strcmp(request->method, "PUT") == 0)
		return "update";
	if (strcmp(request->method, "PATCH") == 0)
		return "patch";
	if (strcmp(request->method, "DELETE") == 0)
		return target->name ? "delete" : "deletecollection";
	if (watch && (strcmp(watch, "true") == 0 || strcmp(watch, "1") == 0))
		return "watch";
	return target->name ? "get" : "list";
}

static bool allow_is_denied(const struct lab *lab, const char *verb, const char *resource,
			    const char *subresource)
{
	auto_free char *asked = alloc_format("%s/%s%s%s", verb, resource, subresource ? "/" : "",
					     subresource ? subresource : "");

	return lab->denied && strcmp(lab->denied, asked) == 0;
}

int allow_object(const struct lab *lab, const struct http_request *request,
		 const struct api_target *target, struct answer *answer)
{
	const struct store_type *type = target->type;
	auto_free char *subject = NULL;
	auto_free char *scope = NULL;
	const char *user;
	int result = allow_everything(request, &user, answer);

	if (result == 0 &&
	    allow_is_denied(lab, allow_verb(request, target), type->plural, target->subresource))
		result = 1;
	if (result <= 0)
		return result;
	subject = target->name ? alloc_format(" \"%s\"", target->name) : alloc_text("");
	scope = target->space ? alloc_format("in the namespace \"%s\"", target->space)
			      : alloc_text("at the cluster scope");
	answer_refuse(answer, 403, "Forbidden",
		      "%s%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s%s%s\" in API "
		      "group \"%s\" %s",
		      type->plural, *type->group ? "." : "", type->group, subject, user,
		      allow_verb(request, target), type->plural, target->subresource ? "/" : "",
		      target->subresource ? target->subresource : "", type->group, scope);
	answer->details = json_pack("{s:s}", "kind", type->plural);
	if (target->name)
		json_object_set_new(answer->details, "name", json_string(target->name));
	if (*type->group)
		json_object_set_new(answer->details, "group", json_string(type->group));
	return -1;
}

/* ---- asking ---- */

static bool allow_judge(const struct lab *lab, const char *user, const json_t *attributes)
{
	const char *verb = json_path_text(attributes, "verb");
	const char *resource = json_path_text(attributes, "resource");

	return strcmp(user, "admin") == 0 && verb && resource &&
	       !allow_is_denied(lab, verb, resource, json_path_text(attributes, "subresource"));
}

/* For tests of what a run asks for beforehand. */
static void allow_record(const struct lab *lab, const json_t *attributes)
{
	static const char *const members[] = {"verb",	     "group",	  "resource",
					      "subresource", "namespace", "name"};

	if (!lab->requests)
		return;
	fputs("MAY", lab->requests);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = json_path_text(attributes, members[i]);

		fprintf(lab->requests, " %s", text && *text ? text : "-");
	}
	fputc('\n', lab->requests);
}

bool allow_is_review(const struct http_request *request)
{
	return strcmp(request->method, "POST") == 0 &&
	       strcmp(request->path, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") == 0;
}

/* What is empty is not said again. */
static void allow_tidy(json_t *attributes)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(attributes, next, key, value)
		if (json_string_length(value) == 0)
			json_object_del(attributes, key);
}

bool allow_review(const struct lab *lab, const struct http_request *request, struct answer *answer)
{
	json_t *review;
	json_t *attributes;
	const char *user;

	if (!allow_is_review(request))
		return false;
	if (allow_everything(request, &user, answer) < 0)
		return true;
	if (strcmp(user, ALLOW_ANONYMOUS) == 0) {
		answer_refuse(answer, 403, "Forbidden",
			      "selfsubjectaccessreviews.authorization.k8s.io is forbidden: User "
			      "\"%s\" cannot create resource \"selfsubjectaccessreviews\" in API "
			      "group \"authorization.k8s.io\" at the cluster scope",
			      user);
		answer->details = json_pack("{s:s, s:s}", "kind", "selfsubjectaccessreviews",
					    "group", "authorization.k8s.io");
		return true;
	}
	review = json_loadb(request->body.ptr, request->body.len, 0, NULL);
	attributes = json_path(review, "spec.resourceAttributes");
	if (!json_is_object(attributes)) {
		json_decref(review);
		answer_refuse(answer, 400, "BadRequest", "spec.resourceAttributes is missing");
		return true;
	}
	allow_tidy(attributes);
	allow_record(lab, attributes);
	json_object_set_new(review, "status",
			    json_pack("{s:b}", "allowed", allow_judge(lab, user, attributes)));
	answer->code = 201;
	answer->object = review;
	return true;
}
