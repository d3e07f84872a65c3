/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_FINDING_H
#define DOCTOR_FINDING_H

#include <jansson.h>
#include <stddef.h>

#include "model/cluster.h"

/*
 * One thing that somebody should know. Codes ("KR101") never change their meaning; doc/findings.md
 * lists them. The families live in one file each and are rows of one table (doctor/doctor.c).
 */
enum finding_severity { FINDING_INFO, FINDING_WARNING, FINDING_ERROR };

struct finding {
	const char *code; /* static */
	enum finding_severity severity;
	char *subject; /* owned: "Service/default/kubernetes" or "cp1:/etc/kubernetes/pki/apiserver.crt" */
	char *message;	       /* owned: one sentence, lower case, no full stop */
	char *remedy;	       /* owned: what to do now; NULL: nothing */
	char *evidence;	       /* owned: what was seen, with its place; one thing a line */
	size_t evidence_count; /* things seen, also those beyond FINDING_EVIDENCE_MAX */
};

/* Lines of evidence that are kept; of the rest only the number is said. */
#define FINDING_EVIDENCE_MAX 8

struct finding_list {
	struct finding *items; /* owned */
	size_t count;
	size_t capacity;
};

/* Appends a finding; the pointer is valid until the next finding_add. */
struct finding *finding_add(struct finding_list *list, const char *code,
			    enum finding_severity severity, const char *subject);

/* Sets the text. */
__attribute__((format(printf, 2, 3))) void finding_message(struct finding *f, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void finding_remedy(struct finding *f, const char *fmt, ...);

/* Adds a line. */
__attribute__((format(printf, 2, 3))) void finding_evidence(struct finding *f, const char *fmt,
							    ...);

/* "1 node is" or "3 nodes are" without the number. */
const char *finding_plural(size_t count, const char *one, const char *many);

/* Says how many lines of evidence were left out; after the last line. */
void finding_close(struct finding *f);

/* "info", "warning", "error" */
const char *finding_severity_name(enum finding_severity severity);

/* True when one of them is a warning or an error: exit status 2. */
bool finding_list_matters(const struct finding_list *list);

size_t finding_list_count(const struct finding_list *list, enum finding_severity severity);

/* By severity (errors first), then code, then subject. */
void finding_list_sort(struct finding_list *list);

/* {"code":…,"severity":…,"subject":…,"message":…,"remedy":…,"evidence":…} per item; remedy and
 * evidence are "" where there is none. New reference. */
json_t *finding_list_json(const struct finding_list *list);

void finding_list_release(struct finding_list *list);
#define auto_findings __attribute__((cleanup(finding_list_release)))

#endif
