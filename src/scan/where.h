/* SPDX-License-Identifier: MIT */
#ifndef SCAN_WHERE_H
#define SCAN_WHERE_H

#include <jansson.h>

#include "text/yaml.h"

/*
 * Where in a document a byte stands: the field, and the Kubernetes object that the field is of.
 * JSON is walked once from front to back, whatever its size; of long YAML only the document or the
 * item of a list is parsed that holds the byte, up to LIMIT_CONFIG_FILE. Text that is neither has no
 * fields.
 *
 *	struct scan_document d = {0};
 *	struct scan_where w = {0};
 *
 *	scan_document_open(&d, "x.yaml", text);
 *	scan_document_find(&d, offset, &w);
 *
 * Offsets are asked for in ascending order.
 */
enum scan_syntax { SCAN_TEXT, SCAN_YAML, SCAN_JSON };

struct scan_where {
	char *field; /* owned, like all below; from the object on; NULL where there is none */
	char *kind;
	char *space; /* metadata.namespace */
	char *name;  /* metadata.name */
	char *label; /* the `name` beside the value, as of a container's environment variable */
	bool live;   /* the object has a UID: it came from an API server */
	bool comment;
	size_t start; /* of the value that holds the byte, or of its line */
	size_t end;
};

struct scan_level {
	bool object;
	bool wants_key;
	size_t start;
	size_t index;
	struct slice key;
};

enum { SCAN_LEVELS = 64 };

struct scan_document {
	enum scan_syntax syntax;
	struct slice text; /* borrowed */
	struct yaml yaml;
	size_t piece_start; /* of the text that `yaml` is, and what is known of its end */
	size_t piece_end;
	bool in_pieces;

	/* the walk through JSON */
	size_t at;
	size_t token_start;
	size_t token_end;
	struct scan_level levels[SCAN_LEVELS];
	size_t depth;
	struct slice root_kind; /* "ServiceList" */
	size_t object_start;	/* of the object in `object` */
	json_t *object;
};

/* Cannot fail: what cannot be parsed is text. The text must live as long as the document. */
void scan_document_open(struct scan_document *d, const char *name, struct slice text);

/* Fills *ret, releasing what it held. */
void scan_document_find(struct scan_document *d, size_t offset, struct scan_where *ret);

/* metadata.continue of an API server's list; NULL at the last page. The caller frees. */
char *scan_list_continue(struct slice json);

void scan_document_release(struct scan_document *d);
void scan_where_release(struct scan_where *w);

#define auto_scan_document __attribute__((cleanup(scan_document_release)))
#define auto_scan_where __attribute__((cleanup(scan_where_release)))

#endif
