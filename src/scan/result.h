/* SPDX-License-Identifier: MIT */
#ifndef SCAN_RESULT_H
#define SCAN_RESULT_H

#include "scan/classify.h"

/* What a scan found, in the order in which it was looked at. */
struct scan_hit {
	const struct scan_rule *rule;
	enum scan_form form;
	char *subject;	/* owned, like all below: the file, "Kind/namespace/name", or "node:path" */
	char *location; /* subject:line:column, or the field of an object of the API */
	char *object;	/* "Service/default/web" that stands in a file; or NULL */
	char *field;	/* or NULL */
	char *match;	/* "10.96.0.1", "10.96.0.0/16" */
	char *evidence; /* the value or line around it; control characters are '?', passwords in
			 * URLs and all of a Secret are left out */
};

/* What could not be looked at. */
struct scan_gap {
	char *subject; /* owned */
	char *reason;  /* owned */
};

struct scan_result {
	struct scan_hit *hits;
	size_t count;
	size_t capacity;
	struct scan_gap *gaps;
	size_t gap_count;
	size_t gap_capacity;
	size_t sources;	    /* files or objects that were looked at */
	size_t sources_hit; /* of them with references */
	unsigned long long bytes;
};

/* Looks through one text and appends what it finds. `subject` is the path as given, `node` the node
 * whose file it is, or NULL. */
void scan_text(struct scan_result *result, const struct scan_matcher *matcher, const char *node,
	       const char *path, struct slice text);

/* Looks through an answer of the API server: a list or one object, as JSON. */
void scan_objects(struct scan_result *result, const struct scan_matcher *matcher,
		  struct slice json);

__attribute__((format(printf, 3, 4))) void scan_gap_add(struct scan_result *result,
							const char *subject, const char *fmt, ...);

size_t scan_result_count(const struct scan_result *result, enum scan_class class);

/* "address '10.96.0.1' in Service/default/web, spec.clusterIP, is …"; the caller frees. */
char *scan_hit_message(const struct scan_hit *hit);

/* True when something must change or could not be looked at: exit status 2. */
bool scan_result_matters(const struct scan_result *result);

void scan_result_release(struct scan_result *result);

#define auto_scan_result __attribute__((cleanup(scan_result_release)))

#endif
