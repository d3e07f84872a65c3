/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
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

/* Bytes of the UTF-8 character at p; 0: it is none. Overlong forms and surrogates do not matter
 * here: what a terminal makes of them is a replacement character. */
static size_t log_character(const unsigned char *p, uint32_t *ret)
{
	size_t len = *p >= 0xf0 && *p < 0xf8 ? 4 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xc2 ? 2 : 0;

	if (*p < 0x80) {
		*ret = *p;
		return 1;
	}
	if (len == 0 || *p >= 0xf8)
		return 0;
	*ret = *p & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*ret = *ret << 6 | (p[i] & 0x3f);
	}
	return len;
}

/* C0 and C1, and what turns the order of the characters around it. */
static bool log_is_control(uint32_t c)
{
	return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x61c ||
	       c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

void log_filter(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		uint32_t c = 0;
		size_t len = log_character(p, &c);

		if (len == 0 || log_is_control(c))
			memset(p, '?', len ? len : 1);
		p += len ? len : 1;
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
