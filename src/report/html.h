/* SPDX-License-Identifier: MIT */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "base/buffer.h"

/* Appends text so that it is text in HTML, in an attribute and in SVG: & < > " ' are escaped, bytes
 * that are no UTF-8 and control characters become U+FFFD. */
void html_text(struct buffer *out, const char *text);

/* Like buffer_format, but %s and all else is escaped by html_text; the format's own text, too. */
__attribute__((format(printf, 2, 3))) void html_format(struct buffer *out, const char *fmt, ...);

#endif
