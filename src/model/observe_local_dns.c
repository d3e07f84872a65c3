/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "model/observe_parts.h"
#include "text/json.h"
#include "text/local_dns.h"

/*
 * NodeLocal DNSCache in kube-system: the arguments and the text that say at which addresses it
 * listens. Of the other DaemonSets, and of the rest of this one's command line, nothing is kept.
 */
#define LOCAL_DNS_KEY "Corefile"

struct local_dns_list {
	struct kube_client *kube;
	json_t *items;
};

/* Who wrote the template down, but for annotations of it (a restart writes those). */
static json_t *local_dns_managers(const json_t *object)
{
	json_t *managers = json_array();
	const json_t *entry;
	size_t i;

	json_array_foreach(json_path(object, "metadata.managedFields"), i, entry) {
		const char *manager = json_path_text(entry, "manager");

		if (manager && json_path(entry, "fieldsV1.f:spec.f:template.f:spec"))
			json_array_append_new(managers, json_string(manager));
	}
	return managers;
}

/* Adds the first of its ConfigMaps that has a Corefile. */
static int local_dns_corefile(struct kube_client *kube, const json_t *template, json_t *item,
			      struct error *err)
{
	struct kube_target target = {.version = "v1",
				     .plural = "configmaps",
				     .space = json_path_text(item, "namespace")};

	for (size_t i = 0; (target.name = local_dns_config_map(template, i)); i++) {
		auto_json json_t *map = NULL;
		const char *text;

		if (kube_client_get(kube, &target, &map, err) < 0) {
			if (err->kind != ERROR_NOT_FOUND)
				return -1;
			error_release(err);
			continue;
		}
		text = json_path_text(map, "data." LOCAL_DNS_KEY);
		if (!text)
			continue;
		json_object_set_new(item, "configMap", json_string(target.name));
		json_object_set_new(item, "corefile", json_string(text));
		return 0;
	}
	return 0;
}

static int local_dns_page(void *data, const json_t *items, bool first, struct error *err)
{
	struct local_dns_list *list = data;
	const json_t *object;
	size_t i;

	if (first)
		json_array_clear(list->items);
	json_array_foreach(items, i, object) {
		const json_t *template = json_path(object, "spec.template");
		auto_free char *addresses = local_dns_addresses(template);
		json_t *item;

		if (!addresses || !json_path_text(object, "metadata.namespace") ||
		    !json_path_text(object, "metadata.name"))
			continue;
		item = json_pack("{s:O, s:O, s:s, s:o}", "namespace",
				 json_path(object, "metadata.namespace"), "name",
				 json_path(object, "metadata.name"), "addresses", addresses,
				 "managers", local_dns_managers(object));
		if (local_dns_leaves_addresses(template))
			json_object_set_new(item, "leavesAddresses", json_true());
		json_array_append_new(list->items, item);
		if (local_dns_corefile(list->kube, template, item, err) < 0)
			return -1;
	}
	return 0;
}

void observe_local_dns(struct kube_client *kube, json_t *document)
{
	const struct kube_target target = {
		.group = "apps", .version = "v1", .plural = "daemonsets", .space = "kube-system"};
	struct local_dns_list list = {kube, json_array()};
	auto_error struct error err = {0};

	json_object_set_new(document, "localDNS", list.items);
	if (kube_client_list_pages(kube, &target, NULL, local_dns_page, &list, NULL, &err) == 0)
		return;
	json_object_set_new(document, "localDNS", json_null());
	observe_without(document, &err);
}
