/* SPDX-License-Identifier: MIT */
#ifndef LIB_EDIT_CASE_H
#define LIB_EDIT_CASE_H

#include "base/buffer.h"

/*
 * Data cases of edits: a folder with `input`, `edit` and `expected`, or with `error` (a part of the
 * message) instead of `expected`.
 *
 * `edit` has one edit a line: a verb and its words, separated by blanks; "\s" in a word is a blank,
 * "\n" a line feed, "\e" nothing; '#' begins a comment. Each edit is applied to what the one before
 * it gave.
 */
#define EDIT_WORDS 16

struct edit_line {
	char *words[EDIT_WORDS + 1]; /* [0] is the verb; NULL behind the last */
	size_t count;
};

/* Applies one edit to `text` and appends the outcome to *ret. `file` is "input". */
typedef int edit_apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		       struct error *err);

/* Runs one case, for test_each_case(). `idempotent`: an edit made a second time changes nothing. */
void edit_case_run(const char *dir, edit_apply *apply, bool idempotent);

#endif
