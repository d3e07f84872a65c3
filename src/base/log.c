/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"

static struct log_options log_settings;
static void (*log_before_function)(void *data);
static void *log_before_data;

static const struct {
	const char *name;
	const char *prefix;
	const char *colour;
} log_levels[] = {
	[LOG_DEBUG] = {"debug", "debug: ", "\033[2m"},
	[LOG_INFO] = {"info", "", ""},
	[LOG_WARNING] = {"warning", "warning: ", "\033[33m"},
	[LOG_ERROR] = {"error", "error: ", "\033[31m"},
};

void log_configure(const struct log_options *options)
{
	log_settings = *options;
}

void log_before(void (*function)(void *data), void *data)
{
	log_before_function = function;
	log_before_data = data;
}

bool log_is_verbose(void)
{
	return log_settings.verbose;
}

void log_filter(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		/* U+0080 to U+009F are control characters too: C2 80 to C2 9F in UTF-8. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
		else if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
	}
}

static void log_json(enum log_level level, const char *text)
{
	auto_free char *when = clock_format(clock_wall_s());
	auto_buffer struct buffer line = {0};

	buffer_format(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", when,
		      log_levels[level].name);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buffer_format(&line, "\\%c", *p);
		else if ((unsigned char)*p < 0x20)
			buffer_format(&line, "\\u%04x", (unsigned int)(unsigned char)*p);
		else
			buffer_char(&line, *p);
	}
	buffer_text(&line, "\"}\n");
	fputs(buffer_cstr(&line), stderr);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	auto_buffer struct buffer text = {0};
	const char *colour = log_levels[level].colour;
	bool paint = log_settings.colour && *colour;
	va_list args;

	if (level == LOG_DEBUG && !log_settings.verbose)
		return;
	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	if (text.ptr)
		log_filter(text.ptr);
	if (log_before_function)
		log_before_function(log_before_data);
	if (log_settings.json)
		log_json(level, buffer_cstr(&text));
	else
		fprintf(stderr, "%s%s%s%s\n", paint ? colour : "", log_levels[level].prefix,
			buffer_cstr(&text), paint ? "\033[0m" : "");
}
