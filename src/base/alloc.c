/* SPDX-License-Identifier: MIT */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *alloc_checked(void *memory, size_t size)
{
	if (memory)
		return memory;
	fprintf(stderr,
		"kubectl-renumber: out of memory (%zu bytes); "
		"a run under way can be continued with 'resume'\n",
		size);
	abort();
}

static size_t alloc_product(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		alloc_checked(NULL, SIZE_MAX);
	return total ? total : 1;
}

void *alloc_bytes(size_t size)
{
	return alloc_checked(malloc(size ? size : 1), size);
}

void *alloc_array(size_t count, size_t size)
{
	size_t total = alloc_product(count, size);

	return alloc_checked(calloc(1, total), total);
}

void *alloc_resize(void *old, size_t count, size_t size)
{
	size_t total = alloc_product(count, size);

	return alloc_checked(realloc(old, total), total);
}

char *alloc_text(const char *text)
{
	return alloc_text_n(text, strlen(text));
}

char *alloc_text_n(const char *text, size_t len)
{
	char *copy = alloc_bytes(len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *alloc_vformat(const char *fmt, va_list args)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, args);

	return alloc_checked(len < 0 ? NULL : text, 0);
}

char *alloc_format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = alloc_vformat(fmt, args);
	va_end(args);
	return text;
}

size_t alloc_capacity(size_t current, size_t needed)
{
	size_t capacity = current ? current : 8;

	while (capacity < needed)
		if (__builtin_mul_overflow(capacity, (size_t)2, &capacity))
			alloc_checked(NULL, SIZE_MAX);
	return capacity;
}
