/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/build.h"
#include "text/json.h"

/* What observe_surroundings() and observe_health() brought. */

static bool names(const json_t *list, const char *wanted)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (text && (strcmp(text, wanted) == 0 || strcmp(text, "*") == 0))
			return true;
	}
	return false;
}

static bool hook_sees_services(const json_t *hook)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_path(hook, "rules"), i, rule) {
		const json_t *resources = json_path(rule, "resources");

		if (names(json_path(rule, "apiGroups"), "") &&
		    (names(resources, "services") || names(resources, "services/*") ||
		     names(resources, "*/*")))
			return true;
	}
	return false;
}

static struct cluster_caller *caller_add(const struct build *b, const json_t *object,
					 const json_t *service)
{
	struct cluster *c = b->cluster;
	const char *namespace_ = json_path_text(service, "namespace");
	const char *name = json_path_text(service, "name");
	struct cluster_caller *caller;

	if (!namespace_ || !name || !json_path_text(object, "metadata.name"))
		return NULL;
	caller = &c->callers[c->caller_count++];
	caller->kind = json_path_text(object, "kind") ? json_path_text(object, "kind") : "?";
	caller->name = json_path_text(object, "metadata.name");
	caller->namespace_ = namespace_;
	caller->service = name;
	caller->fail_closed = true;
	return caller;
}

static void callers_of_webhooks(const struct build *b, const char *member)
{
	const json_t *object;
	const json_t *hook;
	size_t i;
	size_t k;

	json_array_foreach(json_path(b->document, member), i, object) {
		json_array_foreach(json_path(object, "webhooks"), k, hook) {
			struct cluster_caller *caller =
				caller_add(b, object, json_path(hook, "clientConfig.service"));

			if (!caller)
				continue;
			caller->fail_closed = !json_path_is(hook, "failurePolicy", "Ignore");
			caller->sees_services = hook_sees_services(hook);
		}
	}
}

static size_t hooks_count(const struct build *b, const char *member)
{
	const json_t *object;
	size_t count = 0;
	size_t i;

	json_array_foreach(json_path(b->document, member), i, object)
		count += json_path_count(object, "webhooks");
	return count;
}

static void build_callers(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->callers = arena_array(b->arena,
				 hooks_count(b, "validatingWebhooks") +
					 hooks_count(b, "mutatingWebhooks") +
					 json_path_count(b->document, "definitions") +
					 json_path_count(b->document, "apiServices") + 1,
				 sizeof(*c->callers));
	callers_of_webhooks(b, "validatingWebhooks");
	callers_of_webhooks(b, "mutatingWebhooks");
	json_array_foreach(json_path(b->document, "definitions"), i, object)
		caller_add(b, object,
			   json_path(object, "spec.conversion.webhook.clientConfig.service"));
	json_array_foreach(json_path(b->document, "apiServices"), i, object)
		caller_add(b, object, json_path(object, "spec.service"));
}

/* Says who may dial: what comes by way of an alias comes from the node's address instead. */
static bool policy_names_sources(const json_t *policy)
{
	const json_t *types = json_path(policy, "spec.policyTypes");
	const json_t *rule;
	size_t i;

	if (types && !names(types, "Ingress"))
		return false;
	json_array_foreach(json_path(policy, "spec.ingress"), i, rule) {
		if (json_path_count(rule, "from"))
			return true;
	}
	return false;
}

static void build_policies(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->policies = arena_array(b->arena, json_path_count(b->document, "networkPolicies") + 1,
				  sizeof(*c->policies));
	json_array_foreach(json_path(b->document, "networkPolicies"), i, object) {
		if (!json_path_text(object, "metadata.namespace") ||
		    !json_path_text(object, "metadata.name") || !policy_names_sources(object))
			continue;
		c->policies[c->policy_count++] = (struct cluster_policy){
			.namespace_ = json_path_text(object, "metadata.namespace"),
			.name = json_path_text(object, "metadata.name"),
			.pods = json_path(object, "spec.podSelector"),
		};
	}
}

static void quota_add(const struct build *b, const json_t *object, const char *resource)
{
	struct cluster *c = b->cluster;
	const json_t *hard = json_object_get(json_path(object, "status.hard"), resource);
	const json_t *used = json_object_get(json_path(object, "status.used"), resource);
	uint64_t limit = 0;
	uint64_t taken = 0;

	if (!hard || !slice_to_u64(slice_of(json_string_value(hard)), UINT32_MAX, &limit))
		return;
	if (used && !slice_to_u64(slice_of(json_string_value(used)), UINT32_MAX, &taken))
		return;
	c->quotas[c->quota_count++] = (struct cluster_quota){
		.namespace_ = json_path_text(object, "metadata.namespace"),
		.name = json_path_text(object, "metadata.name"),
		.resource = resource,
		.hard = limit,
		.used = taken,
	};
}

static void build_quotas(const struct build *b)
{
	static const char *const counted[] = {"services", "count/services",
					      "services.loadbalancers"};
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->quotas = arena_array(b->arena, 3 * json_path_count(b->document, "resourceQuotas") + 1,
				sizeof(*c->quotas));
	json_array_foreach(json_path(b->document, "resourceQuotas"), i, object) {
		if (!json_path_text(object, "metadata.namespace") ||
		    !json_path_text(object, "metadata.name"))
			continue;
		for (size_t k = 0; k < sizeof(counted) / sizeof(counted[0]); k++)
			quota_add(b, object, counted[k]);
	}
}

static void build_definitions(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *object;
	size_t i;

	c->definitions = build_room(b, json_path_count(b->document, "definitions") + 1);
	json_array_foreach(json_path(b->document, "definitions"), i, object) {
		if (json_path_text(object, "metadata.name"))
			c->definitions.items[c->definitions.count++] =
				json_path_text(object, "metadata.name");
	}
}

static void build_health(const struct build *b)
{
	const json_t *health = json_path(b->document, "health");

	for (size_t i = 0; i < b->cluster->node_count; i++) {
		struct cluster_node *node = &b->cluster->nodes[i];
		const json_t *seen = json_object_get(health, node->name);

		node->health_known = seen != NULL;
		node->health_problem = json_path_text(seen, "problem");
	}
}

void build_surroundings(const struct build *b)
{
	b->cluster->surroundings_known = json_path(b->document, "surroundings") != NULL;
	b->cluster->surroundings_unseen =
		build_texts(b, json_path(b->document, "surroundings.unseen"));
	build_callers(b);
	build_policies(b);
	build_quotas(b);
	build_definitions(b);
	build_health(b);
}
