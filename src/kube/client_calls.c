/* SPDX-License-Identifier: MIT */

/* The calls of kube/client.h on objects, made of kube_client_send(). */
#include "kube/client.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

#define KUBE_CLIENT_MANAGER "kubectl-renumber"
#define KUBE_CLIENT_PAGE 500
/* A list that expires so often is asked for in one piece. */
#define KUBE_CLIENT_RESTARTS 3

static json_t *kube_client_parse(const struct kube_reply *reply, const char *method,
				 const char *path, struct error *err)
{
	auto_free char *name = alloc_format("answer to %s %s", method, path);
	json_t *value = json_parse(buffer_as_slice(&reply->body), name, err);

	if (value && !json_is_object(value)) {
		json_decref(value);
		error_set(err, ERROR_PARSE, "%s:1:1: not a JSON object", name);
		return NULL;
	}
	return value;
}

int kube_client_get(struct kube_client *kube, const struct kube_target *target, json_t **ret,
		    struct error *err)
{
	auto_kube_reply struct kube_reply reply = {0};
	auto_free char *path = kube_path(target);
	struct kube_request request = {.method = KUBE_GET, .path = path};
	json_t *object;

	if (kube_client_send(kube, &request, &reply, err) < 0)
		return -1;
	object = kube_client_parse(&reply, "GET", path, err);
	if (!object)
		return -1;
	*ret = object;
	return 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

struct kube_client_listing {
	struct kube_client *kube;
	const struct kube_target *target;
	const struct kube_list_options *options;
	char *token; /* owned; "continue" of the next page; NULL: none */
	bool whole;  /* without limit */
	bool first;
	size_t bytes; /* that came */
};

static char *kube_client_page_path(const struct kube_client_listing *list)
{
	static const struct kube_list_options none = {0};
	const struct kube_list_options *options = list->options ? list->options : &none;
	auto_free char *start = kube_path(list->target);
	auto_buffer struct buffer path = {0};
	char limit[16];

	snprintf(limit, sizeof(limit), "%u",
		 options->page_size ? options->page_size : KUBE_CLIENT_PAGE);
	buffer_text(&path, start);
	if (!list->whole)
		kube_path_query(&path, "limit", limit);
	if (options->label_selector)
		kube_path_query(&path, "labelSelector", options->label_selector);
	if (options->field_selector)
		kube_path_query(&path, "fieldSelector", options->field_selector);
	if (list->token)
		kube_path_query(&path, "continue", list->token);
	return buffer_detach(&path);
}

/* Lists leave kind and apiVersion out of their items; the list's own tells them. */
static void kube_client_complete(const json_t *list, json_t *items)
{
	const char *kind = json_path_text(list, "kind");
	const char *version = json_path_text(list, "apiVersion");
	size_t len = kind ? strlen(kind) : 0;
	size_t index;
	json_t *item;

	if (!version || len <= 4 || strcmp(kind + len - 4, "List") != 0)
		return;
	json_array_foreach(items, index, item) {
		if (!json_object_get(item, "kind"))
			json_object_set_new(item, "kind", json_stringn(kind, len - 4));
		if (!json_object_get(item, "apiVersion"))
			json_object_set_new(item, "apiVersion", json_string(version));
	}
}

/* *ret is NULL when the token has expired. */
static int kube_client_page(struct kube_client_listing *list, json_t **ret, struct error *err)
{
	auto_free char *path = kube_client_page_path(list);
	struct kube_request request = {
		.method = KUBE_GET, .path = path, .once = list->options && list->options->once};
	auto_kube_reply struct kube_reply reply = {0};
	auto_error struct error failure = {0};
	json_t *page;

	*ret = NULL;
	if (kube_client_send(list->kube, &request, &reply, &failure) < 0) {
		if (reply.status == 410 && list->token)
			return 0;
		return error_move(err, &failure);
	}
	list->bytes += reply.body.len;
	page = kube_client_parse(&reply, "GET", path, err);
	if (!page)
		return -1;
	/* an empty list is null where Go had no slice */
	if (!json_is_array(json_object_get(page, "items")))
		json_object_set_new(page, "items", json_array());
	kube_client_complete(page, json_object_get(page, "items"));
	*ret = page;
	return 0;
}

static int kube_client_pages(struct kube_client_listing *list, kube_list_page page, void *data,
			     char **ret_version, struct error *err)
{
	unsigned restarts = 0;
	size_t pages = 0;

	for (;;) {
		auto_json json_t *found = NULL;
		const char *token;

		if (++pages > LIMIT_PAGES || list->bytes > LIMIT_LIST)
			return error_set(err, ERROR_PARSE,
					 "the list of %s has no end: %zu pages came, %zu bytes",
					 list->target->plural, pages - 1, list->bytes);
		if (kube_client_page(list, &found, err) < 0)
			return -1;
		free(list->token);
		list->token = NULL;
		if (!found) {
			list->first = true;
			list->whole = ++restarts >= KUBE_CLIENT_RESTARTS;
			continue;
		}
		if (page(data, json_object_get(found, "items"), list->first, err) < 0)
			return -1;
		list->first = false;
		token = json_path_text(found, "metadata.continue");
		if (token && *token) {
			list->token = alloc_text(token);
			continue;
		}
		if (ret_version) {
			const char *version = json_path_text(found, "metadata.resourceVersion");

			*ret_version = alloc_text(version ? version : "");
		}
		return 0;
	}
}

int kube_client_list_pages(struct kube_client *kube, const struct kube_target *target,
			   const struct kube_list_options *options, kube_list_page page, void *data,
			   char **ret_version, struct error *err)
{
	struct kube_client_listing list = {kube, target, options, NULL, false, true, 0};
	int result = kube_client_pages(&list, page, data, ret_version, err);

	free(list.token);
	return result;
}

static int kube_client_gather(void *data, const json_t *items, bool first, struct error *err)
{
	json_t *all = data;
	size_t index;
	json_t *item;

	(void)err;
	if (first)
		json_array_clear(all);
	json_array_foreach((json_t *)(uintptr_t)items, index, item)
		json_array_append(all, item);
	return 0;
}

int kube_client_list(struct kube_client *kube, const struct kube_target *target,
		     const struct kube_list_options *options, json_t **ret_items,
		     char **ret_version, struct error *err)
{
	auto_json json_t *all = json_array();

	if (kube_client_list_pages(kube, target, options, kube_client_gather, all, ret_version,
				   err) < 0)
		return -1;
	*ret_items = steal(all);
	return 0;
}

/* --- writes ---------------------------------------------------------------------------------- */

static const struct kube_write_options kube_client_no_options;

static char *kube_client_write_path(const struct kube_target *target,
				    const struct kube_write_options *options)
{
	auto_free char *start = kube_path(target);
	auto_buffer struct buffer path = {0};

	buffer_text(&path, start);
	if (options->dry_run)
		kube_path_query(&path, "dryRun", "All");
	kube_path_query(&path, "fieldManager", KUBE_CLIENT_MANAGER);
	return buffer_detach(&path);
}

/* Hands what came back over to a caller that wants to see it. */
static void kube_client_hand_over(const struct kube_write_options *options,
				  struct kube_reply *reply)
{
	if (!options->reply)
		return;
	kube_reply_release(options->reply);
	*options->reply = *reply;
	options->reply->body = (struct buffer){0};
	*reply = (struct kube_reply){.body = reply->body};
}

/* Patches: where the storage does not compare the UID, validation finds that it cannot change. */
static bool kube_client_other_uid(const struct kube_write_options *options,
				  const struct kube_reply *reply)
{
	return options->uid && reply->status == 422 &&
	       json_path_is(reply->details, "causes.0.field", "metadata.uid");
}

struct kube_client_write {
	struct kube_client *kube;
	const struct kube_write_options *options;
	enum kube_method method;
	const char *path;
	const json_t *body;
	bool has_tests; /* a JSON patch with "test" in it */
};

/* A JSON patch whose test does not hold is 422 without causes; one that makes the object invalid
 * has causes. */
static bool kube_client_test_failed(const struct kube_client_write *write,
				    const struct kube_reply *reply)
{
	return write->has_tests && reply->status == 422 &&
	       !json_path_count(reply->details, "causes");
}

static int kube_client_write(const struct kube_client_write *write, json_t **ret, struct error *err)
{
	auto_free char *body = json_print(write->body);
	struct kube_request request = {.method = write->method,
				       .path = write->path,
				       .body = slice_of(body),
				       .repeatable = write->options->repeatable};
	auto_kube_reply struct kube_reply reply = {0};
	int result = kube_client_send(write->kube, &request, &reply, err);
	json_t *object = NULL;

	if (result < 0 && (kube_client_test_failed(write, &reply) ||
			   kube_client_other_uid(write->options, &reply)))
		err->kind = ERROR_CONFLICT;
	if (result == 0 && ret) {
		object = kube_client_parse(&reply, "a write to", write->path, err);
		result = object ? 0 : -1;
	}
	kube_client_hand_over(write->options, &reply);
	if (result < 0)
		return -1;
	if (ret)
		*ret = object;
	return 0;
}

int kube_client_create(struct kube_client *kube, const struct kube_target *target,
		       const json_t *object, const struct kube_write_options *options, json_t **ret,
		       struct error *err)
{
	const struct kube_write_options *o = options ? options : &kube_client_no_options;
	struct kube_target to = *target;
	auto_free char *path = NULL;
	struct kube_client_write write = {kube, o, KUBE_POST, NULL, object, false};

