/* SPDX-License-Identifier: MIT */
#include "lib/observation_case.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/test.h"
#include "text/json.h"

static json_t *step_into(json_t *at, const char *step, size_t *ret_index)
{
	json_t *item;
	size_t i;

	if (json_is_object(at))
		return json_object_get(at, step);
	json_array_foreach(at, i, item) {
		auto_free char *index = alloc_format("%zu", i);

		*ret_index = i;
		if (strcmp(step, index) == 0 || json_path_is(item, "metadata.name", step) ||
		    json_path_is(item, "name", step) || json_path_is(item, "role", step) ||
		    json_path_is(item, "path", step))
			return item;
	}
	return NULL;
}

/* Follows all steps but the last one. */
static json_t *parent_of(json_t *at, const char *path, char **ret_last)
{
	struct slice rest = slice_of(path);
	struct slice part;
	size_t index;

	while (slice_next(&rest, '/', &part)) {
		char *step = slice_dup(part);

		/* ~1 stands for a slash within a step, as in JSON pointers */
		for (char *tilde; (tilde = strstr(step, "~1"));) {
			*tilde = '/';
			memmove(tilde + 1, tilde + 2, strlen(tilde + 2) + 1);
		}
		if (!rest.ptr) {
			*ret_last = step;
			return at;
		}
		at = step_into(at, step, &index);
		free(step);
	}
	return NULL;
}

static char *replaced(const char *text, const char *from, const char *to)
{
	auto_buffer struct buffer b = {0};
	const char *at;

	while ((at = strstr(text, from))) {
		buffer_append(&b, text, (size_t)(at - text));
		buffer_text(&b, to);
		text = at + strlen(from);
	}
	buffer_text(&b, text);
	return buffer_detach(&b);
}

static void replace_text(json_t *value, const char *from, const char *to)
{
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach(value, key, member)
		replace_text(member, from, to);
	json_array_foreach(value, i, member)
		replace_text(member, from, to);
	if (json_is_string(value) && strstr(json_string_value(value), from)) {
		auto_free char *text = replaced(json_string_value(value), from, to);

		json_string_set(value, text);
	}
}

bool observation_case_edit(json_t *document, const json_t *edit)
{
	const char *verb = json_string_value(json_array_get(edit, 0));
	const char *path = json_string_value(json_array_get(edit, 1));
	json_t *value = json_array_get(edit, 2);
	auto_free char *last = NULL;
	json_t *parent;
	json_t *old;
	size_t index = 0;

	if (strcmp(verb, "replace-text") == 0) {
		replace_text(document, path, json_string_value(value));
		return true;
	}
	parent = parent_of(document, path, &last);
	if (!parent)
		return false;
	old = step_into(parent, last, &index);
	if (strcmp(verb, "append") == 0)
		return json_array_append(old, value) == 0;
	if (strcmp(verb, "replace-in") == 0) {
		replace_text(old, json_string_value(value),
			     json_string_value(json_array_get(edit, 3)));
		return old != NULL;
	}
	if (strcmp(verb, "remove") == 0)
		return old && (json_is_array(parent) ? json_array_remove(parent, index)
						     : json_object_del(parent, last)) == 0;
	if (json_is_array(parent))
		return old && json_array_set(parent, index, value) == 0;
	return json_object_set(parent, last, value) == 0;
}

static json_t *read_json(const char *dir, const char *name)
{
	auto_free char *path = alloc_format("%s/%s", dir, name);
	auto_error struct error err = {0};
	auto_free char *text = NULL;
	size_t len;
	json_t *value;

	text = test_file(path, &len);
	value = json_parse((struct slice){text, len}, path, &err);
	if (!value) {
		test_begin("%s", error_text(&err));
		CHECK(false);
	}
	return value;
}

json_t *observation_case_read(const char *dir)
{
	auto_free char *whole = alloc_format("%s/observation.json", dir);
	auto_free char *base = NULL;
	auto_json json_t *edits = NULL;
	const json_t *edit;
	json_t *document;
	size_t i;

	if (access(test_path(whole), R_OK) == 0)
		return read_json(dir, "observation.json");
	edits = read_json(dir, "edits.json");
	base = alloc_format("tests/data/doctor/%s", json_path_text(edits, "base"));
	document = observation_case_read(base);
	json_array_foreach(json_path(edits, "edits"), i, edit) {
		if (!CHECK(observation_case_edit(document, edit))) {
			char *text = json_dumps(edit, 0);

			CHECK_STR(text, "an edit whose path is there");
			free(text);
		}
	}
	return document;
}
