/* SPDX-License-Identifier: MIT */
#ifndef TEXT_YAML_PUT_H
#define TEXT_YAML_PUT_H

#include "text/yaml.h"

/* Documents of Kubernetes kinds, and values below paths that may not exist yet. */

/* The document of this kind, or NULL. */
const struct yaml_node *yaml_put_document(const struct yaml *y, const char *kind);

/* Puts `leaf` at the path below the document of this kind: missing or empty parents are created,
 * an existing scalar is changed, an existing collection is an ERROR_CONFLICT. At most 4 parts. */
must_check int yaml_put(struct yaml *y, const char *kind, const char *const parts[], size_t count,
			const struct yaml_value *leaf, struct error *err);

/* True for a missing node, null, {} and []. */
bool yaml_put_empty(const struct yaml_node *node);

#endif
