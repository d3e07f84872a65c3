/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "text/corefile.h"

/* Of any text: editing twice is as good as once, nothing but addresses of the map changes, and the
 * end is the same by way of both addresses. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct corefile_move moves[] = {{"10.96.0.10", "10.17.0.10"}, {"1", "2"}};
#define MOVES (sizeof(moves) / sizeof(moves[0]))

typedef void editor(struct slice text, enum corefile_edit edit, const struct corefile_move *moves,
		    size_t count, struct buffer *ret);

static void check(editor *edit_text, enum corefile_edit edit, struct slice text)
{
	auto_buffer struct buffer once = {0};
	auto_buffer struct buffer twice = {0};
	auto_buffer struct buffer none = {0};

	edit_text(text, edit, moves, MOVES, &once);
	edit_text(buffer_as_slice(&once), edit, moves, MOVES, &twice);
	assert(slice_equal(buffer_as_slice(&once), buffer_as_slice(&twice)));
	edit_text(text, edit, moves, 0, &none);
	assert(slice_equal(buffer_as_slice(&none), text));
}

static bool has(struct slice text, const char *address)
{
	return corefile_names(text, address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	auto_buffer struct buffer end = {0};

	if (size == 0 || size > 4096)
		return 0;
	check(corefile_edit, COREFILE_BOTH, text);
	check(corefile_edit, COREFILE_NEW, text);
	check(corefile_edit_list, COREFILE_BOTH, text);
	check(corefile_edit_list, COREFILE_NEW, text);
	corefile_edit(text, COREFILE_NEW, moves, MOVES, &end);
	for (size_t i = 0; i < MOVES; i++)
		assert(has(buffer_as_slice(&end), moves[i].to) ==
		       (has(text, moves[i].from) || has(text, moves[i].to)));
	return 0;
}
