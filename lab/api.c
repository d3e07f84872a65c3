/* SPDX-License-Identifier: MIT */
#include "lab/api.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/admission.h"
#include "lab/allow.h"
#include "lab/answer.h"
#include "lab/check.h"
#include "lab/discovery.h"
#include "lab/fault.h"
#include "lab/guard.h"
#include "lab/list.h"
#include "lab/patch.h"
#include "lab/service.h"
#include "lab/watch.h"
#include "text/json.h"

enum { API_MS = 1 /* of work, a request */ };

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

/* What a patch or a replacement says of resourceVersion and UID. */
static int api_check_versions(const struct api_target *target, const json_t *old,
			      const json_t *metadata, bool patch, struct answer *answer)
{
	const char *version = json_path_text(metadata, "resourceVersion");
	const char *uid = json_path_text(metadata, "uid");
	const char *own = json_path_text(old, "metadata.uid");
	auto_free char *kind = check_kind(target->type);

	if (uid && *uid && own && strcmp(uid, own) != 0 && !patch) {
		auto_free char *key = store_key(target->space, target->name);
		auto_free char *problem = alloc_format(
			"StorageError: invalid object, Code: 4, Key: /registry/%s/%s, "
			"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
			"precondition: %s, UID in object meta: %s",
			target->type->plural, key, uid, own);

		return api_conflict(target, problem, answer);
	}
	if (version && *version && !json_path_is(old, "metadata.resourceVersion", version))
		return api_conflict(target,
				    "the object has been modified; please apply your changes to "
				    "the latest version and try again",
				    answer);
	if (uid && *uid && own && strcmp(uid, own) != 0) {
		/* two validations find it */
		for (int i = 0; i < 2; i++)
			answer_invalid(answer, kind, target->name, "FieldValueInvalid",
				       "metadata.uid", "Invalid value: \"%s\": field is immutable",
				       uid);
		return -1;
	}
	return 0;
}

/* The preconditions of a deletion speak of the kind. */
static int api_check_deletion(const struct api_target *target, const json_t *object,
			      const json_t *preconditions, struct answer *answer)
{
	static const struct {
		const char *field;
		const char *word;
		const char *guess;
	} fields[] = {
		{"uid", "UID", "deleted and then recreated"},
		{"resourceVersion", "ResourceVersion", "modified"},
	};
	auto_free char *kind = check_kind(target->type);

	for (size_t i = 0; i < 2; i++) {
		const char *wanted = json_path_text(preconditions, fields[i].field);
		const char *own = json_string_value(
			json_object_get(json_path(object, "metadata"), fields[i].field));

		if (!wanted || !own || strcmp(wanted, own) == 0)
			continue;
		answer_refuse(answer, 409, "Conflict",
			      "Operation cannot be fulfilled on %s \"%s\": the %s in the "
			      "precondition (%s) does not match the %s in record (%s). The object "
			      "might have been %s",
			      kind, target->name, fields[i].word, wanted, fields[i].word, own,
			      fields[i].guess);
		answer->details =
			json_pack("{s:s,s:s}", "name", target->name, "kind", target->type->kind);
		if (*target->type->group)
			json_object_set_new(answer->details, "group",
					    json_string(target->type->group));
		return -1;
	}
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

static int api_check_space(struct lab *lab, const struct api_target *target, json_t *metadata,
			   struct answer *answer)
{
	const char *own = json_path_text(metadata, "namespace");

	if (!target->space)
		return 0;
	if (own && *own && strcmp(own, target->space) != 0)
		return answer_refuse(answer, 400, "BadRequest",
				     "the namespace of the provided object does not match the "
				     "namespace sent on the request");
	json_object_set_new(metadata, "namespace", json_string(target->space));
	if (store_find(lab->store, "namespaces", NULL, target->space))
		return 0;
	answer_refuse(answer, 404, "NotFound", "namespaces \"%s\" not found", target->space);
	answer->details = json_pack("{s:s,s:s}", "name", target->space, "kind", "namespaces");
	return -1;
}

/* What says nothing is left out. */
static void api_tidy(json_t *metadata)
{
	static const char *const fields[] = {"labels", "annotations", "finalizers",
					     "ownerReferences"};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const json_t *value = json_object_get(metadata, fields[i]);

		if (value && json_object_size(value) == 0 && json_array_size(value) == 0)
			json_object_del(metadata, fields[i]);
	}
}

