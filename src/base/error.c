/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

__attribute__((format(printf, 1, 0))) static char *error_format(const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		return alloc_text("out of memory");
	return text;
}

void error_put(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = error_format(fmt, args);
	va_end(args);
	free(err->message);
	err->kind = kind;
	err->message = text;
}

void error_put_errno(struct error *err, const char *fmt, ...)
{
	int saved = errno;
	auto_free char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = error_format(fmt, args);
	va_end(args);
	error_put(err, saved == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, "%s: %s", text,
		  strerror(saved));
}

void error_put_context(struct error *err, const char *fmt, ...)
{
	auto_free char *context = NULL;
	auto_free char *old = err->message;
	va_list args;

	va_start(args, fmt);
	context = error_format(fmt, args);
	va_end(args);
	err->message = alloc_format("%s: %s", context, old ? old : "unknown error");
}

const char *error_text(const struct error *err)
{
	return err->message ? err->message : "unknown error";
}

void error_release(struct error *err)
{
	free(err->message);
	*err = (struct error){0};
}

void error_take(struct error *to, struct error *from)
{
	free(to->message);
	*to = *from;
	*from = (struct error){0};
}
