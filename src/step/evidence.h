/* SPDX-License-Identifier: MIT */
#ifndef STEP_EVIDENCE_H
#define STEP_EVIDENCE_H

#include <jansson.h>

#include "base/buffer.h"
#include "kube/client.h"
#include "model/cluster.h"
#include "node/pool.h"
#include "plan/plan.h"

/*
 * Who still uses old addresses: containers by environment and resolv.conf, kubelets and network
 * plugins by their files, and whoever has connections, seen on every node over a window.
 */
enum evidence_how {
	EVIDENCE_ENVIRONMENT, /* a container has it in a *_SERVICE_HOST variable */
	EVIDENCE_RESOLV_CONF, /* a container asks it for names: without it, it loses DNS */
	EVIDENCE_FILE,	      /* a kubelet or a network plugin, in a file */
	EVIDENCE_CONNECTION,
};

struct evidence_use {
	char *address;
	char *who; /* "shop/web-1", "node cp1", "10.1.15.7 (seen on cp1)", "cp1:/var/lib/…" */
	enum evidence_how how;
	char *what;	      /* of a connection: "tcp/443"; else "" */
	uint64_t connections; /* the most that were seen at a time */
};

/* An old address that is kept answering, or was one. */
struct evidence_address {
	char *address;
	char *service;	  /* "shop/web"; "": not in the plan */
	char *alias;	  /* "shop/web-renumber-previous"; "": none holds it any more */
	uint64_t packets; /* first packets that kube-proxy's rules counted in the window */
	size_t used_by;
};

struct evidence {
	struct evidence_use *uses;
	size_t count;
	size_t capacity;
	struct evidence_address *addresses;
	size_t address_count;
	size_t address_capacity;
	size_t containers_before; /* that run since before default/kubernetes moved */
	size_t containers_after;
	size_t pods_old_dns; /* whose resolv.conf has an old address */
	size_t pods_new_dns;
	size_t nodes_seen;
	char **blind; /* what could not be looked at, a sentence each */
	size_t blind_count;
	size_t blind_capacity;
	int64_t window_ms;
};

struct evidence_request {
	const struct cluster *cluster; /* observed just now, nodes and all */
	struct node_pool *pool;	       /* NULL: connections are not seen */
	const struct plan *plan;
	int64_t moved_s;   /* wall clock: when default/kubernetes moved; 0: not known */
	int64_t window_ms; /* 0: one look at the connections that there are */
	/* Sleeps so long, and ticks. */
	int (*pause)(void *data, int64_t ms, struct error *err);
	void *data;
};

#define EVIDENCE_WINDOW_MS 60000

must_check int evidence_collect(const struct evidence_request *request, struct evidence *ret,
				struct error *err);

/* Uses that are reason enough to keep the alias: all; in a repair, where somebody's tests may go on
 * dialling what was dead before, all but connections. */
size_t evidence_used(const struct evidence *evidence, bool connections);

/* "shop/web-1 uses 10.96.0.1 (environment), …": at most `max`, then ", and 7 more". Caller frees. */
char *evidence_who(const struct evidence *evidence, bool connections, size_t max);

/* Pods that lose DNS with the old address: the same, NULL when there are none. Caller frees. */
char *evidence_loses_dns(const struct evidence *evidence, size_t max);

/* For people: a line for each address, at most `max` users of each, then what was looked at. */
void evidence_print(const struct evidence *evidence, size_t max, struct buffer *out);

/* {addresses: [{address, service, alias, packets, users: [{who, how, what, connections}]}], containersBefore,
 * containersAfter, podsOldDNS, podsNewDNS, nodes, blind, windowMs}; a new reference. */
json_t *evidence_json(const struct evidence *evidence);

void evidence_release(struct evidence *evidence);
#define auto_evidence __attribute__((cleanup(evidence_release)))

/* ---- pure, for tests ---- */

/* What the observation alone says. */
void evidence_from_cluster(const struct evidence_request *request, struct evidence *ret);
/* Adds an answer of agent operation `conntrack`; without a mark every connection counts. */
void evidence_add_connections(const struct evidence_request *request, const char *node,
			      const json_t *reply, struct evidence *evidence);

#endif
