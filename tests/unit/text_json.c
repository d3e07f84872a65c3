/* SPDX-License-Identifier: MIT */
#include "text/json.h"

#include <string.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "lib/test.h"

static void test_malformed(void)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
		{"", "f:1:1: "},
		{"{", "f:1:1: "},
		{"{\"a\":1,\n \"b\" 2}", "f:2:6: "},
		{"{\"a\":1} x", "f:1:9: "},
		{"[1,]", "f:1:4: "},
		{"{\"a\":\"\xff\"}", "f:1:"},
		{"[99999999999999999999]", "f:1:"},
		{"nul", "f:1:3: "},
		{"{'a':1}", "f:1:2: "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		json_t *value;

		TEST("malformed: %s", rows[i].text);
		value = json_parse(slice_of(rows[i].text), "f", &err);
		CHECK(value == NULL);
		CHECK_ERROR(value ? 0 : -1, &err, ERROR_PARSE, rows[i].error);
	}
}

static void test_depth(size_t depth, bool allowed)
{
	auto_buffer struct buffer text = {0};
	auto_json json_t *value = NULL;
	struct error err = {0};

	TEST("%zu levels are %s", depth, allowed ? "read" : "refused");
	buffer_text(&text, "{\"[[[\\\"\": ");
	for (size_t i = 1; i < depth; i++)
		buffer_char(&text, '[');
	for (size_t i = 1; i < depth; i++)
		buffer_char(&text, ']');
	if (depth == 1)
		buffer_char(&text, '1');
	buffer_char(&text, '}');
	value = json_parse(buffer_as_slice(&text), "deep", &err);
	CHECK((value != NULL) == allowed);
	if (!allowed)
		CHECK_ERROR(-1, &err, ERROR_PARSE, "nested deeper than 256 levels");
}

/* Two bytes of text become 150 of memory: counted before they are. */
static void test_values(void)
{
	auto_buffer struct buffer text = {.max = 3 * LIMIT_JSON_VALUES};
	struct error err = {0};

	TEST("a document of too many values is refused unread");
	buffer_char(&text, '[');
	for (size_t i = 0; i < LIMIT_JSON_VALUES / 2 + 1; i++)
		buffer_text(&text, "[],");
	buffer_text(&text, "0]");
	CHECK_ERROR(json_parse(buffer_as_slice(&text), "many", &err) ? 0 : -1, &err, ERROR_PARSE,
		    "more than 16777216 values");
}

static void test_paths(void)
{
	struct error err = {0};
	auto_json json_t *v = json_parse(
		SLICE("{\"metadata\":{\"name\":\"kubernetes\",\"annotations\":{\"a.b/"
		      "c\":\"dotted\","
		      "\"\":\"empty\"},\"nul\":\"a\\u0000b\"},"
		      "\"spec\":{\"ports\":[{\"port\":443},{\"port\":80,\"on\":true}]}}"),
		"v", &err);

	TEST("paths");
	if (!CHECK(v != NULL))
		return;
	CHECK_STR(json_path_text(v, "metadata.name"), "kubernetes");
	CHECK_STR(json_path_text(v, "metadata.annotations.a\\.b/c"), "dotted");
	CHECK(json_path_text(v, "metadata.annotations.a.b/c") == NULL);
	CHECK_INT(json_path_int(v, "spec.ports.1.port", -1), 80);
	CHECK_INT(json_path_int(v, "spec.ports.2.port", -1), -1);
	CHECK_INT(json_path_int(v, "spec.ports.x.port", -1), -1);
	CHECK_INT(json_path_int(v, "metadata.name", -1), -1);
	CHECK_INT(json_path_int(NULL, "metadata.name", 7), 7);
	CHECK(json_path_bool(v, "spec.ports.1.on", false));
	CHECK(json_path_bool(v, "spec.ports.0.on", true));
	CHECK_INT(json_path_count(v, "spec.ports"), 2);
	CHECK_INT(json_path_count(v, "spec"), 0);
	CHECK(json_path_is(v, "metadata.name", "kubernetes"));
	CHECK(!json_path_is(v, "metadata.nothing", "kubernetes"));
	CHECK_STR(json_path_text(v, "metadata.nul"), "a");
	CHECK(json_path(v, "") == v);
}

static void test_print(void)
{
	static const char text[] =
		"{\"z\":1,\"a\":[true,null,0,false,9007199254740993],\"é\":\"\"}";
	struct error err = {0};
	auto_json json_t *v = json_parse(slice_of(text), "v", &err);
	char *printed;

	TEST("order, zeros, false and large numbers survive");
	if (!CHECK(v != NULL))
		return;
	printed = json_print(v);
	CHECK_STR(printed, text);
	free(printed);
}

int main(void)
{
	test_malformed();
	test_depth(1, true);
	test_depth(LIMIT_JSON_DEPTH, true);
	test_depth(LIMIT_JSON_DEPTH + 1, false);
	test_depth(1000000, false);
	test_values();
	test_paths();
	test_print();
	return test_done();
}
