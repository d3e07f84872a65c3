/* SPDX-License-Identifier: MIT */
#include "lab/patch.h"
#include "lab/selector.h"
#include "lib/test.h"
#include "text/json.h"

static json_t *parse(const char *text)
{
	auto_error struct error err = {0};

	return json_parse(slice_of(text), "row", &err);
}

static void test_merge(void)
{
	/* from the table of RFC 7396, appendix A */
	static const char *const rows[][3] = {
		{"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
		{"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
		{"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
		{"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		 "{\"a\":{\"b\":\"d\"}}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *target = parse(rows[i][0]);
		auto_json json_t *patch = parse(rows[i][1]);
		auto_free char *got = NULL;

		TEST("merge %s into %s", rows[i][1], rows[i][0]);
		patch_merge(target, patch);
		got = json_print(target);
		CHECK_STR(got, rows[i][2]);
	}
}

static void test_steps(void)
{
	static const struct {
		const char *target;
		const char *steps;
		const char *want; /* or what does not fit */
	} rows[] = {
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}"},
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]", "test"},
		{"{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]",
		 "{\"a\":[1,2,3]}"},
		{"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":2}]",
		 "{\"a\":[1,2]}"},
		{"{\"a\":{\"b/c\":1}}", "[{\"op\":\"remove\",\"path\":\"/a/b~1c\"}]", "{\"a\":{}}"},
		{"{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]", "path"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *target = parse(rows[i].target);
		auto_json json_t *steps = parse(rows[i].steps);
		const char *problem = patch_steps(target, steps, false);
		auto_free char *got = json_print(target);

		TEST("steps %s", rows[i].steps);
		CHECK_STR(problem ? problem : got, rows[i].want);
	}
}

static void test_labels(void)
{
	static const struct {
		const char *selector;
		bool want;
	} rows[] = {
		{"", true},
		{"app=web", true},
		{"app==web", true},
		{"app=other", false},
		{"app!=other", true},
		{"example.com/x", true},
		{"!example.com/x", false},
		{"!missing", true},
		{"missing", false},
		{"app=web,missing", false},
		{"app in (other,web)", true},
		{"app notin (other,web)", false},
		{"app in (other),example.com/x", false},
	};
	auto_json json_t *labels = parse("{\"app\":\"web\",\"example.com/x\":\"\"}");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("label selector '%s'", rows[i].selector);
		CHECK_INT(selector_labels(rows[i].selector, labels), rows[i].want);
	}
	TEST("field selectors name paths");
	CHECK(selector_fields("app=web", labels));
	CHECK(!selector_fields("app=web,x=y", labels));
}

int main(void)
{
	test_merge();
	test_steps();
	test_labels();
	return test_done();
}
