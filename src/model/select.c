/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/cluster.h"
#include "text/json.h"

/* Label selectors, as apimachinery/pkg/apis/meta/v1 LabelSelectorAsSelector reads them. */
static bool select_value(const json_t *values, const char *value)
{
	const json_t *item;
	size_t i;

	json_array_foreach(values, i, item) {
		const char *text = json_string_value(item);

		if (text && strcmp(text, value) == 0)
			return true;
	}
	return false;
}

static bool select_expression(const json_t *expression, const json_t *labels)
{
	const char *key = json_path_text(expression, "key");
	const char *verb = json_path_text(expression, "operator");
	const json_t *values = json_object_get(expression, "values");
	const char *value = key ? json_string_value(json_object_get(labels, key)) : NULL;

	if (!verb)
		return false;
	if (strcmp(verb, "In") == 0)
		return value && select_value(values, value);
	if (strcmp(verb, "NotIn") == 0)
		return !value || !select_value(values, value);
	if (strcmp(verb, "Exists") == 0)
		return value != NULL;
	return strcmp(verb, "DoesNotExist") == 0 && !value;
}

bool cluster_has_labels(const json_t *labels, const json_t *wanted)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
		if (!json_equal(json_object_get(labels, key), value))
			return false;
	}
	return true;
}

bool cluster_selects(const json_t *selector, const json_t *labels)
{
	const json_t *expression;
	size_t i;

	if (!cluster_has_labels(labels, json_object_get(selector, "matchLabels")))
		return false;
	json_array_foreach(json_object_get(selector, "matchExpressions"), i, expression) {
		if (!select_expression(expression, labels))
			return false;
	}
	return true;
}
