/* SPDX-License-Identifier: MIT */
#include "text/manifest.h"

#include <stdlib.h>

#include "lib/edit_case.h"
#include "lib/test.h"

/* set PROGRAM FLAG VALUE, remove PROGRAM FLAG, is PROGRAM FLAG VALUE, none PROGRAM FLAG */
static int apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		 struct error *err)
{
	const char *verb = line->words[0], *program = line->words[1], *flag = line->words[2];
	auto_free char *value = NULL;

	if (strcmp(verb, "set") == 0)
		return manifest_flag_set("input", text, program, flag, line->words[3], ret, err);
	if (strcmp(verb, "remove") == 0)
		return manifest_flag_remove("input", text, program, flag, ret, err);
	if (manifest_flag_get("input", text, program, flag, &value, err) < 0)
		return -1;
	if (strcmp(verb, "is") == 0)
		CHECK_STR(value, line->words[3]);
	else if (strcmp(verb, "none") == 0)
		CHECK(value == NULL);
	else
		CHECK_STR(verb, "a verb");
	buffer_slice(ret, text);
	return 0;
}

static void run_case(const char *dir)
{
	edit_case_run(dir, apply, true);
}

static void test_read(void)
{
	static const char text[] = "spec:\n"
				   "  containers:\n"
				   "  - name: sidecar\n"
				   "    command: [sleep, --v=1]\n"
				   "  - name: api\n"
				   "    command: [/usr/bin/kube-apiserver]\n"
				   "    args: [--a_b=1, --c, two, -v, '3', --last, --a-b=x=y]\n";
	auto_error struct error err = {0};
	auto_manifest_flags struct manifest_flags flags = {0};

	TEST("all flags of a program, in whatever form");
	if (!CHECK_OK(manifest_flags_read(&flags, "m", slice_of(text), "kube-apiserver", &err),
		      &err))
		return;
	CHECK_INT(flags.count, 5);
	CHECK_STR(manifest_flags_get(&flags, "a-b"), "x=y");
	CHECK_STR(manifest_flags_get(&flags, "a_b"), "x=y");
	CHECK_STR(manifest_flags_get(&flags, "c"), "two");
	CHECK_STR(manifest_flags_get(&flags, "v"), "3");
	CHECK_STR(manifest_flags_get(&flags, "last"), "");
	CHECK(manifest_flags_has(&flags, "last"));
	CHECK(!manifest_flags_has(&flags, "two"));
	CHECK(manifest_flags_get(&flags, "sleep") == NULL);
	CHECK_STR(flags.items[0].name, "a-b");
	CHECK_INT(flags.items[0].line, 7);
}

static void test_errors(void)
{
	static const struct {
		const char *text, *message;
		enum error_kind kind;
	} rows[] = {
		{"spec:\n  containers:\n  - name: x\n    command: [sleep]\n",
		 "m: no container runs 'kube-apiserver'", ERROR_NOT_FOUND},
		{"", "no container", ERROR_NOT_FOUND},
		{"[]", "no container", ERROR_NOT_FOUND},
		{"spec: {containers: [{}, 7, [x]]}", "no container", ERROR_NOT_FOUND},
		{"spec:\n containers:\n  - command: [sh, -c, 'exec kube-apiserver --a=b >x']\n",
		 "m:3:5: 'kube-apiserver' is started through a shell", ERROR_PARSE},
		{"spec: [\n", "m:", ERROR_PARSE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_free char *value = NULL;

		TEST("manifest without readable flags %zu", i);
		CHECK_ERROR(manifest_flag_get("m", slice_of(rows[i].text), "kube-apiserver", "a",
					      &value, &err),
			    &err, rows[i].kind, rows[i].message);
	}
}

int main(void)
{
	test_read();
	test_errors();
	test_each_case("manifest", run_case);
	return test_done();
}
