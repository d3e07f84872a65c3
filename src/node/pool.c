/* SPDX-License-Identifier: MIT */
#include "node/pool.h"

#include <errno.h>
#include <string.h>

#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "node/binary.h"
#include "node/link.h"
#include "node/local.h"
#include "node/ssh.h"
#include "text/json.h"

#define POOL_PARALLEL 16
#define POOL_CONNECT_MS INT64_C(60000)
/* The agent ends by itself when its stdin closes. */
#define POOL_GOODBYE_MS 3000
/* A step that waits for a child's last words must not hold up the others for long. */
#define POOL_TICK_MS 1000

struct pool_node {
	char *name;    /* owned */
	char *address; /* owned or NULL */
	struct link link;
	bool was_sent; /* the call under way has been sent once already */

	/* While node_pool_run is at work: */
	struct node_call **calls; /* owned list of borrowed calls, in order */
	size_t count;
	size_t capacity;
	size_t next; /* the call under way, or the next one */
	bool active;
};

struct node_pool {
	enum node_transport via;
	struct ssh_words command;
	struct ssh_map map;
	char *user;  /* owned or NULL */
	char *agent; /* owned or NULL */
	bool sudo;
	size_t parallel;
	int64_t connect_ms;
	struct binary binary;
	struct pool_node **nodes; /* owned; each by itself, so that they stay where they are */
	size_t count;
	size_t capacity;
};

static const char *const pool_transports[] = {
	[NODE_VIA_SSH] = "ssh",
	[NODE_VIA_LOCAL] = "local",
	[NODE_VIA_DAEMONSET] = "daemonset",
	[NODE_VIA_NONE] = "none",
};

bool node_transport_parse(const char *text, enum node_transport *ret)
{
	for (size_t i = 0; i < sizeof(pool_transports) / sizeof(pool_transports[0]); i++)
		if (strcmp(pool_transports[i], text) == 0) {
			*ret = (enum node_transport)i;
			return true;
		}
	return false;
}

static int pool_read_map(struct node_pool *pool, const char *path, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_CONFIG_FILE};

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0)
		return -1;
	return ssh_map_parse(buffer_as_slice(&text), path, &pool->map, err);
}

static int pool_configure(struct node_pool *pool, const struct node_options *options,
			  struct error *err)
{
	pool->via = options->via;
	pool->sudo = options->sudo;
	pool->user = options->ssh_user ? alloc_text(options->ssh_user) : NULL;
	pool->agent = options->agent ? alloc_text(options->agent) : NULL;
	pool->parallel = options->parallel > 0 ? (size_t)options->parallel : POOL_PARALLEL;
	pool->connect_ms = options->connect_ms > 0 ? options->connect_ms : POOL_CONNECT_MS;
	if (options->via == NODE_VIA_DAEMONSET)
		return error_set(err, ERROR_USAGE,
				 "--nodes-via daemonset is not served yet; use ssh, or local on a "
				 "control plane");
	if (options->ssh_user && (!options->ssh_user[0] || options->ssh_user[0] == '-'))
		return error_set(err, ERROR_USAGE, "--ssh-user '%s' is no user name",
				 options->ssh_user);
	if (ssh_split(options->ssh_command ? options->ssh_command : "ssh", &pool->command, err) < 0)
		return -1;
	if (options->ssh_map && pool_read_map(pool, options->ssh_map, err) < 0)
		return -1;
	return 0;
}

struct node_pool *node_pool_new(const struct node_options *options, struct error *err)
{
	struct node_pool *pool = ALLOC_NEW(struct node_pool);

	if (pool_configure(pool, options, err) < 0) {
		node_pool_free(pool);
		return NULL;
	}
	return pool;
}

void node_pool_free(struct node_pool *pool)
{
	if (!pool)
		return;
	/* First all of them are told, then each is waited for. */
	for (size_t i = 0; i < pool->count; i++) {
		struct link *l = &pool->nodes[i]->link;

		if (l->state != LINK_DOWN && l->process.input >= 0) {
			close(l->process.input);
			l->process.input = -1;
		}
	}
	for (size_t i = 0; i < pool->count; i++) {
		struct pool_node *node = pool->nodes[i];

		link_close(&node->link, POOL_GOODBYE_MS);
		link_release(&node->link);
		free(node->name);
		free(node->address);
		free(node->calls);
		free(node);
	}
	free(pool->nodes);
	ssh_words_release(&pool->command);
	ssh_map_release(&pool->map);
	binary_release(&pool->binary);
	free(pool->user);
	free(pool->agent);
	free(pool);
}

static struct pool_node *pool_find(const struct node_pool *pool, const char *name)
{
	for (size_t i = 0; i < pool->count; i++)
		if (strcmp(pool->nodes[i]->name, name) == 0)
			return pool->nodes[i];
	return NULL;
}

