/* SPDX-License-Identifier: MIT */
#ifndef LAB_POD_H
#define LAB_POD_H

#include "lab/lab.h"

/*
 * Pods on their nodes, as kubelet runs them. What their containers know they know from when they
 * were started: the environment from the Services of that moment, resolv.conf from kubelet's
 * configuration. A container named calico-node or client dials the API server that its environment
 * names; calico-node ends when it gets no answer, and without it no Pod of the node is made or
 * unmade.
 */

/* Pods have changed. */
void pod_changed(struct lab *lab, const struct store_event *event);

/* Whether the network plugin can do its work on that node. */
bool pod_network_works(struct lab_node *node);

/* Frees what the node runs. */
void pod_forget(struct lab_node *node);

/* The Pod is Ready. */
bool pod_is_ready(const json_t *pod);

#endif
