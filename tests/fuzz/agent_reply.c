/* SPDX-License-Identifier: MIT */
/*
 * A node may say what it likes: hello and answers as they come out of a pipe. The first byte says
 * which of the two is waited for.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "node/link.h"
#include "node/pool.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What fits into a pipe at once. */
#define PIPE_MAX 60000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link l = {.process = {0, -1, -1, -1}, .id = 1};
	enum link_event event;
	int fds[2];

	if (size < 1 || size > PIPE_MAX || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return 0;
	if (write(fds[1], data + 1, size - 1) != (ssize_t)(size - 1))
		abort();
	close(fds[1]);
	l.process.output = fds[0];
	l.state = data[0] & 1 ? LINK_STARTING : LINK_BUSY;
	l.deadline = INT64_MAX;
	do {
		auto_error struct error err = {0};
		auto_json json_t *reply = NULL;
		auto_free char *bytes = NULL;

		event = link_step(&l, &reply, &err);
		assert((event == LINK_ANSWER) == (reply != NULL));
		assert((event == LINK_BROKEN) == (err.message != NULL));
		assert(event != LINK_NOTHING && event != LINK_LATE);
		if (reply)
			bytes = node_reply_bytes(reply, "content", NULL, &err);
		/* what stands behind the hello, or behind the answer, is the next answer */
		if (event == LINK_READY || event == LINK_ANSWER)
			l.state = LINK_BUSY;
	} while (event == LINK_READY || event == LINK_ANSWER);
	link_release(&l);
	return 0;
}
