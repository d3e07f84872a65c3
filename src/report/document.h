/* SPDX-License-Identifier: MIT */
#ifndef REPORT_DOCUMENT_H
#define REPORT_DOCUMENT_H

#include <jansson.h>

#include "base/buffer.h"

/*
 * Results for programs: the same tree as JSON or as YAML. Members keep their order. Every document
 * has a member "schemaVersion".
 */

/* Indented by two blanks, with a line feed at the end. */
void document_json(const json_t *value, struct buffer *out);

/* Block style; strings that YAML would read as something else, and all with special characters, are
 * double-quoted. With a line feed at the end. */
void document_yaml(const json_t *value, struct buffer *out);

#endif
