/* SPDX-License-Identifier: MIT */
#ifndef TEXT_YAML_WRITE_H
#define TEXT_YAML_WRITE_H

#include "text/yaml.h"

/* New values as YAML, in the manner of the text around them. For yaml_edit.c and its tests. */
struct yaml_write_style {
	bool flow;		 /* inside [] or {} */
	unsigned int step;	 /* indentation of a mapping below a key */
	unsigned int list_step;	 /* of a list below a key */
	enum yaml_style keys;	 /* quoting of keys */
	enum yaml_style scalars; /* quoting of values */
	const char *newline;
};

/* The style for something new inside this collection; NULL: of the whole text. */
struct yaml_write_style yaml_write_style_at(const struct yaml *y,
					    const struct yaml_node *collection);

/* Appends a scalar with this quoting, or in double quotes where it cannot hold the text. A text
 * that plain YAML would read as a number, a boolean or null is quoted unless `typed`. */
void yaml_write_scalar(struct buffer *out, const char *text, enum yaml_style style, bool typed,
		       bool flow);

/* Appends "value", "key: value", [..] or {..}. */
void yaml_write_flow(struct buffer *out, const struct yaml_value *value,
		     struct yaml_write_style style);

/* Appends "- value" or "key: value" in block style with this many blanks before each line; no line
 * feed at the end. */
void yaml_write_entry(struct buffer *out, const struct yaml_value *value, unsigned int indent,
		      struct yaml_write_style style);

/* Appends the entries of a collection that stands below a key with this indentation. */
void yaml_write_children(struct buffer *out, const struct yaml_value *collection,
			 unsigned int key_indent, struct yaml_write_style style);

/* Whether YAML (1.1, as Kubernetes reads it) takes the scalar for a string. */
bool yaml_write_is_string(const struct yaml_node *scalar);

#endif
