/* SPDX-License-Identifier: MIT */
#ifndef LAB_PATCH_H
#define LAB_PATCH_H

#include <jansson.h>

/* Patches of JSON documents. The target is changed in place; give a copy. */

/* RFC 7396. */
void patch_merge(json_t *target, const json_t *patch);

/* RFC 6902: add, remove, replace, test. NULL, or what does not fit: "test" or "path". */
const char *patch_steps(json_t *target, const json_t *steps);

#endif
