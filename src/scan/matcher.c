/* SPDX-License-Identifier: MIT */
#include "scan/matcher.h"

#include <stdio.h>

/*
 * The search compares 64 bytes at a time with the first byte of the needle, and the bytes behind
 * them with the last one. Both are found together in one place of some hundreds in real text, so
 * that the close look costs little. Vectors are written with the compilers' own extension: they
 * become SSE2, AVX2 or NEON as the target has them.
 *
 * 0x20 is set in every byte before it is compared: hexadecimal digits match in both cases, digits,
 * '.', ':' and '-' have it set already; and what it confuses, the close look tells apart.
 */
enum { BLOCK = 64, VECTOR = 16, LANES = BLOCK / VECTOR };

typedef unsigned char scan_vector __attribute__((vector_size(VECTOR)));
typedef uint64_t scan_words __attribute__((vector_size(VECTOR)));

static scan_vector load(const char *p)
{
	scan_vector v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* '.' is found as '-' too, so that 10-96-0-1 is found in the same pass: both become '.'. */
static bool same_last(char c, char last)
{
	return (c | 0x20) == last || (last == '.' && c == '-');
}

static size_t find_slowly(struct slice text, size_t at, const struct scan_needle *n)
{
	for (; at + n->len <= text.len; at++)
		if ((text.ptr[at] | 0x20) == n->text[0] &&
		    same_last(text.ptr[at + n->len - 1], n->text[n->len - 1]))
			return at;
	return text.len;
}

/* The first place from `at` on where the first and the last byte of the needle stand. */
static size_t find_candidate(struct slice text, size_t at, const struct scan_needle *n)
{
	size_t behind = n->len - 1;
	const scan_vector zero = {0};
	const scan_vector first = zero + (unsigned char)n->text[0];
	const scan_vector last = zero + (unsigned char)n->text[behind];
	const scan_vector other =
		zero + (unsigned char)(n->text[behind] == '.' ? '-' : n->text[behind]);

	for (; at + BLOCK + behind <= text.len; at += BLOCK) {
		scan_words any = {0};

		for (size_t i = 0; i < LANES; i++) {
			scan_vector a = load(text.ptr + at + i * VECTOR) | 0x20;
			scan_vector b = load(text.ptr + at + i * VECTOR + behind) | 0x20;

			any |= (scan_words)((a == first) & ((b == last) | (b == other)));
		}
		if (any[0] | any[1]) {
			struct slice block = {text.ptr, at + BLOCK + behind};
			size_t found = find_slowly(block, at, n);

			if (found < block.len)
				return found;
		}
	}
	return find_slowly(text, at, n);
}

/* ---- the close look ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_alnum(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* An odd number of backslashes before `at`. */
static bool is_escaped(struct slice text, size_t at)
{
	size_t n = 0;

	while (n < at && text.ptr[at - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

/* Whether the letter or digit before `at` ends an escape: \n, \u003d, %2F. */
static bool behind_escape(struct slice text, size_t at)
{
	const char *p = text.ptr + at;

	if (at >= 2 && strchr("nrtbf", p[-1]) && p[-1] && is_escaped(text, at - 1))
		return true;
	if (at >= 3 && p[-3] == '%' && is_hex(p[-2]) && is_hex(p[-1]))
		return true;
	return at >= 6 && p[-5] == 'u' && is_hex(p[-4]) && is_hex(p[-3]) && is_hex(p[-2]) &&
	       is_hex(p[-1]) && is_escaped(text, at - 5);
}

/* Nothing before `at` that makes the address a part of something longer. */
static bool begins_word(struct slice text, size_t at, char separator)
{
	char before = at > 0 ? text.ptr[at - 1] : ' ';

	if (is_alnum(before))
		return behind_escape(text, at);
	if (before == separator)
		return at < 2 || !is_digit(text.ptr[at - 2]) || behind_escape(text, at - 1);
	return true;
}

static bool ends_word(struct slice text, size_t at, char separator)
{
	char after = at < text.len ? text.ptr[at] : ' ';

	if (is_alnum(after))
		return false;
	return after != separator || at + 1 >= text.len || !is_digit(text.ptr[at + 1]);
}

/* A decimal number of at most `most`, without leading zero; the bytes read, 0 when it is none. */
static size_t read_number(struct slice text, size_t at, unsigned int most, unsigned int *ret)
{
	unsigned int value = 0;
	size_t n = 0;

	while (n < 4 && at + n < text.len && is_digit(text.ptr[at + n]))
		value = value * 10 + (unsigned int)(text.ptr[at + n++] - '0');
	if (n == 0 || n == 4 || value > most || (n > 1 && text.ptr[at] == '0'))
		return 0;
	*ret = value;
	return n;
}

/* "/16" behind an address. */
static void read_bits(struct slice text, struct scan_match *m)
{
	size_t at = m->offset + m->len, n;
	unsigned int bits;

	if (at >= text.len || text.ptr[at] != '/')
		return;
	n = read_number(text, at + 1, (unsigned int)net_address_size(m->address) * 8, &bits);
	if (n == 0 || !ends_word(text, at + 1 + n, '.'))
		return;
	m->form = SCAN_RANGE;
	m->bits = bits;
	m->len += 1 + n;
}

static bool look_ipv4(struct slice text, size_t at, const struct scan_needle *needle,
		      struct scan_match *ret)
{
	struct scan_match m = {.offset = at, .address = {.family = NET_IPV4}};
	char separator = 0;
	size_t p = at;

	for (size_t i = 0; i < 4; i++) {
		unsigned int octet;
		size_t n;

		if (i == 1)
			separator = p < text.len ? text.ptr[p] : '\0';
		if (i > 0 && (p >= text.len || text.ptr[p++] != separator))
			return false;
		n = read_number(text, p, 255, &octet);
		if (n == 0)
			return false;
		m.address.bytes[i] = (uint8_t)octet;
		p += n;
	}
	if ((separator != '.' && separator != '-') ||
	    !net_cidr_contains(needle->range, m.address) || !begins_word(text, at, separator) ||
	    !ends_word(text, p, separator))
		return false;
	m.len = p - at;
	m.form = separator == '.' ? SCAN_ADDRESS : SCAN_DASHED;
	if (separator == '.')
		read_bits(text, &m);
	*ret = m;
	return true;
}

/* The needle is the first group without leading zeros; the whole word is read around it. */
static bool look_ipv6(struct slice text, size_t at, const struct scan_needle *needle,
		      struct scan_match *ret)
{
	struct scan_match m = {0};
	size_t start = at, end = at;

	while (start > 0 && text.ptr[start - 1] == '0' && at - start < 3)
		start--;
	while (end < text.len && end - start < 48 &&
	       (is_hex(text.ptr[end]) || text.ptr[end] == ':' || text.ptr[end] == '.'))
		end++;
	/* "fd00::1." and "fd00::1:" at the end of a sentence; "fd00::" is an address */
	while (end > start &&
	       (text.ptr[end - 1] == '.' ||
		(text.ptr[end - 1] == ':' && end - start >= 2 && text.ptr[end - 2] != ':')))
		end--;
	m.offset = start;
	m.len = end - start;
	if (!net_address_read((struct slice){text.ptr + start, m.len}, &m.address) ||
	    !net_cidr_contains(needle->range, m.address) || !begins_word(text, start, ':') ||
	    (start > 0 && text.ptr[start - 1] == ':' && start > 1 && is_hex(text.ptr[start - 2])) ||
	    !ends_word(text, end, ':'))
		return false;
	read_bits(text, &m);
	*ret = m;
	return true;
}

static bool look(struct slice text, size_t at, const struct scan_needle *n, struct scan_match *ret)
{
	/* an address of a range without a whole fixed part is found at its first separator */
	if (n->len == 1) {
		while (at > 0 &&
		       (n->text[0] == '.' ? is_digit(text.ptr[at - 1])
					  : is_hex(text.ptr[at - 1]) || text.ptr[at - 1] == ':'))
			at--;
	}
	if (n->range.base.family == NET_IPV4)
		return look_ipv4(text, at, n, ret);
	return look_ipv6(text, at, n, ret);
}

/* ---- cursor ---- */

static void add_needle(struct scan_matcher *m, struct net_cidr range)
{
	struct scan_needle *n = &m->needles[m->count++];

	n->range = range;
	n->len = 0;
	if (range.base.family == NET_IPV4) {
		for (unsigned int i = 0; i < 3 && (i + 1) * 8 <= range.bits; i++)
			n->len += (size_t)snprintf(n->text + n->len, sizeof(n->text) - n->len,
						   "%u.", range.base.bytes[i]);
		if (n->len == 0)
			n->text[n->len++] = '.';
		return;
	}
	/* 0:… may be written "::…": nothing fixed */
	if (range.bits >= 16 && (range.base.bytes[0] || range.base.bytes[1]))
		n->len = (size_t)snprintf(n->text, sizeof(n->text),
					  "%x:", range.base.bytes[0] << 8 | range.base.bytes[1]);
	else
		n->text[n->len++] = ':';
}

void scan_matcher_init(struct scan_matcher *m, const struct net_cidr_list *ranges)
{
	m->count = 0;
	for (size_t i = 0; i < ranges->count; i++)
		add_needle(m, ranges->item[i]);
}

void scan_cursor_start(struct scan_cursor *c, const struct scan_matcher *m, struct slice text)
{
	*c = (struct scan_cursor){.matcher = m, .text = text};
}

static void search(struct scan_cursor *c, size_t i)
{
	const struct scan_needle *n = &c->matcher->needles[i];
	size_t at = c->at[i];

	c->searched[i] = true;
	c->found[i].len = 0;
	while (at < c->text.len) {
		struct scan_match m;

		at = find_candidate(c->text, at, n);
		if (at >= c->text.len)
			break;
		if (look(c->text, at, n, &m) && m.offset + m.len > c->at[i]) {
			c->found[i] = m;
			c->at[i] = m.offset + m.len;
			return;
		}
		at++;
	}
	c->at[i] = c->text.len;
}

bool scan_cursor_next(struct scan_cursor *c, struct scan_match *ret)
{
	size_t first = 2;

	for (size_t i = 0; i < c->matcher->count; i++) {
		if (!c->searched[i])
			search(c, i);
		if (c->found[i].len > 0 &&
		    (first == 2 || c->found[i].offset < c->found[first].offset))
			first = i;
	}
	if (first == 2)
		return false;
	*ret = c->found[first];
	c->searched[first] = false;
	return true;
}
