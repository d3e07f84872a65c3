/* SPDX-License-Identifier: MIT */
#include "agent/serve.h"

#include <errno.h>
#include <string.h>

#include "agent/backup.h"
#include "agent/conntrack.h"
#include "agent/keyring.h"
#include "agent/dial.h"
#include "agent/dns.h"
#include "agent/files.h"
#include "agent/host.h"
#include "agent/probe.h"
#include "agent/processes.h"
#include "agent/protocol.h"
#include "agent/proxy.h"
#include "base/limits.h"
#include "text/json.h"

/* What is kept between two messages; the agent is a guest on the node. */
#define SERVE_KEEP ((size_t)256 * 1024)

static const struct {
	const char *name;
	agent_operation *run;
} serve_operations[] = {
	{"info", host_info},
	{"list-files", files_list},
	{"read-file", files_read},
	{"read-files", files_read_many},
	{"write-file", files_write},
	{"replace-in-file", files_replace_in},
	{"remove-file", files_remove},
	{"backup", backup_make},
	{"restore", backup_restore},
	{"list-backups", backup_list},
	{"forget", backup_forget},
	{"processes", processes_look},
	{"restart-kubelet", host_restart_kubelet},
	{"kubelet-status", host_kubelet_status},
	{"sysfacts", host_sysfacts},
	{"dial", dial_look},
	{"dns", dns_look},
	{"proxy-metrics", proxy_metrics},
	{"probe-start", probe_start},
	{"probe-read", probe_read},
	{"probe-stop", probe_stop},
	{"conntrack", conntrack_look},
	{"certs-audit", keyring_audit},
	{"certs-names", keyring_names},
	{"certs-issue", keyring_issue},
	{"certs-csr", keyring_csr},
	{"certs-import", keyring_import},
	{"certs-restore", keyring_restore},
};

static agent_operation *serve_find(const char *op)
{
	for (size_t i = 0; i < sizeof(serve_operations) / sizeof(serve_operations[0]); i++)
		if (strcmp(serve_operations[i].name, op) == 0)
			return serve_operations[i].run;
	return NULL;
}

bool serve_knows(const char *op)
{
	return serve_find(op) != NULL;
}

static int serve_request(const struct agent *agent, const json_t *request, json_t *reply,
			 struct error *err)
{
	agent_operation *run;
	const char *op;

	if (protocol_text(request, "op", &op, err) < 0)
		return -1;
	run = serve_find(op);
	if (!run)
		return error_set(err, ERROR_REFUSED, "'%s' is not an operation of this agent", op);
	return run(agent, request, reply, err);
}

static json_t *serve_failure(const struct error *err)
{
	json_t *reply = json_object();

	json_object_set_new(reply, "ok", json_false());
	json_object_set_new(reply, "kind", json_string(protocol_kind_name(err->kind)));
	protocol_set_text(reply, "error", error_text(err));
	return reply;
}

/* The answer with the request's number; one that is too large becomes an error. */
static void serve_append(json_t *reply, json_int_t id, struct buffer *out)
{
	auto_buffer struct buffer line = {.max = LIMIT_AGENT_MESSAGE};
	auto_error struct error err = {0};

	json_object_set_new(reply, "id", json_integer(id));
	if (protocol_format(reply, &line, &err) == 0 &&
	    buffer_check(&line, "the answer", &err) == 0) {
		buffer_slice(out, buffer_as_slice(&line));
		return;
	}
	buffer_format(out,
		      "{\"id\":%lld,\"ok\":false,\"kind\":\"io\",\"error\":\"the answer is larger "
		      "than %zu bytes\"}\n",
		      (long long)id, LIMIT_AGENT_MESSAGE);
}

void serve_line(const struct agent *agent, struct slice line, struct buffer *out)
{
	auto_json json_t *request = NULL;
	auto_json json_t *reply = json_object();
	auto_error struct error err = {0};
	int64_t id = 0;

	if (protocol_parse(line, &request, &err) == 0 &&
	    protocol_integer(request, "id", 0, INT64_MAX, &id, &err) == 0 &&
	    serve_request(agent, request, reply, &err) == 0) {
		json_object_set_new(reply, "ok", json_true());
	} else {
		json_decref(reply);
		reply = serve_failure(&err);
	}
	serve_append(reply, id, out);
}

static int serve_write(int output, const struct buffer *out, struct error *err)
{
	size_t done = 0;

	while (done < out->len) {
		ssize_t put = write(output, out->ptr + done, out->len - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, "cannot answer");
		done += (size_t)put;
	}
	return 0;
}

static int serve_hello(const struct agent *agent, int output, struct error *err)
{
	auto_buffer struct buffer out = {0};
	auto_json json_t *hello = json_object();

	json_object_set_new(hello, "agent", json_string(PROTOCOL_AGENT_NAME));
	if (host_info(agent, NULL, hello, err) < 0 || protocol_format(hello, &out, err) < 0)
		return -1;
	return serve_write(output, &out, err);
}

static void serve_trim(struct buffer *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->len);
	if (b->capacity > SERVE_KEEP)
		buffer_release(b);
	else
		buffer_clear(b);
}

/* Takes the whole lines off the front of `input` and answers them. */
static int serve_lines(const struct agent *agent, struct buffer *input, int output,
		       struct error *err)
{
	struct slice rest = buffer_as_slice(input);
	const char *end;

	while (rest.len && (end = memchr(rest.ptr, '\n', rest.len))) {
		auto_buffer struct buffer out = {.max = LIMIT_AGENT_MESSAGE + 4096};
		struct slice line = {rest.ptr, (size_t)(end - rest.ptr)};

		serve_line(agent, line, &out);
		if (serve_write(output, &out, err) < 0)
			return -1;
		rest.ptr += line.len + 1;
		rest.len -= line.len + 1;
	}
	if (rest.len == 0) {
		serve_trim(input);
		return 0;
	}
	memmove(input->ptr, rest.ptr, rest.len);
	input->len = rest.len;
	return 0;
}

int serve(const struct agent *agent, int input, int output, struct error *err)
{
	auto_buffer struct buffer pending = {0};
	static char chunk[65536];

	if (serve_hello(agent, output, err) < 0)
		return -1;
	for (;;) {
		ssize_t got = read(input, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "cannot read a request");
		if (got == 0)
			return 0;
		pending.max = LIMIT_AGENT_MESSAGE;
		buffer_append(&pending, chunk, (size_t)got);
		if (buffer_check(&pending, "a request", err) < 0)
			return -1;
		/* Only the new bytes can hold a line end that was not seen before. */
		if (memchr(chunk, '\n', (size_t)got) &&
		    serve_lines(agent, &pending, output, err) < 0)
			return -1;
	}
}
