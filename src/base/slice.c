/* SPDX-License-Identifier: MIT */
#include "base/slice.h"

#include "base/alloc.h"

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_is(struct slice a, const char *text)
{
	return slice_equal(a, slice_of(text));
}

bool slice_starts(struct slice a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && memcmp(a.ptr, prefix, len) == 0;
}

bool slice_ends(struct slice a, const char *suffix)
{
	size_t len = strlen(suffix);

	return a.len >= len && memcmp(a.ptr + a.len - len, suffix, len) == 0;
}

static bool slice_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice a)
{
	while (a.len && slice_space(a.ptr[0])) {
		a.ptr++;
		a.len--;
	}
	while (a.len && slice_space(a.ptr[a.len - 1]))
		a.len--;
	return a;
}

bool slice_next(struct slice *rest, char separator, struct slice *ret_part)
{
	const char *end;

	if (!rest->ptr)
		return false;
	end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	if (!end) {
		*ret_part = *rest;
		*rest = (struct slice){0};
		return true;
	}
	*ret_part = (struct slice){rest->ptr, (size_t)(end - rest->ptr)};
	rest->len -= ret_part->len + 1;
	rest->ptr = end + 1;
	return true;
}

bool slice_to_u64(struct slice a, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (a.len == 0)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned char c = (unsigned char)a.ptr[i];

		if (c < '0' || c > '9')
			return false;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

char *slice_dup(struct slice a)
{
	return a.len ? alloc_text_n(a.ptr, a.len) : alloc_text("");
}
