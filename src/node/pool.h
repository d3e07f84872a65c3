/* SPDX-License-Identifier: MIT */
#ifndef NODE_POOL_H
#define NODE_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The nodes of a cluster and one renumber-agent on each, started at the first call and kept until
 * the pool is freed. Calling sequence:
 *
 *	struct node_pool *pool = node_pool_new(&options, err);
 *	node_pool_add(pool, "cp1", "10.1.15.121");
 *	json_t *request = json_pack("{s:s}", "op", "info");
 *	if (node_call(pool, "cp1", request, &reply, err) < 0) …
 *	node_pool_free(pool);
 *
 * The operations and their payloads are in agent/protocol.h. No threads: many nodes are served by
 * one poll loop. A call never outlasts its operation's time limit.
 */
enum node_transport {
	NODE_VIA_SSH,	    /* the user's ssh, root or with sudo */
	NODE_VIA_LOCAL,	    /* this host only, without ssh */
	NODE_VIA_DAEMONSET, /* not served yet: node_pool_new says so */
	NODE_VIA_NONE,	    /* every call fails with ERROR_REFUSED */
};

struct node_options {
	enum node_transport via;
	const char *ssh_command; /* NULL: "ssh"; split at blanks, '…' and "…" quote */
	const char *ssh_user;	 /* NULL: as ssh is configured */
	const char *ssh_map;	 /* file with lines node=host; NULL: none */
	bool sudo;		 /* become root by "sudo -n" */
	const char *agent;	 /* path of renumber-agent; NULL: $KUBECTL_RENUMBER_AGENT, else
				  * beside this program, else ../libexec/kubectl-renumber */
	int parallel;		 /* nodes that are connected to at a time; 0: 16 */
	int64_t connect_ms;	 /* 0: 60 s to connect, stream the agent and hear from it */
};

/* "ssh", "local", "daemonset", "none"; false for anything else. */
bool node_transport_parse(const char *text, enum node_transport *ret);

struct node_pool;

/* ERROR_USAGE for a malformed ssh command, ERROR_PARSE for a malformed map. The texts of options
 * need not outlive the call. The agent is looked for at the first call. */
struct node_pool *node_pool_new(const struct node_options *options, struct error *err);

/* Ends the agents. NULL is fine. */
void node_pool_free(struct node_pool *pool);

/* Makes a node known; adding it again updates its address. `address` (NULL: unknown) is where ssh
 * goes unless the map or the user's ssh configuration has a host for `name`. */
void node_pool_add(struct node_pool *pool, const char *name, const char *address);

/* True unless the pool was made with NODE_VIA_NONE. */
bool node_pool_reaches_nodes(const struct node_pool *pool);

/* True when `name` may be reached at all: always by ssh; for NODE_VIA_LOCAL when it is this host.
 * Does not connect. */
bool node_pool_may_reach(const struct node_pool *pool, const char *name);

/* One request to one node, and what came of it. */
struct node_call {
	const char *node;      /* borrowed */
	const json_t *request; /* borrowed; object with "op"; "id" is added on the wire */
	json_t *reply;	       /* owned, NULL when it failed */
	struct error error;    /* set when reply is NULL; begins with "node 'NAME': " */
};

/* Makes all calls, to different nodes at the same time, to one node in order (after a failed
 * connection its later calls fail the same way). Never fails as a whole: gives the number of
 * calls that failed. Release with node_calls_release. */
size_t node_pool_run(struct node_pool *pool, struct node_call *calls, size_t count);

/* Frees the replies and errors, and zeroes them. */
void node_calls_release(struct node_call *calls, size_t count);

/* One call. Kinds: ERROR_NETWORK when the node cannot be reached or falls silent, ERROR_API when it
 * refuses us (user, key, sudo, architecture), else the kind that the agent gave. */
must_check int node_call(struct node_pool *pool, const char *node, const json_t *request,
			 json_t **ret_reply, struct error *err);

/* The same request to many nodes: calls[i] belongs to nodes[i]; the caller gives `count` zeroed
 * calls. */
size_t node_call_all(struct node_pool *pool, const char *const nodes[], size_t count,
		     const json_t *request, struct node_call *calls);

/* The content of an answer's base64 member as text: for the caller to free; NULL and ERROR_PARSE
 * when it is missing or malformed. ret_len may be NULL. */
char *node_reply_bytes(const json_t *reply, const char *member, size_t *ret_len, struct error *err);

#endif
