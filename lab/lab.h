/* SPDX-License-Identifier: MIT */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "lab/loop.h"
#include "lab/store.h"
#include "pki/cert.h"

/* The simulated cluster, as its parts see it. */

#define LAB_OLD_RANGE "10.96.0.0/16"
#define LAB_NEW_RANGE "10.17.0.0/16"
#define LAB_POD_PREFIX "10.244"

enum lab_regime { LAB_BITMAP, LAB_DUAL_WRITE, LAB_SERVICECIDR };

struct lab_options {
	unsigned int minor; /* of Kubernetes 1.x */
	unsigned int patch;
	enum lab_regime regime;
	int control_planes;
	int workers;
	int services; /* besides those that every cluster has */
	int pace;
	int sparing; /* probes ask so many times less often than they are told to */
	uint64_t seed;
};

enum { LAB_PROGRAMS = 4 }; /* of a control plane: etcd, API server, controller-manager, scheduler */

/* A program that kubelet starts from a file in its manifests folder. */
struct lab_static {
	const char *name;
	char *text;		     /* owned; of the manifest; NULL: none */
	struct lab_process *process; /* NULL: not running */
	bool wanted;		     /* while kubelet looks through the folder */
	struct loop_timer *stop;     /* due */
	struct loop_timer *start;
	struct lab_node *node;
};

/* A process on a node, as /proc shows it. */
struct lab_process {
	int64_t pid;
	int64_t started;
	json_t *args;	    /* owned; the command line */
	json_t *env;	    /* owned; NULL for none */
	char *pod_uid;	    /* owned; NULL for one outside of containers */
	char *container_id; /* owned */
	char *dns;	    /* owned; the nameserver in its resolv.conf; NULL: the node's */
	bool host_network;
	struct lab_process *next;
};

struct pod_run;

struct lab_node {
	struct lab *lab;
	char *name;
	char *address;
	char *folder; /* what stands for "/" on it */
	size_t index;
	bool control_plane;
	struct lab_static statics[LAB_PROGRAMS];
	struct lab_server *server; /* its API server; NULL on workers */
	char *dns;		   /* owned; what kubelet gave to containers when it was started */
	struct lab_process *kubelet;
	bool shown;		       /* its folder exists: somebody looks at it */
	struct lab_process *processes; /* of containers; a list, owned */
	int64_t next_pid;
	struct pod_run *pods; /* owned; what kubelet runs but for static Pods */
	char *cni_host;	      /* owned; the API server that the network plugin asks */
	unsigned int cni_port;
	bool gone;     /* cannot be reached */
	bool broken;   /* its kubelet starts nothing */
	json_t *table; /* owned; what its kube-proxy has programmed */
	int64_t synced_at;
	int64_t queued_at; /* the last change that asked for a sync */
	int64_t syncs;
	int tokens;
	struct loop_timer *sync;
};

enum lab_state { LAB_DOWN, LAB_STARTING, LAB_READY, LAB_STOPPING };

struct lab_server;

/* A loop that runs in a server while it lives. */
struct lab_turn {
	struct lab_server *server;
	int64_t every; /* 0: once */
	void (*fn)(struct lab_server *server);
	struct loop_timer *timer;
};

enum { LAB_TURNS = 3 };

/* One kube-apiserver. */
struct lab_server {
	struct lab *lab;
	struct lab_node *node;
	enum lab_state state;
	struct lab_turn turns[LAB_TURNS];
	char *range;	   /* owned; its flag */
	bool single_write; /* its gate DisableAllocatorDualWrite */
	struct http *http;
	char *pem; /* owned; the certificate that it shows */
	struct pki_cert cert;
	bool leased; /* an endpoint of default/kubernetes */
};

struct lab_fault;
struct notice;

struct lab {
	struct lab_options options;
	struct loop *loop;
	struct store *store;
	uint64_t random;
	char *folder;		/* of everything */
	char *program;		/* of the lab itself */
	char *agent;		/* renumber-agent */
	char *endpoint;		/* the balanced address */
	char *ca;		/* PEM */
	uint16_t port;		/* of every API server, and of the balanced address */
	unsigned int net;	/* 127.NET.x.y are the nodes' addresses */
	int claim;		/* a socket that keeps others off that network */
	bool open;		/* it listens */
	int status;		/* exit status of the command that was run in it */
	struct lab_node *nodes; /* owned */
	size_t node_count;
	struct lab_server *servers; /* owned */
	size_t server_count;
	/* RangeAllocation: the range that was written last, and the addresses taken */
	char *bitmap_range;
	json_t *bitmap;	    /* owned; address: true */
	json_t *node_ports; /* owned; "30080": "namespace/name" */
	const char *leader; /* the node whose controller-manager leads; NULL */
	int64_t led_at;
	json_t *ends; /* owned; since when a ServiceCIDR (by UID) has nothing in its way */
	uint64_t proxy_version; /* Services and slices have changed so often */
	json_t *table;		/* owned; what proxies program, as of table_version */
	uint64_t table_version;
	struct loop_timer *work;      /* a look at the workloads is due */
	struct loop_timer *endpoints; /* a look at the endpoints */
	json_t *stale;		      /* owned; keys of the Services to be looked at then */
	struct relay *balancer;
	struct dns *dns;
	struct fault *fault;
	struct beat *beat; /* NULL: the clock is not shared */
	struct control *control;
	struct guard *guard;   /* NULL: nobody looks on */
	struct notice *notice; /* of manifests and certificates; NULL while a scenario is played */
	uint64_t looked;       /* at manifests, when the notice had that version */
	uint64_t reloaded;     /* certificates, the same */
	json_t *deeds;	       /* owned; what others did to Services; NULL: nothing */
	bool full;	       /* etcd has no room */
	json_t *logs;	       /* owned; "namespace/pod": text */
	const char *denied;    /* what nobody may: "create/servicecidrs"; NULL: nothing */
	FILE *requests;	       /* owned; where requests are written; NULL: nowhere */
};

/* A number below `limit`, reproducible from the seed. */
uint64_t lab_random(struct lab *lab, uint64_t limit);

/* A new UID, "8-4-4-4-12"; for the caller to free. */
char *lab_uid(struct lab *lab);

/* Now, as objects write it; for the caller to free. */
char *lab_time(const struct lab *lab);

/* True when Kubernetes is 1.`minor` or later. */
static inline bool lab_since(const struct lab *lab, unsigned int minor)
{
	return lab->options.minor >= minor;
}

/* An API server that is ready; NULL when there is none. */
struct lab_server *lab_any_server(struct lab *lab);

struct lab_node *lab_node(struct lab *lab, const char *name);

/* Creates, as a controller does: UID, time and namespace are filled in. Takes the reference. */
void lab_create(struct lab *lab, const char *plural, json_t *object);

/* A copy of the object that may be changed and put back; NULL when it is not there. */
json_t *lab_edit(struct lab *lab, const char *plural, const char *space, const char *name);
void lab_put(struct lab *lab, const char *plural, json_t *object);
void lab_delete(struct lab *lab, const char *plural, const char *space, const char *name);

/* An Event about an object. */
__attribute__((format(printf, 6, 7))) void lab_event(struct lab *lab, const char *kind,
						     const char *space, const char *name,
						     const char *reason, const char *fmt, ...);

#endif
