/* SPDX-License-Identifier: MIT */
#include "scan/matcher.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/test.h"

static struct scan_matcher matcher(const char *ranges)
{
	struct net_cidr_list list = {0};
	struct scan_matcher m;
	auto_error struct error err = {0};

	CHECK_OK(net_cidr_list_parse(slice_of(ranges), &list, &err), &err);
	scan_matcher_init(&m, &list);
	return m;
}

/* "OFFSET:TEXT …" of all matches; a dashed one has a '~' before it. */
static void found(const struct scan_matcher *m, struct slice text, struct buffer *ret)
{
	struct scan_cursor c;
	struct scan_match match;

	scan_cursor_start(&c, m, text);
	while (scan_cursor_next(&c, &match))
		buffer_format(ret, "%s%s%zu:%.*s", ret->len > 0 ? " " : "",
			      match.form == SCAN_DASHED ? "~" : "", match.offset, (int)match.len,
			      text.ptr + match.offset);
}

static const struct {
	const char *ranges, *text, *want;
} rows[] = {
	{"10.96.0.0/16", "10.96.0.1", "0:10.96.0.1"},
	{"10.96.0.0/16", "x 10.96.0.1, 10.96.255.255;10.97.0.1 10.95.0.1",
	 "2:10.96.0.1 13:10.96.255.255"},
	{"10.96.0.0/16", "110.96.0.12 10.96.0.1.2 1.10.96.0.1 10.96.0.256 10.96.0 10.96.0.", ""},
	{"10.96.0.0/16", "v10.96.0.1 a10.96.0.1 10.96.0.1b 10.96.0.01 10.96.00.1 10.096.0.1", ""},
	{"10.96.0.0/16", "10.96.0.1234 10.96.0000.1", ""},
	{"10.96.0.0/16", "https://10.96.0.1:443/api 10.96.0.1:443 (10.96.0.1)",
	 "8:10.96.0.1 26:10.96.0.1 41:10.96.0.1"},
	{"10.96.0.0/16", "10.96.0.1.nip.io a.10.96.0.1.nip.io 10.96.0.1. End",
	 "0:10.96.0.1 19:10.96.0.1 36:10.96.0.1"},
	{"10.96.0.0/16", "10.96.0.0/16 10.96.4.0/24 10.96.0.1/32 10.96.0.0/12 10.0.0.0/8",
	 "0:10.96.0.0/16 13:10.96.4.0/24 26:10.96.0.1/32 39:10.96.0.0/12"},
	{"10.96.0.0/16", "10.96.0.1/33 10.96.0.1/x 10.96.0.1/16a 10.96.0.1/16.2 10.96.0.1/",
	 "0:10.96.0.1 13:10.96.0.1 25:10.96.0.1 39:10.96.0.1 54:10.96.0.1"},
	{"10.96.0.0/16", "10.96.0.1-10.96.0.9", "0:10.96.0.1 10:10.96.0.9"},
	{"10.96.0.0/16", "{\"a\":\"x\\n10.96.0.1\\t10.96.0.2\\u003d10.96.0.3\"}",
	 "9:10.96.0.1 20:10.96.0.2 35:10.96.0.3"},
	{"10.96.0.0/16", "\\\\n10.96.0.1", ""},
	{"10.96.0.0/16", "a%2F10.96.0.1%3A443", "4:10.96.0.1"},
	{"10.96.0.0/16",
	 "ip-10-96-0-1 10-96-0-1.ns.pod 2010-96-0-1 10-96-0-1-2 10-96.0-1 x10-96-0-1",
	 "~3:10-96-0-1 ~13:10-96-0-1"},
	{"10.96.0.0/16", "NO_PROXY=10.96.0.0/16,.svc\nHOST=10.96.0.1\r\n",
	 "9:10.96.0.0/16 32:10.96.0.1"},
	{"10.96.0.0/16", "user@10.96.0.1 [10.96.0.1] '10.96.0.1' _10.96.0.1_",
	 "5:10.96.0.1 16:10.96.0.1 28:10.96.0.1 40:10.96.0.1"},
	{"10.96.0.0/12", "10.95.0.1 10.96.0.1 10.111.255.255 10.112.0.0",
	 "10:10.96.0.1 20:10.111.255.255"},
	{"172.20.0.0/14", "172.19.9.9 172.23.9.9", "11:172.23.9.9"},
	{"10.96.4.0/24", "10.96.4.1 10.96.5.1 10.96.40.1", "0:10.96.4.1"},
	{"10.96.4.7/32", "10.96.4.7 10.96.4.70 10.96.4.8", "0:10.96.4.7"},
	{"0.0.0.0/0", "1.2.3.4 x 255.255.255.255 1.2.3.4.5", "0:1.2.3.4 10:255.255.255.255"},
	{"fd00:10:96::/112",
	 "fd00:10:96::1 [FD00:10:96::a]:443 fd00:0010:0096:0:0:0:0:5 fd00:10:97::1",
	 "0:fd00:10:96::1 15:FD00:10:96::a 34:fd00:0010:0096:0:0:0:0:5"},
	{"fd00:10:96::/112", "fd00:10:96::/112 fd00:10:96::1/128 fd00:10:96::8. fd00:10:96::9:",
	 "0:fd00:10:96::/112 17:fd00:10:96::1/128 35:fd00:10:96::8 50:fd00:10:96::9"},
	{"fd00:10:96::/112", "1:fd00:10:96::1 afd00:10:96::1 fd00:10:96::1g fd00:10:96::12345", ""},
	{"fd:10:96::/112", "fd:10:96::1 00fd:10:96::1 addr:fd:10:96::2",
	 "0:fd:10:96::1 12:00fd:10:96::1 31:fd:10:96::2"},
	{"::/64", "::1 0:0:0:0::9", "0:::1 4:0:0:0:0::9"},
	{"10.96.0.0/16,fd00::/112", "fd00::1 10.96.0.1 fd00::2 10.96.0.2",
	 "0:fd00::1 8:10.96.0.1 18:fd00::2 26:10.96.0.2"},
	{"10.96.0.0/16", "", ""},
	{"10.96.0.0/16", "1", ""},
	{"10.96.0.0/16", "10.96.", ""},
};

