/* SPDX-License-Identifier: MIT */
#include "report/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

static void clean(char *text)
{
	for (char *p = text; *p; p++) {
		if (*p == '\n' || *p == '\t')
			*p = '?';
	}
	log_filter(text);
}

void table_cell(struct table *t, const char *text)
{
	ALLOC_GROW(t->cells, t->count, t->capacity);
	t->cells[t->count] = alloc_text(text ? text : "");
	clean(t->cells[t->count++]);
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	auto_buffer struct buffer b = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&b, fmt, args);
	va_end(args);
	table_cell(t, buffer_cstr(&b));
}

size_t table_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static const char *cell_at(const struct table *t, size_t row, size_t column)
{
	size_t i = row * t->columns + column;

	return i < t->count ? t->cells[i] : "";
}

static size_t row_count(const struct table *t)
{
	return t->columns ? (t->count + t->columns - 1) / t->columns : 0;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t widest = t->titles ? table_width(t->titles[column]) : 0;

	for (size_t row = 0; row < row_count(t); row++) {
		size_t width = table_width(cell_at(t, row, column));

		if (width > widest)
			widest = width;
	}
	return widest;
}

/* No blanks at the end of a line. */
static void put_text(const struct table *t, size_t column, const char *text, size_t width,
		     struct buffer *out)
{
	buffer_text(out, text);
	if (column + 1 == t->columns)
		return;
	for (size_t i = table_width(text); i < width + 2; i++)
		buffer_char(out, ' ');
}

static void put_markdown(const char *text, struct buffer *out)
{
	buffer_text(out, " ");
	for (; *text; text++) {
		if (*text == '|')
			buffer_char(out, '\\');
		buffer_char(out, *text);
	}
	buffer_text(out, " |");
}

static void trim_end(struct buffer *out)
{
	while (out->len && out->ptr[out->len - 1] == ' ')
		out->ptr[--out->len] = '\0';
}

static void print_text(const struct table *t, struct buffer *out)
{
	size_t *widths = alloc_array(t->columns, sizeof(*widths));

	for (size_t column = 0; column < t->columns; column++)
		widths[column] = column_width(t, column);
	for (size_t column = 0; t->titles && column < t->columns; column++)
		put_text(t, column, t->titles[column], widths[column], out);
	if (t->titles)
		buffer_char(out, '\n');
	for (size_t row = 0; row < row_count(t); row++) {
		for (size_t column = 0; column < t->columns; column++)
			put_text(t, column, cell_at(t, row, column), widths[column], out);
		trim_end(out);
		buffer_char(out, '\n');
	}
	free(widths);
}

static void print_markdown(const struct table *t, struct buffer *out)
{
	buffer_char(out, '|');
	for (size_t column = 0; column < t->columns; column++)
		put_markdown(t->titles ? t->titles[column] : "", out);
	buffer_text(out, "\n|");
	for (size_t column = 0; column < t->columns; column++)
		buffer_text(out, " --- |");
	buffer_char(out, '\n');
	for (size_t row = 0; row < row_count(t); row++) {
		buffer_char(out, '|');
		for (size_t column = 0; column < t->columns; column++)
			put_markdown(cell_at(t, row, column), out);
		buffer_char(out, '\n');
	}
}

void table_print(const struct table *t, enum table_style style, struct buffer *out)
{
	if (!t->columns)
		return;
	if (style == TABLE_MARKDOWN)
		print_markdown(t, out);
	else
		print_text(t, out);
}

void table_release(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}
