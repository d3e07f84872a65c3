/* SPDX-License-Identifier: MIT */
#include "text/json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

struct json_place {
	int line;
	int column;
};

static void json_advance(struct json_place *place, char c)
{
	if (c == '\n') {
		place->line++;
		place->column = 0;
	}
	/* bytes inside a UTF-8 character do not count, as in editors */
	else if (((unsigned char)c & 0xc0) != 0x80)
		place->column++;
}

/* jansson has a limit of its own for depth, but ours is lower, and code that walks a tree relies on it. */
static int json_check_depth(struct slice text, const char *name, struct error *err)
{
	struct json_place place = {1, 0};
	bool in_string = false;
	size_t depth = 0;
	size_t values = 1;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		json_advance(&place, c);
		if (in_string && c == '\\' && i + 1 < text.len)
			json_advance(&place, text.ptr[++i]);
		else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		/* each but the outermost stands behind one of these */
		values += c == ',' || c == '[' || c == ':';
		if (values > LIMIT_JSON_VALUES)
			return error_set(
				err, ERROR_PARSE,
				"%s:%d:%d: more than %zu values, which is more than can be "
				"right",
				name, place.line, place.column, LIMIT_JSON_VALUES);
		if (depth > LIMIT_JSON_DEPTH)
			return error_set(err, ERROR_PARSE, "%s:%d:%d: nested deeper than %d levels",
					 name, place.line, place.column, LIMIT_JSON_DEPTH);
	}
	return 0;
}

json_t *json_parse(struct slice text, const char *name, struct error *err)
{
	json_error_t failure;
	json_t *value;

	if (json_check_depth(text, name, err) < 0)
		return NULL;
	value = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_ALLOW_NUL | JSON_DECODE_ANY,
			   &failure);
	if (!value)
		error_set(err, ERROR_PARSE, "%s:%d:%d: %s", name,
			  failure.line > 0 ? failure.line : 1,
			  failure.column > 0 ? failure.column : 1, failure.text);
	return value;
}

char *json_print(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *copy = alloc_text(text ? text : "null");

	/* jansson's allocator may be another one than ours */
	free(text);
	return copy;
}

/* One part of a path, its backslashes taken out, into `part`. False when it does not fit. */
static bool json_path_part(const char **path, char *part, size_t size)
{
	const char *p = *path;
	size_t len = 0;

	while (*p && *p != '.') {
		if (*p == '\\' && p[1])
			p++;
		if (len + 1 >= size)
			return false;
		part[len++] = *p++;
	}
	part[len] = '\0';
	*path = *p ? p + 1 : p;
	return true;
}

json_t *json_path(const json_t *value, const char *path)
{
	char part[512];

	while (value && *path) {
		uint64_t index;

		if (!json_path_part(&path, part, sizeof(part)))
			return NULL;
		if (!json_is_array(value))
			value = json_object_get(value, part);
		else if (slice_to_u64(slice_of(part), SIZE_MAX / 2, &index))
			value = json_array_get(value, (size_t)index);
		else
			value = NULL;
	}
	/* jansson's readers take const and give out mutable; so do we */
	return (json_t *)(uintptr_t)value;
}

const char *json_path_text(const json_t *value, const char *path)
{
	return json_string_value(json_path(value, path));
}

int64_t json_path_int(const json_t *value, const char *path, int64_t missing)
{
	const json_t *found = json_path(value, path);

	return json_is_integer(found) ? json_integer_value(found) : missing;
}

bool json_path_bool(const json_t *value, const char *path, bool missing)
{
	const json_t *found = json_path(value, path);

	return json_is_boolean(found) ? json_is_true(found) : missing;
}

bool json_path_is(const json_t *value, const char *path, const char *text)
{
	const char *found = json_path_text(value, path);

	return found && strcmp(found, text) == 0;
}

size_t json_path_count(const json_t *value, const char *path)
{
	return json_array_size(json_path(value, path));
}
