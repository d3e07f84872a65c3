/* SPDX-License-Identifier: MIT */
#include "text/yaml.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "lib/edit_case.h"
#include "lib/test.h"

/* ---- data: set PATH TEXT, add PATH TEXT, pair PATH NAME VALUE, key PATH KEY TEXT,
 * fill PATH list|map WORD…, remove PATH ---- */

static int fill(struct yaml *y, const struct yaml_node *node, const struct edit_line *line,
		struct error *err)
{
	struct yaml_value items[EDIT_WORDS] = {0}, whole = {.kind = YAML_SEQUENCE, .items = items};

	if (strcmp(line->words[2], "map") == 0)
		whole.kind = YAML_MAPPING;
	for (size_t i = 3; i < line->count; i++) {
		struct yaml_value *item = &items[whole.count++];

		item->kind = YAML_SCALAR;
		if (whole.kind == YAML_MAPPING)
			item->key = line->words[i++];
		item->text = line->words[i];
	}
	return yaml_fill(y, node, &whole, err);
}

static int edit(struct yaml *y, const struct edit_line *line, struct error *err)
{
	const struct yaml_node *node = yaml_path(yaml_root(y), line->words[1]);
	const char *verb = line->words[0];
	const struct yaml_value pair[] = {
		{.kind = YAML_SCALAR, .key = "name", .text = line->words[2]},
		{.kind = YAML_SCALAR, .key = "value", .text = line->words[2] ? line->words[3] : ""},
	};
	const struct yaml_value scalar = {.kind = YAML_SCALAR, .text = line->words[2]};
	const struct yaml_value map = {.kind = YAML_MAPPING, .items = pair, .count = 2};
	const struct yaml_value entry = {.kind = YAML_SCALAR,
					 .key = line->words[2],
					 .text = line->words[2] ? line->words[3] : ""};

	if (!node && strcmp(line->words[1], ".") == 0)
		node = yaml_root(y);
	if (!node)
		return error_set(err, ERROR_NOT_FOUND, "no '%s'", line->words[1]);
	if (strcmp(verb, "set") == 0)
		return yaml_set(y, node, line->words[2], err);
	if (strcmp(verb, "add") == 0)
		return yaml_add(y, node, &scalar, err);
	if (strcmp(verb, "pair") == 0)
		return yaml_add(y, node, &map, err);
	if (strcmp(verb, "key") == 0)
		return yaml_add(y, node, &entry, err);
	if (strcmp(verb, "fill") == 0)
		return fill(y, node, line, err);
	if (strcmp(verb, "remove") == 0)
		return yaml_remove(y, node, err);
	return error_set(err, ERROR_USAGE, "no verb '%s'", verb);
}

