/* SPDX-License-Identifier: MIT */
#ifndef KUBE_FLIP_H
#define KUBE_FLIP_H

#include "kube/client.h"

/*
 * A Service's ClusterIP cannot be changed by one request, but by two: ClusterIP → ExternalName →
 * ClusterIP with another address. The object stays: UID, Endpoints, EndpointSlices, nodePorts and
 * owner references survive (pkg/apis/core/validation: a change from or to ExternalName is free to
 * change clusterIP).
 *
 * Leg 1 clears what only other types may have; leg 2 says everything again that the original had,
 * because ports, policies and load-balancer fields were released by leg 1. Pure.
 */

/* Merge patch of leg 1. `external_name` is what DNS answers for the milliseconds between the legs. */
json_t *kube_flip_leave(const json_t *service, const char *external_name);

/* Merge patch of leg 2: the original spec with `addresses` (array of texts, primary first). */
json_t *kube_flip_return(const json_t *service, const json_t *addresses);

/* The original's status patch for type LoadBalancer with an address, else NULL: newer servers wipe
 * the status while the type is another one. */
json_t *kube_flip_status(const json_t *service);

#endif
