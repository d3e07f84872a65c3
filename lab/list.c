/* SPDX-License-Identifier: MIT */
#include "lab/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/fault.h"
#include "lab/selector.h"
#include "text/json.h"

enum { LIST_ROUGH_PAGE = 7 };

#define LIST_EXPIRED                                                                            \
	"The provided continue parameter is too old to display a consistent list result. You "  \
	"can start a new list without the continue parameter, or use the continue token in "    \
	"this response to retrieve the remainder of the results. Continuing with the provided " \
	"token results in an inconsistent list - objects that were created, modified, or "      \
	"deleted between the time the first chunk was returned and now may show up in the list."

bool list_wants(const struct api_target *target, const struct http_request *request,
		const json_t *object)
{
	return (!target->space || json_path_is(object, "metadata.namespace", target->space)) &&
	       selector_labels(http_query(request, "labelSelector"),
			       json_path(object, "metadata.labels")) &&
	       selector_fields(http_query(request, "fieldSelector"), object);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* Beside metadata.name, and metadata.namespace of what has one; "involvedObject." is all below it. */
static const struct {
	const char *plural;
	const char *fields[8];
} list_fields[] = {
	{"pods",
	 {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
	  "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"}},
	{"events", {"involvedObject.", "reason", "reportingComponent", "source", "type"}},
	{"nodes", {"spec.unschedulable"}},
	{"secrets", {"type"}},
	{"namespaces", {"status.phase"}},
	{"services", {"spec.clusterIP", "spec.type"}},
	{"replicasets", {"status.replicas"}},
	{"jobs", {"status.successful"}},
};

static bool list_is_field(const struct api_target *target, struct slice field)
{
	if (slice_is(field, "metadata.name") ||
	    (target->type->namespaced && slice_is(field, "metadata.namespace")))
		return true;
	for (size_t i = 0; i < sizeof(list_fields) / sizeof(list_fields[0]); i++) {
		for (size_t k = 0; k < 8 && list_fields[i].fields[k]; k++) {
			const char *own = list_fields[i].fields[k];

			if (strcmp(target->type->plural, list_fields[i].plural) == 0 &&
			    (slice_is(field, own) ||
			     (own[strlen(own) - 1] == '.' && slice_starts(field, own))))
				return true;
		}
	}
	return false;
}

int list_check_fields(const struct api_target *target, const struct http_request *request,
		      struct answer *answer)
{
	struct slice rest = slice_of(http_query(request, "fieldSelector"));
	struct slice part;

	while (rest.len && slice_next(&rest, ',', &part)) {
		size_t len = 0;

		while (len < part.len && part.ptr[len] != '=' && part.ptr[len] != '!')
			len++;
		part.len = len;
		if (!list_is_field(target, part))
			return answer_refuse(answer, 400, "BadRequest",
					     "\"%.*s\" is not a known field selector: only "
					     "\"metadata.name\"%s",
					     (int)part.len, part.ptr,
					     target->type->namespaced ? ", \"metadata.namespace\""
								      : "");
	}
	return 0;
}

/* --- pages ------------------------------------------------------------------------------------ */

struct list {
	struct lab_server *server;
	const struct api_target *target;
	const struct http_request *request;
	uint64_t limit; /* 0: all */
	uint64_t version;
	const char *after; /* the key behind which this page begins; NULL: the first one */
	json_t *objects;   /* owned; as of the version; NULL: as they are */
	json_t *items;	   /* owned */
	char *token;	   /* owned; of the next page */
	size_t left;	   /* behind this page */
};

static void list_release(struct list *l)
{
	json_decref(l->objects);
	json_decref(l->items);
	free(l->token);
}

/* "VERSION:KEY" is the token to go on behind that key. */
static int list_start(struct list *l, struct answer *answer)
{
	struct store *store = l->server->lab->store;
	const char *token = http_query(l->request, "continue");
	struct slice rest = slice_of(token);
	struct slice part;
	bool expired = false;

	l->version = store_version(store);
	if (!token || !*token)
		return 0;
	if (!slice_next(&rest, ':', &part) || !rest.ptr ||
	    !slice_to_u64(part, UINT64_MAX, &l->version))
		return answer_refuse(answer, 400, "BadRequest",
				     "invalid continue token: continue key is not valid");
	l->after = rest.ptr;
	if (!store_after(store, l->version, &expired) && !expired)
		return 0;
	if (expired) {
		answer_refuse(answer, 410, "Expired", LIST_EXPIRED);
		answer->token =
			alloc_format("%llu:%s", (unsigned long long)store_version(store), l->after);
		return -1;
	}
	l->objects = store_at(store, l->target->type, l->version);
	return 0;
}

static int list_limit(struct list *l, struct answer *answer)
{
	const char *text = http_query(l->request, "limit");

	if (text && !slice_to_u64(slice_of(text), UINT32_MAX, &l->limit))
		return answer_refuse(answer, 400, "BadRequest",
				     "strconv.ParseInt: parsing \"%s\": invalid syntax", text);
	if (l->limit > LIST_ROUGH_PAGE && fault_is_rough(l->server->lab->fault))
		l->limit = LIST_ROUGH_PAGE;
	return 0;
}

/* False when the page is full. */
static bool list_take(struct list *l, const char *key, json_t *object, const char **last)
{
	if ((l->after && strcmp(key, l->after) <= 0) || !list_wants(l->target, l->request, object))
		return true;
	if (l->limit && json_array_size(l->items) == l->limit) {
		if (!l->token)
			l->token = alloc_format("%llu:%s", (unsigned long long)l->version, *last);
		l->left++;
		return http_query(l->request, "labelSelector") == NULL &&
		       http_query(l->request, "fieldSelector") == NULL;
	}
	json_array_append(l->items, object);
	*last = key;
	return true;
}

static int list_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_gather(struct list *l)
{
	struct store *store = l->server->lab->store;
	auto_free const char **sorted = NULL;
	const char *const *keys;
	const char *last = NULL;
	const char *key;
	json_t *object;
	size_t count = 0;

	if (l->objects) {
		sorted = alloc_array(json_object_size(l->objects) + 1, sizeof(*sorted));
		json_object_foreach(l->objects, key, object)
			sorted[count++] = key;
		qsort(sorted, count, sizeof(*sorted), list_compare);
		keys = sorted;
	} else {
		keys = store_keys(store, l->target->type, &count);
	}
	for (size_t i = 0; i < count; i++) {
		object = l->objects ? json_object_get(l->objects, keys[i])
				    : store_by_key(store, l->target->type, keys[i]);
		if (!list_take(l, keys[i], object, &last))
			break;
	}
}

/* How many are left is only told where nothing is selected. */
static json_t *list_show(const struct list *l)
{
	auto_free char *kind = alloc_format("%sList", l->target->type->kind);
	auto_free char *version = alloc_format("%llu", (unsigned long long)l->version);
	auto_json json_t *list = json_pack("{s:{s:s},s:O}", "metadata", "resourceVersion", version,
					   "items", l->items);
	json_t *metadata = json_object_get(list, "metadata");
	json_t *shown;

	if (l->token)
		json_object_set_new(metadata, "continue", json_string(l->token));
	if (l->token && !http_query(l->request, "labelSelector") &&
	    !http_query(l->request, "fieldSelector"))
		json_object_set_new(metadata, "remainingItemCount",
				    json_integer((json_int_t)l->left));
	shown = api_show(l->target, list);
	json_object_set_new(shown, "kind", json_string(kind));
	return shown;
}

int list_answer(struct lab_server *server, const struct api_target *target,
		const struct http_request *request, struct answer *answer)
{
	__attribute__((cleanup(list_release))) struct list l = {
		.server = server, .target = target, .request = request, .items = json_array()};

	if (list_limit(&l, answer) < 0 || list_check_fields(target, request, answer) < 0 ||
	    list_start(&l, answer) < 0)
		return -1;
	list_gather(&l);
	answer->object = list_show(&l);
	answer->code = 200;
	return 0;
}