/* It wants the address that the one of this name has. */
static bool api_has_address(const struct api_target *target, const json_t *there,
			    const json_t *object)
{
	const char *wanted = json_path_text(object, "spec.clusterIP");

	return api_is(target, "services") && wanted && strcmp(wanted, "None") != 0 &&
	       json_path_is(there, "spec.clusterIP", wanted);
}

static int api_prepare(struct lab_server *server, const struct api_target *target, json_t *object,
		       struct answer *answer)
{
	struct lab *lab = server->lab;
	json_t *metadata = json_object_get(object, "metadata");
	auto_free char *resource = api_resource_text(target->type);
	auto_free char *kind = check_kind(target->type);
	auto_free char *uid = lab_uid(lab);
	auto_free char *now = lab_time(lab);
	const json_t *there;
	const char *name;

	if (!json_is_object(metadata))
		return answer_refuse(answer, 400, "BadRequest", "the object has no metadata");
	if (api_check_space(lab, target, metadata, answer) < 0)
		return -1;
	api_name_object(lab, metadata);
	name = json_path_text(metadata, "name");
	if (!name || !*name)
		return answer_invalid(answer, kind, "", "FieldValueRequired", "metadata.name",
				      "Required value: name or generateName is required");
	if (check_name(lab, target->type, name, answer) < 0)
		return -1;
	there = store_get(lab->store, target->type, target->space, name);
	/* a Service's address is asked for before anybody looks at its name */
	if (there && api_has_address(target, there, object) &&
	    service_create(server, object, /* dry= */ false, answer) < 0)
		return -1;
	if (there) {
		answer_refuse(answer, 409, "AlreadyExists", "%s%s \"%s\" already exists",
			      json_path(there, "metadata.deletionTimestamp")
				      ? "object is being deleted: "
				      : "",
			      resource, name);
		api_add_details(answer, target, name);
		return -1;
	}
	json_object_set_new(metadata, "uid", json_string(uid));
	json_object_set_new(metadata, "creationTimestamp", json_string(now));
	json_object_del(metadata, "resourceVersion");
	json_object_del(metadata, "deletionTimestamp");
	api_tidy(metadata);
	json_object_del(object, "apiVersion");
	if (strcmp(target->type->group, "apps") == 0)
		json_object_set_new(metadata, "generation", json_integer(1));
	return 0;
}

int api_create(struct lab_server *server, const struct api_target *target, json_t *object, bool dry,
	       struct answer *answer)
{
	auto_json json_t *fresh = json_deep_copy(object);

	if (api_prepare(server, target, fresh, answer) < 0 ||
	    admission_check(server->lab, target->type, "CREATE", fresh, answer) < 0)
		return -1;
	if (api_is(target, "services")) {
		if (service_create(server, fresh, dry, answer) < 0)
			return -1;
	} else if (target->type->has_status) {
		json_object_set_new(fresh, "status", json_object());
	}
	if (check_object(server->lab, target->type, NULL, fresh, answer) < 0)
		return -1;
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
	api_tidy(metadata);
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
	if (target->type->has_status)
		json_object_set(object, "status", json_object_get(old, "status"));
	return check_object(server->lab, target->type, old, object, answer);
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

static int api_check_name(const struct api_target *target, const json_t *object,
			  struct answer *answer)
{
	const char *name = json_path_text(object, "metadata.name");

