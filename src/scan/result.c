/* SPDX-License-Identifier: MIT */
#include "scan/result.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"

enum { EVIDENCE_AROUND = 60 }; /* bytes on each side of a match */

void scan_result_release(struct scan_result *result)
{
	for (size_t i = 0; i < result->count; i++) {
		struct scan_hit *hit = &result->hits[i];

		free(hit->subject);
		free(hit->location);
		free(hit->object);
		free(hit->field);
		free(hit->match);
		free(hit->evidence);
	}
	for (size_t i = 0; i < result->gap_count; i++) {
		free(result->gaps[i].subject);
		free(result->gaps[i].reason);
	}
	free(result->hits);
	free(result->gaps);
	*result = (struct scan_result){0};
}

void scan_gap_add(struct scan_result *result, const char *subject, const char *fmt, ...)
{
	auto_buffer struct buffer reason = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&reason, fmt, args);
	va_end(args);
	ALLOC_GROW(result->gaps, result->gap_count, result->gap_capacity);
	result->gaps[result->gap_count++] =
		(struct scan_gap){alloc_text(subject), buffer_detach(&reason)};
}

size_t scan_result_count(const struct scan_result *result, enum scan_class class)
{
	size_t count = 0;

	for (size_t i = 0; i < result->count; i++)
		count += result->hits[i].rule->class == class;
	return count;
}

bool scan_result_matters(const struct scan_result *result)
{
	return result->gap_count > 0 || scan_result_count(result, SCAN_MUST_CHANGE) > 0;
}

/* ---- evidence ---- */

/* "postgres://user:word@host" loses its word. */
static void hide_passwords(char *text)
{
	for (char *p = strstr(text, "://"); p; p = strstr(p + 3, "://")) {
		char *end = p + 3 + strcspn(p + 3, "/ \t\"'@");
		char *colon = memchr(p + 3, ':', (size_t)(end - p - 3));

		if (*end != '@' || !colon)
			continue;
		for (char *c = colon + 1; c < end; c++)
			*c = '*';
	}
}

/* A cut may not go through a character. */
static size_t whole_character(struct slice text, size_t at)
{
	while (at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80)
		at++;
	return at;
}

static char *evidence_of(struct slice text, const struct scan_match *m, const struct scan_where *w)
{
	size_t start = w->start, end = w->end;
	char *copy, *out;

	if (w->kind && strcmp(w->kind, "Secret") == 0)
		return alloc_text("");
	if (start + EVIDENCE_AROUND < m->offset)
		start = whole_character(text, m->offset - EVIDENCE_AROUND);
	if (m->offset + m->len + EVIDENCE_AROUND < end)
		end = whole_character(text, m->offset + m->len + EVIDENCE_AROUND);
	for (size_t i = m->offset; i > start; i--)
		if (text.ptr[i - 1] == '\n')
			start = i;
	for (size_t i = m->offset; i < end; i++)
		if (text.ptr[i] == '\n')
			end = i;
	copy = slice_dup(slice_trim((struct slice){text.ptr + start, end - start}));
	out = copy;
	for (const char *p = copy; *p; p++)
		*out++ = *p == '\t' ? ' ' : *p;
	*out = '\0';
	log_filter(copy);
	hide_passwords(copy);
	return copy;
}

/* ---- hits ---- */

struct place {
	size_t line; /* from 1 */
	size_t line_start;
	size_t counted; /* line feeds up to here */
};

static void count_lines(struct place *p, struct slice text, size_t offset)
{
	const char *feed;

	while ((feed = memchr(text.ptr + p->counted, '\n', offset - p->counted))) {
		p->counted = (size_t)(feed - text.ptr) + 1;
		p->line_start = p->counted;
		p->line++;
	}
	p->counted = offset;
}

