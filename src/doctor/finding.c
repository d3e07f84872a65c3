/* SPDX-License-Identifier: MIT */
#include "doctor/finding.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

struct finding *finding_add(struct finding_list *list, const char *code,
			    enum finding_severity severity, const char *subject)
{
	ALLOC_GROW(list->items, list->count, list->capacity);
	list->items[list->count] = (struct finding){
		.code = code,
		.severity = severity,
		.subject = alloc_text(subject),
	};
	return &list->items[list->count++];
}

__attribute__((format(printf, 2, 0))) static void set_text(char **text, const char *fmt,
							   va_list args)
{
	auto_buffer struct buffer b = {0};

	buffer_vformat(&b, fmt, args);
	free(*text);
	*text = buffer_detach(&b);
}

void finding_message(struct finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_text(&f->message, fmt, args);
	va_end(args);
}

void finding_remedy(struct finding *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_text(&f->remedy, fmt, args);
	va_end(args);
}

void finding_evidence(struct finding *f, const char *fmt, ...)
{
	auto_buffer struct buffer b = {0};
	va_list args;

	f->evidence_count++;
	if (f->evidence_count > FINDING_EVIDENCE_MAX)
		return;
	if (f->evidence)
		buffer_format(&b, "%s\n", f->evidence);
	va_start(args, fmt);
	buffer_vformat(&b, fmt, args);
	va_end(args);
	free(f->evidence);
	f->evidence = buffer_detach(&b);
}

const char *finding_plural(size_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

void finding_close(struct finding *f)
{
	char *text;

	if (f->evidence_count <= FINDING_EVIDENCE_MAX)
		return;
	text = alloc_format("%s\nand %zu more", f->evidence,
			    f->evidence_count - FINDING_EVIDENCE_MAX);
	free(f->evidence);
	f->evidence = text;
}

const char *finding_severity_name(enum finding_severity severity)
{
	switch (severity) {
	case FINDING_ERROR:
		return "error";
	case FINDING_WARNING:
		return "warning";
	case FINDING_INFO:
		break;
	}
	return "info";
}

bool finding_list_matters(const struct finding_list *list)
{
	return finding_list_count(list, FINDING_WARNING) || finding_list_count(list, FINDING_ERROR);
}

size_t finding_list_count(const struct finding_list *list, enum finding_severity severity)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].severity == severity;
	return count;
}

static int compare(const void *a, const void *b)
{
	const struct finding *x = a;
	const struct finding *y = b;
	int order;

	if (x->severity != y->severity)
		return (int)y->severity - (int)x->severity;
	order = strcmp(x->code, y->code);
	return order ? order : strcmp(x->subject, y->subject);
}

void finding_list_sort(struct finding_list *list)
{
	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare);
}

/* Bytes from nodes may be no UTF-8, which JSON cannot hold. */
static json_t *json_of(const char *text)
{
	json_t *value = json_string(text ? text : "");

	if (!value) {
		auto_free char *ascii = alloc_text(text);

		for (char *p = ascii; *p; p++) {
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		}
		value = json_string(ascii);
	}
	return value;
}

json_t *finding_list_json(const struct finding_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++) {
		const struct finding *f = &list->items[i];
		json_t *object = json_object();

		json_object_set_new(object, "code", json_string(f->code));
		json_object_set_new(object, "severity",
				    json_string(finding_severity_name(f->severity)));
		json_object_set_new(object, "subject", json_of(f->subject));
		json_object_set_new(object, "message", json_of(f->message));
		json_object_set_new(object, "remedy", json_of(f->remedy));
		json_object_set_new(object, "evidence", json_of(f->evidence));
		json_array_append_new(array, object);
	}
	return array;
}

void finding_list_release(struct finding_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].subject);
		free(list->items[i].message);
		free(list->items[i].remedy);
		free(list->items[i].evidence);
	}
	free(list->items);
	*list = (struct finding_list){0};
}
