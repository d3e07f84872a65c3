/* SPDX-License-Identifier: MIT */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* A borrowed piece of text, passed by value; not NUL-terminated. {0} is the empty slice. */
struct slice {
	const char *ptr;
	size_t len;
};

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *text);
bool slice_starts(struct slice a, const char *prefix);
bool slice_ends(struct slice a, const char *suffix);

/* Without white space (space, tab, CR, LF) at both ends. */
struct slice slice_trim(struct slice a);

/* Takes what stands before the first `separator` off the front of *rest (all of it when there is
 * none) and puts it into *ret_part. False when *rest was used up already (its ptr is NULL). */
bool slice_next(struct slice *rest, char separator, struct slice *ret_part);

/* A decimal number without sign, 0 to max; anything else, an empty slice too, is false and leaves
 * *ret untouched. */
bool slice_to_u64(struct slice a, uint64_t max, uint64_t *ret);

/* A copy that the caller frees. */
char *slice_dup(struct slice a);

#endif
