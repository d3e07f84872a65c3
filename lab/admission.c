/* SPDX-License-Identifier: MIT */
#include "lab/admission.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"
#include "lab/selector.h"
#include "net/address.h"
#include "text/json.h"

static bool admission_has(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *own = json_string_value(item);

		if (own && (strcmp(own, text) == 0 || strcmp(own, "*") == 0))
			return true;
	}
	return false;
}

static bool admission_matches(const json_t *rules, const struct store_type *type,
			      const char *operation)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(rules, i, rule) {
		if (admission_has(json_object_get(rule, "apiGroups"), type->group) &&
		    admission_has(json_object_get(rule, "resources"), type->plural) &&
		    admission_has(json_object_get(rule, "operations"), operation))
			return true;
	}
	return false;
}

static bool admission_is_bound(struct lab *lab, const char *policy)
{
	const char *key;
	json_t *binding;

	json_object_foreach(store_all(lab->store, "validatingadmissionpolicybindings"), key,
			    binding) {
		if (json_path_is(binding, "spec.policyName", policy))
			return true;
	}
	return false;
}

/* Whether the expressions speak of this name: `object.metadata.name == 'kubernetes'`. */
static bool admission_names(const char *expressions, const char *name)
{
	auto_free char *single = alloc_format("'%s'", name);
	auto_free char *twice = alloc_format("\"%s\"", name);

	return strstr(expressions, single) || strstr(expressions, twice);
}

static bool admission_holds(const json_t *value, const char *address)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), address) == 0;
	if (json_is_object(value))
		json_object_foreach((json_t *)(uintptr_t)value, name, member)
			if (admission_holds(member, address))
				return true;
	if (json_is_array(value))
		json_array_foreach(value, i, member)
			if (admission_holds(member, address))
				return true;
	return false;
}

/* The object holds one of the addresses that stand in single quotes in the text. */
static bool admission_text_refuses(const char *text, const json_t *object)
{
	const char *at = text;

	while ((at = strchr(at, '\''))) {
		const char *end = strchr(at + 1, '\'');
		auto_free char *word = NULL;
		struct net_address address;

		if (!end)
			return false;
		word = alloc_text_n(at + 1, (size_t)(end - at - 1));
		if (net_address_read(slice_of(word), &address) &&
		    (admission_holds(json_path(object, "subsets"), word) ||
		     admission_holds(json_path(object, "endpoints"), word)))
			return true;
		at = end + 1;
	}
	return false;
}

static bool admission_refuses(const json_t *policy, const json_t *object)
{
	const json_t *validation;
	size_t i;

	json_array_foreach(json_path(policy, "spec.validations"), i, validation) {
		const char *expression = json_path_text(validation, "expression");

		if (expression && admission_text_refuses(expression, object))
			return true;
	}
	return false;
}

static int admission_deny(const struct store_type *type, const char *object_name,
			  const json_t *policy, struct answer *answer)
{
	const char *name = json_path_text(policy, "metadata.name");
	auto_free char *problem =
		alloc_format("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s",
			     name, name, json_path_text(policy, "spec.validations.0.message"));

	answer_refuse(answer, 422, "Invalid", "%s%s%s \"%s\" is forbidden: %s", type->plural,
		      *type->group ? "." : "", type->group, object_name, problem);
	answer->details = json_pack("{s:s,s:s,s:[{s:s}]}", "name", object_name, "kind",
				    type->plural, "causes", "message", problem);
	if (*type->group)
		json_object_set_new(answer->details, "group", json_string(type->group));
	return -1;
}

static int admission_policies(struct lab *lab, const struct store_type *type, const char *operation,
			      const json_t *object, struct answer *answer)
{
	const char *object_name = json_path_text(object, "metadata.name");
	const char *key;
	json_t *policy;

	json_object_foreach(store_all(lab->store, "validatingadmissionpolicies"), key, policy) {
		const char *name = json_path_text(policy, "metadata.name");
		auto_free char *text = json_print(json_path(policy, "spec"));

		if (!admission_matches(json_path(policy, "spec.matchConstraints.resourceRules"),
				       type, operation) ||
		    !admission_is_bound(lab, name) || !object_name ||
		    !admission_names(text, object_name) || !admission_refuses(policy, object))
			continue;
		return admission_deny(type, object_name, policy, answer);
	}
	return 0;
}

/* A label selector's matchLabels, and of matchExpressions those about presence. */
static bool admission_selects(const json_t *selector, const json_t *labels)
{
	const json_t *expression;
	size_t i;

	json_array_foreach(json_object_get(selector, "matchExpressions"), i, expression) {
		const char *key = json_path_text(expression, "key");
		bool wanted = json_path_is(expression, "operator", "Exists");

		if (key && (json_object_get(labels, key) != NULL) != wanted)
			return false;
	}
	return selector_equal(json_object_get(selector, "matchLabels"), labels);
}

/* Nobody in the lab answers a webhook: one that matches and must not fail refuses. */
static bool admission_hook_refuses(struct lab *lab, const json_t *hook,
				   const struct store_type *type, const char *operation,
				   const json_t *object)
{
	const char *space = json_path_text(object, "metadata.namespace");
	const json_t *namespace_ = space ? store_find(lab->store, "namespaces", NULL, space) : NULL;

	return json_path_is(hook, "failurePolicy", "Fail") &&
	       admission_matches(json_object_get(hook, "rules"), type, operation) &&
	       admission_selects(json_object_get(hook, "namespaceSelector"),
				 json_path(namespace_, "metadata.labels")) &&
	       admission_selects(json_object_get(hook, "objectSelector"),
				 json_path(object, "metadata.labels"));
}

/* "https://127.0.0.1:1/": where it is dialled; a Service of a webhook is nowhere, either. */
static int admission_unreachable(const struct lab *lab, const json_t *hook, struct answer *answer)
{
	const char *url = json_path_text(hook, "clientConfig.url");
	auto_free char *place = NULL;
	auto_free char *problem = NULL;
	struct slice rest;
	struct slice host;

	if (!url)
		url = "https://127.0.0.1:1/";
	rest = slice_of(url + strlen("https://"));
	slice_next(&rest, '/', &host);
	place = slice_dup(host);
	problem = alloc_format(
		"failed calling webhook \"%s\": %sPost \"%s?timeout=%llds\": dial tcp "
		"%s: connect: connection refused",
		json_path_text(hook, "name"), lab_since(lab, 23) ? "failed to call webhook: " : "",
		url, (long long)json_path_int(hook, "timeoutSeconds", 10), place);
	answer_refuse(answer, 500, "InternalError", "Internal error occurred: %s", problem);
	answer->details = json_pack("{s:[{s:s}]}", "causes", "message", problem);
	return -1;
}

static int admission_hooks(struct lab *lab, const struct store_type *type, const char *operation,
			   const json_t *object, struct answer *answer)
{
	const char *key;
	json_t *configuration;

	json_object_foreach(store_all(lab->store, "validatingwebhookconfigurations"), key,
			    configuration) {
		const json_t *hook;
		size_t i;

		json_array_foreach(json_object_get(configuration, "webhooks"), i, hook) {
			if (admission_hook_refuses(lab, hook, type, operation, object))
				return admission_unreachable(lab, hook, answer);
		}
	}
	return 0;
}

int admission_check(struct lab *lab, const struct store_type *type, const char *operation,
		    const json_t *object, struct answer *answer)
{
	if (admission_policies(lab, type, operation, object, answer) < 0)
		return -1;
	return admission_hooks(lab, type, operation, object, answer);
}
