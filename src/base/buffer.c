/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

static size_t buffer_max(const struct buffer *b)
{
	return b->max ? b->max : LIMIT_TEXT;
}

void buffer_append(struct buffer *b, const void *bytes, size_t len)
{
	size_t room = buffer_max(b) - b->len;

	if (len > room) {
		b->overflowed = true;
		len = room;
	}
	if (len == 0)
		return;
	if (b->len + len + 1 > b->capacity) {
		b->capacity = alloc_capacity(b->capacity, b->len + len + 1);
		b->ptr = alloc_resize(b->ptr, b->capacity, 1);
	}
	memcpy(b->ptr + b->len, bytes, len);
	b->len += len;
	b->ptr[b->len] = '\0';
}

void buffer_text(struct buffer *b, const char *text)
{
	buffer_append(b, text, strlen(text));
}

void buffer_slice(struct buffer *b, struct slice text)
{
	buffer_append(b, text.ptr, text.len);
}

void buffer_char(struct buffer *b, char c)
{
	buffer_append(b, &c, 1);
}

void buffer_vformat(struct buffer *b, const char *fmt, va_list args)
{
	char small[256];
	auto_free char *large = NULL;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(small, sizeof(small), fmt, args);
	if (len >= 0 && (size_t)len < sizeof(small))
		buffer_append(b, small, (size_t)len);
	else if (len >= 0 && vasprintf(&large, fmt, again) >= 0)
		buffer_append(b, large, (size_t)len);
	else
		b->overflowed = true;
	va_end(again);
}

void buffer_format(struct buffer *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buffer_vformat(b, fmt, args);
	va_end(args);
}

const char *buffer_cstr(const struct buffer *b)
{
	return b->ptr ? b->ptr : "";
}

struct slice buffer_as_slice(const struct buffer *b)
{
	return (struct slice){buffer_cstr(b), b->len};
}

int buffer_check(const struct buffer *b, const char *what, struct error *err)
{
	if (!b->overflowed)
		return 0;
	return error_set(err, ERROR_PARSE,
			 "'%s' is larger than %zu bytes, which is more than can be right", what,
			 buffer_max(b));
}

char *buffer_detach(struct buffer *b)
{
	char *text = b->ptr ? b->ptr : alloc_text("");

	*b = (struct buffer){.max = b->max};
	return text;
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->overflowed = false;
	if (b->ptr)
		b->ptr[0] = '\0';
}

void buffer_release(struct buffer *b)
{
	free(b->ptr);
	*b = (struct buffer){.max = b->max};
}
