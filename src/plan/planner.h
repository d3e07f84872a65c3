/* SPDX-License-Identifier: MIT */
#ifndef PLAN_PLANNER_H
#define PLAN_PLANNER_H

#include "net/map.h"
#include "plan/make.h"

/*
 * What the files of this folder share while a plan is made: the facts, the target, and the plan as
 * far as it has come. Each function adds the steps of its part.
 */
struct planner {
	const struct cluster *cluster;
	const struct plan_request *request;
	struct plan *plan;
	const char *to; /* canonical text of the new range */
	struct net_cidr to_cidr;
	const char *from; /* migration: the range that all API servers name, NULL: they do not */
	char *first;	  /* owned: address of default/kubernetes in it */
	char *dns;	  /* owned: of kube-dns */
	struct cluster_texts former; /* old ranges; in a migration the present one alone */
	/* owned: Services that hold an address outside of the new range, in the order in which they
	 * move */
	const struct cluster_service **moves;
	size_t move_count;
	bool swaps;			/* old addresses become their aliases' own */
	struct net_map map;		/* old address → new address of Services that move */
	struct cluster_texts old_first; /* owned list: old addresses of default/kubernetes in use */
	unsigned char *used; /* owned: bits of the host parts that somebody has, NULL: not yet */
	uint64_t next_own;   /* where the search for an alias' own address goes on */
	json_t *alias_names; /* owned: object with "namespace/name" of each alias */
};

/* True for an address of the new range. */
bool planner_is_new(const struct planner *p, const char *address);

/*
 * Refuses what must not be tried at all, one file for each family. In a migration also asks for
 * consents, and leaves notes.
 */
must_check int planner_check(struct planner *p, struct error *err);
/* the new range beside everything that has addresses already */
must_check int planner_check_network(const struct planner *p, struct error *err);
/* whose the cluster is: a provider's, another tool's */
must_check int planner_check_owner(struct planner *p, struct error *err);
/* whole on one range, and well */
must_check int planner_check_health(const struct planner *p, struct error *err);
/* Refuses where the flags say the target already and the rest does not. */
must_check int planner_check_whole(const struct planner *p, struct error *err);
/* Services that cannot be moved as others are, and what limits their number */
must_check int planner_check_services(struct planner *p, struct error *err);
/* what to expect */
void planner_notes(struct planner *p);

/* Fills moves. */
void planner_find_moves(struct planner *p);
bool planner_service_is(const struct cluster_service *s, const char *namespace_, const char *name);

struct plan_workload;
/* Leaves a note when more Services stand before these Pods than endpoints follow in time. */
void planner_note_crowd(struct planner *p, const struct plan_workload *w);

bool planner_migrates(const struct planner *p);

/* tourniquet */
void planner_tourniquet(struct planner *p);
/* preflight: what has to be kept and proved before anything is changed */
void planner_preflight(struct planner *p);
/* Nothing that changes anything was planned so far. */
bool planner_is_idle(const struct planner *p);
/* certificates, configuration */
void planner_certificates(struct planner *p);
void planner_configuration(struct planner *p);
/* ranges: in a migration also what kubeadm reads, where the servers roll in this stage */
void planner_ranges(struct planner *p);

/* All API servers, for those who wait for them or stand in for one of them. The caller owns it. */
json_t *planner_api_servers(const struct planner *p);
/* services */
must_check int planner_services(struct planner *p, struct error *err);
/* defaults */
void planner_defaults(struct planner *p);
/* nodes, workloads, drain */
void planner_nodes(struct planner *p);
void planner_workloads(struct planner *p);
/* drain: whom Kubernetes keeps in order while it lasts */
void planner_api_alias(struct planner *p);
/* drain, finalize: undoes the aids that the steps so far have put up */
void planner_finalize(struct planner *p);
/* takes up what came meanwhile; in drain also kubelets of nodes that joined */
void planner_sweep(struct planner *p, enum plan_stage stage);
void planner_finalize_certificates(struct planner *p);

/* certSANs in kubeadm-config; `range` NULL: it stays. Nothing where kubeadm is not used. */
void planner_kubeadm_config(struct planner *p, enum plan_stage stage, const char *range,
			    json_t *add);

/* No alias gets an address of the map as its own. */
void planner_hold_addresses(struct planner *p);

/* Fills *ret from the request's map file; empty where there is none. */
must_check int planner_own_map(const struct planner *p, struct net_map *ret, struct error *err);
/* ERROR_PARSE for a line about an address that no Service has. */
must_check int planner_check_own_map(const struct planner *p, const struct net_map *own,
				     struct error *err);

/* What keeps an old address answering. */
struct planner_alias {
	const char *namespace_;
	const char *name;		       /* of the Service */
	const struct cluster_service *service; /* NULL: default/kubernetes that is gone */
	const char *old;
	const char *new_; /* answers, too, until the alias is trimmed; NULL: does not */
	bool dead;	  /* nobody holds the old address now */
};

/* The parameters of a step of kind "alias"; a new reference. */
json_t *planner_alias(struct planner *p, const struct planner_alias *wanted);

/* Where ServiceCIDR objects decide, an alias can have the old address as its clusterIP, once the
 * Service has let go of it. The parameters of the one that takes over from the one with the
 * parameters `bridge`. */
json_t *planner_alias_swap(struct planner *p, const struct cluster_service *service,
			   json_t *bridge);

/* Tries each mechanism that the aliases of this plan will use; nothing without Services that move. */
void planner_canary(struct planner *p);

/* An address of the new range for the clusterIP of something that the run makes, each time another
 * one: a JSON text, or NULL when none is free. */
json_t *planner_own_address(struct planner *p);

/* What the plan's own steps make of its digest. */
json_t *plan_digest_after(const struct planner *p);

/* A server as far as it is known: of a control plane that is not reached from here (--nodes-via
 * local), what its mirror Pod in the API says stands for its manifest. */
struct cluster_component planner_component(const struct cluster_node *node,
					   const struct cluster_component *component);

/* --feature-gates of an API server when the plan has been carried out; the caller frees, NULL:
 * none. */
char *planner_gates(const struct planner *p, const struct cluster_component *server);

/* Finds addresses for p->moves, and emits the steps that move them. */
must_check int planner_move_found(struct planner *p, struct error *err);

/* Where cluster DNS will be; the caller frees. */
char *planner_dns_address(struct planner *p);

/* nodes: NodeLocal DNSCache answers at both addresses of cluster DNS, and at the end at the new one */
void planner_local_dns(struct planner *p);
void planner_local_dns_end(struct planner *p);
/* Whether one of those steps makes the Pods of this workload anew. */
bool planner_local_dns_restarts(const struct planner *p, const char *namespace_, const char *kind,
				const char *name);

/* The kubelets whose clusterDNS is old. */
void planner_kubelets(struct planner *p);

/* Frees what the planner owns; not the plan. */
void planner_release(struct planner *p);

/* Emits the steps that move p->moves, which are in p->map. */
void planner_move(struct planner *p);
/* Whether the Service's new address is held for it until it moves (kind hold). */
bool planner_is_held(const struct cluster_service *s);

/* API servers call it: for a webhook, a conversion or an aggregated API. */
bool planner_is_called(const struct planner *p, const struct cluster_service *s);

/* "Kind/namespace/name"; the caller frees. */
char *planner_subject(const char *kind, const char *namespace_, const char *name);

/* ServiceCIDR API version "v1" or "v1beta1", NULL where it is not served. */
const char *planner_cidr_api(const struct planner *p);

#endif
