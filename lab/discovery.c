/* SPDX-License-Identifier: MIT */
#include "lab/discovery.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"

#define DISCOVERY_AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

bool discovery_serves(const struct lab *lab, const struct store_type *type, const char *version)
{
	bool service_cidr = strcmp(type->plural, "servicecidrs") == 0 ||
			    strcmp(type->plural, "ipaddresses") == 0;

	if (type->from && !lab_since(lab, type->from))
		return false;
	if (service_cidr && lab->options.regime == LAB_BITMAP)
		return false;
	if (service_cidr)
		return strcmp(version, lab_since(lab, 33) ? "v1" : "v1beta1") == 0;
	if (strcmp(type->plural, "endpointslices") == 0 ||
	    strcmp(type->plural, "poddisruptionbudgets") == 0)
		return strcmp(version, "v1") == 0
			       ? lab_since(lab, 21)
			       : strcmp(version, "v1beta1") == 0 && !lab_since(lab, 25);
	return strcmp(version, type->version) == 0;
}

static json_t *discovery_verbs(const struct lab *lab, const struct store_type *type)
{
	json_t *verbs = json_pack("[s,s,s,s,s,s,s,s]", "create", "delete", "deletecollection",
				  "get", "list", "patch", "update", "watch");

	/* they were deleted one by one */
	if (strcmp(type->plural, "services") == 0 && !lab_since(lab, 23))
		json_array_remove(verbs, 2);
	return verbs;
}

static json_t *discovery_resource(const struct lab *lab, const struct store_type *type,
				  bool aggregated)
{
	if (aggregated)
		return json_pack("{s:s,s:{s:s},s:s,s:o}", "resource", type->plural, "responseKind",
				 "kind", type->kind, "scope",
				 type->namespaced ? "Namespaced" : "Cluster", "verbs",
				 discovery_verbs(lab, type));
	return json_pack("{s:s,s:s,s:b,s:s,s:o}", "name", type->plural, "singularName", "",
			 "namespaced", type->namespaced, "kind", type->kind, "verbs",
			 discovery_verbs(lab, type));
}

static json_t *discovery_resources(const struct lab *lab, const char *group, const char *version,
				   bool aggregated)
{
	json_t *list = json_array();

	for (size_t i = 0; i < store_type_count; i++) {
		const struct store_type *type = &store_types[i];

		if (strcmp(type->group, group) == 0 && discovery_serves(lab, type, version))
			json_array_append_new(list, discovery_resource(lab, type, aggregated));
	}
	return list;
}

/* The group's versions that have anything, newest first. */
static size_t discovery_versions(const struct lab *lab, const char *group, const char *versions[2])
{
	static const char *const all[] = {"v1", "v1beta1"};
	size_t count = 0;

	for (size_t v = 0; v < 2; v++) {
		json_t *list = discovery_resources(lab, group, all[v], false);

		if (json_array_size(list))
			versions[count++] = all[v];
		json_decref(list);
	}
	return count;
}

static bool discovery_is_first(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(store_types[i].group, store_types[at].group) == 0)
			return false;
	return true;
}

static json_t *discovery_group(const struct lab *lab, const char *group, bool aggregated)
{
	const char *names[2];
	size_t count = discovery_versions(lab, group, names);
	json_t *versions = json_array();
	json_t *document;

	for (size_t i = 0; i < count; i++) {
		auto_free char *full =
			*group ? alloc_format("%s/%s", group, names[i]) : alloc_text(names[i]);

		json_array_append_new(
			versions,
			aggregated ? json_pack("{s:s,s:s,s:o}", "version", names[i], "freshness",
					       "Current", "resources",
					       discovery_resources(lab, group, names[i], true))
				   : json_pack("{s:s,s:s}", "groupVersion", full, "version",
					       names[i]));
	}
	document = aggregated ? json_pack("{s:{},s:o}", "metadata", "versions", versions)
			      : json_pack("{s:s,s:o}", "name", group, "versions", versions);
	if (aggregated && *group)
		json_object_set_new(json_object_get(document, "metadata"), "name",
				    json_string(group));
	if (!aggregated && count)
		json_object_set(document, "preferredVersion", json_array_get(versions, 0));
	return document;
}

static json_t *discovery_groups(const struct lab *lab, bool core, bool aggregated)
{
	json_t *list = json_array();

	for (size_t i = 0; i < store_type_count; i++) {
		const char *group = store_types[i].group;
		const char *versions[2];

		if (!discovery_is_first(i) || (*group == '\0') != core ||
		    !discovery_versions(lab, group, versions))
			continue;
		json_array_append_new(list, discovery_group(lab, group, aggregated));
	}
	if (aggregated)
		return json_pack("{s:s,s:s,s:{},s:o}", "kind", "APIGroupDiscoveryList",
				 "apiVersion", "apidiscovery.k8s.io/v2", "metadata", "items", list);
	return json_pack("{s:s,s:s,s:o}", "kind", "APIGroupList", "apiVersion", "v1", "groups",
			 list);
}

static json_t *discovery_list(const struct lab *lab, const char *group, const char *version)
{
	auto_free char *full = *group ? alloc_format("%s/%s", group, version) : alloc_text(version);
	json_t *resources = discovery_resources(lab, group, version, false);
	json_t *document;

	if (!json_array_size(resources)) {
		json_decref(resources);
		return NULL;
	}
	document = json_pack("{s:s,s:s,s:o}", "kind", "APIResourceList", "groupVersion", full,
			     "resources", resources);
	/* the core's has none */
	if (*group)
		json_object_set_new(document, "apiVersion", json_string("v1"));
	return document;
}

json_t *discovery_document(const struct lab *lab, const char *path, const char *accept,
			   const char **ret_type)
{
	bool core = strcmp(path, "/api") == 0;
	struct slice rest = slice_of(path);
	struct slice part;
	auto_free char *group = NULL;
	auto_free char *version = NULL;

	if (core || strcmp(path, "/apis") == 0) {
		bool aggregated = lab_since(lab, 27) && accept && strstr(accept, "v=v2;");

		if (aggregated)
			*ret_type = DISCOVERY_AGGREGATED;
		if (core && !aggregated)
			return json_pack("{s:s,s:[s]}", "kind", "APIVersions", "versions", "v1");
		return discovery_groups(lab, core, aggregated);
	}
	if (strcmp(path, "/api/v1") == 0)
		return discovery_list(lab, "", "v1");
	if (!slice_starts(rest, "/apis/"))
		return NULL;
	rest = (struct slice){rest.ptr + 6, rest.len - 6};
	slice_next(&rest, '/', &part);
	group = slice_dup(part);
	if (!slice_next(&rest, '/', &part)) {
		json_t *document = discovery_group(lab, group, false);

		if (!json_array_size(json_object_get(document, "versions"))) {
			json_decref(document);
			return NULL;
		}
		json_object_set_new(document, "kind", json_string("APIGroup"));
		json_object_set_new(document, "apiVersion", json_string("v1"));
		return document;
	}
	version = slice_dup(part);
	return rest.ptr ? NULL : discovery_list(lab, group, version);
}

json_t *discovery_version(const struct lab *lab)
{
	auto_free char *minor = alloc_format("%u", lab->options.minor);
	auto_free char *git = alloc_format("v1.%u.%u", lab->options.minor, lab->options.patch);

	return json_pack("{s:s,s:s,s:s,s:s}", "major", "1", "minor", minor, "gitVersion", git,
			 "platform", "linux/amd64");
}
