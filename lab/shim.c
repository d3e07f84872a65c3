/* SPDX-License-Identifier: MIT */
#include "lab/shim.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/process.h"
#include "lab/ask.h"
#include "text/json.h"

enum {
	SHIM_LINE = 32 * 1024 * 1024,
	SHIM_DIAL_MS = 2000,
	SHIM_PROBE_MS = 500,
	SHIM_EVERY_MAX_MS = 60000, /* agents take no more */
	SHIM_PATIENCE = 4,
};

struct shim {
	int control;
	const char *node;
	struct process agent;
	struct buffer requests; /* from the tool, not looked at yet */
	struct buffer answers;	/* from the agent */
	bool changes;		/* the request under way changes something */
	int64_t sparing;	/* probes ask so many times less often */
};

static int shim_fail(const char *text)
{
	fprintf(stderr, "ssh: %s\n", text);
	return 255;
}

static bool shim_write(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t put = write(fd, bytes, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		bytes += put;
		len -= (size_t)put;
	}
	return true;
}

/* --- requests --------------------------------------------------------------------------------- */

static json_t *shim_ask_relay(const struct shim *s, const json_t *place, const char *protocol,
			      const char *member)
{
	auto_error struct error err = {0};
	const char *address = json_path_text(place, member);

	return ask_lab(s->control,
		       json_pack("{s:s,s:s,s:s,s:I,s:s}", "do", "relay", "node", s->node, "address",
				 address ? address : "", "port",
				 (json_int_t)json_path_int(place, "port", 53), "protocol",
				 protocol),
		       &err);
}

/* Puts what stands for the place into the request; the certificate is to have the name that was
 * dialled. True when something answers there. */
static bool shim_redirect(const struct shim *s, json_t *place, const char *member, bool udp)
{
	auto_json json_t *relay = shim_ask_relay(s, place, udp ? "UDP" : "TCP", member);

	if (!relay || !json_path_text(relay, "address"))
		return false;
	if (!udp && !json_object_get(place, "serverName"))
		json_object_set(place, "serverName", json_object_get(place, member));
	json_object_set(place, member, json_object_get(relay, "address"));
	json_object_set(place, "port", json_object_get(relay, "port"));
	return json_path_bool(relay, "answers", false);
}

/* What the agent would say if nobody answered: NULL when it is to find out itself. */
static json_t *shim_unanswered(const json_t *request)
{
	int64_t ms = json_path_int(request, "timeoutMs", SHIM_DIAL_MS);
	bool dns = json_path_is(request, "op", "dns");

	/* time passes, but nobody waits for it */
	json_t *reply = json_pack("{s:O,s:b,s:b,s:I,s:s}", "id", json_object_get(request, "id"),
				  "ok", 1, dns ? "answered" : "reached", 0, "latencyMs",
				  (json_int_t)ms, "error", "no answer in time");

	if (dns)
		json_object_set_new(reply, "addresses", json_array());
	return reply;
}

static json_t *shim_metrics(const struct shim *s, const json_t *request)
{
	auto_error struct error err = {0};
	json_t *reply =
		ask_lab(s->control, json_pack("{s:s,s:s}", "do", "metrics", "node", s->node), &err);

	if (!reply)
		return NULL;
	json_object_set(reply, "id", json_object_get(request, "id"));
	json_object_set_new(reply, "ok", json_true());
	return reply;
}

/*
 * What is watched here is the order of things: servers, proxies and all nodes share one machine with
 * whoever works on it, and its being busy must not look like a loss. Probes bear more, and ask less
 * often where there are few processors.
 */
static void shim_redirect_probes(const struct shim *s, json_t *request)
{
	json_t *target;
	size_t i;

	json_array_foreach(json_object_get(request, "targets"), i, target) {
		int64_t every = json_path_int(target, "everyMs", 50);
		int64_t timeout = json_path_int(target, "timeoutMs", SHIM_PROBE_MS);

		(void)shim_redirect(s, target, "address", json_path_is(target, "kind", "dns"));
		json_object_set_new(target, "everyMs",
				    json_integer(every * s->sparing < SHIM_EVERY_MAX_MS
							 ? every * s->sparing
							 : SHIM_EVERY_MAX_MS));
		json_object_set_new(target, "timeoutMs", json_integer(timeout * SHIM_PATIENCE));
	}
}

