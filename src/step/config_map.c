/* SPDX-License-Identifier: MIT */
#include "step/config_map.h"

#include <string.h>

#include "base/alloc.h"

static int config_map_target(const struct plan_step *step, struct kube_target *ret,
			     struct error *err)
{
	struct kube_target target = {.version = "v1", .plural = "configmaps"};

	if (step_text(step, "namespace", &target.space, err) < 0 ||
	    step_text(step, "name", &target.name, err) < 0)
		return -1;
	*ret = target;
	return 0;
}

int step_config_map_get(struct step_context *context, const struct plan_step *step, json_t **ret,
			struct error *err)
{
	struct kube_target target;

	if (config_map_target(step, &target, err) < 0)
		return -1;
	return kube_client_get(context->kube, &target, ret, err);
}

static int config_map_edit(const struct plan_step *step, const json_t *map, const char *key,
			   step_text_edit edit, struct buffer *ret, bool *ret_same,
			   struct error *err)
{
	const char *text = json_string_value(json_object_get(json_object_get(map, "data"), key));
	auto_free char *file = alloc_format("%s[%s]", step->subject, key);

	if (!text)
		return error_set(err, ERROR_PARSE, "%s has no '%s'", step->subject, key);
	if (edit(step, file, slice_of(text), ret, err) < 0)
		return -1;
	*ret_same = strcmp(text, buffer_cstr(ret)) == 0;
	return 0;
}

int step_config_map_check(struct step_context *context, const struct plan_step *step,
			  const char *key, step_text_edit edit, bool *ret_done, struct error *err)
{
	auto_json json_t *map = NULL;
	auto_buffer struct buffer edited = {0};

	if (step_config_map_get(context, step, &map, err) < 0)
		return -1;
	return config_map_edit(step, map, key, edit, &edited, ret_done, err);
}

static int config_map_once(struct step_context *context, const struct plan_step *step,
			   const char *key, step_text_edit edit, struct error *err)
{
	auto_json json_t *map = NULL;
	auto_buffer struct buffer edited = {0};
	auto_free char *backup = NULL;
	struct kube_target target;
	bool same = false;

	if (config_map_target(step, &target, err) < 0 ||
	    step_config_map_get(context, step, &map, err) < 0 ||
	    config_map_edit(step, map, key, edit, &edited, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	backup = alloc_format("configmap-%s-%s", target.space, target.name);
	if (context->keep(context, step, "original", map, err) < 0 ||
	    step_backup_object(context, backup, map, err) < 0)
		return -1;
	json_object_set_new(json_object_get(map, "data"), key, json_string(buffer_cstr(&edited)));
	return kube_client_replace(context->kube, &target, map, NULL, NULL, err);
}

#define CONFIG_MAP_TRIES 5

int step_config_map_apply(struct step_context *context, const struct plan_step *step,
			  const char *key, step_text_edit edit, struct error *err)
{
	for (int i = 0;; i++) {
		if (config_map_once(context, step, key, edit, err) == 0)
			return 0;
		if (err->kind != ERROR_CONFLICT || i == CONFIG_MAP_TRIES)
			return -1;
		error_release(err);
		if (step_pause(context, 200, err) < 0)
			return -1;
	}
}
