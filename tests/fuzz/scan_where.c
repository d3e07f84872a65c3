/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "scan/result.h"

/* Any bytes as a file and as an answer of the API: matches lie in the text, in order, and each is
 * told where it stands. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses a small buffer when a quoted scalar has no end. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml\n";
}

static void check_matches(const struct scan_matcher *m, struct slice text)
{
	struct scan_cursor cursor;
	struct scan_match match;
	size_t behind = 0;

	scan_cursor_start(&cursor, m, text);
	while (scan_cursor_next(&cursor, &match)) {
		assert(match.offset >= behind && match.len > 0);
		assert(match.offset + match.len <= text.len);
		assert(net_cidr_contains(m->needles[0].range, match.address) ||
		       net_cidr_contains(m->needles[1].range, match.address));
		behind = match.offset + 1;
	}
}

static void check_result(const struct scan_result *result)
{
	for (size_t i = 0; i < result->count; i++) {
		char *message = scan_hit_message(&result->hits[i]);

		assert(result->hits[i].rule && result->hits[i].location && *message);
		free(message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct net_cidr_list old = {
		.item = {{.base = {.family = NET_IPV4, .bytes = {10, 96}}, .bits = 16},
			 {.base = {.family = NET_IPV6, .bytes = {0xfd}}, .bits = 16}},
		.count = 2,
	};
	auto_scan_result struct scan_result result = {0};
	struct slice text = {(const char *)data, size};
	struct scan_matcher m;

	scan_matcher_init(&m, &old);
	check_matches(&m, text);
	scan_text(&result, &m, NULL, "file", text);
	scan_objects(&result, &m, text);
	check_result(&result);
	free(scan_list_continue(text));
	return 0;
}