/* An answer of ours, or NULL: the request, perhaps changed, goes to the agent. */
static json_t *shim_intercept(const struct shim *s, json_t *request)
{
	if (json_path_is(request, "op", "dial") && !shim_redirect(s, request, "address", false))
		return shim_unanswered(request);
	if (json_path_is(request, "op", "dns") && !shim_redirect(s, request, "server", true))
		return shim_unanswered(request);
	if (json_path_is(request, "op", "probe-start"))
		shim_redirect_probes(s, request);
	if (json_path_is(request, "op", "proxy-metrics"))
		return shim_metrics(s, request);
	return NULL;
}

static bool shim_is_change(const json_t *request)
{
	static const char *const ops[] = {
		"write-file", "replace-in-file", "remove-file", "backup",	"restore",
		"forget",     "restart-kubelet", "certs-issue", "certs-import", "certs-restore"};
	const char *op = json_path_text(request, "op");

	for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(op, ops[i]) == 0)
			return true;
	return false;
}

/* False when the connection is to end here. */
static bool shim_effect(const struct shim *s, bool before)
{
	auto_error struct error err = {0};
	auto_json json_t *answer = ask_lab(
		s->control, json_pack("{s:s,s:b}", "do", "effect", "before", (int)before), &err);

	return json_path_bool(answer, "go", false);
}

static bool shim_tell(int fd, const json_t *value)
{
	auto_free char *text = json_print(value);

	return shim_write(fd, text, strlen(text)) && shim_write(fd, "\n", 1);
}

static bool shim_request(struct shim *s, struct slice line)
{
	auto_error struct error err = {0};
	auto_json json_t *request = json_parse(line, "request", &err);
	auto_json json_t *answer = request ? shim_intercept(s, request) : NULL;

	if (answer)
		return shim_tell(STDOUT_FILENO, answer);
	if (!request)
		return shim_write(s->agent.input, line.ptr, line.len) &&
		       shim_write(s->agent.input, "\n", 1);
	s->changes = shim_is_change(request);
	if (s->changes && !shim_effect(s, /* before= */ true))
		return false;
	return shim_tell(s->agent.input, request);
}

static bool shim_answer(struct shim *s, struct slice line)
{
	bool changed = s->changes;

	s->changes = false;
	if (changed && !shim_effect(s, /* before= */ false))
		return false;
	return shim_write(STDOUT_FILENO, line.ptr, line.len) && shim_write(STDOUT_FILENO, "\n", 1);
}

/* Takes whole lines off the front. */
static bool shim_lines(struct shim *s, struct buffer *input,
		       bool (*fn)(struct shim *s, struct slice line))
{
	struct slice rest = buffer_as_slice(input);
	const char *end;

	while (rest.len && (end = memchr(rest.ptr, '\n', rest.len))) {
		size_t len = (size_t)(end - rest.ptr);

		if (!fn(s, (struct slice){rest.ptr, len}))
			return false;
		rest.ptr += len + 1;
		rest.len -= len + 1;
	}
	if (rest.len)
		memmove(input->ptr, rest.ptr, rest.len);
	input->len = rest.len;
	return true;
}

static bool shim_pump(struct shim *s, int fd, struct buffer *input,
		      bool (*fn)(struct shim *s, struct slice line))
{
	static char chunk[65536];
	ssize_t got = read(fd, chunk, sizeof(chunk));

	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (got == 0)
		return false;
	buffer_append(input, chunk, (size_t)got);
	return !memchr(chunk, '\n', (size_t)got) || shim_lines(s, input, fn);
}

static void shim_talk(struct shim *s)
{
	struct pollfd items[3] = {
		{STDIN_FILENO, POLLIN, 0}, {s->agent.output, POLLIN, 0}, {s->control, POLLIN, 0}};

	s->requests.max = s->answers.max = SHIM_LINE;
	for (;;) {
		if (poll(items, 3, -1) < 0 && errno != EINTR)
			return;
		/* the lab ends, and with it its nodes */
		if (items[2].revents)
			return;
		if (items[1].revents && !shim_pump(s, s->agent.output, &s->answers, shim_answer))
			return;
		if (items[0].revents && !shim_pump(s, STDIN_FILENO, &s->requests, shim_request))
			return;
	}
}

