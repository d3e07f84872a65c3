/* SPDX-License-Identifier: MIT */
#include "kube/discovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

/* The aggregated form (1.26 on; v2beta1 until 1.29), else the plain one. */
#define KUBE_DISCOVERY_ACCEPT                                                        \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"      \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," \
	"application/json"

static int kube_discovery_read(struct kube_client *kube, const char *path, const char *accept,
			       json_t **ret, struct error *err)
{
	/* a group behind an aggregated API may be broken for good: that costs no patience */
	struct kube_request request = {.method = KUBE_GET,
				       .path = path,
				       .accept = accept,
				       .once = slice_starts(slice_of(path), "/apis/")};
	auto_free char *name = alloc_format("answer to GET %s", path);
	auto_kube_reply struct kube_reply reply = {0};

	if (kube_client_send(kube, &request, &reply, err) < 0)
		return -1;
	*ret = json_parse(buffer_as_slice(&reply.body), name, err);
	return *ret ? 0 : -1;
}

/* --- /version -------------------------------------------------------------------------------- */

/* "36", and "36+" as some vendors write it. */
static bool kube_discovery_number(const char *text, unsigned *ret)
{
	struct slice digits = slice_of(text);
	uint64_t value;

	if (digits.len && digits.ptr[digits.len - 1] == '+')
		digits.len--;
	if (!slice_to_u64(digits, 1000000, &value))
		return false;
	*ret = (unsigned)value;
	return true;
}

int kube_discovery_version(struct kube_client *kube, struct kube_version *ret, struct error *err)
{
	struct kube_version version = {0};
	auto_json json_t *answer = NULL;
	const char *git;

	if (kube_discovery_read(kube, "/version", NULL, &answer, err) < 0)
		return -1;
	git = json_path_text(answer, "gitVersion");
	if (!git || !kube_discovery_number(json_path_text(answer, "major"), &version.major) ||
	    !kube_discovery_number(json_path_text(answer, "minor"), &version.minor))
		return error_set(err, ERROR_PARSE,
				 "what answers at %s/version is no Kubernetes API server",
				 kube_client_server(kube));
	version.git = alloc_text(git);
	*ret = version;
	return 0;
}

void kube_version_release(struct kube_version *version)
{
	free(version->git);
	*version = (struct kube_version){0};
}

/* --- resources ------------------------------------------------------------------------------- */

static bool kube_discovery_verb(const json_t *verbs, const char *verb)
{
	size_t index;
	json_t *item;

	json_array_foreach((json_t *)(uintptr_t)verbs, index, item) {
		const char *text = json_string_value(item);

		if (text && strcmp(text, verb) == 0)
			return true;
	}
	return false;
}

/* Whether an earlier version of the same group has it: the server's order is its preference. */
static bool kube_discovery_seen(const struct kube_resources *list, const char *group,
				const char *plural)
{
	return kube_resources_find(list, group, plural) != NULL;
}

static void kube_discovery_add(struct kube_resources *list, const struct kube_resource *r,
			       const json_t *verbs)
{
	struct kube_resource *added;

	if (!r->plural || !r->kind || strchr(r->plural, '/'))
		return;
	ALLOC_GROW(list->items, list->count, list->capacity);
	added = &list->items[list->count];
	*added = (struct kube_resource){
		.group = alloc_text(r->group),
		.version = alloc_text(r->version),
		.plural = alloc_text(r->plural),
		.kind = alloc_text(r->kind),
		.namespaced = r->namespaced,
		.listable = kube_discovery_verb(verbs, "list"),
		.watchable = kube_discovery_verb(verbs, "watch"),
		.patchable = kube_discovery_verb(verbs, "patch"),
		.preferred = !kube_discovery_seen(list, r->group, r->plural),
	};
	list->count++;
}

