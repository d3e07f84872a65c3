/* SPDX-License-Identifier: MIT */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Allocation that cannot fail: when memory is out, one line is printed and the process aborts.
 * The journal makes sudden death safe, so lack of memory is one more crash that `resume` covers.
 */
void *alloc_bytes(size_t size) __attribute__((malloc, returns_nonnull));

/* `count` zeroed elements of `size` bytes; aborts when the product overflows. */
void *alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Like realloc to count * size bytes; aborts when the product overflows. */
void *alloc_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/* Copies; text must not be NULL. */
char *alloc_text(const char *text) __attribute__((malloc, returns_nonnull));
char *alloc_text_n(const char *text, size_t len) __attribute__((malloc, returns_nonnull));

/* A formatted text that the caller frees. */
char *alloc_format(const char *fmt, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
char *alloc_vformat(const char *fmt, va_list args)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 0)));

/* The capacity to grow to so that `needed` elements fit: doubling, from 8. */
size_t alloc_capacity(size_t current, size_t needed);

#define ALLOC_NEW(type) ((type *)alloc_array(1, sizeof(type)))

/* Makes room for one more element at the end of a (pointer, count, capacity) list. */
#define ALLOC_GROW(items, count, capacity)                                             \
	do {                                                                           \
		if ((count) == (capacity)) {                                           \
			(capacity) = alloc_capacity((capacity), (count) + 1);          \
			(items) = alloc_resize((items), (capacity), sizeof(*(items))); \
		}                                                                      \
	} while (0)

#endif
