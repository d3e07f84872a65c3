/* SPDX-License-Identifier: MIT */
#ifndef SCAN_CLASSIFY_H
#define SCAN_CLASSIFY_H

#include "scan/matcher.h"
#include "scan/where.h"

/* What has to happen with a reference to an old address: a table from where it stands. */
enum scan_class {
	SCAN_MOVED,	  /* a run changes it itself */
	SCAN_MUST_CHANGE, /* somebody has to change it */
	SCAN_HARMLESS,	  /* nothing reads it as an address to dial, or it follows by itself */
};

struct scan_rule {
	const char *code; /* static; doc/findings.md */
	enum scan_class class;
	const char *reason; /* behind "address '10.96.0.1' …" */
	const char *remedy; /* "" where there is nothing to do */
};

struct scan_reference {
	const char *path; /* of the file; "-" for stdin, NULL for an object of the API */
	const struct scan_where *where;
	struct slice value; /* the value, or the line, that holds the match */
	enum scan_form form;
};

/* The first row of the table that fits; the last one fits everything. */
const struct scan_rule *scan_classify(const struct scan_reference *reference);

/* For what Helm and the like keep as the source of a later change. */
const struct scan_rule *scan_rule_pinned(void);

/* "moved", "must-change", "harmless" */
const char *scan_class_name(enum scan_class class);

#endif
