/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/slice.h"

/*
 * A growing piece of bytes, always followed by a NUL that does not count. {0} is a valid empty
 * buffer with the ceiling LIMIT_TEXT; a reader of foreign input sets `max` (base/limits.h).
 *
 * Appending past the ceiling keeps what fits, sets `overflowed` and drops the rest: the reader
 * looks once at the end (buffer_check) instead of after each append.
 */
struct buffer {
	char *ptr; /* owned; NULL while nothing was appended */
	size_t len;
	size_t capacity;
	size_t max; /* 0: LIMIT_TEXT */
	bool overflowed;
};

void buffer_append(struct buffer *b, const void *bytes, size_t len);
void buffer_text(struct buffer *b, const char *text);
void buffer_slice(struct buffer *b, struct slice text);
void buffer_char(struct buffer *b, char c);
__attribute__((format(printf, 2, 3))) void buffer_format(struct buffer *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void buffer_vformat(struct buffer *b, const char *fmt,
							  va_list args);

/* The text, "" while empty. Borrowed. */
const char *buffer_cstr(const struct buffer *b);
struct slice buffer_as_slice(const struct buffer *b);

/* -1 (ERROR_PARSE, "'what' is larger than N bytes") when something was dropped. */
must_check int buffer_check(const struct buffer *b, const char *what, struct error *err);

/* Hands the text over ("" for an empty buffer) and leaves the buffer empty; the caller frees. */
char *buffer_detach(struct buffer *b);

/* Forgets the contents, keeps the memory and the ceiling. */
void buffer_clear(struct buffer *b);
void buffer_release(struct buffer *b);

#define auto_buffer __attribute__((cleanup(buffer_release)))

#endif