static void kube_discovery_failed(struct kube_resources *list, const char *group,
				  const char *version)
{
	ALLOC_GROW(list->failed, list->failed_count, list->failed_capacity);
	list->failed[list->failed_count++] =
		*group ? alloc_format("%s/%s", group, version) : alloc_text(version);
}

/* --- aggregated ------------------------------------------------------------------------------ */

static char *kube_discovery_mutable(const char *text)
{
	/* struct kube_resource owns its texts; kube_discovery_add copies these */
	return (char *)(uintptr_t)text;
}

static void kube_discovery_aggregated_version(struct kube_resources *list, const char *group,
					      const json_t *version)
{
	const char *name = json_path_text(version, "version");
	size_t index;
	json_t *item;

	if (!name)
		return;
	/* "Stale": what an aggregated server said before it went away */
	if (json_path_is(version, "freshness", "Stale"))
		kube_discovery_failed(list, group, name);
	json_array_foreach(json_path(version, "resources"), index, item) {
		struct kube_resource r = {
			.group = kube_discovery_mutable(group),
			.version = kube_discovery_mutable(name),
			.plural = kube_discovery_mutable(json_path_text(item, "resource")),
			.kind = kube_discovery_mutable(json_path_text(item, "responseKind.kind")),
			.namespaced = json_path_is(item, "scope", "Namespaced"),
		};

		kube_discovery_add(list, &r, json_path(item, "verbs"));
	}
}

static void kube_discovery_aggregated(struct kube_resources *list, const json_t *groups)
{
	size_t g, v;
	json_t *group, *version;

	json_array_foreach(json_path(groups, "items"), g, group) {
		const char *name = json_path_text(group, "metadata.name");

		json_array_foreach(json_path(group, "versions"), v, version) {
			kube_discovery_aggregated_version(list, name ? name : "", version);
		}
	}
}

/* --- one request per group version ----------------------------------------------------------- */

static char *kube_discovery_group_path(const char *group, const char *version)
{
	/* kube_path() without a plural */
	struct kube_target target = {
		.group = *group ? group : NULL, .version = version, .plural = ""};
	char *path = kube_path(&target);

	path[strlen(path) - 1] = '\0';
	return path;
}

static int kube_discovery_group_version(struct kube_client *kube, struct kube_resources *list,
					const char *group, const char *version, struct error *err)
{
	auto_free char *path = kube_discovery_group_path(group, version);
	auto_error struct error failure = {0};
	auto_json json_t *answer = NULL;
	size_t index;
	json_t *item;

	if (kube_discovery_read(kube, path, NULL, &answer, &failure) < 0) {
		if (failure.kind == ERROR_INTERRUPTED || !*group)
			return error_move(err, &failure);
		log_debug("%s", error_text(&failure));
		kube_discovery_failed(list, group, version);
		return 0;
	}
	json_array_foreach(json_path(answer, "resources"), index, item) {
		struct kube_resource r = {
			.group = kube_discovery_mutable(group),
			.version = kube_discovery_mutable(version),
			.plural = kube_discovery_mutable(json_path_text(item, "name")),
			.kind = kube_discovery_mutable(json_path_text(item, "kind")),
			.namespaced = json_path_bool(item, "namespaced", false),
		};

		kube_discovery_add(list, &r, json_path(item, "verbs"));
	}
	return 0;
}

static int kube_discovery_group(struct kube_client *kube, struct kube_resources *list,
				const json_t *group, struct error *err)
{
	const char *name = json_path_text(group, "name");
	const char *preferred = json_path_text(group, "preferredVersion.version");
	size_t index;
	json_t *item;

	if (!name)
		return 0;
	if (preferred && kube_discovery_group_version(kube, list, name, preferred, err) < 0)
		return -1;
	json_array_foreach(json_path(group, "versions"), index, item) {
		const char *version = json_path_text(item, "version");

		if (!version || (preferred && strcmp(version, preferred) == 0))
			continue;
		if (kube_discovery_group_version(kube, list, name, version, err) < 0)
			return -1;
	}
	return 0;
}

