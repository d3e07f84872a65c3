/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include "base/alloc.h"
#include "base/cleanup.h"

#define HTML_REPLACEMENT "\xef\xbf\xbd"

/* How many bytes the UTF-8 character at `text` has; 0 when it is none (overlong, surrogate, cut). */
static size_t html_character(const unsigned char *text)
{
	size_t len = text[0] < 0x80   ? 1
		     : text[0] < 0xc2 ? 0
		     : text[0] < 0xe0 ? 2
		     : text[0] < 0xf0 ? 3
				      : 4;

	if (text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
		return 0;
	return len;
}

static const char *html_entity(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void html_text(struct buffer *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t len = html_character(p);
		const char *entity = html_entity(*p);
		bool control = (*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f ||
			       (*p == 0xc2 && len == 2 && p[1] < 0xa0);

		if (entity)
			buffer_text(out, entity);
		else if (len == 0 || control)
			buffer_text(out, HTML_REPLACEMENT);
		else
			buffer_append(out, p, len);
		p += len ? len : 1;
	}
}

void html_format(struct buffer *out, const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = alloc_vformat(fmt, args);
	va_end(args);
	html_text(out, text);
}
