/* SPDX-License-Identifier: MIT */
#ifndef SCAN_PACKED_H
#define SCAN_PACKED_H

#include <jansson.h>

#include "scan/result.h"

/* True when the bytes begin as gzip does. */
bool scan_is_gzip(struct slice bytes);

/* Appends what is packed; false when it is damaged, or larger than the buffer's ceiling. */
must_check bool scan_unpack(struct slice bytes, struct buffer *ret);

/*
 * What does not stand in an object as it is: values of Secrets (base64) and the releases that Helm
 * keeps in them (base64 of gzip). Nothing of their content gets into the result but the address.
 */
void scan_packed_secret(struct scan_result *result, const struct scan_matcher *matcher,
			const json_t *secret);

/* All Secrets among the items of a list, or the object itself. */
void scan_packed_objects(struct scan_result *result, const struct scan_matcher *matcher,
			 const json_t *list);

#endif
