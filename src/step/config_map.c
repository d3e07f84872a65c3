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

int step_config_map_keep(struct step_context *context, const struct plan_step *step,
			 const json_t *map, const json_t *data, struct error *err)
{
	auto_free char *backup = NULL;
	struct kube_target target;

	if (config_map_target(step, &target, err) < 0)
		return -1;
	backup = alloc_format("configmap-%s-%s", target.space, target.name);
	if (context->keep(context, step, "original", map, err) < 0 ||
	    context->keep(context, step, "written", data, err) < 0)
		return -1;
	return step_backup_object(context, backup, map, err);
}

static int config_map_once(struct step_context *context, const struct plan_step *step,
			   const char *key, step_text_edit edit, struct error *err)
{
	auto_json json_t *map = NULL;
	auto_buffer struct buffer edited = {0};
	auto_json json_t *data = NULL;
	struct kube_target target;
	bool same = false;

	if (config_map_target(step, &target, err) < 0 ||
	    step_config_map_get(context, step, &map, err) < 0 ||
	    config_map_edit(step, map, key, edit, &edited, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	data = json_copy(json_object_get(map, "data"));
	json_object_set_new(data, key, json_string(buffer_cstr(&edited)));
	if (step_config_map_keep(context, step, map, data, err) < 0)
		return -1;
	json_object_set(map, "data", data);
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

/* Each value that the step changed, if it is still the step's. */
static int config_map_take_back(const struct step_context *context, const struct plan_step *step,
				const json_t *original, const json_t *written, json_t *data,
				bool *ret_changed, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)written, key, value) {
		json_t *before = json_object_get(original, key);
		const json_t *now = json_object_get(data, key);

		if (json_equal(value, before) || (now && before && json_equal(now, before)))
			continue;
		if (!now || !json_equal(now, value))
			return error_set(err, ERROR_REFUSED,
					 "'%s' in %s was changed by somebody since this run wrote "
					 "it; the original is in %s",
					 key, step->subject, context->backup_folder);
		if (before)
			json_object_set(data, key, before);
		else
			json_object_del(data, key);
		*ret_changed = true;
	}
	return 0;
}

static int config_map_undo_once(struct step_context *context, const struct plan_step *step,
				const json_t *original, const json_t *written, struct error *err)
{
	auto_json json_t *map = NULL;
	struct kube_target target;
	bool changed = false;

	if (config_map_target(step, &target, err) < 0 ||
	    step_config_map_get(context, step, &map, err) < 0 ||
	    config_map_take_back(context, step, json_object_get(original, "data"), written,
				 json_object_get(map, "data"), &changed, err) < 0)
		return -1;
	return changed ? kube_client_replace(context->kube, &target, map, NULL, NULL, err) : 0;
}

int step_config_map_undo(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	auto_json json_t *original = context->kept(context, step, "original");
	auto_json json_t *written = context->kept(context, step, "written");

	if (!original || !written)
		return 0;
	for (int i = 0;; i++) {
		if (config_map_undo_once(context, step, original, written, err) == 0)
			return 0;
		if (err->kind != ERROR_CONFLICT || i == CONFIG_MAP_TRIES)
			return -1;
		error_release(err);
		if (step_pause(context, 200, err) < 0)
			return -1;
	}
}