	if (!to.subresource)
		to.name = NULL;
	write.path = path = kube_client_write_path(&to, o);
	return kube_client_write(&write, ret, err);
}

static void kube_client_set_precondition(json_t *metadata, const struct kube_write_options *options)
{
	if (options->uid)
		json_object_set_new(metadata, "uid", json_string(options->uid));
	if (options->resource_version)
		json_object_set_new(metadata, "resourceVersion",
				    json_string(options->resource_version));
}

/* A copy of the object, or of a patch in the form of one, with the preconditions in its metadata. */
static json_t *kube_client_with_preconditions(const json_t *object,
					      const struct kube_write_options *options)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)object);
	json_t *metadata;

	if (!options->uid && !options->resource_version)
		return copy;
	metadata = json_copy(json_object_get(object, "metadata"));
	if (!metadata)
		metadata = json_object();
	kube_client_set_precondition(metadata, options);
	json_object_set_new(copy, "metadata", metadata);
	return copy;
}

int kube_client_replace(struct kube_client *kube, const struct kube_target *target,
			const json_t *object, const struct kube_write_options *options,
			json_t **ret, struct error *err)
{
	const struct kube_write_options *o = options ? options : &kube_client_no_options;
	auto_json json_t *body = kube_client_with_preconditions(object, o);
	auto_free char *path = kube_client_write_path(target, o);
	struct kube_client_write write = {kube, o, KUBE_PUT, path, body, false};

	return kube_client_write(&write, ret, err);
}

