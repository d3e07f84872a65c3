/* SPDX-License-Identifier: MIT */
#include "text/take_back.h"

#include "base/alloc.h"
#include "lib/test.h"
#include "text/json.h"

static json_t *parse(const char *text)
{
	auto_error struct error err = {0};

	return json_parse(slice_of(text), "case", &err);
}

static const struct {
	const char *name;
	const char *before;
	const char *written;
	const char *now;
	const char *want; /* NULL: refused */
} cases[] = {
	{"as written", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "{\"a\":1,\"b\":3}",
	 "{\"a\":1,\"b\":2}"},
	{"what somebody changed beside stays", "{\"a\":[1,{\"x\":1}]}", "{\"a\":[2,{\"x\":1}]}",
	 "{\"a\":[2,{\"x\":5,\"y\":6}],\"c\":7}", "{\"a\":[1,{\"x\":5,\"y\":6}],\"c\":7}"},
	{"back already", "{\"a\":1}", "{\"a\":2}", "{\"a\":1,\"b\":1}", "{\"a\":1,\"b\":1}"},
	{"half of it", "{\"a\":[1,1]}", "{\"a\":[2,2]}", "{\"a\":[1,2]}", "{\"a\":[1,1]}"},
	{"changed since", "{\"a\":1}", "{\"a\":2}", "{\"a\":3}", NULL},
	{"taken away since", "{\"a\":1}", "{\"a\":2}", "{}", NULL},
	{"a list that is longer now", "{\"a\":[1,{\"x\":1}]}", "{\"a\":[1,{\"x\":2}]}",
	 "{\"a\":[0,1,{\"x\":2}]}", NULL},
	{"a list where nothing was changed", "{\"a\":[1],\"b\":1}", "{\"a\":[1],\"b\":2}",
	 "{\"a\":[0,1],\"b\":2}", "{\"a\":[0,1],\"b\":1}"},
	{"of another kind", "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":2}}", "{\"a\":7}", NULL},
	{"nothing was changed", "{}", "{}", "{\"a\":7}", "{\"a\":7}"},
};

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_json json_t *before = parse(cases[i].before);
		auto_json json_t *written = parse(cases[i].written);
		auto_json json_t *now = parse(cases[i].now);
		auto_free char *got = NULL;
		bool taken;

		TEST("%s", cases[i].name);
		taken = take_back(now, before, written);
		got = json_print(now);
		CHECK_STR(taken ? got : NULL, cases[i].want);
	}
	return test_done();
}