static char *object_text(const struct scan_where *w)
{
	if (!w->kind || !w->name)
		return w->kind ? alloc_text(w->kind) : NULL;
	if (w->space)
		return alloc_format("%s/%s/%s", w->kind, w->space, w->name);
	return alloc_format("%s/%s", w->kind, w->name);
}

static struct scan_hit *add_hit(struct scan_result *result, const struct scan_reference *reference,
				const struct scan_match *m, struct slice text)
{
	struct scan_hit *hit;

	ALLOC_GROW(result->hits, result->count, result->capacity);
	hit = &result->hits[result->count++];
	*hit = (struct scan_hit){
		.rule = scan_classify(reference),
		.form = m->form,
		.object = object_text(reference->where),
		.field = reference->where->field ? alloc_text(reference->where->field) : NULL,
		.match = alloc_text_n(text.ptr + m->offset, m->len),
		.evidence = evidence_of(text, m, reference->where),
	};
	if (hit->object)
		log_filter(hit->object);
	if (hit->field)
		log_filter(hit->field);
	return hit;
}

/* The line that holds the match, inside of a value of many lines: what rules look at. */
static struct slice line_in(struct slice text, const struct scan_where *w, size_t offset)
{
	size_t start = offset, end = offset;

	while (start > w->start && text.ptr[start - 1] != '\n')
		start--;
	while (end < w->end && text.ptr[end] != '\n')
		end++;
	return (struct slice){text.ptr + start, end - start};
}

void scan_text(struct scan_result *result, const struct scan_matcher *matcher, const char *node,
	       const char *path, struct slice text)
{
	auto_scan_document struct scan_document document = {0};
	auto_scan_where struct scan_where where = {0};
	struct place place = {.line = 1};
	struct scan_cursor cursor;
	struct scan_match m;
	size_t before = result->count;

	result->sources++;
	result->bytes += text.len;
	scan_cursor_start(&cursor, matcher, text);
	while (scan_cursor_next(&cursor, &m)) {
		struct scan_hit *hit;

		if (result->count == before)
			scan_document_open(&document, path, text);
		scan_document_find(&document, m.offset, &where);
		count_lines(&place, text, m.offset);
		hit = add_hit(result,
			      &(struct scan_reference){path, &where,
						       line_in(text, &where, m.offset), m.form},
			      &m, text);
		hit->subject = node ? alloc_format("%s:%s", node, path) : alloc_text(path);
		hit->location = alloc_format("%s:%zu:%zu", hit->subject, place.line,
					     m.offset - place.line_start + 1);
	}
	result->sources_hit += result->count > before;
}

void scan_objects(struct scan_result *result, const struct scan_matcher *matcher, struct slice json)
{
	auto_scan_document struct scan_document document = {0};
	auto_scan_where struct scan_where where = {0};
	struct scan_cursor cursor;
	struct scan_match m;
	bool open = false;

	result->bytes += json.len;
	scan_cursor_start(&cursor, matcher, json);
	while (scan_cursor_next(&cursor, &m)) {
		struct scan_hit *hit;

		if (!open)
			scan_document_open(&document, "answer", json);
		open = true;
		scan_document_find(&document, m.offset, &where);
		hit = add_hit(result,
			      &(struct scan_reference){NULL, &where,
						       line_in(json, &where, m.offset), m.form},
			      &m, json);
		hit->subject = alloc_text(hit->object ? hit->object : "object");
		hit->location = alloc_text(hit->field ? hit->field : "");
	}
}

char *scan_hit_message(const struct scan_hit *hit)
{
	auto_buffer struct buffer text = {0};

	buffer_format(&text, "%s '%s'", hit->form == SCAN_RANGE ? "range" : "address", hit->match);
	if (hit->object)
		buffer_format(&text, " in %s%s%s,", hit->object, hit->field ? ", " : "",
			      hit->field ? hit->field : "");
	else if (hit->field)
		buffer_format(&text, " in %s", hit->field);
	buffer_format(&text, " %s", hit->rule->reason);
	return buffer_detach(&text);
}