static int apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		 struct error *err)
{
	auto_yaml struct yaml y = {0};

	if (yaml_parse(&y, "input", text, err) < 0 || edit(&y, line, err) < 0)
		return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

static void run_case(const char *dir)
{
	edit_case_run(dir, apply, false);
}

/* ---- positions ---- */

/* What stands at a node's span, or what it says of its place when `shown` is true. */
static void check_span(const struct yaml *y, const char *path, const char *want, unsigned int line,
		       unsigned int column)
{
	const struct yaml_node *n = yaml_path(yaml_root(y), path);
	auto_buffer struct buffer where = {0};

	if (!CHECK(n != NULL))
		return;
	CHECK_MEM(yaml_text(y).ptr + n->start, n->end - n->start, want, strlen(want));
	CHECK_INT(n->line, line);
	CHECK_INT(n->column, column);
	yaml_describe(n, &where);
	CHECK_STR(buffer_cstr(&where), path);
}

static void test_spans(void)
{
	static const char text[] = "# \xc3\xa9\xc3\xa9 comment\n"
				   "---\n"
				   "a: \"\xc3\xa9x\"  # \xe2\x82\xac\n"
				   "b: &x\n"
				   "- plain word # c\n"
				   "- 'it''s'\n"
				   "-   k: v\n"
				   "    q: |\n"
				   "      one\n"
				   "      two\n"
				   "c: {d: [1, \"two\", *x], e: }\n"
				   "f:\n"
				   "\xc3\xbc: 7\n";
	static const struct {
		const char *path, *want;
		unsigned int line, column;
	} rows[] = {
		{"a", "\"\xc3\xa9x\"", 3, 4},
		{"b[0]", "plain word", 5, 3},
		{"b[1]", "'it''s'", 6, 3},
		{"b[2].k", "v", 7, 8},
		{"b[2].q", "      one\n      two\n", 9, 1},
		{"c", "{d: [1, \"two\", *x], e: }", 11, 4},
		{"c.d[1]", "\"two\"", 11, 12},
		{"c.d[2]", "*x", 11, 19},
		{"c.e", "", 11, 26},
		{"f", "", 12, 3},
		{"\xc3\xbc", "7", 13, 5},
	};
	auto_error struct error err = {0};
	auto_yaml struct yaml y = {0};

	TEST("parsing with text of several bytes a character");
	CHECK_OK(yaml_parse(&y, "t", slice_of(text), &err), &err);
	CHECK_STR(yaml_string(yaml_path(yaml_root(&y), "a")), "\xc3\xa9x");
	CHECK_STR(yaml_string(yaml_path(yaml_root(&y), "b[1]")), "it's");
	CHECK_STR(yaml_string(yaml_path(yaml_root(&y), "b[2].q")), "one\ntwo\n");
	CHECK(yaml_is_null(yaml_path(yaml_root(&y), "f")));
	CHECK(yaml_path(yaml_root(&y), "b[3]") == NULL);
	CHECK(yaml_path(yaml_root(&y), "c.d[1].x") == NULL);
	CHECK(yaml_path(yaml_root(&y), "b[x]") == NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("the span of '%s'", rows[i].path);
		check_span(&y, rows[i].path, rows[i].want, rows[i].line, rows[i].column);
	}
}

static void test_documents(void)
{
	auto_error struct error err = {0};
	auto_yaml struct yaml y = {0};

	TEST("several documents, one of them empty");
	CHECK_OK(yaml_parse(&y, "t", SLICE("---\n# nothing\n---\na: 1\n...\n---\nb: 2"), &err),
		 &err);
	CHECK_INT(y.count, 3);
	CHECK_STR(yaml_string(yaml_get(yaml_root(&y), "a")), "1");
	CHECK_STR(yaml_string(yaml_get(y.roots[2], "b")), "2");

	TEST("no text, no document");
	CHECK_OK(yaml_parse(&y, "t", SLICE(""), &err), &err);
	CHECK(yaml_root(&y) == NULL);
	CHECK_OK(yaml_parse(&y, "t", SLICE("# only a comment"), &err), &err);
	CHECK(yaml_root(&y) == NULL);
}

static void test_malformed(void)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"a: 1\n\tb: 2\n", "t:1:4: "},
		{"a: [1,\n", "t:2:1: "},
		{"a: 'x\n", "t:"},
		{"a: {b: 1\nc: 2\n", "t:"},
		{"a: 1\nb: 2\na: 3\n", "t:3:1: key stands twice"},
		{"b: x\na: \xff\xfe\n", "t:2:4: not UTF-8"},
		{"a: \xed\xa0\x80\n", "t:1:4: not UTF-8"},
		{"- a\nb: 1\n", "t:2:1: "},
		{"a: b: c\n", "t:1:"},
		{"%YAML 3.0\n---\na: 1\n", "t:"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_yaml struct yaml y = {0};

		TEST("malformed text %zu", i);
		CHECK_ERROR(yaml_parse(&y, "t", slice_of(rows[i].text), &err), &err, ERROR_PARSE,
			    rows[i].message);
		CHECK(y.text.ptr == NULL);
	}
}

static void test_limits(void)
{
	auto_error struct error err = {0};
	auto_yaml struct yaml y = {0};
	auto_buffer struct buffer deep = {0};

	TEST("a NUL byte is an error with its place");
	CHECK_ERROR(yaml_parse(&y, "t", SLICE("a: 1\nb: \0c\n"), &err), &err, ERROR_PARSE,
		    "t:2:4: NUL byte");

	TEST("nesting has a limit");
	for (int i = 0; i < 200; i++)
		buffer_char(&deep, '[');
	for (int i = 0; i < 200; i++)
		buffer_char(&deep, ']');
	CHECK_ERROR(yaml_parse(&y, "t", buffer_as_slice(&deep), &err), &err, ERROR_PARSE, "t:1:");
}

int main(void)
{
	test_spans();
	test_documents();
	test_malformed();
	test_limits();
	test_each_case("yaml", run_case);
	return test_done();
}
