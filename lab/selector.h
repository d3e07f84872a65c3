/* SPDX-License-Identifier: MIT */
#ifndef LAB_SELECTOR_H
#define LAB_SELECTOR_H

#include <jansson.h>
#include <stdbool.h>

/* "a=b,c!=d,e,!f,g in (x,y)"; NULL and "" match everything. */
bool selector_labels(const char *selector, const json_t *labels);

/* "metadata.name=x,spec.nodeName!=y" on the whole object. */
bool selector_fields(const char *selector, const json_t *object);

/* Whether `labels` has all members of the object `selector`. */
bool selector_equal(const json_t *selector, const json_t *labels);

#endif