	if (name && strcmp(name, target->name) != 0)
		return answer_refuse(answer, 400, "BadRequest",
				     "the name of the object (%s) does not match the name on the "
				     "URL (%s)",
				     name, target->name);
	return 0;
}

/* Whose replacement makes them where there is none. */
static bool api_is_made_by_put(const struct lab *lab, const struct api_target *target)
{
	return api_is(target, "leases") || api_is(target, "endpoints") ||
	       (api_is(target, "services") && lab_since(lab, 22));
}

/* Who must say which version is replaced. */
static int api_check_conditional(const struct lab *lab, const struct api_target *target,
				 const json_t *object, struct answer *answer)
{
	const char *version = json_path_text(object, "metadata.resourceVersion");
	bool service = api_is(target, "services") && !lab_since(lab, 22);
	auto_free char *kind = service ? check_kind(target->type) : api_resource_text(target->type);

	if ((version && *version) ||
	    !(service || api_is(target, "leases") ||
	      strncmp(target->type->group, "admissionregistration.", 22) == 0))
		return 0;
	/* twice, by two validations */
	for (int i = service ? 0 : 1; i < 2; i++)
		answer_invalid(answer, kind, target->name, "FieldValueInvalid",
			       "metadata.resourceVersion",
			       "Invalid value: %s: must be specified for an update",
			       service		    ? "\"\""
			       : lab_since(lab, 33) ? "0"
						    : "0x0");
	return -1;
}

int api_replace(struct lab_server *server, const struct api_target *target, json_t *object,
		bool dry, struct answer *answer)
{
	const json_t *old =
		store_get(server->lab->store, target->type, target->space, target->name);
	auto_json json_t *fresh = NULL;

	if (!json_is_object(json_object_get(object, "metadata")))
		return answer_refuse(answer, 400, "BadRequest", "the object has no metadata");
	if (api_check_name(target, object, answer) < 0)
		return -1;
	if (!old && api_is_made_by_put(server->lab, target))
		return api_create(server, target, object, dry, answer);
	if (!old)
		return api_not_found(target, answer);
	if (api_check_versions(target, old, json_object_get(object, "metadata"), false, answer) <
		    0 ||
	    api_check_conditional(server->lab, target, object, answer) < 0)
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
		problem = patch_steps(fresh, patch, lab_since(server->lab, 22));
		if (problem)
			return answer_refuse_generic(
				answer, 422, "Invalid",
				"the server rejected our request due to an error in our request");
	} else {
		patch_merge(fresh, patch);
	}
	if (api_check_name(target, fresh, answer) < 0 ||
	    api_check_versions(target, old, json_object_get(fresh, "metadata"), true, answer) < 0)
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

/* What has gone, as a Status or itself. */
static json_t *api_show_deleted(const struct lab *lab, const struct api_target *target,
				const json_t *object)
{
	json_t *status;

	if (api_is(target, "pods") || (api_is(target, "services") && lab_since(lab, 22)))
		return api_show(target, object);
	status = json_pack("{s:s,s:s,s:{},s:s,s:{s:s,s:s,s:O}}", "kind", "Status", "apiVersion",
			   "v1", "metadata", "status", "Success", "details", "name", target->name,
			   "kind", target->type->plural, "uid", json_path(object, "metadata.uid"));
	if (*target->type->group)
		json_object_set_new(json_object_get(status, "details"), "group",
				    json_string(target->type->group));
	return status;
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
	if (api_check_deletion(target, object, json_object_get(options, "preconditions"), answer) <
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
					    "deletionGracePeriodSeconds",
					    json_integer(api_is(target, "pods") ? 30 : 0));
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
	answer->object = api_show_deleted(lab, target, object);
	return 0;
}

/* All that fit the selectors; the list of them. */
static int api_delete_collection(struct lab_server *server, const struct api_target *target,
				 const struct http_request *request, bool dry,
				 struct answer *answer)
{
	const json_t *item;
	size_t i;

