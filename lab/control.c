/* SPDX-License-Identifier: MIT */
#include "lab/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "lab/actor.h"
#include "lab/ask.h"
#include "lab/beat.h"
#include "lab/dns.h"
#include "lab/fault.h"
#include "lab/folder.h"
#include "lab/guard.h"
#include "lab/hurry/page.h"
#include "lab/node.h"
#include "lab/proxy.h"
#include "lab/relay.h"
#include "lab/server.h"
#include "text/json.h"

struct control_client {
	struct control *control;
	int fd;
	struct buffer input;
	const struct lab_node *node; /* that it is attached to; NULL */
	struct control_client *next;
};

struct control {
	struct lab *lab;
	int fd;
	struct control_client *clients;
};

/* --- answers ---------------------------------------------------------------------------------- */

static json_t *control_problem(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *control_attach(struct lab_node *node)
{
	auto_error struct error err = {0};

	if (node->gone)
		return control_problem("no route to host");
	if (node_show(node, &err) < 0)
		return control_problem(error_text(&err));
	return json_pack("{s:s,s:s,s:i}", "root", node->folder, "agent", node->lab->agent,
			 "sparing", node->lab->options.sparing);
}

static json_t *control_restart_kubelet(struct lab_node *node)
{
	node_restart_kubelet(node);
	return json_object();
}

/* The API servers themselves are dialled as they are; whatever else is a place behind the proxy. */
static json_t *control_relay(struct lab_node *node, const json_t *request)
{
	const char *address = json_path_text(request, "address");
	const char *protocol = json_path_text(request, "protocol");
	unsigned int port = (unsigned int)json_path_int(request, "port", 0);
	auto_error struct error err = {0};
	auto_free char *place = NULL;
	uint16_t local = 0;
	bool is_server;
	int result;

	if (!address || !protocol || !port || port > 65535)
		return control_problem("it does not say which address");
	is_server = port == node->lab->port && strncmp(address, "127.", 4) == 0;
	if (is_server && !loop_is_shared(node->lab->loop))
		return json_pack("{s:s,s:i,s:b}", "address", address, "port", (int)port, "answers",
				 1);
	place = proxy_path(node, address, port, protocol);
	result = strcmp(protocol, "UDP") == 0 ? dns_service(node, address, port, &local, &err)
					      : relay_service(node, address, port, &local, &err);
	if (result < 0)
		return control_problem(error_text(&err));
	return json_pack("{s:s,s:i,s:b}", "address", "127.0.0.1", "port", (int)local, "answers",
			 (int)(is_server || place));
}

static double control_seconds(const struct lab *lab, int64_t at)
{
	return (double)loop_wall_ms(lab->loop, at) / 1000;
}

static json_t *control_metrics(struct lab_node *node)
{
	const struct lab *lab = node->lab;

	return json_pack("{s:f,s:[{s:s,s:f,s:f,s:f,s:f,s:f}]}", "now",
			 control_seconds(lab, loop_now(lab->loop)), "families", "family", "IPv4",
			 "lastSync", control_seconds(lab, node->synced_at), "lastQueued",
			 control_seconds(lab, node->queued_at), "syncs", (double)node->syncs,
			 "syncSeconds", (double)node->syncs * 0.02, "programmed",
			 (double)node->syncs);
}

static json_t *control_effect(struct lab *lab, const json_t *request)
{
	bool before = json_path_bool(request, "before", true);

	return json_pack("{s:b}", "go", (int)fault_effect(lab->fault, before));
}

static json_t *control_client(struct lab *lab, const json_t *request)
{
	fault_client(lab->fault, (pid_t)json_path_int(request, "pid", 0));
	return json_object();
}

/* What goes wrong with files; says how many operations there were since the last time. */
static void control_arm_disk(struct lab *lab, const json_t *request, json_t *answer)
{
	static const char *const harms[] = {
		[HURRY_WELL] = "",
		[HURRY_KILL] = "kill",
		[HURRY_KILL_TORN] = "torn",
		[HURRY_KILL_DONE] = "done",
		[HURRY_POWER] = "power",
		[HURRY_FULL] = "full",
		[HURRY_READONLY] = "readonly",
		[HURRY_SYNC] = "sync",
	};
	static const char *const members[HURRY_WHO][4] = {
		[HURRY_TOOL] = {"toolAt", "toolHarm", "toolWrites", "toolHits"},
		[HURRY_AGENT] = {"agentAt", "agentHarm", "agentWrites", "agentHits"},
	};
	struct hurry_page *page = beat_page(lab->beat);

	if (!page)
		return;
	page->random = (uint64_t)json_path_int(request, "seed", 1);
	page->jump_ns = 0;
	for (size_t who = 0; who < HURRY_WHO; who++) {
		struct hurry_disk *d = &page->disk[who];

		json_object_set_new(answer, members[who][2], json_integer(d->done));
		json_object_set_new(answer, members[who][3], json_integer(d->hits));
		*d = (struct hurry_disk){.at = json_path_int(request, members[who][0], 0)};
		for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++)
			if (json_path_is(request, members[who][1], harms[i]))
				d->harm = (int64_t)i;
	}
}

