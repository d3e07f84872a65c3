/* SPDX-License-Identifier: MIT */
#include "lab/api.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/admission.h"
#include "lab/answer.h"
#include "lab/discovery.h"
#include "lab/fault.h"
#include "lab/guard.h"
#include "lab/patch.h"
#include "lab/selector.h"
#include "lab/service.h"
#include "lab/watch.h"
#include "text/json.h"

#define API_TOKEN "Bearer lab"
enum { API_ROUGH_PAGE = 7, API_MS = 1 /* of work, a request */ };

static void api_target_release(struct api_target *target)
{
	free(target->version);
	free(target->space);
	free(target->name);
	free(target->subresource);
}

/* "services", "servicecidrs.networking.k8s.io". */
static char *api_resource_text(const struct store_type *type)
{
	return *type->group ? alloc_format("%s.%s", type->plural, type->group)
			    : alloc_text(type->plural);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void api_add_details(struct answer *answer, const struct api_target *target,
			    const char *name)
{
	json_decref(answer->details);
	answer->details = json_pack("{s:s,s:s}", "name", name, "kind", target->type->plural);
	if (*target->type->group)
		json_object_set_new(answer->details, "group", json_string(target->type->group));
}

static int api_not_found(const struct api_target *target, struct answer *answer)
{
	auto_free char *resource = api_resource_text(target->type);

	answer_refuse(answer, 404, "NotFound", "%s \"%s\" not found", resource, target->name);
	api_add_details(answer, target, target->name);
	return -1;
}

static int api_conflict(const struct api_target *target, const char *problem, struct answer *answer)
{
	auto_free char *resource = api_resource_text(target->type);

	answer_refuse(answer, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": %s",
		      resource, target->name, problem);
	api_add_details(answer, target, target->name);
	return -1;
}

static int api_check_versions(const struct api_target *target, const json_t *object,
			      const json_t *metadata, struct answer *answer)
{
	const char *version = json_path_text(metadata, "resourceVersion");
	const char *uid = json_path_text(metadata, "uid");
	const char *own = json_path_text(object, "metadata.uid");

	if (uid && *uid && own && strcmp(uid, own) != 0) {
		auto_free char *problem = alloc_format(
			"Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
			own);

		return api_conflict(target, problem, answer);
	}
	if (version && *version && !json_path_is(object, "metadata.resourceVersion", version))
		return api_conflict(target,
				    "the object has been modified; please apply your changes to "
				    "the latest version and try again",
				    answer);
	return 0;
}

/* --- objects ---------------------------------------------------------------------------------- */

json_t *api_show(const struct api_target *target, const json_t *object)
{
	auto_free char *api = *target->type->group
				      ? alloc_format("%s/%s", target->type->group, target->version)
				      : alloc_text(target->version);
	json_t *shown = json_copy((json_t *)(uintptr_t)object);

	json_object_set_new(shown, "kind", json_string(target->type->kind));
	json_object_set_new(shown, "apiVersion", json_string(api));
	return shown;
}

static bool api_is(const struct api_target *target, const char *plural)
{
	return strcmp(target->type->plural, plural) == 0;
}

static void api_name_object(struct lab *lab, json_t *metadata)
{
	const char *prefix = json_path_text(metadata, "generateName");

	if (prefix && !json_path_text(metadata, "name")) {
		auto_free char *name =
			alloc_format("%s%05llx", prefix,
				     (unsigned long long)lab_random(lab, UINT64_C(0x100000)));

		json_object_set_new(metadata, "name", json_string(name));
	}
}

static int api_prepare(struct lab_server *server, const struct api_target *target, json_t *object,
		       struct answer *answer)
{
	struct lab *lab = server->lab;
	json_t *metadata = json_object_get(object, "metadata");
	auto_free char *resource = api_resource_text(target->type);
	auto_free char *uid = lab_uid(lab);
	auto_free char *now = lab_time(lab);
	const char *name;

	if (!json_is_object(metadata))
		return answer_refuse(answer, 400, "BadRequest", "the object has no metadata");
	if (target->space && !store_find(lab->store, "namespaces", NULL, target->space))
		return answer_refuse(answer, 404, "NotFound", "namespaces \"%s\" not found",
				     target->space);
	api_name_object(lab, metadata);
	name = json_path_text(metadata, "name");
	if (!name || !*name)
		return answer_invalid(answer, target->type->kind, "", "FieldValueRequired",
				      "metadata.name",
				      "Required value: name or generateName is required");
	if (target->space)
		json_object_set_new(metadata, "namespace", json_string(target->space));
	if (store_get(lab->store, target->type, target->space, name)) {
		answer_refuse(answer, 409, "AlreadyExists", "%s \"%s\" already exists", resource,
			      name);
		api_add_details(answer, target, name);
		return -1;
	}
	json_object_set_new(metadata, "uid", json_string(uid));
	json_object_set_new(metadata, "creationTimestamp", json_string(now));
	json_object_del(metadata, "resourceVersion");
	json_object_del(metadata, "deletionTimestamp");
	json_object_del(object, "apiVersion");
	if (strcmp(target->type->group, "apps") == 0)
		json_object_set_new(metadata, "generation", json_integer(1));
	return 0;
}

static int api_check_service_cidr(const json_t *object, struct answer *answer)
{
	const char *name = json_path_text(object, "metadata.name");

	if (!json_path_count(object, "spec.cidrs"))
		return answer_invalid(answer, "ServiceCIDR", name, "FieldValueRequired",
				      "spec.cidrs", "Required value: at least one CIDR required");
	return 0;
}

int api_create(struct lab_server *server, const struct api_target *target, json_t *object, bool dry,
	       struct answer *answer)
{
	auto_json json_t *fresh = json_deep_copy(object);

	if (api_prepare(server, target, fresh, answer) < 0 ||
	    admission_check(server->lab, target->type, "CREATE", fresh, answer) < 0)
		return -1;
	if (api_is(target, "servicecidrs") && api_check_service_cidr(fresh, answer) < 0)
		return -1;
	if (api_is(target, "services")) {
		if (service_create(server, fresh, dry, answer) < 0)
			return -1;
	} else if (target->type->has_status) {
		json_object_set_new(fresh, "status", json_object());
	}
	if (!dry)
		store_put(server->lab->store, target->type, json_incref(fresh));
	answer->object = api_show(target, fresh);
	answer->code = 201;
	return 0;
}

static bool api_same(const json_t *a, const json_t *b)
{
	return json_equal(json_path(a, "spec"), json_path(b, "spec"));
}

/* What nobody may change by writing an object. */
static void api_keep_identity(const struct api_target *target, const json_t *old, json_t *object)
{
	static const char *const kept[] = {
		"uid",	      "creationTimestamp", "namespace",
		"generation", "deletionTimestamp", "deletionGracePeriodSeconds"};
	json_t *metadata = json_object_get(object, "metadata");

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		json_t *value = json_object_get(json_path(old, "metadata"), kept[i]);

		if (value)
			json_object_set(metadata, kept[i], value);
		else
			json_object_del(metadata, kept[i]);
	}
	json_object_set(metadata, "resourceVersion", json_path(old, "metadata.resourceVersion"));
	json_object_set_new(object, "kind", json_string(target->type->kind));
	json_object_del(object, "apiVersion");
	if (json_object_get(metadata, "generation") && !api_same(old, object))
		json_object_set_new(metadata, "generation",
				    json_integer(json_path_int(old, "metadata.generation", 0) + 1));
}

