/* SPDX-License-Identifier: MIT */
#ifndef LAB_ANSWER_H
#define LAB_ANSWER_H

#include <jansson.h>

/* What becomes of a request: an object, or a Status with the words of a real API server. */
struct answer {
	int code;	/* 0: nothing was refused */
	json_t *object; /* owned; to be sent */
	const char *reason;
	char *message;	 /* owned */
	json_t *details; /* owned */
	char *token;	 /* owned; to go on with a list that has expired */
	int retry_after_s;
};

/* Always -1. */
__attribute__((format(printf, 4, 5))) int answer_refuse(struct answer *a, int code,
							const char *reason, const char *fmt, ...);

/* The same with empty details, as what is refused before an object is looked at. Always -1. */
int answer_refuse_generic(struct answer *a, int code, const char *reason, const char *text);

/* 422: `Service "x" is invalid: FIELD: PROBLEM`; said once more for the same object, it has one
 * cause more. Always -1. `kind` may have its group behind it ("Lease.coordination.k8s.io"), `cause`
 * is FieldValueInvalid and its like. */
__attribute__((format(printf, 6, 7))) int answer_invalid(struct answer *a, const char *kind,
							 const char *name, const char *cause,
							 const char *field, const char *fmt, ...);

/* The Status object; a new reference. */
json_t *answer_status(const struct answer *a);

void answer_release(struct answer *a);
#define auto_answer __attribute__((cleanup(answer_release)))

#endif