static json_t *control_arm(struct lab *lab, const json_t *request)
{
	const char *event = json_path_text(request, "event");
	struct fault_options options = {
		.kill_at = (uint64_t)json_path_int(request, "killAt", 0),
		.kill_before = json_path_bool(request, "before", false),
		.cut = json_path_bool(request, "cut", false),
		.seed = (uint64_t)json_path_int(request, "seed", 1),
		.every = (unsigned int)json_path_int(request, "every", 0),
	};
	json_t *answer =
		json_pack("{s:I,s:I,s:O}", "effects", (json_int_t)fault_effects(lab->fault),
			  "faults", (json_int_t)fault_count(lab->fault), "deeds", actor_deeds(lab));

	snprintf(options.event, sizeof(options.event), "%s", event ? event : "");
	actor_repair(lab);
	fault_arm(lab->fault, &options);
	control_arm_disk(lab, request, answer);
	return answer;
}

/* "on": old addresses are watched from now on; in any case what was seen so far. */
static json_t *control_guard(struct lab *lab, const json_t *request)
{
	json_t *answer =
		json_pack("{s:o,s:o}", "seen", guard_seen(lab->guard), "pairs", guard_pairs(lab));

	if (json_path_bool(request, "on", false)) {
		if (!lab->guard)
			lab->guard = guard_new(lab);
		return answer;
	}
	guard_free(lab->guard);
	lab->guard = NULL;
	return answer;
}

static char *control_all(const struct lab *lab)
{
	auto_json json_t *all = json_object();

	for (size_t i = 0; i < store_type_count; i++)
		json_object_set(all, store_types[i].plural,
				store_all(lab->store, store_types[i].plural));
	return json_print(all);
}

/* A line each: what it is, "namespace/name", and the object. */
static char *control_lines(const struct lab *lab)
{
	auto_buffer struct buffer out = {0};

	for (size_t i = 0; i < store_type_count; i++) {
		const char *key;
		json_t *object;

		json_object_foreach(store_all(lab->store, store_types[i].plural), key, object) {
			auto_free char *text = json_print(object);

			buffer_format(&out, "%s %s %s\n", store_types[i].plural, key, text);
		}
	}
	return buffer_detach(&out);
}

static json_t *control_dump(struct lab *lab, const json_t *request)
{
	const char *file = json_path_text(request, "file");
	auto_error struct error err = {0};
	auto_free char *text = NULL;

	if (!file)
		return control_problem("no file");
	text = json_path_bool(request, "lines", false) ? control_lines(lab) : control_all(lab);
	if (folder_write(file, slice_of(text), 0600, &err) < 0)
		return control_problem(error_text(&err));
	return json_object();
}

static json_t *control_compact(struct lab *lab, const json_t *request)
{
	(void)request;
	store_compact(lab->store);
	return json_object();
}

static json_t *control_end_lab(struct lab *lab, const json_t *request)
{
	(void)request;
	loop_stop(lab->loop);
	return json_object();
}

static json_t *control_put_off_repair(struct lab *lab, const json_t *request)
{
	(void)request;
	server_put_off_repair(lab);
	return json_object();
}

