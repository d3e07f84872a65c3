/* SPDX-License-Identifier: MIT */
#ifndef LAB_KEYS_H
#define LAB_KEYS_H

#include "base/error.h"
#include "lab/lab.h"

/* The keys and certificates of the simulated nodes: real ones, as kubeadm lays them out, with small
 * elliptic keys, so that a cluster has its own within milliseconds. */
struct keys;

/* The three authorities and sa.key, once for the cluster. */
must_check struct keys *keys_new(struct lab *lab, struct error *err);
void keys_free(struct keys *keys);

/* Everything below /etc/kubernetes of a control plane that has a key in it. `names` are certSANs
 * besides kubeadm's own; `service` is the API servers' Service address. */
must_check int keys_write(const struct keys *keys, const struct lab_node *node, const char *service,
			  struct error *err);

/* apiserver.crt made anew for one more name, as kubeadm's `init phase certs all` does it. */
must_check int keys_renew(const struct lab_node *node, const char *name, struct error *err);

/* The cluster's CA as PEM; borrowed. */
const char *keys_ca(const struct keys *keys);

#endif