void node_pool_add(struct node_pool *pool, const char *name, const char *address)
{
	struct pool_node *node = pool_find(pool, name);

	if (!node) {
		node = ALLOC_NEW(struct pool_node);
		node->name = alloc_text(name);
		ALLOC_GROW(pool->nodes, pool->count, pool->capacity);
		pool->nodes[pool->count++] = node;
	}
	free(node->address);
	node->address = address ? alloc_text(address) : NULL;
}

bool node_pool_reaches_nodes(const struct node_pool *pool)
{
	return pool->via != NODE_VIA_NONE;
}

bool node_pool_may_reach(const struct node_pool *pool, const char *name)
{
	const struct pool_node *node = pool_find(pool, name);

	if (!node || pool->via == NODE_VIA_NONE)
		return false;
	return pool->via == NODE_VIA_SSH || local_is_this_host(node->name, node->address);
}

static struct ssh_target pool_target(const struct node_pool *pool, const struct pool_node *node)
{
	return (struct ssh_target){
		.command = &pool->command,
		.user = pool->user,
		.node = node->name,
		.host = ssh_map_find(&pool->map, node->name),
		.address = node->address,
		.sudo = pool->sudo,
		/* ssh gives up first, because it knows why; a host that is there answers soon, what
		 * takes time on a busy one is to log in and to run the agent. */
		.connect_ms = pool->connect_ms / 4,
	};
}

static int pool_start_local(struct node_pool *pool, struct pool_node *node, struct error *err)
{
	bool sudo = pool->sudo && geteuid() != 0;
	const char *argv[] = {"sudo", "-n", pool->binary.path, NULL};

	if (!local_is_this_host(node->name, node->address))
		return error_set(err, ERROR_REFUSED,
				 "it is not this host, and --nodes-via local reaches no other; run "
				 "there, or use --nodes-via ssh");
	return link_start(&node->link, sudo ? argv : argv + 2, (struct slice){0}, pool->connect_ms,
			  err);
}

