/* SPDX-License-Identifier: MIT */
#ifndef CMD_OPTION_H
#define CMD_OPTION_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/slice.h"

/*
 * Options are rows: the parser, --help, shell completion and the check of the man page all come
 * from the same table. A row says where in a zeroed struct of settings its value goes:
 *
 *	struct plan_settings { const char *to; bool repair; };
 *	static const struct option plan_options[] = {
 *		{"to", 0, "CIDR", OPTION_TEXT, offsetof(struct plan_settings, to), NULL, "…"},
 *		{"repair", 0, NULL, OPTION_FLAG, offsetof(struct plan_settings, repair), NULL, "…"},
 *		{0},
 *	};
 */
enum option_type {
	OPTION_FLAG,	 /* bool */
	OPTION_TEXT,	 /* const char *; borrowed from argv */
	OPTION_CHOICE,	 /* const char *; one of `choices`, blanks between */
	OPTION_DURATION, /* int64_t milliseconds: 500ms, 30s, 5m, 2h; a bare number is seconds */
	OPTION_PERCENT,	 /* unsigned int, 0 to 100, with or without a % sign */
};

struct option {
	const char *name;     /* without dashes; NULL ends the table */
	char letter;	      /* 0: none */
	const char *argument; /* "FILE"; NULL for a flag */
	enum option_type type;
	size_t offset;
	const char *choices;
	const char *help; /* one sentence, lower case, no full stop */
};

struct option_table {
	const struct option *options;
	void *settings;
};

/*
 * Reads argv[1…] into the tables' settings (first table that knows a name wins). What is no option
 * goes to ret_words (room for argc pointers, NULL-terminated, borrowed); behind "--" all are words.
 * `-` alone is a word. ERROR_USAGE names the mistake and, where one is near, the option meant.
 */
must_check int option_parse(int argc, const char *const argv[], const struct option_table *tables,
			    size_t table_count, const char **ret_words, size_t *ret_count,
			    struct error *err);

/* Appends one line an option, aligned. */
void option_describe(const struct option *options, struct buffer *out);

/* How many single-letter edits two short names are apart, for "did you mean"; 40: far. */
size_t option_distance(struct slice a, const char *b);

/* The value of a duration as OPTION_DURATION reads it; false when it is none. */
bool option_duration(const char *text, int64_t *ret_ms);

#endif
