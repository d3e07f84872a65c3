/* SPDX-License-Identifier: MIT */
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include "base/buffer.h"

/*
 * Aligned columns for people. Calling sequence:
 *
 *	static const char *const titles[] = {"NODE", "RANGE"};
 *	auto_table struct table t = {.titles = titles, .columns = 2};
 *
 *	table_cell(&t, "cp1");
 *	table_cell(&t, "10.96.0.0/16");
 *	table_print(&t, TABLE_TEXT, out);
 *
 * Cells are filled row by row. Control characters in them are replaced by '?'.
 */
struct table {
	const char *const *titles; /* borrowed; NULL: no line of titles */
	size_t columns;
	char **cells; /* owned */
	size_t count;
	size_t capacity;
};

enum table_style {
	TABLE_TEXT,	/* columns aligned by blanks, two between */
	TABLE_MARKDOWN, /* a pipe table; pipes in cells are escaped */
};

/* NULL is an empty cell. */
void table_cell(struct table *t, const char *text);
__attribute__((format(printf, 2, 3))) void table_cellf(struct table *t, const char *fmt, ...);

/* Appends the table; a row that is not full ends with empty cells. */
void table_print(const struct table *t, enum table_style style, struct buffer *out);

void table_release(struct table *t);
#define auto_table __attribute__((cleanup(table_release)))

/* Columns that the text takes on a terminal: UTF-8 characters, each counted as one. */
size_t table_width(const char *text);

#endif
