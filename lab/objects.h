/* SPDX-License-Identifier: MIT */
#ifndef LAB_OBJECTS_H
#define LAB_OBJECTS_H

#include "lab/lab.h"

/* The objects of a kubeadm cluster with a network plugin, DNS, and a shop that uses both. */
void objects_make(struct lab *lab);

/* A Service of the shop with a Deployment behind it, as the sizes ask for them. */
void objects_make_services(struct lab *lab, int count);

/* ConfigMap kubeadm-config's ClusterConfiguration; for the caller to free. */
char *objects_kubeadm(const struct lab *lab, const char *range, const char *extra_name);

#endif
