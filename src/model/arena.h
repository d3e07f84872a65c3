/* SPDX-License-Identifier: MIT */
#ifndef MODEL_ARENA_H
#define MODEL_ARENA_H

#include <stddef.h>

/*
 * Memory of one cluster: pieces are taken, never given back, and all freed at once. Zeroed.
 */
struct arena;

struct arena *arena_new(void);
/* NULL is fine. */
void arena_free(struct arena *arena);

void *arena_take(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));

/* `count` zeroed elements of `size` bytes; aborts when the product overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size)
	__attribute__((malloc, returns_nonnull));

/* A copy; NULL for NULL. */
const char *arena_text(struct arena *arena, const char *text);
const char *arena_text_n(struct arena *arena, const char *text, size_t len);

__attribute__((format(printf, 2, 3))) const char *arena_format(struct arena *arena, const char *fmt,
							       ...);

#endif
