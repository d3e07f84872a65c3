/* SPDX-License-Identifier: MIT */
#include "lab/patch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/json.h"

void patch_merge(json_t *target, const json_t *patch)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)patch, name, value) {
		json_t *inner = json_object_get(target, name);

		if (json_is_null(value)) {
			json_object_del(target, name);
			continue;
		}
		if (!json_is_object(value)) {
			json_object_set_new(target, name, json_deep_copy(value));
			continue;
		}
		if (!json_is_object(inner)) {
			inner = json_object();
			json_object_set_new(target, name, inner);
		}
		patch_merge(inner, value);
	}
}

/* "~1" stands for a slash, "~0" for a tilde. */
static char *patch_name(struct slice part)
{
	auto_buffer struct buffer text = {0};

	for (size_t i = 0; i < part.len; i++) {
		if (part.ptr[i] == '~' && i + 1 < part.len) {
			buffer_char(&text, part.ptr[i + 1] == '1' ? '/' : '~');
			i++;
		} else {
			buffer_char(&text, part.ptr[i]);
		}
	}
	return buffer_detach(&text);
}

/* The value's parent and its name in it; NULL when the way is not there. */
static json_t *patch_parent(json_t *target, const char *path, char **ret_name)
{
	struct slice rest = slice_of(path);
	struct slice part;
	json_t *at = target;

	if (*path != '/' || !slice_next(&rest, '/', &part))
		return NULL;
	while (slice_next(&rest, '/', &part)) {
		char *name = patch_name(part);
		uint64_t index;

		if (!rest.ptr) {
			*ret_name = name;
			return at;
		}
		at = json_is_array(at) && slice_to_u64(slice_of(name), UINT32_MAX, &index)
			     ? json_array_get(at, index)
			     : json_object_get(at, name);
		free(name);
	}
	return NULL;
}

static json_t *patch_value(json_t *parent, const char *name)
{
	uint64_t index;

	if (json_is_array(parent))
		return slice_to_u64(slice_of(name), UINT32_MAX, &index)
			       ? json_array_get(parent, index)
			       : NULL;
	return json_object_get(parent, name);
}

static int patch_put(json_t *parent, const char *name, json_t *value, bool insert)
{
	uint64_t index;

	if (json_is_object(parent))
		return json_object_set(parent, name, value);
	if (!json_is_array(parent))
		return -1;
	if (insert && strcmp(name, "-") == 0)
		return json_array_append(parent, value);
	if (!slice_to_u64(slice_of(name), UINT32_MAX, &index))
		return -1;
	return insert ? json_array_insert(parent, index, value)
		      : json_array_set(parent, index, value);
}

static int patch_take(json_t *parent, const char *name)
{
	uint64_t index;

	if (json_is_array(parent))
		return slice_to_u64(slice_of(name), UINT32_MAX, &index)
			       ? json_array_remove(parent, index)
			       : -1;
	return json_object_del(parent, name);
}

static const char *patch_step(json_t *target, const json_t *step, bool lenient)
{
	const char *op = json_path_text(step, "op");
	const char *path = json_path_text(step, "path");
	json_t *value = json_object_get(step, "value");
	auto_free char *name = NULL;
	json_t *parent = path ? patch_parent(target, path, &name) : NULL;
	json_t *now;

	if (!parent || !op)
		return "path";
	now = patch_value(parent, name);
	if (strcmp(op, "test") == 0)
		return now && value && json_equal(now, value) ? NULL : "test";
	if (strcmp(op, "add") == 0)
		return value && patch_put(parent, name, value, /* insert= */ true) == 0 ? NULL
											: "path";
	if (!now && !(lenient && json_is_object(parent) && strcmp(op, "replace") == 0))
		return "path";
	if (strcmp(op, "replace") == 0)
		return value && patch_put(parent, name, value, /* insert= */ false) == 0 ? NULL
											 : "path";
	return strcmp(op, "remove") == 0 && patch_take(parent, name) == 0 ? NULL : "path";
}

const char *patch_steps(json_t *target, const json_t *steps, bool lenient)
{
	const json_t *step;
	size_t i;

	json_array_foreach(steps, i, step) {
		const char *problem = patch_step(target, step, lenient);

		if (problem)
			return problem;
	}
	return NULL;
}
