/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "model/observe_parts.h"
#include "text/json.h"

/*
 * What stands around the Services of a healthy cluster and may break, or stop, their move. What
 * somebody may not list is gone without, and `surroundings` names it.
 */
static const char *const webhook_fields[] = {"kind", "metadata.name"};
static const char *const hook_fields[] = {
	"name",
	"failurePolicy",
	"clientConfig.service",
	"rules",
};
static const char *const definition_fields[] = {
	"kind",
	"metadata.name",
	"spec.conversion.webhook.clientConfig.service",
};
static const char *const api_service_fields[] = {"kind", "metadata.name", "spec.service"};
static const char *const policy_fields[] = {
	"metadata.name",    "metadata.namespace", "spec.podSelector",
	"spec.policyTypes", "spec.ingress",
};
static const char *const quota_fields[] = {
	"metadata.name",
	"metadata.namespace",
	"status.hard",
	"status.used",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* NULL: nobody needs it. */
typedef json_t *surroundings_trimmer(const json_t *object);

static json_t *trim_webhooks(const json_t *object)
{
	json_t *trimmed = observe_trim(object, webhook_fields, COUNT(webhook_fields));
	json_t *hooks = json_array();
	const json_t *hook;
	size_t i;

	json_array_foreach(json_path(object, "webhooks"), i, hook) {
		if (json_path(hook, "clientConfig.service"))
			json_array_append_new(hooks,
					      observe_trim(hook, hook_fields, COUNT(hook_fields)));
	}
	json_object_set_new(trimmed, "webhooks", hooks);
	return trimmed;
}

static json_t *trim_definition(const json_t *object)
{
	return observe_trim(object, definition_fields, COUNT(definition_fields));
}

/* Those that API servers serve themselves have no Service. */
static json_t *trim_api_service(const json_t *object)
{
	if (!json_is_object(json_path(object, "spec.service")))
		return NULL;
	return observe_trim(object, api_service_fields, COUNT(api_service_fields));
}

static json_t *trim_policy(const json_t *object)
{
	return observe_trim(object, policy_fields, COUNT(policy_fields));
}

static json_t *trim_quota(const json_t *object)
{
	return observe_trim(object, quota_fields, COUNT(quota_fields));
}

struct surroundings_list {
	json_t *items;
	surroundings_trimmer *trim;
};

static int surroundings_page(void *data, const json_t *items, bool first, struct error *err)
{
	struct surroundings_list *list = data;
	const json_t *item;
	size_t i;

	(void)err;
	if (first)
		json_array_clear(list->items);
	json_array_foreach(items, i, item) {
		json_t *kept = list->trim(item);

		if (kept)
			json_array_append_new(list->items, kept);
	}
	return 0;
}

static const struct {
	const char *member;
	const char *group;
	const char *plural;
	surroundings_trimmer *trim;
} surroundings[] = {
	{"validatingWebhooks", "admissionregistration.k8s.io", "validatingwebhookconfigurations",
	 trim_webhooks},
	{"mutatingWebhooks", "admissionregistration.k8s.io", "mutatingwebhookconfigurations",
	 trim_webhooks},
	{"definitions", "apiextensions.k8s.io", "customresourcedefinitions", trim_definition},
	{"apiServices", "apiregistration.k8s.io", "apiservices", trim_api_service},
	{"networkPolicies", "networking.k8s.io", "networkpolicies", trim_policy},
	{"resourceQuotas", "", "resourcequotas", trim_quota},
};

static int surroundings_read(struct kube_client *kube, size_t row, json_t *items, struct error *err)
{
	/* an object of 100 kB is usual among definitions */
	const struct kube_list_options options = {.page_size = 100};
	struct surroundings_list list = {items, surroundings[row].trim};
	struct kube_target target = {.plural = surroundings[row].plural, .version = "v1"};
	auto_free char *version = NULL;

	if (*surroundings[row].group) {
		target.group = surroundings[row].group;
		if (kube_discovery_served(kube, target.group, target.plural, &version, err) < 0)
			return -1;
		if (!version)
			return 0;
		target.version = version;
	}
	return kube_client_list_pages(kube, &target, &options, surroundings_page, &list, NULL, err);
}

void observe_surroundings(struct kube_client *kube, json_t *document)
{
	json_t *unseen = json_array();

	for (size_t i = 0; i < COUNT(surroundings); i++) {
		auto_error struct error err = {0};
		json_t *items = json_array();

		if (surroundings_read(kube, i, items, &err) < 0) {
			observe_without(document, &err);
			json_array_append_new(unseen, json_string(surroundings[i].plural));
		}
		json_object_set_new(document, surroundings[i].member, items);
	}
	json_object_set_new(document, "surroundings", json_pack("{s:o}", "unseen", unseen));
}

/* ---- health ---- */

static json_t *health_of(struct kube_client *kube, const struct cluster_node *node)
{
	auto_kube_client struct kube_client *server = NULL;
	auto_kube_reply struct kube_reply reply = {0};
	auto_error struct error err = {0};

	server = kube_client_at(kube, node->address, (uint16_t)node->api_port, &err);
	if (!server || kube_client_get_raw(server, "/readyz?verbose", &reply, &err) < 0)
		return json_pack("{s:s}", "problem", error_text(&err));
	return json_pack("{s:b}", "ready", 1);
}

void observe_health(struct kube_client *kube, json_t *document)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};
	json_t *health = json_object();

	json_object_set_new(document, "health", health);
	if (cluster_build(document, &cluster, &err) < 0)
		return;
	for (size_t i = 0; i < cluster->node_count; i++) {
		const struct cluster_node *node = &cluster->nodes[i];

		if (node->control_plane && node->address)
			json_object_set_new(health, node->name, health_of(kube, node));
	}
}
