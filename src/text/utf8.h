/* SPDX-License-Identifier: MIT */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stddef.h>

/* The length of the UTF-8 character at p (left > 0), 0 when it is none. Surrogates and overlong
 * forms, which the parsers of Kubernetes refuse, are told apart by the second byte (RFC 3629,
 * section 4). */
size_t utf8_length(const unsigned char *p, size_t left);

#endif
