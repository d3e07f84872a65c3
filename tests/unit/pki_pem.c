/* SPDX-License-Identifier: MIT */
#include "pki/pem.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"

static void test_read(void)
{
	static const struct {
		const char *text;
		const char *label; /* NULL: an error, or no block */
		const char *bytes;
		const char *error; /* NULL: none */
	} rows[] = {
		{"-----BEGIN A-----\nAQID\n-----END A-----\n", "A", "\1\2\3", NULL},
		{"-----BEGIN A-----\r\nAQI=\r\n-----END A-----\r\n", "A", "\1\2", NULL},
		{"-----BEGIN A-----\nAQ==\n-----END A-----", "A", "\1", NULL},
		{"text\n\n-----BEGIN B C-----\nAQ\nID\n-----END B C-----\n", "B C", "\1\2\3", NULL},
		{"-----BEGIN A-----\nKey: value\n\nAQID\n-----END A-----\n", "A", "\1\2\3", NULL},
		{"-----BEGIN A-----\n-----END A-----\n", "A", "", NULL},
		{"", NULL, NULL, NULL},
		{"no block at all\n", NULL, NULL, NULL},
		{"x\n-----BEGIN A-----\nAQID\n", NULL, NULL,
		 "f:2:1: the block that begins here has no END"},
		{"-----BEGIN A-----\nAQ*D\n-----END A-----\n", NULL, NULL,
		 "f:2:3: not a base64 character"},
		{"-----BEGIN A-----\nAQID\n  A\1QI\n-----END A-----\n", NULL, NULL,
		 "f:3:4: not a base64"},
		{"-----BEGIN A-----\nAQI\n-----END A-----\n", NULL, NULL,
		 "f:3:1: base64 is cut short"},
		{"-----BEGIN A-----\nAQ=D\n-----END A-----\n", NULL, NULL, "f:2:4: not a base64"},
		{"-----BEGIN A-----\nA===\n-----END A-----\n", NULL, NULL, "f:2:2: not a base64"},
		{"-----BEGIN A-----\nAQI=AQI=\n-----END A-----\n", NULL, NULL,
		 "f:2:5: not a base64"},
		{"-----BEGIN A-----\nAQID\n-----END B-----\n", NULL, NULL,
		 "f:3:1: END of another block than the BEGIN in line 1"},
		{"-----BEGIN A-----\n-----BEGIN A-----\nAQID\n-----END A-----\n", NULL, NULL,
		 "f:2:1: not a base64"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pki_pem_reader reader = {.rest = slice_of(rows[i].text), .name = "f"};
		auto_pki_pem struct pki_pem_block block = {0};
		auto_error struct error err = {0};
		auto_free char *label = NULL;
		bool found = false;

		TEST("pem row %zu", i);
		if (rows[i].error) {
			CHECK_ERROR(pki_pem_next(&reader, &block, &found, &err), &err, ERROR_PARSE,
				    rows[i].error);
			continue;
		}
		if (!CHECK_OK(pki_pem_next(&reader, &block, &found, &err), &err))
			continue;
		CHECK_INT(found, rows[i].label != NULL);
		if (!found || !rows[i].label)
			continue;
		label = slice_dup(block.label);
		CHECK_STR(label, rows[i].label);
		CHECK_MEM(block.bytes.ptr, block.bytes.len, rows[i].bytes, strlen(rows[i].bytes));
	}
}

static void test_several(void)
{
	const char *text = "-----BEGIN A-----\nAQID\n-----END A-----\n"
			   "-----BEGIN B-----\nBAUG\n-----END B-----\n";
	auto_pki_pem struct pki_pem_block block = {0};
	auto_error struct error err = {0};

	TEST("the block with a label is found behind others");
	CHECK_OK(pki_pem_find(slice_of(text), "f", "B", &block, &err), &err);
	CHECK_MEM(block.bytes.ptr, block.bytes.len, "\4\5\6", 3);
	CHECK_INT(block.line, 4);
	CHECK_ERROR(pki_pem_find(slice_of(text), "f", "C", &block, &err), &err, ERROR_PARSE,
		    "f:1:1: no 'C' in it");

	TEST("an encrypted block says so");
	CHECK_OK(pki_pem_find(slice_of("-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n"
				       "DEK-Info: AES-128-CBC,00\n\nAQID\n-----END A-----\n"),
			      "f", "A", &block, &err),
		 &err);
	CHECK(block.encrypted);
}

static void test_round_trip(void)
{
	unsigned char bytes[200];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		auto_buffer struct buffer pem = {0};
		auto_pki_pem struct pki_pem_block block = {0};
		auto_error struct error err = {0};
		const char *line;

		TEST("%zu bytes come back", len);
		pki_pem_append(&pem, "X", (struct slice){(const char *)bytes, len});
		if (!CHECK_OK(pki_pem_find(buffer_as_slice(&pem), "f", "X", &block, &err), &err))
			continue;
		CHECK_MEM(block.bytes.ptr, block.bytes.len, bytes, len);
		/* RFC 7468: lines of exactly 64 but for the last */
		line = strchr(buffer_cstr(&pem), '\n') + 1;
		CHECK_INT(strcspn(line, "\n"), len >= 48 ? 64
					       : len	 ? (len + 2) / 3 * 4
							 : strlen("-----END X-----"));
	}
}

static void test_base64(void)
{
	static const struct {
		const char *text;
		const char *bytes; /* NULL: none */
	} rows[] = {
		{"AQID", "\1\2\3"}, {"AQ\nID\n", "\1\2\3"}, {"", ""},	   {"AQ==", "\1"},
		{"AQ", NULL},	    {"A Q==", NULL},	    {"AQ=", NULL}, {"AQ==AQ==", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_secret struct secret bytes = {0};

		TEST("base64 '%s'", rows[i].text);
		CHECK_INT(pki_base64_decode(slice_of(rows[i].text), &bytes), rows[i].bytes != NULL);
		if (rows[i].bytes)
			CHECK_MEM(bytes.ptr, bytes.len, rows[i].bytes, strlen(rows[i].bytes));
	}
}

int main(void)
{
	test_read();
	test_several();
	test_round_trip();
	test_base64();
	return test_done();
}
