/* SPDX-License-Identifier: MIT */
#include "agent/protocol.h"

#include <string.h>

#include "agent/serve.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "lib/test.h"
#include "text/json.h"

static void test_parse(void)
{
	static const struct {
		const char *line;
		const char *problem; /* NULL: fine */
	} rows[] = {
		{"{}", NULL},
		{"{\"id\":1,\"op\":\"info\"}", NULL},
		{"{\"a\":\"}}]]{{[[\\\"[\"}", NULL},
		{"", "malformed"},
		{"{", "malformed"},
		{"{} {}", "malformed"},
		{"{\"a\":1,\"a\":2}", "duplicate"},
		{"{\"a\":\"\\u0000\"}", "malformed"},
		{"{\"a\":\"\xff\"}", "malformed"},
		{"{\"a\":99999999999999999999}", "malformed"},
		{"[]", "malformed or object"},
		{"1", "malformed or object"},
		{"{}\n{}", "more than one line"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_json json_t *message = NULL;

		TEST("message %zu: '%s'", i, rows[i].line);
		if (!rows[i].problem) {
			CHECK_OK(protocol_parse(slice_of(rows[i].line), &message, &err), &err);
			continue;
		}
		CHECK_INT(protocol_parse(slice_of(rows[i].line), &message, &err), -1);
		CHECK_INT(err.kind, ERROR_PARSE);
		if (!strstr(rows[i].problem, " or "))
			CHECK(strstr(error_text(&err), rows[i].problem));
	}
}

static void check_depth(size_t depth, bool fine)
{
	auto_buffer struct buffer line = {0};
	auto_error struct error err = {0};
	auto_json json_t *message = NULL;

	TEST("%zu levels are %s", depth, fine ? "read" : "too deep");
	buffer_text(&line, "{\"a\":");
	for (size_t i = 1; i < depth; i++)
		buffer_char(&line, '[');
	for (size_t i = 1; i < depth; i++)
		buffer_char(&line, ']');
	buffer_char(&line, '}');
	if (fine)
		CHECK_OK(protocol_parse(buffer_as_slice(&line), &message, &err), &err);
	else
		CHECK_ERROR(protocol_parse(buffer_as_slice(&line), &message, &err), &err,
			    ERROR_PARSE, "deeper than");
}

static void test_size(void)
{
	auto_error struct error err = {0};
	auto_json json_t *message = NULL;
	auto_free char *line = alloc_bytes(LIMIT_AGENT_MESSAGE + 1);

	TEST("a message over the limit is refused unread");
	memset(line, ' ', LIMIT_AGENT_MESSAGE + 1);
	line[0] = '{';
	line[LIMIT_AGENT_MESSAGE] = '}';
	CHECK_ERROR(protocol_parse((struct slice){line, LIMIT_AGENT_MESSAGE + 1}, &message, &err),
		    &err, ERROR_PARSE, "larger than");
	TEST("a message of too many values is refused unread");
	memcpy(line, "{\"a\":[", 6);
	for (size_t i = 6; i + 3 < LIMIT_AGENT_MESSAGE; i += 3)
		memcpy(line + i, "[],", 3);
	CHECK_ERROR(protocol_parse((struct slice){line, LIMIT_AGENT_MESSAGE}, &message, &err), &err,
		    ERROR_PARSE, "values");
}

static void test_base64(void)
{
	static const struct {
		const char *text;
		const char *bytes; /* NULL: malformed */
	} rows[] = {
		{"", ""},	 {"QQ==", "A"},	       {"QUI=", "AB"},
		{"QUJD", "ABC"}, {"QUJDRA==", "ABCD"}, {"QQ=", NULL},
		{"QQ", NULL},	 {"Q===", NULL},       {"====", NULL},
		{"QU=D", NULL},	 {"QUJ D", NULL},      {"QUJD\n", NULL},
		{"-_-_", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *object = json_pack("{s:s}", "content", rows[i].text);
		auto_buffer struct buffer bytes = {0};
		auto_error struct error err = {0};

		TEST("base64 '%s'", rows[i].text);
		if (!rows[i].bytes) {
			CHECK_ERROR(protocol_bytes(object, "content", &bytes, &err), &err,
				    ERROR_PARSE, "'content' is not base64");
			continue;
		}
		CHECK_OK(protocol_bytes(object, "content", &bytes, &err), &err);
		CHECK_MEM(bytes.ptr, bytes.len, rows[i].bytes, strlen(rows[i].bytes));
	}
	for (size_t len = 0; len < 40; len++) {
		auto_json json_t *object = json_object();
		auto_buffer struct buffer back = {0};
		auto_error struct error err = {0};
		char bytes[40];

		TEST("%zu bytes go out and come back", len);
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)(i * 37 + len);
		json_object_set_new(object, "b", protocol_base64(bytes, len));
		CHECK_OK(protocol_bytes(object, "b", &back, &err), &err);
		CHECK_MEM(back.ptr, back.len, bytes, len);
	}
}

static void test_kinds(void)
{
	for (int kind = ERROR_USAGE; kind <= ERROR_INTERRUPTED; kind++) {
		TEST("error kind %d keeps its meaning on the wire", kind);
		CHECK_INT(protocol_kind(protocol_kind_name((enum error_kind)kind)), kind);
	}
	TEST("an unknown kind is an input or output error");
	CHECK_INT(protocol_kind("from-the-future"), ERROR_IO);
}

static void test_tables(void)
{
	size_t count = 0;

	for (const struct protocol_op *op; (op = protocol_op_at(count)); count++) {
		TEST("operation '%s' exists on both sides", op->name);
		CHECK(serve_knows(op->name));
		CHECK(protocol_op_find(op->name) == op);
		CHECK(op->timeout_ms >= 1000);
	}
	TEST("no other operation exists");
	CHECK(!protocol_op_find("shell"));
	CHECK(!serve_knows("shell"));
	CHECK(count > 20);
}

static void test_serve_line(void)
{
	static const struct {
		const char *line;
		const char *answer; /* how it begins */
	} rows[] = {
		{"x", "{\"ok\":false,\"kind\":\"parse\""},
		{"{}", "{\"ok\":false,\"kind\":\"parse\",\"error\":\"member 'id'"},
		{"{\"id\":3}", "{\"ok\":false,\"kind\":\"parse\",\"error\":\"member 'op'"},
		{"{\"id\":3,\"op\":7}", "{\"ok\":false,\"kind\":\"parse\",\"error\":\"member 'op'"},
		{"{\"id\":-3,\"op\":\"info\"}", "{\"ok\":false,\"kind\":\"parse\""},
		{"{\"id\":3,\"op\":\"rm -rf\"}",
		 "{\"ok\":false,\"kind\":\"refused\",\"error\":\"'rm -rf' is not an operation"},
		{"{\"id\":4,\"op\":\"read-file\"}",
		 "{\"ok\":false,\"kind\":\"parse\",\"error\":\"member 'path'"},
		{"{\"id\":4,\"op\":\"read-file\",\"path\":\"/etc/shadow\"}",
		 "{\"ok\":false,\"kind\":\"refused\""},
	};
	const struct agent agent = {.root = "", .proc = "/proc"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buffer struct buffer out = {0};

		TEST("request '%s'", rows[i].line);
		serve_line(&agent, slice_of(rows[i].line), &out);
		if (!CHECK(slice_starts(buffer_as_slice(&out), rows[i].answer)))
			CHECK_STR(buffer_cstr(&out), rows[i].answer);
		CHECK(slice_ends(buffer_as_slice(&out), "}\n"));
	}
}

int main(void)
{
	test_parse();
	check_depth(LIMIT_DEPTH, true);
	check_depth(LIMIT_DEPTH + 1, false);
	check_depth(100000, false);
	test_size();
	test_base64();
	test_kinds();
	test_tables();
	test_serve_line();
	return test_done();
}