static int api_check_update(struct lab_server *server, const struct api_target *target,
			    const json_t *old, json_t *object, bool dry, struct answer *answer)
{
	bool status = target->subresource && strcmp(target->subresource, "status") == 0;

	if (status) {
		json_object_set(object, "spec", json_object_get(old, "spec"));
		return api_is(target, "services")
			       ? service_update_status(server, old, object, answer)
			       : 0;
	}
	if (api_is(target, "services"))
		return service_update(server, old, object, dry, answer);
	if (api_is(target, "servicecidrs") && !api_same(old, object))
		return answer_invalid(answer, "ServiceCIDR", target->name, "FieldValueInvalid",
				      "spec.cidrs[0]", "Invalid value: \"%s\": field is immutable",
				      json_path_text(object, "spec.cidrs.0"));
	if (target->type->has_status)
		json_object_set(object, "status", json_object_get(old, "status"));
	return 0;
}

/* `object` is the whole new one; preconditions were looked at. */
static int api_store(struct lab_server *server, const struct api_target *target, json_t *object,
		     bool dry, struct answer *answer)
{
	struct store *store = server->lab->store;
	auto_json json_t *old =
		json_incref(store_get(store, target->type, target->space, target->name));

	api_keep_identity(target, old, object);
	if (admission_check(server->lab, target->type, "UPDATE", object, answer) < 0 ||
	    api_check_update(server, target, old, object, dry, answer) < 0)
		return -1;
	answer->code = 200;
	/* nothing is written when nothing changes */
	if (!dry && !json_equal(old, object)) {
		store_put(store, target->type, json_incref(object));
		if (api_is(target, "services"))
			service_replaced(server, old, object);
		if (json_path(object, "metadata.deletionTimestamp") &&
		    !json_path_count(object, "metadata.finalizers"))
			store_remove(store, target->type, object);
	}
	answer->object = api_show(target, object);
	return 0;
}

