/* SPDX-License-Identifier: MIT */
#include "text/kubelet.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "text/yaml_put.h"

#define KIND "KubeletConfiguration"

void kubelet_config_release(struct kubelet_config *config)
{
	for (size_t i = 0; i < config->cluster_dns_count; i++)
		free(config->cluster_dns[i]);
	free(config->cluster_dns);
	free(config->cluster_domain);
	free(config->cgroup_driver);
	free(config->resolv_conf);
	free(config->static_pod_path);
	*config = (struct kubelet_config){0};
}

static char *copy(const struct yaml_node *node)
{
	const char *text = yaml_string(node);

	return text && !yaml_is_null(node) ? alloc_text(text) : NULL;
}

int kubelet_config_read(struct kubelet_config *ret, const char *file, struct slice text,
			struct error *err)
{
	auto_yaml struct yaml y = {0};
	struct kubelet_config config = {0};
	const struct yaml_node *root, *dns;

	if (yaml_parse(&y, file, text, err) < 0)
		return -1;
	root = yaml_put_document(&y, KIND);
	if (!root)
		return error_set(err, ERROR_NOT_FOUND, "%s: no " KIND " in it", file);
	dns = yaml_get(root, "clusterDNS");
	for (size_t i = 0; yaml_item(dns, i); i++) {
		const char *address = yaml_string(yaml_item(dns, i));

		if (!address)
			continue;
		ALLOC_GROW(config.cluster_dns, config.cluster_dns_count,
			   config.cluster_dns_capacity);
		config.cluster_dns[config.cluster_dns_count++] = alloc_text(address);
	}
	config.cluster_domain = copy(yaml_get(root, "clusterDomain"));
	config.cgroup_driver = copy(yaml_get(root, "cgroupDriver"));
	config.resolv_conf = copy(yaml_get(root, "resolvConf"));
	config.static_pod_path = copy(yaml_get(root, "staticPodPath"));
	kubelet_config_release(ret);
	*ret = config;
	return 0;
}

static int put_list(struct yaml *y, const char *const addresses[], size_t count, struct error *err)
{
	static const char *const path[] = {"clusterDNS"};
	auto_free struct yaml_value *items = alloc_array(count, sizeof(*items));
	struct yaml_value list = {.kind = YAML_SEQUENCE, .items = items, .count = count};

	for (size_t i = 0; i < count; i++)
		items[i] = (struct yaml_value){.kind = YAML_SCALAR, .text = addresses[i]};
	return yaml_put(y, KIND, path, 1, &list, err);
}

/* Changes the items in place, so that each keeps its comment; then adds or removes at the end. */
static int change_list(struct yaml *y, const char *const addresses[], size_t count,
		       struct error *err)
{
	for (size_t i = 0;; i++) {
		const struct yaml_node *list = yaml_get(yaml_put_document(y, KIND), "clusterDNS");
		struct yaml_value item = {.kind = YAML_SCALAR};
		int result = 0;

		if (i < count && i < list->count) {
			result = yaml_set(y, yaml_item(list, i), addresses[i], err);
		} else if (i < count) {
			item.text = addresses[i];
			result = yaml_add(y, list, &item, err);
		} else if (list->count > count) {
			result = yaml_remove(y, list->last, err);
		} else {
			return 0;
		}
		if (result < 0)
			return -1;
	}
}

int kubelet_set_cluster_dns(const char *file, struct slice text, const char *const addresses[],
			    size_t count, struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};
	const struct yaml_node *root, *list;
	int result;

	if (yaml_parse(&y, file, text, err) < 0)
		return -1;
	root = yaml_put_document(&y, KIND);
	if (!root)
		return error_set(err, ERROR_NOT_FOUND, "%s: no " KIND " in it", file);
	list = yaml_get(root, "clusterDNS");
	if (list && list->kind != YAML_SEQUENCE && !yaml_is_null(list))
		return error_set(err, ERROR_PARSE, "%s:%u:%u: clusterDNS is not a list", file,
				 list->line, list->column);
	if (yaml_put_empty(list))
		result = count > 0 ? put_list(&y, addresses, count, err) : 0;
	else
		result = change_list(&y, addresses, count, err);
	if (result < 0)
		return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}
