/* SPDX-License-Identifier: MIT */
#include "lib/test.h"

#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	char name[512];
	char folder[512];
	unsigned tests, failed_tests, checks;
	bool open, failed;
} test;

static void test_bail(const char *what, const char *subject)
{
	printf("Bail out! %s '%s'\n", what, subject);
	exit(EXIT_FAILURE);
}

static void test_end(void)
{
	if (!test.open)
		return;
	if (test.checks == 0) {
		printf("# nothing was checked\n");
		test.failed = true;
	}
	test.tests++;
	test.failed_tests += test.failed;
	printf("%sok %u - %s\n", test.failed ? "not " : "", test.tests, test.name);
	fflush(stdout);
	test.open = false;
}

bool test_skipped_in_valgrind(void)
{
	if (!getenv("KR_VALGRIND"))
		return false;
	printf("ok %u - %s # SKIP in valgrind\n", ++test.tests, test.name);
	test.open = false;
	return true;
}

void test_begin(const char *fmt, ...)
{
	va_list args;

	test_end();
	va_start(args, fmt);
	vsnprintf(test.name, sizeof(test.name), fmt, args);
	va_end(args);
	/* a line end would break the protocol, a '#' would start a directive */
	for (char *c = test.name; *c; c++)
		if (*c == '\n' || *c == '\r' || *c == '#')
			*c = ' ';
	test.open = true;
	test.failed = false;
	test.checks = 0;
}

/* Counts a check; what follows a failed one is its explanation, every line behind a '#'. */
__attribute__((format(printf, 4, 5))) static bool test_report(bool held, const char *file, int line,
							      const char *fmt, ...)
{
	char text[8192];
	va_list args;

	if (!test.open)
		test_begin("checks before the first TEST");
	test.checks++;
	if (held)
		return true;
	test.failed = true;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* to stderr, which prove lets through */
	fprintf(stderr, "# %s:%d: ", file, line);
	for (const char *c = text; *c; c++) {
		fputc(*c, stderr);
		if (*c == '\n' && c[1])
			fputs("#   ", stderr);
	}
	fputc('\n', stderr);
	return false;
}

bool test_check(bool held, const char *file, int line, const char *what)
{
	return test_report(held, file, line, "does not hold: %s", what);
}

bool test_check_str(const char *got, const char *want, const char *file, int line, const char *what)
{
	bool held = got && want ? strcmp(got, want) == 0 : got == want;

	return test_report(held, file, line, "%s\n got: %s%s%s\nwant: %s%s%s", what, got ? "'" : "",
			   got ? got : "NULL", got ? "'" : "", want ? "'" : "",
			   want ? want : "NULL", want ? "'" : "");
}

bool test_check_mem(const void *got, size_t got_len, const void *want, size_t want_len,
		    const char *file, int line, const char *what)
{
	const unsigned char *a = got, *b = want;
	size_t at = 0;

	while (at < got_len && at < want_len && a[at] == b[at])
		at++;
	return test_report(at == got_len && at == want_len, file, line,
			   "%s: %zu bytes, want %zu; first difference at byte %zu\n got: '%.*s'\n"
			   "want: '%.*s'",
			   what, got_len, want_len, at,
			   (int)(got_len - at > 120 ? 120 : got_len - at),
			   got_len > at ? (const char *)a + at : "",
			   (int)(want_len - at > 120 ? 120 : want_len - at),
			   want_len > at ? (const char *)b + at : "");
}

bool test_check_int(intmax_t got, intmax_t want, const char *file, int line, const char *what)
{
	return test_report(got == want, file, line, "%s\n got: %jd\nwant: %jd", what, got, want);
}

bool test_check_ok(int got, struct error *err, const char *file, int line, const char *what)
{
	bool held = test_report(got == 0, file, line, "%s gave %d: %s", what, got, error_text(err));

	error_release(err);
	return held;
}

bool test_check_error(int got, struct error *err, enum error_kind kind, const char *text,
		      const char *file, int line, const char *what)
{
	bool held = got == -1 && err->kind == kind && strstr(error_text(err), text);

	held = test_report(held, file, line, "%s\n got: %d, kind %d, '%s'\nwant: -1, kind %d, '%s'",
			   what, got, (int)err->kind, error_text(err), (int)kind, text);
	error_release(err);
	return held;
}

const char *test_path(const char *relative)
{
	static char paths[4][4096];
	static unsigned next;
	const char *root = getenv("KR_SRCDIR");
	char *path = paths[next++ % 4];

	if (snprintf(path, sizeof(paths[0]), "%s/%s", root ? root : KR_SRCDIR, relative) >=
	    (int)sizeof(paths[0]))
		test_bail("path too long:", relative);
	return path;
}

static char *test_grow(char *text, size_t size)
{
	char *larger = realloc(text, size);

	if (!larger)
		test_bail("no memory for", "a file");
	return larger;
}

char *test_file(const char *relative, size_t *ret_len)
{
	FILE *file = fopen(test_path(relative), "rbe");
	size_t len = 0, size = 4096;
	char *text = test_grow(NULL, size);

	if (!file)
		test_bail("cannot read", relative);
	for (size_t got; (got = fread(text + len, 1, size - len - 1, file)) > 0;) {
		len += got;
		if (size - len >= 2)
			continue;
		size *= 2;
		text = test_grow(text, size);
	}
	if (ferror(file))
		test_bail("cannot read", relative);
	fclose(file);
	text[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return text;
}

void test_each_case(const char *module, void (*run)(const char *dir))
{
	struct dirent **entries;
	char relative[1024];
	int count, cases = 0;

	snprintf(relative, sizeof(relative), "tests/data/%s", module);
	count = scandir(test_path(relative), &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (entries[i]->d_type == DT_DIR && name[0] != '.') {
			snprintf(relative, sizeof(relative), "tests/data/%s/%s", module, name);
			test_begin("%s: %s", module, name);
			run(relative);
			cases++;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (cases == 0)
		test_bail("no case in tests/data/", module);
}

const char *test_folder(void)
{
	const char *parent = getenv("TMPDIR");

	if (test.folder[0])
		return test.folder;
	snprintf(test.folder, sizeof(test.folder), "%s/kr-test-XXXXXX", parent ? parent : "/tmp");
	if (!mkdtemp(test.folder))
		test_bail("cannot make", test.folder);
	return test.folder;
}

static int test_remove(const char *path, const struct stat *info, int type, struct FTW *at)
{
	(void)info;
	(void)type;
	(void)at;
	return remove(path);
}

int test_done(void)
{
	test_end();
	if (test.folder[0])
		nftw(test.folder, test_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	printf("1..%u\n", test.tests);
	return test.failed_tests || test.tests == 0;
}
