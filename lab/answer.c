/* SPDX-License-Identifier: MIT */
#include "lab/answer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "text/json.h"

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

int answer_refuse_generic(struct answer *a, int code, const char *reason, const char *text)
{
	answer_refuse(a, code, reason, "%s", text);
	a->details = json_object();
	return -1;
}

/* `FIELD: PROBLEM`, or all of them in brackets, each once. */
static char *answer_causes(const json_t *causes)
{
	auto_json json_t *said = json_object();
	auto_buffer struct buffer text = {0};
	const json_t *cause;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)causes, i, cause) {
		auto_free char *one = alloc_format("%s: %s", json_path_text(cause, "field"),
						   json_path_text(cause, "message"));

		if (json_object_get(said, one))
			continue;
		buffer_format(&text, "%s%s", json_object_size(said) ? ", " : "", one);
		json_object_set_new(said, one, json_true());
	}
	return json_object_size(said) > 1 ? alloc_format("[%s]", buffer_cstr(&text))
					  : buffer_detach(&text);
}

/* Name, kind and group, as far as there are any. */
static json_t *answer_details(const char *kind, const char *name)
{
	const char *dot = strchr(kind, '.');
	json_t *details =
		json_pack("{s:s%}", "kind", kind, dot ? (size_t)(dot - kind) : strlen(kind));

	if (*name)
		json_object_set_new(details, "name", json_string(name));
	if (dot)
		json_object_set_new(details, "group", json_string(dot + 1));
	return details;
}

int answer_invalid(struct answer *a, const char *kind, const char *name, const char *cause,
		   const char *field, const char *fmt, ...)
{
	auto_free char *problem = NULL;
	auto_json json_t *causes = json_incref(json_object_get(a->details, "causes"));
	auto_free char *text = NULL;
	va_list args;

	va_start(args, fmt);
	problem = alloc_vformat(fmt, args);
	va_end(args);
	if (!causes)
		causes = json_array();
	json_array_append_new(causes, json_pack("{s:s,s:s,s:s}", "reason", cause, "message",
						problem, "field", field));
	text = answer_causes(causes);
	answer_refuse(a, 422, "Invalid", "%s \"%s\" is invalid: %s", kind, name, text);
	a->details = answer_details(kind, name);
	json_object_set(a->details, "causes", causes);
	return -1;
}

json_t *answer_status(const struct answer *a)
{
	json_t *status = json_pack("{s:s,s:s,s:{},s:s,s:s,s:i}", "kind", "Status", "apiVersion",
				   "v1", "metadata", "status", "Failure", "message",
				   a->message ? a->message : "", "code", a->code);

	if (a->reason)
		json_object_set_new(status, "reason", json_string(a->reason));
	if (a->token)
		json_object_set_new(json_object_get(status, "metadata"), "continue",
				    json_string(a->token));
	if (a->details)
		json_object_set(status, "details", a->details);
	return status;
}

void answer_release(struct answer *a)
{
	json_decref(a->object);
	json_decref(a->details);
	free(a->message);
	free(a->token);
	*a = (struct answer){0};
}