int api_replace(struct lab_server *server, const struct api_target *target, json_t *object,
		bool dry, struct answer *answer)
{
	const json_t *old =
		store_get(server->lab->store, target->type, target->space, target->name);
	auto_json json_t *fresh = NULL;

	if (!old)
		return api_not_found(target, answer);
	if (!json_is_object(json_object_get(object, "metadata")))
		return answer_refuse(answer, 400, "BadRequest", "the object has no metadata");
	if (api_check_versions(target, old, json_object_get(object, "metadata"), answer) < 0)
		return -1;
	fresh = json_deep_copy(object);
	return api_store(server, target, fresh, dry, answer);
}

static int api_patch(struct lab_server *server, const struct api_target *target,
		     const json_t *patch, bool dry, struct answer *answer)
{
	const json_t *old =
		store_get(server->lab->store, target->type, target->space, target->name);
	auto_json json_t *fresh = json_deep_copy(old);
	const char *problem;

	if (!old)
		return api_not_found(target, answer);
	if (json_is_array(patch)) {
		problem = patch_steps(fresh, patch);
		if (problem)
			return answer_refuse(answer, 422, "Invalid",
					     "the server rejected our request due to an error in "
					     "our request");
	} else {
		patch_merge(fresh, patch);
	}
	if (api_check_versions(target, old, json_object_get(fresh, "metadata"), answer) < 0)
		return -1;
	return api_store(server, target, fresh, dry, answer);
}

/* --- deleting --------------------------------------------------------------------------------- */

/* A Pod's end is its kubelet's business; others wait for their finalizers. */
static bool api_is_gradual(const struct api_target *target, const json_t *object,
			   const json_t *options)
{
	if (json_path_count(object, "metadata.finalizers"))
		return true;
	return api_is(target, "pods") && json_path(object, "spec.nodeName") &&
	       json_path_int(options, "gracePeriodSeconds", 30) != 0;
}