static int kube_discovery_core(struct kube_client *kube, struct kube_resources *list,
			       const json_t *answer, struct error *err)
{
	size_t index;
	json_t *version;

	json_array_foreach(json_path(answer, "versions"), index, version) {
		const char *name = json_string_value(version);

		if (name && kube_discovery_group_version(kube, list, "", name, err) < 0)
			return -1;
	}
	return 0;
}

static int kube_discovery_root(struct kube_client *kube, const char *path,
			       struct kube_resources *list, struct error *err)
{
	auto_json json_t *answer = NULL;
	size_t index;
	json_t *group;

	if (kube_discovery_read(kube, path, KUBE_DISCOVERY_ACCEPT, &answer, err) < 0)
		return -1;
	if (json_path_is(answer, "kind", "APIGroupDiscoveryList")) {
		kube_discovery_aggregated(list, answer);
		return 0;
	}
	if (json_path_is(answer, "kind", "APIVersions"))
		return kube_discovery_core(kube, list, answer, err);
	if (!json_path_is(answer, "kind", "APIGroupList"))
		return error_set(err, ERROR_PARSE,
				 "what answers at %s%s is no Kubernetes API server",
				 kube_client_server(kube), path);
	json_array_foreach(json_path(answer, "groups"), index, group) {
		if (kube_discovery_group(kube, list, group, err) < 0)
			return -1;
	}
	return 0;
}

int kube_discovery_resources(struct kube_client *kube, struct kube_resources *ret,
			     struct error *err)
{
	struct kube_resources list = {0};

	if (kube_discovery_root(kube, "/api", &list, err) < 0 ||
	    kube_discovery_root(kube, "/apis", &list, err) < 0) {
		kube_resources_release(&list);
		return -1;
	}
	*ret = list;
	return 0;
}

void kube_resources_release(struct kube_resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		free(resources->items[i].group);
		free(resources->items[i].version);
		free(resources->items[i].plural);
		free(resources->items[i].kind);
	}
	free(resources->items);
	for (size_t i = 0; i < resources->failed_count; i++)
		free(resources->failed[i]);
	free(resources->failed);
	*resources = (struct kube_resources){0};
}

const struct kube_resource *kube_resources_find(const struct kube_resources *resources,
						const char *group, const char *plural)
{
	for (size_t i = 0; i < resources->count; i++) {
		const struct kube_resource *r = &resources->items[i];

		if (strcmp(r->group, group) == 0 && strcmp(r->plural, plural) == 0)
			return r;
	}
	return NULL;
}

struct kube_target kube_resource_target(const struct kube_resource *resource)
{
	return (struct kube_target){
		.group = resource->group, .version = resource->version, .plural = resource->plural};
}

/* --- one resource ---------------------------------------------------------------------------- */

int kube_discovery_served(struct kube_client *kube, const char *group, const char *plural,
			  char **ret_version, struct error *err)
{
	auto_free char *path = alloc_format("/apis/%s", group);
	auto_error struct error failure = {0};
	struct kube_resources list = {0};
	const struct kube_resource *found;
	auto_json json_t *answer = NULL;
	int result;

	if (kube_discovery_read(kube, path, NULL, &answer, &failure) < 0) {
		if (failure.kind != ERROR_NOT_FOUND)
			return error_move(err, &failure);
		*ret_version = NULL;
		return 0;
	}
	result = kube_discovery_group(kube, &list, answer, err);
	found = kube_resources_find(&list, group, plural);
	if (result == 0 && list.failed_count && !found)
		result = error_set(err, ERROR_NETWORK, "%s does not say what it serves in '%s'",
				   kube_client_server(kube), list.failed[0]);
	if (result == 0)
		*ret_version = found ? alloc_text(found->version) : NULL;
	kube_resources_release(&list);
	return result;
}
