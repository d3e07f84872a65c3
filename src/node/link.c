/* SPDX-License-Identifier: MIT */
#include "node/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/protocol.h"
#include "base/clock.h"
#include "base/limits.h"
#include "text/json.h"

/* What a login shell may say before the agent's first line. */
#define LINK_NOISE_MAX ((size_t)64 * 1024)
#define LINK_ERRORS_MAX ((size_t)64 * 1024)
/* How long the child's last words on stderr are waited for. */
#define LINK_LAST_WORDS_MS 1000

static void link_reset(struct link *l)
{
	buffer_clear(&l->out);
	buffer_clear(&l->in);
	buffer_clear(&l->errors);
	l->in.max = LIMIT_AGENT_MESSAGE;
	l->out.max = LIMIT_AGENT_MESSAGE;
	l->errors.max = LINK_ERRORS_MAX;
	l->in_seen = 0;
	l->out_sent = 0;
	json_decref(l->hello);
	l->hello = NULL;
}

int link_start(struct link *l, const char *const argv[], struct slice stream, int64_t timeout_ms,
	       struct error *err)
{
	const struct process_options options = {.own_group = true};

	link_reset(l);
	if (process_start(&l->process, argv, &options, err) < 0)
		return -1;
	fcntl(l->process.input, F_SETFL, O_NONBLOCK);
	fcntl(l->process.output, F_SETFL, O_NONBLOCK);
	fcntl(l->process.errors, F_SETFL, O_NONBLOCK);
	l->stream = stream;
	l->deadline = clock_monotonic_ms() + timeout_ms;
	l->state = LINK_STARTING;
	return 0;
}

int link_send(struct link *l, const json_t *request, int64_t timeout_ms, struct error *err)
{
	auto_json json_t *numbered = json_copy((json_t *)(uintptr_t)request);

	buffer_clear(&l->out);
	l->out_sent = 0;
	json_object_set_new(numbered, "id", json_integer(++l->id));
	if (protocol_format(numbered, &l->out, err) < 0 ||
	    buffer_check(&l->out, "the request", err) < 0) {
		buffer_clear(&l->out);
		return -1;
	}
	l->deadline = clock_monotonic_ms() + timeout_ms;
	l->state = LINK_BUSY;
	return 0;
}

static bool link_has_output(const struct link *l)
{
	return l->process.input >= 0 && (l->stream.len || l->out_sent < l->out.len);
}

size_t link_poll(const struct link *l, struct pollfd *ret)
{
	size_t count = 0;

	if (l->state == LINK_DOWN)
		return 0;
	if (l->process.output >= 0)
		ret[count++] = (struct pollfd){l->process.output, POLLIN, 0};
	if (l->process.errors >= 0)
		ret[count++] = (struct pollfd){l->process.errors, POLLIN, 0};
	if (link_has_output(l))
		ret[count++] = (struct pollfd){l->process.input, POLLOUT, 0};
	return count;
}