	if (list_answer(server, target, request, answer) < 0)
		return -1;
	json_array_foreach(json_object_get(answer->object, "items"), i, item) {
		auto_free char *name = alloc_text(json_path_text(item, "metadata.name"));
		auto_answer struct answer one = {0};
		struct api_target single = *target;

		single.name = name;
		(void)api_delete(server, &single, NULL, dry, &one);
	}
	return 0;
}

/* --- one request ------------------------------------------------------------------------------ */

enum api_place { API_NOWHERE, API_UNSERVED, API_FOUND };

static bool api_knows_group(const char *group)
{
	for (size_t i = 0; i < store_type_count; i++)
		if (strcmp(store_types[i].group, group) == 0)
			return true;
	return false;
}

static bool api_has_subresource(const struct api_target *target)
{
	static const char *const pods[] = {"log", "eviction", "binding"};

	if (!target->subresource)
		return true;
	if (strcmp(target->subresource, "status") == 0)
		return target->type->has_status;
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++)
		if (api_is(target, "pods") && strcmp(target->subresource, pods[i]) == 0)
			return true;
	return false;
}

/* GROUP/VERSION are off the front. */
static enum api_place api_parse_resource(const struct lab *lab, const char *group,
					 struct slice rest, struct api_target *ret)
{
	auto_free char *plural = NULL;
	struct slice part;

	if (!slice_next(&rest, '/', &part))
		return API_UNSERVED;
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
	if (!ret->type || rest.ptr || (!ret->type->namespaced && ret->space) ||
	    !discovery_serves(lab, ret->type, ret->version) || !api_has_subresource(ret))
		return API_UNSERVED;
	return API_FOUND;
}

static enum api_place api_parse(const struct lab *lab, const char *path, struct api_target *ret)
{
	struct slice rest = slice_of(path);
	struct slice part;
	auto_free char *group = NULL;

	slice_next(&rest, '/', &part);
	if (!slice_next(&rest, '/', &part))
		return API_NOWHERE;
	if (slice_is(part, "apis") && slice_next(&rest, '/', &part))
		group = slice_dup(part);
	else if (slice_is(part, "api"))
		group = alloc_text("");
	if (!group || !api_knows_group(group) || !slice_next(&rest, '/', &part))
		return API_NOWHERE;
	ret->version = slice_dup(part);
	return api_parse_resource(lab, group, rest, ret);
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
	static const char *const kinds[] = {"merge-patch+json", "json-patch+json",
					    "strategic-merge-patch+json", "apply-patch+yaml"};
	struct slice type = slice_of(request->content_type);
	bool known = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		auto_free char *whole = alloc_format("application/%s", kinds[i]);

		known = known || slice_starts(type, whole);
	}
	if (!known)
		return answer_refuse_generic(answer, 415, "UnsupportedMediaType",
					     "415: Unsupported Media Type");
	if (slice_starts(type, "application/apply-patch") &&
	    !store_get(server->lab->store, target->type, target->space, target->name))
		return api_create(server, target, body, dry, answer);
	return api_patch(server, target, body, dry, answer);
}

/* An object of another kind is not for here. */
static int api_check_kind(const struct api_target *target, const json_t *body,
			  struct answer *answer)
{
	const char *kind = json_path_text(body, "kind");

	if (!kind || !*kind || strcmp(kind, target->type->kind) == 0)
		return 0;
	return answer_refuse(answer, 400, "BadRequest",
			     "%s in version \"%s\" cannot be handled as a %s: converting (%s.%s) "
			     "to (core.%s): unknown conversion",
			     kind, target->version, target->type->kind, target->version, kind,
			     target->type->kind);
}

static int api_refuse_method(struct answer *answer)
{
	return answer_refuse_generic(
		answer, 405, "MethodNotAllowed",
		"the server does not allow this method on the requested resource");
}

static int api_write_object(struct lab_server *server, const struct api_target *target,
			    const struct http_request *request, json_t *body, bool dry,
			    struct answer *answer)
{
	bool eviction = target->subresource && strcmp(target->subresource, "eviction") == 0;
	bool posts = strcmp(request->method, "POST") == 0;

