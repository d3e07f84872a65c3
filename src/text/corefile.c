/* SPDX-License-Identifier: MIT */
#include "text/corefile.h"

#include <string.h>

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, *at behind it; a comment ends the line. */
static bool next_word(struct slice line, size_t *at, struct slice *ret)
{
	size_t start = *at;

	while (start < line.len && is_blank(line.ptr[start]))
		start++;
	if (start == line.len || line.ptr[start] == '#')
		return false;
	*at = start;
	while (*at < line.len && !is_blank(line.ptr[*at]))
		(*at)++;
	*ret = (struct slice){line.ptr + start, *at - start};
	return true;
}

static size_t behind_scheme(struct slice word)
{
	for (size_t i = 0; i + 2 < word.len; i++) {
		char c = word.ptr[i];

		if (c == ':' && i > 0 && word.ptr[i + 1] == '/' && word.ptr[i + 2] == '/')
			return i + 3;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return 0;
	}
	return 0;
}

/* What may be an address in the word: without quotes, scheme and port. */
static struct slice word_address(struct slice word)
{
	size_t skip;
	size_t len = 0;

	if (word.len >= 2 && word.ptr[0] == '"' && word.ptr[word.len - 1] == '"')
		word = (struct slice){word.ptr + 1, word.len - 2};
	skip = behind_scheme(word);
	word = (struct slice){word.ptr + skip, word.len - skip};
	while (len < word.len && word.ptr[len] != ':')
		len++;
	for (size_t i = len + 1; i < word.len; i++)
		if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return (struct slice){0};
	return (struct slice){word.ptr, len};
}

static const struct corefile_move *find_move(struct slice address,
					     const struct corefile_move *moves, size_t count)
{
	for (size_t i = 0; i < count && address.len; i++)
		if (slice_is(address, moves[i].from))
			return &moves[i];
	return NULL;
}

/* ---- lines ---- */

static void replace_words(struct slice line, const struct corefile_move *moves, size_t count,
			  struct buffer *ret)
{
	struct slice word;
	size_t done = 0;
	size_t at = 0;

	while (next_word(line, &at, &word)) {
		struct slice address = word_address(word);
		const struct corefile_move *move = find_move(address, moves, count);
		size_t start;

		if (!move)
			continue;
		start = (size_t)(address.ptr - line.ptr);
		buffer_append(ret, line.ptr + done, start - done);
		buffer_text(ret, move->to);
		done = start + address.len;
	}
	buffer_append(ret, line.ptr + done, line.len - done);
}

static bool line_has(struct slice line, const char *wanted)
{
	struct slice word;
	size_t at = 0;

	while (next_word(line, &at, &word))
		if (slice_is(word_address(word), wanted))
			return true;
	return false;
}

static void bind_both(struct slice line, const struct corefile_move *moves, size_t count,
		      struct buffer *ret)
{
	struct slice word;
	size_t done = 0;
	size_t at = 0;

	while (next_word(line, &at, &word)) {
		const struct corefile_move *move = find_move(word_address(word), moves, count);

		if (!move || line_has(line, move->to))
			continue;
		buffer_append(ret, line.ptr + done, at - done);
		buffer_format(ret, " %s", move->to);
		done = at;
	}
	buffer_append(ret, line.ptr + done, line.len - done);
}

/* Where the new address stands beside, the old one goes, with the blanks behind it, or, at the end,
 * those before it. */
static void bind_new(struct slice line, const struct corefile_move *moves, size_t count,
		     struct buffer *ret)
{
	struct slice word;
	size_t done = 0;
	size_t at = 0;

	for (size_t before = 0; next_word(line, &at, &word); before = at) {
		const struct corefile_move *move = find_move(word_address(word), moves, count);
		size_t start = (size_t)(word.ptr - line.ptr);
		struct slice next;
		size_t behind = at;

		if (!move)
			continue;
		if (!line_has(line, move->to)) {
			buffer_append(ret, line.ptr + done, start - done);
			buffer_text(ret, move->to);
			done = at;
		} else if (next_word(line, &behind, &next)) {
			buffer_append(ret, line.ptr + done, start - done);
			done = (size_t)(next.ptr - line.ptr);
		} else {
			buffer_append(ret, line.ptr + done, before > done ? before - done : 0);
			done = at;
		}
	}
	buffer_append(ret, line.ptr + done, line.len - done);
}

static void edit_line(struct slice line, enum corefile_edit edit, const struct corefile_move *moves,
		      size_t count, struct buffer *ret)
{
	struct slice first;
	size_t at = 0;

	if (!next_word(line, &at, &first) || !slice_is(first, "bind"))
		replace_words(line, moves, count, ret);
	else if (edit == COREFILE_BOTH)
		bind_both(line, moves, count, ret);
	else
		bind_new(line, moves, count, ret);
}

static bool next_line(struct slice text, size_t *at, struct slice *ret)
{
	const char *end;

	if (*at >= text.len)
		return false;
	end = memchr(text.ptr + *at, '\n', text.len - *at);
	*ret = (struct slice){text.ptr + *at,
			      end ? (size_t)(end - text.ptr) - *at : text.len - *at};
	*at += ret->len + 1;
	return true;
}

void corefile_edit(struct slice text, enum corefile_edit edit, const struct corefile_move *moves,
		   size_t count, struct buffer *ret)
{
	struct slice line;
	size_t at = 0;

	while (next_line(text, &at, &line)) {
		edit_line(line, edit, moves, count, ret);
		if (at <= text.len)
			buffer_char(ret, '\n');
	}
}

bool corefile_names(struct slice text, const char *address)
{
	struct slice line;
	struct slice word;
	size_t at = 0;

	while (next_line(text, &at, &line)) {
		size_t in_line = 0;

		while (next_word(line, &in_line, &word))
			if (slice_is(word_address(word), address))
				return true;
	}
	return false;
}

/* ---- -localip ---- */

static bool list_has(struct slice list, const char *wanted)
{
	struct slice item;

	while (slice_next(&list, ',', &item))
		if (slice_is(slice_trim(item), wanted))
			return true;
	return false;
}

void corefile_edit_list(struct slice list, enum corefile_edit edit,
			const struct corefile_move *moves, size_t count, struct buffer *ret)
{
	struct slice rest = list;
	struct slice item;
	const char *comma = "";

	while (slice_next(&rest, ',', &item)) {
		const struct corefile_move *move = find_move(slice_trim(item), moves, count);
		bool beside = move && list_has(list, move->to);

		if (move && edit == COREFILE_NEW && beside)
			continue;
		buffer_text(ret, comma);
		comma = ",";
		if (move && edit == COREFILE_NEW)
			buffer_text(ret, move->to);
		else
			buffer_slice(ret, item);
		if (move && edit == COREFILE_BOTH && !beside)
			buffer_format(ret, ",%s", move->to);
	}
}