static bool link_would_wait(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* The child that does not read any more has something to say, or has ended: its output tells. */
static void link_stop_writing(struct link *l)
{
	close(l->process.input);
	l->process.input = -1;
}

static void link_write(struct link *l)
{
	while (link_has_output(l)) {
		struct slice next = l->stream;
		ssize_t put;

		if (!next.len)
			next = (struct slice){l->out.ptr + l->out_sent, l->out.len - l->out_sent};
		put = write(l->process.input, next.ptr, next.len);
		if (put < 0 && !link_would_wait())
			link_stop_writing(l);
		if (put <= 0)
			return;
		if (l->stream.len) {
			l->stream.ptr += put;
			l->stream.len -= (size_t)put;
		} else {
			l->out_sent += (size_t)put;
		}
	}
}

/* False at the end of the stream. */
static bool link_read(int *fd, struct buffer *into)
{
	char chunk[65536];
	ssize_t got;

	if (*fd < 0)
		return false;
	while ((got = read(*fd, chunk, sizeof(chunk))) > 0) {
		buffer_append(into, chunk, (size_t)got);
		if (into->overflowed)
			return true;
	}
	if (got < 0 && link_would_wait())
		return true;
	close(*fd);
	*fd = -1;
	return false;
}

/* One line off the front of what came; false when there is none yet. Valid until the next read. */
static bool link_line(struct link *l, struct slice *ret)
{
	const char *end;

	if (l->in.len == l->in_seen)
		return false;
	end = memchr(l->in.ptr + l->in_seen, '\n', l->in.len - l->in_seen);
	if (!end) {
		l->in_seen = l->in.len;
		return false;
	}
	*ret = (struct slice){l->in.ptr, (size_t)(end - l->in.ptr)};
	return true;
}

static void link_drop(struct link *l, size_t len)
{
	if (len > l->in.len)
		len = l->in.len;
	memmove(l->in.ptr, l->in.ptr + len, l->in.len - len);
	l->in.len -= len;
	l->in_seen = 0;
}

static enum link_event link_hello(struct link *l, struct error *err)
{
	struct slice line;

	while (link_line(l, &line)) {
		size_t taken = line.len + 1;
		int64_t version = 0;

		if (!slice_starts(line, "{\"agent\":\"" PROTOCOL_AGENT_NAME "\"")) {
			link_drop(l, taken);
			continue;
		}
		if (protocol_parse(line, &l->hello, err) < 0 ||
		    protocol_integer(l->hello, "protocol", 0, INT32_MAX, &version, err) < 0)
			return LINK_BROKEN;
		link_drop(l, taken);
		if (version != PROTOCOL_VERSION) {
			error_set(err, ERROR_API,
				  "its renumber-agent speaks protocol %d and this program %d; "
				  "install both from one build",
				  (int)version, PROTOCOL_VERSION);
			return LINK_BROKEN;
		}
		l->state = LINK_IDLE;
		return LINK_READY;
	}
	if (l->in.len > LINK_NOISE_MAX) {
		error_set(err, ERROR_API, "what answers there is not renumber-agent");
		return LINK_BROKEN;
	}
	return LINK_NOTHING;
}

/* An answer that says "ok": false is the operation's error, not the link's. */
static enum link_event link_answer(struct link *l, json_t **ret_reply, struct error *err)
{
	auto_json json_t *reply = NULL;
	struct slice line;
	int64_t id;

	if (!link_line(l, &line)) {
		if (!l->in.overflowed)
			return LINK_NOTHING;
		error_set(err, ERROR_PARSE, "its answer is larger than %zu bytes",
			  LIMIT_AGENT_MESSAGE);
		return LINK_BROKEN;
	}
	if (protocol_parse(line, &reply, err) < 0 ||
	    protocol_integer(reply, "id", 0, INT64_MAX, &id, err) < 0)
		return LINK_BROKEN;
	link_drop(l, line.len + 1);
	if (id != l->id) {
		error_set(err, ERROR_PARSE, "its answer is to another request");
		return LINK_BROKEN;
	}
	l->state = LINK_IDLE;
	*ret_reply = steal(reply);
	return LINK_ANSWER;
}

enum link_event link_step(struct link *l, json_t **ret_reply, struct error *err)
{
	enum link_event event = LINK_NOTHING;
	bool more;

	link_write(l);
	link_read(&l->process.errors, &l->errors);
	more = link_read(&l->process.output, &l->in);
	if (l->state == LINK_STARTING)
		event = link_hello(l, err);
	else if (l->state == LINK_BUSY)
		event = link_answer(l, ret_reply, err);
	if (event != LINK_NOTHING)
		return event;
	if (!more)
		return LINK_ENDED;
	return clock_monotonic_ms() >= l->deadline ? LINK_LATE : LINK_NOTHING;
}

bool link_is_stale(const struct link *l)
{
	struct pollfd item = {l->process.output, POLLIN, 0};

	return l->process.output < 0 || l->process.input < 0 || poll(&item, 1, 0) != 0;
}

static void link_last_words(struct link *l)
{
	int64_t end = clock_monotonic_ms() + LINK_LAST_WORDS_MS;
	int64_t left;

	while (l->process.errors >= 0 && (left = end - clock_monotonic_ms()) > 0) {
		struct pollfd item = {l->process.errors, POLLIN, 0};

		poll(&item, 1, (int)left);
		link_read(&l->process.errors, &l->errors);
	}
}

int link_close(struct link *l, int64_t patience_ms)
{
	int status = 0;

	if (l->state == LINK_DOWN)
		return 0;
	if (l->process.output < 0)
		link_last_words(l);
	process_finish(&l->process, patience_ms, &status);
	l->state = LINK_DOWN;
	return status;
}

void link_release(struct link *l)
{
	link_close(l, 0);
	buffer_release(&l->out);
	buffer_release(&l->in);
	buffer_release(&l->errors);
	json_decref(l->hello);
	l->hello = NULL;
}
