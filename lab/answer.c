/* SPDX-License-Identifier: MIT */
#include "lab/answer.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"

int answer_refuse(struct answer *a, int code, const char *reason, const char *fmt, ...)
{
	va_list args;

	answer_release(a);
	a->code = code;
	a->reason = reason;
	va_start(args, fmt);
	a->message = alloc_vformat(fmt, args);
	va_end(args);
	return -1;
}

int answer_invalid(struct answer *a, const char *kind, const char *name, const char *cause,
		   const char *field, const char *fmt, ...)
{
	auto_free char *problem = NULL;
	va_list args;

	va_start(args, fmt);
	problem = alloc_vformat(fmt, args);
	va_end(args);
	answer_refuse(a, 422, "Invalid", "%s \"%s\" is invalid: %s: %s", kind, name, field,
		      problem);
	a->details = json_pack("{s:s,s:s,s:[{s:s,s:s,s:s}]}", "name", name, "kind", kind, "causes",
			       "reason", cause, "message", problem, "field", field);
	return -1;
}

json_t *answer_status(const struct answer *a)
{
	json_t *status =
		json_pack("{s:s,s:s,s:{},s:s,s:s,s:s,s:i}", "kind", "Status", "apiVersion", "v1",
			  "metadata", "status", "Failure", "message", a->message ? a->message : "",
			  "reason", a->reason ? a->reason : "", "code", a->code);

	if (a->details)
		json_object_set(status, "details", a->details);
	return status;
}

void answer_release(struct answer *a)
{
	json_decref(a->object);
	json_decref(a->details);
	free(a->message);
	*a = (struct answer){0};
}
