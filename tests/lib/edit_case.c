/* SPDX-License-Identifier: MIT */
#include "lib/edit_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "lib/test.h"

static void unescape(char *word)
{
	char *to = word;

	for (const char *from = word; *from; from++) {
		if (*from == '\\' && from[1] && strchr("sne", from[1])) {
			from++;
			if (*from == 's')
				*to++ = ' ';
			else if (*from == 'n')
				*to++ = '\n';
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

static bool split(char *text, struct edit_line *ret)
{
	ret->count = 0;
	while (*text) {
		char *end = text + strcspn(text, " ");
		bool more = *end != '\0';

		*end = '\0';
		if (end > text && ret->count < EDIT_WORDS)
			ret->words[ret->count++] = text;
		text = more ? end + 1 : end;
	}
	ret->words[ret->count] = NULL;
	for (size_t i = 0; i < ret->count; i++)
		unescape(ret->words[i]);
	return ret->count > 0 && ret->words[0][0] != '#';
}

static int apply_one(const struct edit_line *line, edit_apply *apply, bool idempotent,
		     struct buffer *text, struct error *err)
{
	auto_buffer struct buffer next = {0}, again = {0};

	if (apply(line, buffer_as_slice(text), &next, err) < 0)
		return -1;
	if (idempotent && apply(line, buffer_as_slice(&next), &again, err) < 0)
		return -1;
	if (idempotent)
		CHECK_MEM(buffer_cstr(&again), again.len, buffer_cstr(&next), next.len);
	buffer_clear(text);
	buffer_slice(text, buffer_as_slice(&next));
	return 0;
}

static int apply_all(const char *edits, edit_apply *apply, bool idempotent, struct buffer *text,
		     struct error *err)
{
	auto_free char *copy = alloc_text(edits);
	char *line = copy;

	while (line && *line) {
		char *feed = strchr(line, '\n');
		struct edit_line words;

		if (feed)
			*feed = '\0';
		if (split(line, &words) && apply_one(&words, apply, idempotent, text, err) < 0)
			return -1;
		line = feed ? feed + 1 : NULL;
	}
	return 0;
}

static char *read_part(const char *dir, const char *name, size_t *ret_len)
{
	auto_free char *path = alloc_format("%s/%s", dir, name);

	return access(test_path(path), F_OK) == 0 ? test_file(path, ret_len) : NULL;
}

void edit_case_run(const char *dir, edit_apply *apply, bool idempotent)
{
	auto_error struct error err = {0};
	auto_buffer struct buffer text = {0};
	size_t len = 0, want_len = 0;
	auto_free char *input = read_part(dir, "input", &len),
		       *edits = read_part(dir, "edit", NULL);
	auto_free char *expected = read_part(dir, "expected", &want_len);
	auto_free char *error = read_part(dir, "error", NULL);

	if (!CHECK(input && edits && (expected || error)))
		return;
	buffer_append(&text, input, len);
	if (error) {
		error[strcspn(error, "\n")] = '\0';
		CHECK(apply_all(edits, apply, idempotent, &text, &err) < 0);
		if (!strstr(error_text(&err), error))
			CHECK_STR(error_text(&err), error);
		return;
	}
	if (getenv("KR_WRITE_EXPECTED") && apply_all(edits, apply, idempotent, &text, &err) == 0) {
		auto_free char *path = alloc_format("%s/expected", dir);
		auto_file FILE *out = fopen(test_path(path), "w");

		if (CHECK(out != NULL))
			fwrite(buffer_cstr(&text), 1, text.len, out);
		return;
	}
	CHECK_OK(apply_all(edits, apply, idempotent, &text, &err), &err);
	CHECK_MEM(buffer_cstr(&text), text.len, expected, want_len);
}
