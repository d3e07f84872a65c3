/* SPDX-License-Identifier: MIT */
#ifndef PLAN_STALE_H
#define PLAN_STALE_H

#include <jansson.h>

#include "model/cluster.h"

/*
 * Workloads whose Pods hold addresses of a range that the Services have left: in the environment of
 * a container (made when it was started), in the resolv.conf of a sandbox, or because they crash on
 * them. Pure.
 */
struct plan_stale {
	const struct cluster *cluster;
	const char *to;		     /* the new range; what is in it is not old */
	struct cluster_texts former; /* the old ranges */
	bool all;		     /* every workload counts */
	bool endpoint_changes;	     /* who reads kubernetes-services-endpoint counts, too */
	bool unseen_too;	     /* those of a node that is not reached from here do */
	bool seen_only;		     /* Pods of a node that could not be looked at do not count */
};

/* Texts are borrowed from the cluster. */
struct plan_workload {
	const char *namespace_;
	const char *kind; /* of the Pods' controller; NULL: a Pod that nobody manages */
	const char *name;
	bool network_plugin;
};

struct plan_workloads {
	struct plan_workload *items; /* owned; the network plugin first, then kube-system */
	size_t count;
	size_t capacity;
};

struct plan_workloads plan_stale_workloads(const struct plan_stale *query);
/* Why one look cannot tell who is stale: "Pod 'shop/web-1' is being created", "node 'w1' could not be
 * looked at". Owned; NULL: nothing keeps it from it. */
char *plan_stale_unsettled(const struct cluster *cluster);

void plan_workloads_release(struct plan_workloads *list);
#define auto_plan_workloads __attribute__((cleanup(plan_workloads_release)))

/* {subject: "Deployment/shop/web" (also for the ReplicaSet that a Deployment made), namespace, kind,
 * name}, as the step kind "restart" takes it; a new reference. NULL: nobody would make its Pods
 * anew the way it is done for Deployments. */
json_t *plan_workload_json(const struct plan_workload *workload);

#endif
