/* SPDX-License-Identifier: MIT */
#ifndef MODEL_OBSERVE_PARTS_H
#define MODEL_OBSERVE_PARTS_H

#include "model/observe.h"

/* The parts of observe_cluster(); each adds its members to the document. Inside of src/model. */

/* Fails only when the API server does not answer or refuses what nothing works without. */
must_check int observe_objects(struct kube_client *kube, json_t *document, struct error *err);

/* What OBSERVE_BASIS says; fails as observe_objects. */
must_check int observe_basis(struct kube_client *kube, json_t *document, struct error *err);

/* A telling line of each crash-looping Pod's last log, as far as kubelets answer. */
void observe_logs(struct kube_client *kube, json_t *document);

/* Reads what observe_objects brought. */
void observe_hosts(struct node_pool *pool, json_t *document);

/* What each control plane's API server shows in its handshake, asked from here, else from the node
 * itself (pool NULL: not). */
void observe_served(struct node_pool *pool, json_t *document);

/* Webhooks, APIServices and others that call Services, NetworkPolicies, quotas. */
void observe_surroundings(struct kube_client *kube, json_t *document);

/* /readyz of each control plane. */
void observe_health(struct kube_client *kube, json_t *document);

/* Node-local DNS: "localDNS". */
void observe_local_dns(struct kube_client *kube, json_t *document);

/* Something was not to be had. What the server refused is said, once, and kept as "withheld". */
void observe_without(json_t *document, const struct error *err);

/* A copy with only these fields (paths as in text/json.h), absent ones left out. New reference. */
json_t *observe_trim(const json_t *object, const char *const paths[], size_t count);

#endif