/* --- ssh -------------------------------------------------------------------------------------- */

/* "head -c 4711 >…" in the remote command: so many bytes of an agent come first. */
static uint64_t shim_agent_size(const char *command)
{
	const char *at = strstr(command, "head -c ");
	uint64_t size = 0;
	size_t len;

	if (!at)
		return 0;
	at += strlen("head -c ");
	len = strspn(at, "0123456789");
	return slice_to_u64((struct slice){at, len}, UINT32_MAX, &size) ? size : 0;
}

static bool shim_skip(uint64_t size)
{
	static char chunk[65536];

	while (size) {
		ssize_t got =
			read(STDIN_FILENO, chunk, size < sizeof(chunk) ? size : sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		size -= (uint64_t)got;
	}
	return true;
}

static int shim_run(struct shim *s, const json_t *attached, struct error *err)
{
	const char *root = json_path_text(attached, "root");
	auto_free char *proc = alloc_format("%s/proc", root);
	const char *argv[] = {
		json_path_text(attached, "agent"), "--root", root, "--proc", proc, NULL};
	const struct process_options options = {.inherit_errors = true};

	if (process_start(&s->agent, argv, &options, err) < 0)
		return shim_fail(error_text(err));
	shim_talk(s);
	process_release(&s->agent);
	buffer_release(&s->requests);
	buffer_release(&s->answers);
	return 0;
}

int shim_ssh(int argc, char **argv)
{
	auto_error struct error err = {0};
	auto_json json_t *attached = NULL;
	struct shim s = {.control = -1};
	const char *command = NULL;
	bool asks = false;

	for (int i = 3; i < argc; i++) {
		asks |= strcmp(argv[i], "-G") == 0;
		if (strcmp(argv[i], "--") == 0) {
			s.node = i + 1 < argc ? argv[i + 1] : NULL;
			command = i + 2 < argc ? argv[i + 2] : NULL;
			break;
		}
	}
	if (argc < 4 || !s.node)
		return shim_fail("no host");
	if (asks) {
		printf("hostname %s.lab\n", s.node);
		return 0;
	}
	if (ask_connect(argv[2], &s.control, &err) < 0)
		return shim_fail(error_text(&err));
	attached = ask_lab(s.control, json_pack("{s:s,s:s}", "do", "attach", "node", s.node), &err);
	if (!attached || json_path_text(attached, "error"))
		return shim_fail(attached ? json_path_text(attached, "error") : error_text(&err));
	s.sparing = json_path_int(attached, "sparing", 1);
	if (!shim_skip(shim_agent_size(command ? command : "")))
		return shim_fail("the connection was closed");
	return shim_run(&s, attached, &err);
}

/* --- systemctl -------------------------------------------------------------------------------- */

int shim_systemctl(int argc, char **argv)
{
	auto_error struct error err = {0};
	auto_json json_t *answer = NULL;
	int fd = -1;

	if (argc < 6 || strcmp(argv[5], "kubelet") != 0) {
		fprintf(stderr, "Failed: unit not found\n");
		return 5;
	}
	if (strcmp(argv[4], "is-active") == 0) {
		puts("active");
		return 0;
	}
	if (ask_connect(argv[2], &fd, &err) < 0 ||
	    !(answer = ask_lab(fd, json_pack("{s:s,s:s}", "do", "restart-kubelet", "node", argv[3]),
			       &err))) {
		fprintf(stderr, "%s\n", error_text(&err));
		return 1;
	}
	return json_path_text(answer, "error") ? 1 : 0;
}

/* --- scripts ---------------------------------------------------------------------------------- */

int shim_control(int argc, char **argv)
{
	auto_error struct error err = {0};
	auto_json json_t *request = NULL;
	auto_json json_t *answer = NULL;
	auto_free char *text = NULL;
	int fd = -1;

	if (argc == 4)
		request = json_parse(slice_of(argv[3]), "request", &err);
	if (!request || ask_connect(argv[2], &fd, &err) < 0 ||
	    !(answer = ask_lab(fd, steal(request), &err))) {
		fprintf(stderr, "renumber-lab: %s\n", error_text(&err));
		return 1;
	}
	text = json_print(answer);
	puts(text);
	return json_path_text(answer, "error") ? 1 : 0;
}
