/* SPDX-License-Identifier: MIT */
#ifndef SCAN_CLUSTER_H
#define SCAN_CLUSTER_H

#include "kube/client.h"
#include "node/pool.h"
#include "scan/result.h"

/*
 * Looks through the API objects of every type that is served and can be listed, page by page; an
 * answer is searched as it comes and parsed only where something was found. Each type is looked at
 * in the version that the server prefers. What is refused or does not answer becomes a gap.
 */
must_check int scan_cluster(struct scan_result *result, const struct scan_matcher *matcher,
			    struct kube_client *kube, struct error *err);

/* Looks through the files of the nodes that name Service addresses: manifests and kubeconfigs of
 * /etc/kubernetes, the kubelet's, CNI configurations, the environment of services, resolv.conf.
 * A node that cannot be reached becomes a gap. */
void scan_nodes(struct scan_result *result, const struct scan_matcher *matcher,
		struct node_pool *pool, const char *const nodes[], size_t count);

#endif