int api_delete(struct lab_server *server, const struct api_target *target, const json_t *options,
	       bool dry, struct answer *answer)
{
	struct lab *lab = server->lab;
	auto_json json_t *object =
		json_incref(store_get(lab->store, target->type, target->space, target->name));
	auto_free char *now = lab_time(lab);

	if (!object)
		return api_not_found(target, answer);
	if (api_check_versions(target, object, json_object_get(options, "preconditions"), answer) <
		    0 ||
	    admission_check(lab, target->type, "DELETE", object, answer) < 0)
		return -1;
	answer->code = 200;
	if (!dry && api_is_gradual(target, object, options)) {
		json_t *marked = json_deep_copy(object);

		if (!json_path(object, "metadata.deletionTimestamp")) {
			json_object_set_new(json_object_get(marked, "metadata"),
					    "deletionTimestamp", json_string(now));
			json_object_set_new(json_object_get(marked, "metadata"),
					    "deletionGracePeriodSeconds", json_integer(30));
			store_put(lab->store, target->type, json_incref(marked));
		}
		answer->object = api_show(target, marked);
		json_decref(marked);
		return 0;
	}
	if (!dry) {
		store_remove(lab->store, target->type, object);
		if (api_is(target, "services"))
			service_delete(server, object);
	}
	answer->object =
		json_pack("{s:s,s:s,s:{},s:s,s:{s:s,s:s,s:O}}", "kind", "Status", "apiVersion",
			  "v1", "metadata", "status", "Success", "details", "name", target->name,
			  "kind", target->type->plural, "uid", json_path(object, "metadata.uid"));
	return 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool api_wants(const struct api_target *target, const struct http_request *request,
		      const json_t *object)
{
	return (!target->space || json_path_is(object, "metadata.namespace", target->space)) &&
	       selector_labels(http_query(request, "labelSelector"),
			       json_path(object, "metadata.labels")) &&
	       selector_fields(http_query(request, "fieldSelector"), object);
}

/* "VERSION:KEY" is the token to go on behind that key. */
static int api_list_start(struct lab *lab, const char *token, const char **ret_key,
			  uint64_t *ret_version, struct answer *answer)
{
	struct slice rest = slice_of(token);
	struct slice part;
	bool expired = false;

	*ret_key = NULL;
	*ret_version = store_version(lab->store);
	if (!token || !*token)
		return 0;
	if (!slice_next(&rest, ':', &part) || !rest.ptr ||
	    !slice_to_u64(part, UINT64_MAX, ret_version))
		return answer_refuse(answer, 400, "BadRequest",
				     "continue key is not valid: illegal base64 data");
	store_after(lab->store, *ret_version, &expired);
	if (expired)
		return answer_refuse(
			answer, 410, "Expired",
			"The provided continue parameter is too old to display a consistent list "
			"result. You can start a new list without the continue parameter.");
	*ret_key = rest.ptr;
	return 0;
}

static int api_list(struct lab_server *server, const struct api_target *target,
		    const struct http_request *request, struct answer *answer)
{
	struct lab *lab = server->lab;
	const char *limit_text = http_query(request, "limit");
	auto_free char *kind = alloc_format("%sList", target->type->kind);
	auto_free char *version_text = NULL;
	json_t *items = json_array();
	json_t *metadata = json_object();
	uint64_t limit = 0;
	uint64_t version;
	const char *after;
	const char *last = NULL;
	size_t count;
	const char *const *keys = store_keys(lab->store, target->type, &count);

	answer->object = json_pack("{s:s,s:s,s:o,s:o}", "kind", kind, "apiVersion", "", "metadata",
				   metadata, "items", items);
	if (api_list_start(lab, http_query(request, "continue"), &after, &version, answer) < 0)
		return -1;
	if (limit_text && !slice_to_u64(slice_of(limit_text), UINT32_MAX, &limit))
		limit = 0;
	if (limit > API_ROUGH_PAGE && fault_is_rough(lab->fault))
		limit = API_ROUGH_PAGE;
	for (size_t i = 0; i < count; i++) {
		json_t *object = store_by_key(lab->store, target->type, keys[i]);

		if ((after && strcmp(keys[i], after) <= 0) || !api_wants(target, request, object))
			continue;
		if (limit && json_array_size(items) == limit) {
			auto_free char *token =
				alloc_format("%llu:%s", (unsigned long long)version, last);

			json_object_set_new(metadata, "continue", json_string(token));
			break;
		}
		json_array_append(items, object);
		last = keys[i];
	}
	version_text = alloc_format("%llu", (unsigned long long)version);
	json_object_set_new(metadata, "resourceVersion", json_string(version_text));
	{
		auto_json json_t *shown = api_show(target, answer->object);

		json_object_set(answer->object, "apiVersion", json_object_get(shown, "apiVersion"));
	}
	answer->code = 200;
	return 0;
}

/* --- one request ------------------------------------------------------------------------------ */

static bool api_parse(const struct lab *lab, const char *path, struct api_target *ret)
{
	struct slice rest = slice_of(path);
	struct slice part;
	auto_free char *group = NULL;
	auto_free char *plural = NULL;

	slice_next(&rest, '/', &part);
	if (!slice_next(&rest, '/', &part))
		return false;
	if (slice_is(part, "apis") && slice_next(&rest, '/', &part))
		group = slice_dup(part);
	else if (slice_is(part, "api"))
		group = alloc_text("");
	else
		return false;
	if (!slice_next(&rest, '/', &part))
		return false;
	ret->version = slice_dup(part);
	if (!slice_next(&rest, '/', &part))
		return false;
	plural = slice_dup(part);
	if (strcmp(plural, "namespaces") == 0 && rest.ptr && memchr(rest.ptr, '/', rest.len)) {
		slice_next(&rest, '/', &part);
		ret->space = slice_dup(part);
		slice_next(&rest, '/', &part);
		free(plural);
		plural = slice_dup(part);
	}
	ret->type = store_type_find(group, plural);
	if (slice_next(&rest, '/', &part))
		ret->name = slice_dup(part);
	if (slice_next(&rest, '/', &part))
		ret->subresource = slice_dup(part);
	if (ret->type && !ret->type->namespaced && ret->space)
		return false;
	return ret->type && discovery_serves(lab, ret->type, ret->version) && !rest.ptr;
}

static bool api_is_dry(const struct http_request *request, const json_t *body)
{
	const char *dry = http_query(request, "dryRun");

	return (dry && strcmp(dry, "All") == 0) || json_path_is(body, "dryRun.0", "All");
}

static int api_evict(struct lab_server *server, const struct api_target *target, bool dry,
		     struct answer *answer)
{
	struct api_target pod = *target;

	pod.subresource = NULL;
	if (api_delete(server, &pod, NULL, dry, answer) < 0)
		return -1;
	answer->code = 201;
	return 0;
}

static int api_apply(struct lab_server *server, const struct api_target *target, json_t *body,
		     const struct http_request *request, bool dry, struct answer *answer)
{
	bool is_apply = request->content_type && strstr(request->content_type, "apply-patch");

	if (is_apply && !store_get(server->lab->store, target->type, target->space, target->name))
		return api_create(server, target, body, dry, answer);
	return api_patch(server, target, body, dry, answer);
}

static int api_write(struct lab_server *server, const struct api_target *target,
		     const struct http_request *request, struct answer *answer)
{
	auto_error struct error err = {0};
	auto_json json_t *body = request->body.len ? json_parse(request->body, "body", &err) : NULL;
	bool dry = api_is_dry(request, body);

	if (request->body.len && !body)
		return answer_refuse(answer, 400, "BadRequest", "%s", error_text(&err));
	if (strcmp(request->method, "DELETE") == 0 && target->name)
		return api_delete(server, target, body, dry, answer);
	if (!body)
		return answer_refuse(answer, 400, "BadRequest", "the body is empty");
	if (strcmp(request->method, "POST") == 0) {
		if (target->subresource && strcmp(target->subresource, "eviction") == 0)
			return api_evict(server, target, dry, answer);
		return api_create(server, target, body, dry, answer);
	}
	if (strcmp(request->method, "PUT") == 0 && target->name)
		return api_replace(server, target, body, dry, answer);
	if (strcmp(request->method, "PATCH") == 0 && target->name)
		return api_apply(server, target, body, request, dry, answer);
	return answer_refuse(answer, 405, "MethodNotAllowed",
			     "the server does not allow this method on the requested resource");
}

static int api_get(struct lab_server *server, const struct api_target *target,
		   const struct http_request *request, struct answer *answer)
{
	const json_t *object;

	if (!target->name)
		return api_list(server, target, request, answer);
	object = store_get(server->lab->store, target->type, target->space, target->name);
	if (!object)
		return api_not_found(target, answer);
	answer->object = api_show(target, object);
	answer->code = 200;
	return 0;
}

/* --- replies ---------------------------------------------------------------------------------- */

static void api_text(struct http_reply *reply, int status, const char *text)
{
	reply->status = status;
	reply->type = "text/plain; charset=utf-8";
	reply->body = alloc_text(text);
	reply->len = strlen(text);
}

static void api_json(struct http_reply *reply, int status, const json_t *document)
{
	reply->status = status;
	reply->body = json_print(document);
	reply->len = strlen(reply->body);
}

static void api_answer(struct http_reply *reply, const struct answer *answer, int result)
{
	auto_json json_t *status = NULL;

	reply->retry_after_s = answer->retry_after_s;
	if (result == 0) {
		api_json(reply, answer->code, answer->object);
		return;
	}
	status = answer_status(answer);
	api_json(reply, answer->code, status);
}

static void api_log(struct lab_server *server, const struct api_target *target,
		    struct http_reply *reply)
{
	auto_free char *key = store_key(target->space, target->name);
	const char *text = json_string_value(json_object_get(server->lab->logs, key));

	api_text(reply, 200, text ? text : "");
}

static void api_health(const struct lab_server *server, const char *path, struct http_reply *reply)
{
	bool ready = server->state == LAB_READY || strcmp(path, "/livez") == 0;

	api_text(reply, ready ? 200 : 500,
		 ready ? "ok"
		       : "[+]ping ok\n[-]poststarthook/start-service-ip-repair-controllers "
			 "failed: reason withheld\nreadyz check failed\n");
}

/* What is no object. */
static bool api_special(struct lab_server *server, const struct http_request *request,
			struct http_reply *reply)
{
	auto_json json_t *document = NULL;

	if (strcmp(request->path, "/readyz") == 0 || strcmp(request->path, "/livez") == 0 ||
	    strcmp(request->path, "/healthz") == 0) {
		api_health(server, request->path, reply);
		return true;
	}
	if (strcmp(request->path, "/version") == 0) {
		document = discovery_version(server->lab);
		api_json(reply, 200, document);
		return true;
	}
	if (!request->authorization || strcmp(request->authorization, API_TOKEN) != 0) {
		auto_answer struct answer answer = {0};

		answer_refuse(&answer, 401, "Unauthorized", "Unauthorized");
		api_answer(reply, &answer, -1);
		return true;
	}
	document = discovery_document(server->lab, request->path, request->accept, &reply->type);
	if (!document)
		return false;
	api_json(reply, 200, document);
	return true;
}

static void api_object(struct lab_server *server, const struct http_request *request,
		       struct http_reply *reply)
{
	__attribute__((cleanup(api_target_release))) struct api_target target = {0};
	bool reads = strcmp(request->method, "GET") == 0;
	const char *watch = http_query(request, "watch");
	auto_answer struct answer answer = {0};
	int result;

	if (!api_parse(server->lab, request->path, &target)) {
		api_text(reply, 404, "404 page not found\n");
		return;
	}
	if (reads && target.subresource && strcmp(target.subresource, "log") == 0) {
		api_log(server, &target, reply);
		return;
	}
	if (reads && watch && (strcmp(watch, "true") == 0 || strcmp(watch, "1") == 0)) {
		watch_start(server, &target, request, reply);
		return;
	}
	result = reads ? api_get(server, &target, request, &answer)
		       : api_write(server, &target, request, &answer);
	api_answer(reply, &answer, result);
}

/* A line each: for tests of what the tool asks for, and may ask for. */
static void api_record(const struct lab *lab, const struct http_request *request)
{
	const char *watch = http_query(request, "watch");

	/* probes have no credential */
	if (!lab->requests || !request->authorization)
		return;
	fprintf(lab->requests, "%s %s%s\n", request->method, request->path, watch ? " watch" : "");
	fflush(lab->requests);
}

void api_handle(void *data, const struct http_request *request, struct http_reply *reply)
{
	struct lab_server *server = data;

	api_record(server->lab, request);
	loop_spend(server->lab->loop, API_MS);
	if (fault_before(server->lab->fault, request, reply))
		return;
	if (!api_special(server, request, reply))
		api_object(server, request, reply);
	guard_look(server->lab->guard, request->method, request->path);
	fault_after(server->lab->fault, request, reply);
}
