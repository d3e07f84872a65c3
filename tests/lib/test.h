/* SPDX-License-Identifier: MIT */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Unit tests that print TAP. Calling sequence:
 *
 *	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
 *		TEST("cidr '%s'", rows[i].text);
 *		CHECK_INT(cidr_bits(rows[i].text), rows[i].bits);
 *	}
 *	return test_done();
 *
 * A test lasts from its TEST to the next one; it is ok when it checked something and every check
 * held. Each check gives whether it held, so that `if (!CHECK(list)) return;` is possible. Values
 * come first, expectations second; both are printed with file and line when they differ.
 */
#define TEST(...) test_begin(__VA_ARGS__)
#define CHECK(cond) test_check((cond), __FILE__, __LINE__, #cond)
#define CHECK_STR(got, want) test_check_str((got), (want), __FILE__, __LINE__, #got)
#define CHECK_MEM(got, got_len, want, want_len) \
	test_check_mem((got), (got_len), (want), (want_len), __FILE__, __LINE__, #got)
#define CHECK_INT(got, want) \
	test_check_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, #got)
/* expr (an int) is 0; err is printed when it is not, and released. */
#define CHECK_OK(expr, err) test_check_ok((expr), (err), __FILE__, __LINE__, #expr)
/* expr (an int) is -1 with an error of this kind whose message contains the text; err is released. */
#define CHECK_ERROR(expr, err, kind, text) \
	test_check_error((expr), (err), (kind), (text), __FILE__, __LINE__, #expr)

/* Ends the test that was begun as skipped when this process runs in valgrind (KR_VALGRIND); true
 * then. For what goes wrong there for valgrind's own reasons: time, exec that fails. */
bool test_skipped_in_valgrind(void);

__attribute__((format(printf, 1, 2))) void test_begin(const char *fmt, ...);
bool test_check(bool held, const char *file, int line, const char *what);
bool test_check_str(const char *got, const char *want, const char *file, int line,
		    const char *what);
bool test_check_mem(const void *got, size_t got_len, const void *want, size_t want_len,
		    const char *file, int line, const char *what);
bool test_check_int(intmax_t got, intmax_t want, const char *file, int line, const char *what);
bool test_check_ok(int got, struct error *err, const char *file, int line, const char *what);
bool test_check_error(int got, struct error *err, enum error_kind kind, const char *text,
		      const char *file, int line, const char *what);

/* The path of a file of the source tree: $KR_SRCDIR, or where the test was compiled. Valid until
 * the fourth call after this one. */
const char *test_path(const char *relative);

/* The content of a file of the source tree, NUL-terminated, for the caller to free; ret_len may
 * be NULL. Ends the test program when the file cannot be read. */
char *test_file(const char *relative, size_t *ret_len);

/* Begins a test for every folder in tests/data/MODULE, in order of name, and calls run with its
 * path ("tests/data/MODULE/CASE") for test_file(). Having no case at all is a failure. */
void test_each_case(const char *module, void (*run)(const char *dir));

/* A fresh empty folder under $TMPDIR or /tmp; it is removed with its content by test_done(). */
const char *test_folder(void);

/* Prints the plan; the exit status for main. */
int test_done(void);

#endif
