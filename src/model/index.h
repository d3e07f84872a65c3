/* SPDX-License-Identifier: MIT */
#ifndef MODEL_INDEX_H
#define MODEL_INDEX_H

#include "model/arena.h"
#include "model/cluster.h"

/*
 * Sorted views of a cluster, so that ten thousand Pods with a hundred addresses each are looked up
 * and not searched for.
 */
struct cluster_index;

/* After nodes, Services and Pods are filled. */
struct cluster_index *index_new(struct arena *arena, const struct cluster *cluster);

enum index_hold {
	INDEX_HOLD_CLUSTER_IP, /* a cluster IP of a Service that is not an alias */
	INDEX_HOLD_OTHER,      /* an alias' cluster IP, an external or a load balancer's address */
};

/* Who answers at this address (canonical text); a cluster IP goes before the others. NULL: nobody. */
const struct cluster_service *index_holder(const struct cluster_index *index, const char *address,
					   enum index_hold *ret_hold);

/* By the API's UID, or a static Pod's on its machine. */
const struct cluster_pod *index_pod(const struct cluster_index *index, const char *uid);

const struct cluster_service *index_service(const struct cluster_index *index,
					    const char *namespace_, const char *name);

#endif
