/* SPDX-License-Identifier: MIT */
#ifndef LAB_CLUSTER_H
#define LAB_CLUSTER_H

#include "lab/lab.h"

/* A healthy cluster of the old range, made and let run for a while by the jumping clock; then it is
 * opened to whoever has its kubeconfig. */

/* `folder` exists and is empty. */
must_check struct lab *cluster_new(const struct lab_options *options, const char *folder,
				   const char *program, const char *agent, struct error *err);

/* In a child of the process that made it: the same cluster, before it is opened, in another folder,
 * with other random numbers from here on. */
must_check int cluster_move(struct lab *lab, const char *folder, uint64_t seed, struct error *err);

/* Listens, writes FOLDER/kubeconfig, FOLDER/ssh-map and FOLDER/env; from here on the clock runs. */
must_check int cluster_open(struct lab *lab, struct error *err);

void cluster_free(struct lab *lab);

#endif
