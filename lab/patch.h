/* SPDX-License-Identifier: MIT */
#ifndef LAB_PATCH_H
#define LAB_PATCH_H

#include <jansson.h>
#include <stdbool.h>

/* Patches of JSON documents. The target is changed in place; give a copy. */

/* RFC 7396. */
void patch_merge(json_t *target, const json_t *patch);

/* RFC 6902: add, remove, replace, test. NULL, or what does not fit: "test" or "path". `lenient`: as
 * later API servers have it, "replace" also adds a member. */
const char *patch_steps(json_t *target, const json_t *steps, bool lenient);

#endif
