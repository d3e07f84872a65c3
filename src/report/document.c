/* SPDX-License-Identifier: MIT */
#include "report/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* jansson leaves DEL and U+0080 to U+009F as they are, which a terminal obeys. They stand only within
 * strings, where they may be written as escapes. */
static void put_escaped(const char *text, struct buffer *out)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			buffer_format(out, "\\u%04X", (unsigned int)*++p);
		else if (*p == 0x7f)
			buffer_text(out, "\\u007F");
		else
			buffer_char(out, (char)*p);
	}
}

void document_json(const json_t *value, struct buffer *out)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

	put_escaped(text ? text : "null", out);
	buffer_char(out, '\n');
	free(text);
}

/* Plain only where no YAML version reads anything but a string: letters first, then letters,
 * digits and a few signs; not one of the words for null and booleans. */
static bool is_plain(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
					    "off",  "y",    "n",     "nan", "inf"};
	static const char signs[] = "-_./";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0)
			return false;
	}
	for (const char *p = text; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
		bool digit = *p >= '0' && *p <= '9';

		if (!letter && (p == text || (!digit && !strchr(signs, *p))))
			return false;
	}
	return *text != '\0';
}

/* JSON's escapes are YAML's, too. */
static void put_string(const json_t *value, struct buffer *out)
{
	char *quoted;

	if (is_plain(json_string_value(value)) &&
	    strlen(json_string_value(value)) == json_string_length(value)) {
		buffer_text(out, json_string_value(value));
		return;
	}
	quoted = json_dumps(value, JSON_ENCODE_ANY);
	put_escaped(quoted ? quoted : "\"\"", out);
	free(quoted);
}

static void put_key(const char *key, struct buffer *out)
{
	json_t *value = json_string(key);

	if (value)
		put_string(value, out);
	json_decref(value);
}

static void indent(size_t depth, struct buffer *out)
{
	for (size_t i = 0; i < depth; i++)
		buffer_text(out, "  ");
}

static bool is_nested(const json_t *value)
{
	return (json_is_object(value) && json_object_size(value)) ||
	       (json_is_array(value) && json_array_size(value));
}

static void put_scalar(const json_t *value, struct buffer *out)
{
	char *text;

	if (json_is_string(value)) {
		put_string(value, out);
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY);
	buffer_text(out, text ? text : "null");
	free(text);
}

/* `hung`: the first line's indentation is there already, behind "- ". */
static void put_value(const json_t *value, size_t depth, bool hung, struct buffer *out)
{
	const char *key;
	json_t *member;
	size_t i;

	if (depth > LIMIT_JSON_DEPTH)
		return;
	if (!is_nested(value)) {
		put_scalar(value, out);
		buffer_char(out, '\n');
		return;
	}
	json_array_foreach(value, i, member) {
		if (!hung || i)
			indent(depth, out);
		buffer_text(out, "- ");
		put_value(member, depth + 1, /* hung= */ true, out);
	}
	json_object_foreach((json_t *)value, key, member) {
		if (!hung)
			indent(depth, out);
		hung = false;
		put_key(key, out);
		buffer_text(out, is_nested(member) ? ":\n" : ": ");
		put_value(member, json_is_array(member) ? depth : depth + 1, /* hung= */ false,
			  out);
	}
}

void document_yaml(const json_t *value, struct buffer *out)
{
	put_value(value, 0, /* hung= */ false, out);
}
