/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>

#include "lib/test.h"

static int fail_with(int number, struct error *err)
{
	errno = number;
	return error_errno(err, "cannot open '%s'", "/a");
}

static void test_errno(void)
{
	static const struct {
		int number;
		enum error_kind kind;
		const char *message;
	} rows[] = {
		{ENOENT, ERROR_NOT_FOUND, "cannot open '/a': No such file or directory"},
		{EACCES, ERROR_IO, "cannot open '/a': Permission denied"},
		{EIO, ERROR_IO, "cannot open '/a': Input/output error"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};

		TEST("errno %d", rows[i].number);
		CHECK_ERROR(fail_with(rows[i].number, &err), &err, rows[i].kind, rows[i].message);
	}
}

static void test_wrap(void)
{
	auto_error struct error err = {0};
	auto_error struct error other = {0};

	TEST("an unset error has an empty text");
	CHECK_INT(err.kind, ERROR_NONE);
	CHECK_STR(error_text(&err), error_text(&other));

	TEST("setting replaces, wrapping keeps the kind");
	CHECK_INT(error_set(&err, ERROR_PARSE, "first"), -1);
	CHECK_INT(error_set(&err, ERROR_CONFLICT, "version %d", 7), -1);
	CHECK_INT(error_wrap(&err, "patching '%s'", "dns"), -1);
	CHECK_INT(err.kind, ERROR_CONFLICT);
	CHECK_STR(error_text(&err), "patching 'dns': version 7");

	TEST("moving leaves nothing behind");
	CHECK_INT(error_set(&other, ERROR_IO, "old"), -1);
	CHECK_INT(error_move(&other, &err), -1);
	CHECK_INT(err.kind, ERROR_NONE);
	CHECK_INT(other.kind, ERROR_CONFLICT);
	CHECK_STR(error_text(&other), "patching 'dns': version 7");
}

int main(void)
{
	test_errno();
	test_wrap();
	return test_done();
}
