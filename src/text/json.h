/* SPDX-License-Identifier: MIT */
#ifndef TEXT_JSON_H
#define TEXT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

/*
 * JSON documents as jansson trees. A path names members by dots and array elements by number:
 * "spec.ports.0.nodePort". A backslash takes the next character as it is, for names with dots in
 * them: "metadata.annotations.example\\.com/x".
 *
 * What a path function gives out is borrowed from the tree.
 */

/* Parses one document. ERROR_PARSE "name:line:column: what" for anything malformed, for text behind
 * the document, and for nesting deeper than LIMIT_JSON_DEPTH. A number too big for 64 bits is
 * malformed; \u0000 in a string is not. NULL on error; the caller releases (auto_json). */
must_check json_t *json_parse(struct slice text, const char *name, struct error *err);

/* As text without white space, members in their order; the caller frees. */
char *json_print(const json_t *value);

/* The value at the path; NULL when some part of it is not there (or value is NULL). */
json_t *json_path(const json_t *value, const char *path);

/* NULL when it is not there or not a string. */
const char *json_path_text(const json_t *value, const char *path);

/* `missing` when it is not there or not of that type. */
int64_t json_path_int(const json_t *value, const char *path, int64_t missing);
bool json_path_bool(const json_t *value, const char *path, bool missing);

/* True when the value at the path is the string `text`. */
bool json_path_is(const json_t *value, const char *path, const char *text);

/* The number of elements of the array at the path; 0 when there is none. */
size_t json_path_count(const json_t *value, const char *path);

static inline void json_release(json_t **value)
{
	json_decref(*value);
}

#define auto_json __attribute__((cleanup(json_release)))

#endif
