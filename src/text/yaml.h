/* SPDX-License-Identifier: MIT */
#ifndef TEXT_YAML_H
#define TEXT_YAML_H

#include "base/buffer.h"

/*
 * YAML that stays as its owner wrote it. A text is parsed to find where each value stands; an edit
 * replaces the bytes of that value and leaves every other byte alone, comments and odd indentation
 * included. After each edit the new text is parsed again and compared, value by value, with what
 * the edit should have given: anything else is an error and the text is as before.
 *
 *	struct yaml y = {0};
 *	yaml_parse(&y, "/etc/x.yaml", text, err);
 *	yaml_set(&y, yaml_path(yaml_root(&y), "networking.serviceSubnet"), "10.17.0.0/16", err);
 *	write(yaml_text(&y));
 *
 * Nodes belong to the struct yaml and are valid until its next edit.
 */
enum yaml_kind { YAML_NONE, YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING, YAML_ALIAS };

enum yaml_style {
	YAML_BLOCK, /* of a sequence or mapping; a plain scalar has YAML_PLAIN */
	YAML_FLOW,
	YAML_PLAIN,
	YAML_SINGLE_QUOTED,
	YAML_DOUBLE_QUOTED,
	YAML_LITERAL,
	YAML_FOLDED,
};

struct yaml_node {
	enum yaml_kind kind;
	enum yaml_style style;
	size_t start; /* bytes of the text; a block collection ends with its last value */
	size_t end;
	unsigned int line;     /* from 1 */
	unsigned int column;   /* from 1, in bytes */
	struct slice value;    /* of a scalar, decoded; of an alias, the anchor's name */
	struct slice anchor;   /* or empty */
	struct slice tag;      /* as written, or empty */
	struct yaml_node *key; /* of a value in a mapping, else NULL */
	struct yaml_node *parent;
	struct yaml_node *first; /* items of a sequence, values of a mapping */
	struct yaml_node *last;
	struct yaml_node *next;
	size_t count;
};

/* {0} is a valid empty text without documents. */
struct yaml {
	struct buffer text;
	char *file;		  /* owned */
	struct yaml_node **roots; /* owned; one for each document, NULL for an empty one */
	size_t count;
	struct yaml_chunk *chunks; /* owned; memory of the nodes */
};

/* Replaces what *y held by this text. ERROR_PARSE with file:line:column; *y is empty then. `file`
 * is for messages. */
must_check int yaml_parse(struct yaml *y, const char *file, struct slice text, struct error *err);

/* The text as it is now. Borrowed until the next edit. */
struct slice yaml_text(const struct yaml *y);

/* The first document that is not empty, or NULL. */
const struct yaml_node *yaml_root(const struct yaml *y);

/* The value of a key; NULL when the node is NULL, no mapping, or has no such key. Aliases are not
 * followed. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);

/* The item of a sequence, or NULL. */
const struct yaml_node *yaml_item(const struct yaml_node *sequence, size_t index);

/* "spec.containers[0].command"; NULL when any part is missing. Keys with dots or brackets are
 * reached by yaml_get. */
const struct yaml_node *yaml_path(const struct yaml_node *from, const char *path);

/* The scalar's text, or NULL for anything else. Borrowed, NUL-terminated. */
const char *yaml_string(const struct yaml_node *node);

/* True for null, ~, an empty value and a missing (NULL) node. */
bool yaml_is_null(const struct yaml_node *node);

/* Appends where the node stands: "spec.containers[0].command[3]". */
void yaml_describe(const struct yaml_node *node, struct buffer *ret);

/* A value to be written. In a sequence `key` is NULL. Scalars are strings: what YAML would read as
 * something else is quoted. */
struct yaml_value {
	enum yaml_kind kind; /* YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING */
	const char *key;
	const char *text;
	const struct yaml_value *items;
	size_t count;
};

/* Gives a scalar a new text and keeps its quoting where it can hold the text. */
must_check int yaml_set(struct yaml *y, const struct yaml_node *scalar, const char *text,
			struct error *err);

/* Adds a value behind the last one of a sequence or mapping, in the style of its surroundings. A
 * key that exists is an ERROR_CONFLICT. */
must_check int yaml_add(struct yaml *y, const struct yaml_node *collection,
			const struct yaml_value *value, struct error *err);

/* Replaces the empty value (null, {} or []) of a mapping by this one; value->key is ignored. */
must_check int yaml_fill(struct yaml *y, const struct yaml_node *empty,
			 const struct yaml_value *value, struct error *err);

/* Removes an item or a key with its value, and the comment on the same line. A collection that
 * loses its last one becomes [] or {}. */
must_check int yaml_remove(struct yaml *y, const struct yaml_node *item, struct error *err);

void yaml_release(struct yaml *y);

#define auto_yaml __attribute__((cleanup(yaml_release)))

#endif
