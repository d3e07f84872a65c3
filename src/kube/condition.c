/* SPDX-License-Identifier: MIT */
#include "kube/condition.h"

#include "text/json.h"

const json_t *kube_condition(const json_t *object, const char *type)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_path(object, "status.conditions"), i, condition) {
		if (json_path_is(condition, "type", type))
			return condition;
	}
	return NULL;
}

bool kube_condition_is(const json_t *object, const char *type, const char *status)
{
	return json_path_is(kube_condition(object, type), "status", status);
}
