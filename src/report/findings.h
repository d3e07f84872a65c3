/* SPDX-License-Identifier: MIT */
#ifndef REPORT_FINDINGS_H
#define REPORT_FINDINGS_H

#include "base/buffer.h"
#include "doctor/finding.h"

/* How findings are shown to people; for programs see finding_list_json and report/document.h. */
enum findings_style {
	FINDINGS_TEXT,	   /* groups with marks, the first lines of evidence */
	FINDINGS_WIDE,	   /* all evidence */
	FINDINGS_MARKDOWN, /* for a change ticket: a table, evidence below */
};

/* Appends the findings by family ("Certificates": √ where it has no warning and no error), and a
 * last line with the numbers. `colour` is for the two text styles. The list is sorted. */
void findings_print(const struct finding_list *list, enum findings_style style, bool colour,
		    struct buffer *out);

/* The same for a command that looks at some families only: `families` has their digits ("37"), in
 * codes KR3xx and KR7xx; others are not mentioned. */
void findings_print_families(const struct finding_list *list, const char *families,
			     enum findings_style style, bool colour, struct buffer *out);

/* "2 errors, 1 warning" or "no errors, no warnings"; the caller frees. */
char *findings_summary(const struct finding_list *list);

#endif