/* The server compares what a patch sets for these two fields with what is there and answers 409
 * when they differ, for JSON patches too. */
static void kube_client_patch_lock(json_t *patch, const char *field, const char *value)
{
	auto_free char *path = alloc_format("/metadata/%s", field);

	if (value)
		json_array_insert_new(patch, 0,
				      json_pack("{s:s, s:s, s:s}", "op", "replace", "path", path,
						"value", value));
}

static bool kube_client_has_tests(const json_t *patch)
{
	size_t index;
	json_t *step;

	json_array_foreach((json_t *)(uintptr_t)patch, index, step) {
		if (json_path_is(step, "op", "test"))
			return true;
	}
	return false;
}

int kube_client_patch(struct kube_client *kube, const struct kube_target *target,
		      enum kube_method method, const json_t *patch,
		      const struct kube_write_options *options, json_t **ret, struct error *err)
{
	const struct kube_write_options *o = options ? options : &kube_client_no_options;
	bool by_steps = method == KUBE_PATCH_JSON;
	auto_json json_t *body = by_steps ? json_copy((json_t *)(uintptr_t)patch)
					  : kube_client_with_preconditions(patch, o);
	auto_free char *path = kube_client_write_path(target, o);
	struct kube_client_write write = {kube, o, method, path, body, false};

	assert(method >= KUBE_PATCH_MERGE && method <= KUBE_PATCH_APPLY);
	if (by_steps) {
		write.has_tests = kube_client_has_tests(patch);
		kube_client_patch_lock(body, "resourceVersion", o->resource_version);
		kube_client_patch_lock(body, "uid", o->uid);
	}
	return kube_client_write(&write, ret, err);
}

static json_t *kube_client_delete_options(const struct kube_write_options *options)
{
	json_t *body = json_pack("{s:s, s:s}", "kind", "DeleteOptions", "apiVersion", "v1");
	json_t *preconditions = json_object();

	kube_client_set_precondition(preconditions, options);
	if (json_object_size(preconditions))
		json_object_set(body, "preconditions", preconditions);
	json_decref(preconditions);
	if (options->propagation)
		json_object_set_new(body, "propagationPolicy", json_string(options->propagation));
	if (options->has_grace)
		json_object_set_new(body, "gracePeriodSeconds", json_integer(options->grace_s));
	if (options->dry_run)
		json_object_set_new(body, "dryRun", json_pack("[s]", "All"));
	return body;
}

int kube_client_delete(struct kube_client *kube, const struct kube_target *target,
		       const struct kube_write_options *options, struct error *err)
{
	const struct kube_write_options *o = options ? options : &kube_client_no_options;
	auto_json json_t *body = kube_client_delete_options(o);
	auto_free char *path = kube_path(target);
	struct kube_client_write write = {kube, o, KUBE_DELETE, path, body, false};

	/* without one this would be the whole collection; a plan of somebody else may have none */
	if (!target->name || !*target->name)
		return error_set(err, ERROR_PARSE, "there is no name of what is to be deleted (%s)",
				 target->plural);
	return kube_client_write(&write, NULL, err);
}

int kube_client_remove(struct kube_client *kube, const struct kube_target *target,
		       const struct kube_write_options *options, struct error *err)
{
	if (kube_client_delete(kube, target, options, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	return 0;
}