static json_t *control_of_lab(struct lab *lab, const json_t *request)
{
	static const struct {
		const char *name;
		json_t *(*fn)(struct lab *lab, const json_t *request);
	} of_lab[] = {
		{"effect", control_effect},   {"client", control_client},
		{"arm", control_arm},	      {"dump", control_dump},
		{"compact", control_compact}, {"guard", control_guard},
		{"end", control_end_lab},     {"put-off-repair", control_put_off_repair},
	};

	for (size_t i = 0; i < sizeof(of_lab) / sizeof(of_lab[0]); i++)
		if (json_path_is(request, "do", of_lab[i].name))
			return of_lab[i].fn(lab, request);
	return NULL;
}

static json_t *control_answer(struct lab *lab, const json_t *request)
{
	static const struct {
		const char *name;
		json_t *(*fn)(struct lab_node *node);
	} of_nodes[] = {
		{"attach", control_attach},
		{"restart-kubelet", control_restart_kubelet},
		{"metrics", control_metrics},
	};
	struct lab_node *node = lab_node(lab, json_path_text(request, "node"));
	json_t *answer = control_of_lab(lab, request);

	if (answer)
		return answer;
	if (!node)
		return control_problem("Could not resolve hostname");
	if (json_path_is(request, "do", "relay"))
		return control_relay(node, request);
	for (size_t i = 0; i < sizeof(of_nodes) / sizeof(of_nodes[0]); i++)
		if (json_path_is(request, "do", of_nodes[i].name))
			return of_nodes[i].fn(node);
	return control_problem("it does not know that");
}

/* --- the socket ------------------------------------------------------------------------------- */

static void control_end(struct control_client *client)
{
	struct control *control = client->control;

	for (struct control_client **at = &control->clients; *at; at = &(*at)->next) {
		if (*at == client) {
			*at = client->next;
			break;
		}
	}
	loop_forget(control->lab->loop, client->fd);
	close(client->fd);
	buffer_release(&client->input);
	free(client);
}

static bool control_line(struct control_client *client, struct slice line)
{
	auto_error struct error err = {0};
	auto_json json_t *request = json_parse(line, "control", &err);
	auto_json json_t *answer = NULL;
	auto_buffer struct buffer out = {0};
	auto_free char *text = NULL;

	if (!request)
		return false;
	if (json_path_is(request, "do", "attach"))
		client->node = lab_node(client->control->lab, json_path_text(request, "node"));
	answer = control_answer(client->control->lab, request);
	text = json_print(answer);
	buffer_format(&out, "%s\n", text);
	return send(client->fd, out.ptr, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
}

static void control_ready(void *data, uint32_t events)
{
	struct control_client *client = data;
	char chunk[4096];
	ssize_t got = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	const char *end;

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		control_end(client);
		return;
	}
	buffer_append(&client->input, chunk, (size_t)got);
	while (client->input.len && (end = memchr(client->input.ptr, '\n', client->input.len))) {
		size_t len = (size_t)(end - client->input.ptr);

		if (!control_line(client, (struct slice){client->input.ptr, len})) {
			control_end(client);
			return;
		}
		memmove(client->input.ptr, client->input.ptr + len + 1,
			client->input.len - len - 1);
		client->input.len -= len + 1;
	}
}

static void control_accept(void *data, uint32_t events)
{
	struct control *control = data;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
	struct control_client *client;

	(void)events;
	if (fd < 0)
		return;
	client = ALLOC_NEW(struct control_client);
	*client = (struct control_client){control, fd, {.max = ASK_LINE}, NULL, control->clients};
	control->clients = client;
	loop_watch(control->lab->loop, fd, EPOLLIN, control_ready, client);
}

void control_cut(struct control *control, const struct lab_node *node)
{
	for (struct control_client *client = control->clients; client; client = client->next)
		if (client->node == node)
			shutdown(client->fd, SHUT_RDWR);
}

struct control *control_open(struct lab *lab, struct error *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct control *control;

	if (ask_address(lab->folder, &address, err) < 0)
		return NULL;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 128) < 0) {
		error_errno(err, "cannot listen on '%s'", address.sun_path);
		return NULL;
	}
	control = ALLOC_NEW(struct control);
	control->lab = lab;
	control->fd = steal_fd(&fd);
	loop_watch(lab->loop, control->fd, EPOLLIN, control_accept, control);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	for (struct control_client *client = control->clients, *after; client; client = after) {
		after = client->next;
		control_end(client);
	}
	loop_forget(control->lab->loop, control->fd);
	close(control->fd);
	free(control);
}
