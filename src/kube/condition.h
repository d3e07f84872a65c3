/* SPDX-License-Identifier: MIT */
#ifndef KUBE_CONDITION_H
#define KUBE_CONDITION_H

#include <jansson.h>
#include <stdbool.h>

/* One of an object's status.conditions, "Ready" for example; NULL: it has none of this type (yet).
 * Borrowed. */
const json_t *kube_condition(const json_t *object, const char *type);

/* False as well when there is no such condition. `status` is "True", "False" or "Unknown". */
bool kube_condition_is(const json_t *object, const char *type, const char *status);

#endif