static void test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scan_matcher m;
		auto_buffer struct buffer got = {0};

		TEST("%s in '%s'", rows[i].ranges, rows[i].text);
		m = matcher(rows[i].ranges);
		found(&m, slice_of(rows[i].text), &got);
		CHECK_STR(buffer_cstr(&got), rows[i].want);
	}
}

/* Every place relative to the blocks of the search, in an exact piece of memory. */
static void test_places(void)
{
	struct scan_matcher m;
	size_t wrong = 0;

	TEST("an address in every place of some blocks");
	m = matcher("10.96.0.0/16");
	for (size_t len = 9; len < 260; len++) {
		for (size_t at = 0; at + 9 <= len; at += 1 + len / 40) {
			auto_free char *text = alloc_bytes(len);
			struct scan_cursor c;
			struct scan_match match = {0};

			memset(text, '-', len);
			memcpy(text + at, "10.96.7.8", 9);
			scan_cursor_start(&c, &m, (struct slice){text, len});
			wrong += !scan_cursor_next(&c, &match) || match.offset != at ||
				 match.len != 9 || scan_cursor_next(&c, &match);
		}
	}
	CHECK_INT(wrong, 0);
}

/* All bytes: what is in the range is found once, whatever stands around. */
static void test_bytes(void)
{
	struct scan_matcher m;
	size_t with_word = 0, without = 0;

	TEST("every byte before and behind");
	m = matcher("10.96.0.0/16");
	for (int c = 0; c < 256; c++) {
		bool word =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		char text[] = "  .10.96.7.8. ";
		struct scan_cursor cursor;
		struct scan_match match;

		text[2] = (char)c;
		text[12] = (char)c;
		scan_cursor_start(&cursor, &m, (struct slice){text, sizeof(text) - 1});
		if (scan_cursor_next(&cursor, &match))
			with_word += word;
		else
			without += !word;
	}
	CHECK_INT(with_word, 0);
	CHECK_INT(without, 0);
}

int main(void)
{
	test_rows();
	test_places();
	test_bytes();
	return test_done();
}
