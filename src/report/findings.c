/* SPDX-License-Identifier: MIT */
#include "report/findings.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "report/table.h"

/* The third character of a code is its family. */
static const struct {
	char digit;
	const char *title;
} groups[] = {
	{'0', "Cluster"},
	{'1', "Ranges and flags"},
	{'2', "default/kubernetes"},
	{'3', "Certificates"},
	{'4', "DNS and kubelet"},
	{'5', "Workloads and network plugin"},
	{'6', "kubeadm and manifests"},
	{'7', "Nodes and earlier runs"},
	{'8', "Data path"},
};

enum { TEXT_EVIDENCE = 3 };

static const char *const marks[] = {
	[FINDING_INFO] = "i",
	[FINDING_WARNING] = "‼",
	[FINDING_ERROR] = "×",
};
static const char *const colours[] = {
	[FINDING_INFO] = "\033[36m",
	[FINDING_WARNING] = "\033[33m",
	[FINDING_ERROR] = "\033[31m",
};

/* Texts that came from servers and nodes do not drive the terminal. */
static void put_clean(const char *text, size_t len, struct buffer *out)
{
	auto_free char *copy = alloc_text_n(text, len);

	log_filter(copy);
	buffer_text(out, copy);
}

static void put_evidence(const char *evidence, size_t max, struct buffer *out)
{
	struct slice rest = slice_of(evidence);
	struct slice line;
	size_t shown = 0;
	size_t left = 0;

	while (evidence && slice_next(&rest, '\n', &line)) {
		if (shown == max) {
			left++;
			continue;
		}
		buffer_text(out, "      ");
		put_clean(line.ptr, line.len, out);
		buffer_char(out, '\n');
		shown++;
	}
	if (left)
		buffer_text(out, "      … (more with -o wide)\n");
}

static void put_finding(const struct finding *f, bool wide, bool colour, struct buffer *out)
{
	buffer_format(out, "  %s%s%s %s ", colour ? colours[f->severity] : "", marks[f->severity],
		      colour ? "\033[0m" : "", f->code);
	put_clean(f->message ? f->message : f->subject,
		  strlen(f->message ? f->message : f->subject), out);
	buffer_char(out, '\n');
	put_evidence(f->evidence, wide ? SIZE_MAX : TEXT_EVIDENCE, out);
	if (f->remedy) {
		buffer_text(out, "      → ");
		put_clean(f->remedy, strlen(f->remedy), out);
		buffer_char(out, '\n');
	}
}

static void put_group(const struct finding_list *list, size_t group, bool wide, bool colour,
		      struct buffer *out)
{
	bool clean = true;
	bool any = false;

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].code[2] != groups[group].digit)
			continue;
		any = true;
		clean &= list->items[i].severity == FINDING_INFO;
	}
	if (groups[group].digit == '8' && !any)
		return; /* only some commands look */
	buffer_format(out, "%s%s%s %s\n", colour ? (clean ? "\033[32m" : "\033[1m") : "",
		      clean ? "√" : "×", colour ? "\033[0m" : "", groups[group].title);
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].code[2] == groups[group].digit)
			put_finding(&list->items[i], wide, colour, out);
	}
}

static void print_markdown(const struct finding_list *list, struct buffer *out)
{
	static const char *const titles[] = {"Code", "Severity", "Subject", "Message", "Remedy"};
	auto_table struct table t = {.titles = titles, .columns = 5};

	for (size_t i = 0; i < list->count; i++) {
		const struct finding *f = &list->items[i];

		table_cell(&t, f->code);
		table_cell(&t, finding_severity_name(f->severity));
		table_cell(&t, f->subject);
		table_cell(&t, f->message);
		table_cell(&t, f->remedy);
	}
	table_print(&t, TABLE_MARKDOWN, out);
	for (size_t i = 0; i < list->count; i++) {
		const struct finding *f = &list->items[i];

		if (!f->evidence)
			continue;
		buffer_format(out, "\n%s, ", f->code);
		put_clean(f->subject, strlen(f->subject), out);
		buffer_text(out, ":\n\n```\n");
		put_clean(f->evidence, strlen(f->evidence), out);
		buffer_text(out, "\n```\n");
	}
	buffer_char(out, '\n');
}

static void put_count(struct buffer *out, size_t count, const char *noun)
{
	if (count)
		buffer_format(out, "%zu %s%s", count, noun, count == 1 ? "" : "s");
	else
		buffer_format(out, "no %ss", noun);
}

char *findings_summary(const struct finding_list *list)
{
	auto_buffer struct buffer b = {0};

	put_count(&b, finding_list_count(list, FINDING_ERROR), "error");
	buffer_text(&b, ", ");
	put_count(&b, finding_list_count(list, FINDING_WARNING), "warning");
	return buffer_detach(&b);
}

void findings_print(const struct finding_list *list, enum findings_style style, bool colour,
		    struct buffer *out)
{
	findings_print_families(list, "012345678", style, colour, out);
}

void findings_print_families(const struct finding_list *list, const char *families,
			     enum findings_style style, bool colour, struct buffer *out)
{
	auto_free char *summary = findings_summary(list);

	if (style == FINDINGS_MARKDOWN) {
		print_markdown(list, out);
	} else {
		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			if (strchr(families, groups[i].digit))
				put_group(list, i, style == FINDINGS_WIDE, colour, out);
		buffer_char(out, '\n');
	}
	buffer_format(out, "%s\n", summary);
}
