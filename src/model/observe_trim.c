/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "text/json.h"

/* Takes the next name off a path: up to the first dot without a backslash before it. */
static char *next_name(const char **path)
{
	char *name = alloc_array(strlen(*path) + 1, 1);
	size_t len = 0;
	const char *p = *path;

	for (; *p && *p != '.'; p++) {
		if (*p == '\\' && p[1])
			p++;
		name[len++] = *p;
	}
	*path = *p ? p + 1 : p;
	return name;
}

static void put_path(json_t *copy, const char *path, json_t *value)
{
	json_t *at = copy;

	for (;;) {
		auto_free char *name = next_name(&path);
		json_t *member;

		if (!*path) {
			json_object_set(at, name, value);
			return;
		}
		member = json_object_get(at, name);
		if (!json_is_object(member)) {
			member = json_object();
			json_object_set_new(at, name, member);
		}
		at = member;
	}
}

json_t *observe_trim(const json_t *object, const char *const paths[], size_t count)
{
	json_t *copy = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_path(object, paths[i]);

		if (value)
			put_path(copy, paths[i], value);
	}
	return copy;
}
