/* SPDX-License-Identifier: MIT */
#include "cmd/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"

void print_text(const char *fmt, ...)
{
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	if (text.ptr)
		log_filter(text.ptr);
	fputs(buffer_cstr(&text), stdout);
}

/* The length of the colour that stands there; 0: none of ours. */
static size_t print_colour(const char *text)
{
	static const char *const colours[] = {"\033[0m",  "\033[1m",  "\033[31m",
					      "\033[32m", "\033[33m", "\033[36m"};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		size_t len = strlen(colours[i]);

		if (strncmp(text, colours[i], len) == 0)
			return len;
	}
	return 0;
}

static void print_filter(char *text, bool painted)
{
	while (*text) {
		char *end = painted ? strchr(text, '\033') : NULL;

		if (!end) {
			log_filter(text);
			return;
		}
		*end = '\0';
		log_filter(text);
		*end = '\033';
		text = end + print_colour(end);
		if (text == end)
			*text = '?';
	}
}

void print_out(const struct session *session, struct buffer *out)
{
	if (out->ptr && session->output != SESSION_JSON && session->output != SESSION_YAML)
		print_filter(out->ptr, session->colour);
	fwrite(buffer_cstr(out), 1, out->len, stdout);
}
