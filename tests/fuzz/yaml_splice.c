/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "text/yaml.h"

/* Edits of every kind at the first nodes of any text: nothing breaks, and what an edit leaves alone
 * is the same byte for byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses a small buffer when a quoted scalar has no end. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml\n";
}

enum { NODES_MOST = 24 };

enum edit { EDIT_SET, EDIT_ADD, EDIT_KEY, EDIT_FILL, EDIT_REMOVE, EDITS };

/* The node number `wanted`, counted down from the root; NULL when there are fewer. */
static const struct yaml_node *nth(const struct yaml_node *node, unsigned int *wanted)
{
	if (!node || (*wanted)-- == 0)
		return node;
	for (const struct yaml_node *n = node->first; n; n = n->next) {
		const struct yaml_node *found = nth(n, wanted);

		if (found)
			return found;
	}
	return NULL;
}

static void check_span(const struct yaml *y, const struct yaml_node *node)
{
	struct slice text = yaml_text(y);
	struct slice raw = {text.ptr + node->start, node->end - node->start};

	assert(node->start <= node->end && node->end <= text.len);
	assert(node->line >= 1 && node->column >= 1);
	if (node->kind == YAML_SCALAR && node->style == YAML_PLAIN &&
	    (raw.len == 0 || !memchr(raw.ptr, '\n', raw.len)))
		assert(memchr(raw.ptr, '\r', raw.len) || slice_equal(raw, node->value));
	if (node->kind == YAML_SCALAR && node->style == YAML_DOUBLE_QUOTED)
		assert(raw.len >= 2 && raw.ptr[0] == '"' && raw.ptr[raw.len - 1] == '"');
	if (node->kind == YAML_SCALAR && node->style == YAML_SINGLE_QUOTED)
		assert(raw.len >= 2 && raw.ptr[0] == '\'' && raw.ptr[raw.len - 1] == '\'');
}

static int make(struct yaml *y, const struct yaml_node *node, enum edit edit, struct error *err)
{
	static const struct yaml_value item = {.kind = YAML_SCALAR, .text = "10.17.0.1"};
	static const struct yaml_value entry = {
		.kind = YAML_SCALAR, .key = "new key", .text = "true"};
	static const struct yaml_value list = {.kind = YAML_SEQUENCE, .items = &item, .count = 1};

	switch (edit) {
	case EDIT_SET:
		return yaml_set(y, node, "10.17.0.0/16", err);
	case EDIT_ADD:
		return node->kind == YAML_SEQUENCE ? yaml_add(y, node, &item, err) : 0;
	case EDIT_KEY:
		return node->kind == YAML_MAPPING ? yaml_add(y, node, &entry, err) : 0;
	case EDIT_FILL:
		return yaml_fill(y, node, &list, err);
	default:
		return yaml_remove(y, node, err);
	}
}

/* False when there is no such node. */
static bool try_edit(struct slice text, unsigned int number, enum edit edit)
{
	auto_yaml struct yaml y = {0};
	auto_error struct error err = {0};
	const struct yaml_node *node;
	size_t start, tail;

	if (yaml_parse(&y, "input", text, &err) < 0)
		return false;
	assert(slice_equal(yaml_text(&y), text));
	node = nth(yaml_root(&y), &number);
	if (!node)
		return false;
	check_span(&y, node);
	start = node->start;
	tail = text.len - node->end;
	if (make(&y, node, edit, &err) < 0) {
		assert(err.kind != ERROR_NONE && slice_equal(yaml_text(&y), text));
		return true;
	}
	if (edit == EDIT_SET) {
		struct slice now = yaml_text(&y);

		assert(now.len >= start + tail);
		assert(memcmp(now.ptr, text.ptr, start) == 0);
		assert(memcmp(now.ptr + now.len - tail, text.ptr + text.len - tail, tail) == 0);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};

	if (size == 0 || size > 4096)
		return 0;
	for (unsigned int i = 0; i < NODES_MOST; i++)
		for (enum edit edit = EDIT_SET; edit < EDITS; edit++)
			if (!try_edit(text, i, edit))
				return 0;
	return 0;
}