static int pool_start_ssh(struct node_pool *pool, struct pool_node *node, struct error *err)
{
	struct ssh_target target = pool_target(pool, node);
	auto_ssh_words struct ssh_words argv = {0};

	if (binary_load(&pool->binary, err) < 0)
		return -1;
	if (!ssh_is_host(slice_of(target.host ? target.host : target.node)))
		return error_set(err, ERROR_USAGE, "its name is no host name");
	ssh_arguments(&target, pool->binary.bytes.len, pool->binary.machine, &argv);
	if (link_start(&node->link, (const char *const *)argv.items,
		       buffer_as_slice(&pool->binary.bytes), pool->connect_ms, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	return error_set(err, ERROR_NOT_FOUND,
			 "there is no program '%s' here; install OpenSSH's client or name one with "
			 "--ssh-command",
			 argv.items[0]);
}

static int pool_start(struct node_pool *pool, struct pool_node *node, struct error *err)
{
	if (pool->via == NODE_VIA_NONE)
		return error_set(err, ERROR_REFUSED, "nodes are not looked at (--nodes-via none)");
	if (binary_find(&pool->binary, pool->agent, err) < 0)
		return -1;
	log_debug("node '%s': starting the agent via %s", node->name, pool_transports[pool->via]);
	return pool->via == NODE_VIA_LOCAL ? pool_start_local(pool, node, err)
					   : pool_start_ssh(pool, node, err);
}

/* Why a link that was STARTING has ended. */
static int pool_explain(const struct node_pool *pool, struct pool_node *node, struct error *err)
{
	struct ssh_target target = pool_target(pool, node);
	int status = link_close(&node->link, POOL_GOODBYE_MS);
	struct slice said = buffer_as_slice(&node->link.errors);

	if (pool->via == NODE_VIA_SSH)
		return ssh_explain(&target, said, status, err);
	said = slice_trim(said);
	if (pool->sudo && said.len)
		return error_set(err, ERROR_API, "sudo: %.*s; run kubectl-renumber as root",
				 (int)(said.len > 300 ? 300 : said.len), said.ptr);
	return error_set(err, ERROR_IO, "renumber-agent ended with status %d: %.*s", status,
			 (int)(said.len > 300 ? 300 : said.len), said.len ? said.ptr : "");
}

/* Copies why into the call's error, as this node's. */
static void pool_fail(struct pool_node *node, struct node_call *call, const struct error *why)
{
	error_set(&call->error, why->kind, "%s", error_text(why));
	error_wrap(&call->error, "node '%s'", node->name);
	log_filter(call->error.message);
}

static void pool_fail_rest(struct pool_node *node, const struct error *why)
{
	for (; node->next < node->count; node->next++)
		pool_fail(node, node->calls[node->next], why);
}

static const struct protocol_op *pool_op(const struct node_call *call)
{
	const char *name = json_path_text(call->request, "op");

	return name ? protocol_op_find(name) : NULL;
}

/* Takes an answer apart: {"ok": true, …} or an error of the operation. */
static void pool_take(struct pool_node *node, struct node_call *call, json_t *reply)
{
	auto_error struct error why = {0};
	const char *text = json_path_text(reply, "error");

	if (json_path_bool(reply, "ok", false)) {
		call->reply = reply;
		return;
	}
	error_set(&why,
		  protocol_kind(json_path_text(reply, "kind") ? json_path_text(reply, "kind") : ""),
		  "%s", text ? text : "it answered without a reason");
	pool_fail(node, call, &why);
	json_decref(reply);
}

/* Sends the next call, or gives up those that cannot be sent. */
static void pool_send_next(struct pool_node *node)
{
	for (; node->next < node->count; node->next++) {
		struct node_call *call = node->calls[node->next];
		const struct protocol_op *op = pool_op(call);
		auto_error struct error why = {0};

		if (!op)
			error_set(&why, ERROR_USAGE, "there is no operation '%s'",
				  json_path_text(call->request, "op")
					  ? json_path_text(call->request, "op")
					  : "");
		else if (link_send(&node->link, call->request, op->timeout_ms, &why) == 0)
			return;
		pool_fail(node, call, &why);
	}
}

/* The connection went while a call was under way. What may be repeated is, once. */
static void pool_lost(struct node_pool *pool, struct pool_node *node)
{
	struct node_call *call = node->calls[node->next];
	const struct protocol_op *op = pool_op(call);
	bool again = op && (op->flags & PROTOCOL_OP_REPEATABLE) && !node->was_sent;
	auto_error struct error reason = {0};
	auto_error struct error why = {0};

	pool_explain(pool, node, &reason);
	if (again) {
		log_debug("node '%s': connection lost, trying again: %s", node->name,
			  error_text(&reason));
		node->was_sent = true;
		if (pool_start(pool, node, &why) == 0)
			return;
	} else {
		error_set(&why, ERROR_NETWORK,
			  "the connection was lost while '%s' was under way: %s",
			  op ? op->name : "", error_text(&reason));
	}
	pool_fail_rest(node, &why);
}

static void pool_late(struct node_pool *pool, struct pool_node *node, bool starting)
{
	struct node_call *call = node->calls[node->next];
	const struct protocol_op *op = pool_op(call);
	auto_error struct error why = {0};

	link_close(&node->link, 0);
	if (starting)
		error_set(
			&why, ERROR_NETWORK, "it did not answer within %lld s%s",
			(long long)(pool->connect_ms + 500) / 1000,
			pool->via == NODE_VIA_SSH
				? "; where its address is another, name it in a file for --ssh-map"
				: "");
	else
		error_set(&why, ERROR_NETWORK, "no answer to '%s' within %lld s",
			  op ? op->name : "", (long long)(op ? op->timeout_ms / 1000 : 0));
	pool_fail_rest(node, &why);
}

/* What was started here has the rights that we have. */
static int pool_check_rights(const struct node_pool *pool, const struct pool_node *node,
			     struct error *err)
{
	int64_t uid = json_path_int(node->link.hello, "uid", 0);

	if (pool->via == NODE_VIA_LOCAL && uid != 0 && !json_path_text(node->link.hello, "root"))
		return error_set(
			err, ERROR_API,
			"user %lld is not root; run kubectl-renumber as root, or with --sudo",
			(long long)uid);
	return 0;
}

/* Moves a node on by what its link has to say. */
static void pool_step(struct node_pool *pool, struct pool_node *node)
{
	bool starting = node->link.state == LINK_STARTING;
	auto_error struct error why = {0};
	json_t *reply = NULL;

	switch (link_step(&node->link, &reply, &why)) {
	case LINK_NOTHING:
		return;
	case LINK_READY:
		if (pool_check_rights(pool, node, &why) == 0) {
			pool_send_next(node);
			return;
		}
		link_close(&node->link, 0);
		pool_fail_rest(node, &why);
		return;
	case LINK_ANSWER:
		pool_take(node, node->calls[node->next++], reply);
		node->was_sent = false;
		pool_send_next(node);
		return;
	case LINK_LATE:
		pool_late(pool, node, starting);
		return;
	case LINK_BROKEN:
		link_close(&node->link, 0);
		pool_fail_rest(node, &why);
		return;
	case LINK_ENDED:
		if (!starting) {
			pool_lost(pool, node);
			return;
		}
		pool_explain(pool, node, &why);
		pool_fail_rest(node, &why);
		return;
	}
}

/* Brings a node that has calls to its first one. */
static void pool_begin(struct node_pool *pool, struct pool_node *node)
{
	auto_error struct error why = {0};

	node->active = true;
	node->was_sent = false;
	if (node->link.state == LINK_IDLE && link_is_stale(&node->link))
		link_close(&node->link, 0);
	if (node->link.state == LINK_IDLE)
		pool_send_next(node);
	else if (pool_start(pool, node, &why) < 0)
		pool_fail_rest(node, &why);
}

struct pool_round {
	struct pollfd *fds;	  /* owned */
	struct pool_node **nodes; /* owned: which each belongs to */
	size_t count;
};

/* Waits until one of the active nodes has something to say or its time is up. */
static void pool_wait(const struct node_pool *pool, struct pool_round *round)
{
	int64_t now = clock_monotonic_ms();
	int64_t wait = POOL_TICK_MS;

	round->count = 0;
	for (size_t i = 0; i < pool->count; i++) {
		struct pool_node *node = pool->nodes[i];
		size_t added;

		if (!node->active)
			continue;
		added = link_poll(&node->link, round->fds + round->count);
		for (size_t k = 0; k < added; k++)
			round->nodes[round->count++] = node;
		if (node->link.deadline - now < wait)
			wait = node->link.deadline - now;
	}
	if (poll(round->fds, round->count, wait > 0 ? (int)wait : 0) < 0)
		round->count = 0; /* interrupted: look at all again */
}

static bool pool_is_due(const struct pool_round *round, const struct pool_node *node)
{
	if (clock_monotonic_ms() >= node->link.deadline)
		return true;
	for (size_t i = 0; i < round->count; i++)
		if (round->nodes[i] == node && round->fds[i].revents)
			return true;
	return false;
}

/* Starts as many as may be active at a time; gives the number of those that are. */
static size_t pool_fill(struct node_pool *pool)
{
	size_t active = 0;

	for (size_t i = 0; i < pool->count; i++)
		active += pool->nodes[i]->active;
	for (size_t i = 0; i < pool->count && active < pool->parallel; i++) {
		struct pool_node *node = pool->nodes[i];

		if (node->active || node->next >= node->count)
			continue;
		pool_begin(pool, node);
		node->active = node->next < node->count;
		active += node->active;
	}
	return active;
}

static void pool_serve(struct node_pool *pool)
{
	struct pool_round round = {0};

	round.fds = alloc_array(pool->count * LINK_POLL_MAX + 1, sizeof(*round.fds));
	round.nodes = alloc_array(pool->count * LINK_POLL_MAX + 1, sizeof(struct pool_node *));
	while (pool_fill(pool) > 0) {
		pool_wait(pool, &round);
		for (size_t i = 0; i < pool->count; i++) {
			struct pool_node *node = pool->nodes[i];

			if (!node->active || !pool_is_due(&round, node))
				continue;
			pool_step(pool, node);
			node->active = node->next < node->count;
		}
	}
	free(round.fds);
	free(round.nodes);
}

size_t node_pool_run(struct node_pool *pool, struct node_call *calls, size_t count)
{
	size_t failed = 0;

	for (size_t i = 0; i < count; i++) {
		struct pool_node *node = pool_find(pool, calls[i].node);

		if (!node) {
			error_set(&calls[i].error, ERROR_NOT_FOUND,
				  "node '%s': the cluster has no such node", calls[i].node);
			continue;
		}
		ALLOC_GROW(node->calls, node->count, node->capacity);
		node->calls[node->count++] = &calls[i];
	}
	pool_serve(pool);
	for (size_t i = 0; i < pool->count; i++) {
		pool->nodes[i]->count = 0;
		pool->nodes[i]->next = 0;
	}
	for (size_t i = 0; i < count; i++)
		failed += calls[i].reply == NULL;
	return failed;
}

void node_calls_release(struct node_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_decref(calls[i].reply);
		error_release(&calls[i].error);
		calls[i] = (struct node_call){0};
	}
}

int node_call(struct node_pool *pool, const char *node, const json_t *request, json_t **ret_reply,
	      struct error *err)
{
	struct node_call call = {.node = node, .request = request};

	if (node_pool_run(pool, &call, 1) > 0)
		return error_move(err, &call.error);
	*ret_reply = call.reply;
	return 0;
}

size_t node_call_all(struct node_pool *pool, const char *const nodes[], size_t count,
		     const json_t *request, struct node_call *calls)
{
	for (size_t i = 0; i < count; i++)
		calls[i] = (struct node_call){.node = nodes[i], .request = request};
	return node_pool_run(pool, calls, count);
}

char *node_reply_bytes(const json_t *reply, const char *member, size_t *ret_len, struct error *err)
{
	auto_buffer struct buffer bytes = {.max = LIMIT_AGENT_MESSAGE};

	if (protocol_bytes(reply, member, &bytes, err) < 0)
		return NULL;
	if (ret_len)
		*ret_len = bytes.len;
	return buffer_detach(&bytes);
}
