/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include "lib/test.h"

static const struct {
	const char *what;
	const char *text;
	const char *html;
} rows[] = {
	{"plain text", "a step, 10.96.0.1:443", "a step, 10.96.0.1:443"},
	{"nothing", "", ""},
	{"a tag", "<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"},
	{"the end of an attribute", "\" onload=\"x", "&quot; onload=&quot;x"},
	{"an entity", "&lt;", "&amp;lt;"},
	{"UTF-8", "ä … 漢 😀", "ä … 漢 😀"},
	{"control characters", "a\x01\x1b[31m\x7f", "a\xef\xbf\xbd\xef\xbf\xbd[31m\xef\xbf\xbd"},
	{"a C1 control", "\xc2\x9b", "\xef\xbf\xbd"},
	{"line feed and tab", "a\n\tb", "a\n\tb"},
	{"a byte that is no UTF-8", "\xff<", "\xef\xbf\xbd&lt;"},
	{"an overlong <", "\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},
	{"an overlong <, three bytes", "\xe0\x80\xbc", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"a surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"a character that is cut, then a tag", "\xe6\xbc<b>", "\xef\xbf\xbd\xef\xbf\xbd&lt;b&gt;"},
	{"a character cut by the end", "\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
};

int main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buffer struct buffer out = {0};

		TEST("%s", rows[i].what);
		html_text(&out, rows[i].text);
		CHECK_STR(buffer_cstr(&out), rows[i].html);
	}
	TEST("what a format puts in is escaped, too");
	{
		auto_buffer struct buffer out = {0};

		html_format(&out, "%s: %d", "<b>", 5);
		CHECK_STR(buffer_cstr(&out), "&lt;b&gt;: 5");
	}
	return test_done();
}
