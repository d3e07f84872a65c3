/* SPDX-License-Identifier: MIT */
#ifndef MODEL_OBSERVE_H
#define MODEL_OBSERVE_H

#include "kube/client.h"
#include "model/cluster.h"
#include "node/pool.h"

enum observe_what {
	OBSERVE_API = 1 << 0, /* objects */
	OBSERVE_HOSTS =
		1 << 1, /* manifests, processes, certificates, kubelet files of every node */
	OBSERVE_ALL = OBSERVE_API | OBSERVE_HOSTS,
};

/*
 * Asks the API server and, through `pool` (NULL: --nodes-via none), the nodes; everything that
 * does not answer is recorded as such and is no error, but for the API server itself.
 * Works on a broken cluster: nothing here needs a Pod, a Service address or cluster DNS.
 */
must_check int observe_cluster(struct kube_client *kube, struct node_pool *pool, unsigned int what,
			       json_t **ret_observation, struct error *err);

#endif