	if (strcmp(request->method, "PATCH") == 0 && target->name)
		return api_apply(server, target, body, request, dry, answer);
	if (posts && eviction)
		return api_evict(server, target, dry, answer);
	if (posts ? target->name != NULL : strcmp(request->method, "PUT") != 0 || !target->name)
		return api_refuse_method(answer);
	if (api_check_kind(target, body, answer) < 0)
		return -1;
	return posts ? api_create(server, target, body, dry, answer)
		     : api_replace(server, target, body, dry, answer);
}

static int api_write(struct lab_server *server, const struct api_target *target,
		     const struct http_request *request, struct answer *answer)
{
	auto_error struct error err = {0};
	auto_json json_t *body = request->body.len ? json_parse(request->body, "body", &err) : NULL;
	bool dry = api_is_dry(request, body);

	if (request->body.len && !body)
		return answer_refuse(answer, 400, "BadRequest",
				     "the object provided is unrecognized (must be of type %s): "
				     "couldn't get version/kind; json parse error: %s",
				     target->type->kind, error_text(&err));
	if (strcmp(request->method, "DELETE") == 0) {
		if (target->subresource)
			return api_refuse_method(answer);
		return target->name ? api_delete(server, target, body, dry, answer)
				    : api_delete_collection(server, target, request, dry, answer);
	}
	if (!body)
		return answer_refuse(answer, 400, "BadRequest", "the body is empty");
	return api_write_object(server, target, request, body, dry, answer);
}

static int api_get(struct lab_server *server, const struct api_target *target,
		   const struct http_request *request, struct answer *answer)
{
	const json_t *object;

	if (!target->name)
		return list_answer(server, target, request, answer);
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

/* What is no object: the document, or NULL. */
static json_t *api_document(struct lab_server *server, const struct http_request *request,
			    struct http_reply *reply)
{
	if (strcmp(request->path, "/version") == 0)
		return discovery_version(server->lab);
	return discovery_document(server->lab, request->path, request->accept, &reply->type);
}

static bool api_is_health(const char *path)
{
	return strcmp(path, "/readyz") == 0 || strcmp(path, "/livez") == 0 ||
	       strcmp(path, "/healthz") == 0;
}

static bool api_special(struct lab_server *server, const struct http_request *request,
			struct http_reply *reply)
{
	auto_answer struct answer answer = {0};
	auto_json json_t *document = api_document(server, request, reply);
	bool health = api_is_health(request->path);

	if (!document && !health)
		return false;
	if (allow_path(request, &answer) < 0) {
		reply->type = NULL;
		api_answer(reply, &answer, -1);
	} else if (health) {
		api_health(server, request->path, reply);
	} else {
		api_json(reply, 200, document);
	}
	return true;
}

/* True when it has been answered. */
static bool api_misses(struct lab_server *server, const struct http_request *request,
		       struct api_target *target, struct http_reply *reply)
{
	enum api_place place = api_parse(server->lab, request->path, target);
	auto_answer struct answer answer = {0};
	int result = place == API_FOUND ? allow_object(server->lab, request, target, &answer)
					: allow_path(request, &answer);

	if (result < 0) {
		api_answer(reply, &answer, -1);
	} else if (place == API_UNSERVED) {
		answer_refuse_generic(&answer, 404, "NotFound",
				      "the server could not find the requested resource");
		api_answer(reply, &answer, -1);
	} else if (place == API_NOWHERE) {
		api_text(reply, 404, "404 page not found\n");
	} else {
		return false;
	}
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

	if (allow_review(server->lab, request, &answer)) {
		api_answer(reply, &answer, answer.object ? 0 : -1);
		return;
	}
	if (api_misses(server, request, &target, reply))
		return;
	if (reads && target.subresource && strcmp(target.subresource, "log") == 0) {
		api_log(server, &target, reply);
		return;
	}
	if (reads && watch && (strcmp(watch, "true") == 0 || strcmp(watch, "1") == 0)) {
		if (watch_start(server, &target, request, reply, &answer) < 0)
			api_answer(reply, &answer, -1);
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
