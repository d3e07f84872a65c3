/* SPDX-License-Identifier: MIT */
#include "lab/selector.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"
#include "text/json.h"

/* Takes one requirement off the front: a comma in parentheses does not end it. */
static bool selector_next(struct slice *rest, struct slice *ret)
{
	size_t depth = 0;
	size_t i = 0;

	if (!rest->ptr || rest->len == 0)
		return false;
	for (; i < rest->len && (depth || rest->ptr[i] != ','); i++)
		depth = rest->ptr[i] == '(' ? 1 : rest->ptr[i] == ')' ? 0 : depth;
	*ret = slice_trim((struct slice){rest->ptr, i});
	i += i < rest->len;
	*rest = (struct slice){rest->ptr + i, rest->len - i};
	return true;
}

static bool selector_in(struct slice set, const char *value)
{
	struct slice part;

	while (slice_next(&set, ',', &part))
		if (value && slice_is(slice_trim(part), value))
			return true;
	return false;
}

/* name, operator and operand of "a=b", "a!=b", "a in (…)", "a notin (…)", "a", "!a". */
static bool selector_holds(struct slice text, const char *(*look)(const json_t *, const char *),
			   const json_t *object)
{
	const char *open = text.len ? memchr(text.ptr, '(', text.len) : NULL;
	const char *equal = text.len ? memchr(text.ptr, '=', text.len) : NULL;
	auto_free char *name = NULL;
	struct slice left = text;
	bool negated = false;
	const char *value;

	if (open) {
		struct slice set = {open + 1, (size_t)(text.ptr + text.len - open - 2)};

		left.len = (size_t)(open - text.ptr);
		left = slice_trim(left);
		negated = slice_ends(left, " notin");
		left.len -= negated ? 6 : 3;
		name = slice_dup(slice_trim(left));
		return selector_in(set, look(object, name)) != negated;
	}
	if (!equal) {
		negated = text.len && text.ptr[0] == '!';
		left = (struct slice){text.ptr + negated, text.len - negated};
		name = slice_dup(left);
		return (look(object, name) != NULL) != negated;
	}
	negated = equal > text.ptr && equal[-1] == '!';
	left.len = (size_t)(equal - text.ptr) - negated;
	name = slice_dup(slice_trim(left));
	equal += equal + 1 < text.ptr + text.len && equal[1] == '=' ? 2 : 1;
	value = look(object, name);
	return slice_is(slice_trim((struct slice){equal, (size_t)(text.ptr + text.len - equal)}),
			value ? value : "") != negated;
}

static const char *selector_label(const json_t *labels, const char *name)
{
	return json_string_value(json_object_get(labels, name));
}

static bool selector_all(const char *selector, const char *(*look)(const json_t *, const char *),
			 const json_t *object)
{
	struct slice rest = slice_of(selector);
	struct slice part;

	while (selector_next(&rest, &part))
		if (!selector_holds(part, look, object))
			return false;
	return true;
}

bool selector_labels(const char *selector, const json_t *labels)
{
	return selector_all(selector, selector_label, labels);
}

bool selector_fields(const char *selector, const json_t *object)
{
	return selector_all(selector, json_path_text, object);
}

bool selector_equal(const json_t *selector, const json_t *labels)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)selector, name, value) {
		if (!json_equal(json_object_get(labels, name), value))
			return false;
	}
	return true;
}
