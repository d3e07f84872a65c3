/* SPDX-License-Identifier: MIT */
#include "text/yaml_put.h"

#include <assert.h>

#define PARTS_MOST 4

const struct yaml_node *yaml_put_document(const struct yaml *y, const char *kind)
{
	for (size_t i = 0; i < y->count; i++) {
		const char *found = yaml_string(yaml_get(y->roots[i], "kind"));

		if (found && strcmp(found, kind) == 0)
			return y->roots[i];
	}
	return NULL;
}

bool yaml_put_empty(const struct yaml_node *node)
{
	return yaml_is_null(node) ||
	       ((node->kind == YAML_MAPPING || node->kind == YAML_SEQUENCE) && node->count == 0);
}

/* leaf below the keys parts[0], parts[1], …: nested[0] is the outermost. */
static void nest(struct yaml_value *nested, const char *const parts[], size_t count,
		 const struct yaml_value *leaf)
{
	for (size_t i = 0; i < count; i++) {
		nested[i] = i + 1 < count ? (struct yaml_value){.kind = YAML_MAPPING,
								.items = &nested[i + 1],
								.count = 1}
					  : *leaf;
		nested[i].key = parts[i];
	}
}

int yaml_put(struct yaml *y, const char *kind, const char *const parts[], size_t count,
	     const struct yaml_value *leaf, struct error *err)
{
	struct yaml_value nested[PARTS_MOST], outer = *leaf;
	const struct yaml_node *node = yaml_put_document(y, kind);

	assert(count > 0 && count <= PARTS_MOST);
	if (!node)
		return error_set(err, ERROR_NOT_FOUND, "%s: no %s in it", y->file, kind);
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *child = yaml_get(node, parts[i]);

		nest(nested, parts + i, count - i, leaf);
		if (!child)
			return yaml_add(y, node, &nested[0], err);
		if (yaml_put_empty(child)) {
			if (i + 1 < count)
				outer = (struct yaml_value){
					.kind = YAML_MAPPING, .items = &nested[1], .count = 1};
			return yaml_fill(y, child, &outer, err);
		}
		node = child;
	}
	if (leaf->kind == YAML_SCALAR && node->kind == YAML_SCALAR)
		return yaml_set(y, node, leaf->text, err);
	return error_set(err, ERROR_CONFLICT, "%s:%u:%u: '%s' holds something else already",
			 y->file, node->line, node->column, parts[count - 1]);
}
