/* SPDX-License-Identifier: MIT */
#ifndef STEP_ROLLOUT_H
#define STEP_ROLLOUT_H

#include "step/step.h"

/*
 * Pods of a workload are made anew by its controller when the Pod template has changed; what is
 * common to the step kinds that change one.
 *
 * A DaemonSet's controller stops at a node that is down (daemon/update.go counts it as unavailable):
 * then we replace its Pods on the other nodes, and that node's is not waited for.
 */

/* The names of the nodes that are not Ready, as an object's members; a new reference. */
must_check int step_rollout_down(struct step_context *context, json_t **ret, struct error *err);

/* All Pods are of the present template, and ready. `down`: how many nodes are; a DaemonSet has Pods
 * there that nobody can replace now. */
bool step_rollout_is_over(const json_t *workload, bool daemon_set, size_t down);

/* Its controller waits for somebody else to delete Pods: its strategy is OnDelete, or it is a
 * DaemonSet and a node is down. */
bool step_rollout_is_ours(const json_t *workload, bool daemon_set, size_t down);

/* Whether a Pod is from before the change. */
typedef bool (*step_rollout_stale)(const json_t *pod, const void *data);

/* In a migration waits until the PodDisruptionBudgets over a workload's Pods let one of them go. */
must_check int step_rollout_may_begin(struct step_context *context, const json_t *workload,
				      struct error *err);

/* Deletes the workload's own Pods that are stale, one at a time; those of nodes that are `down`
 * stay. */
must_check int step_rollout_replace(struct step_context *context, const json_t *workload,
				    const json_t *down, step_rollout_stale stale, const void *data,
				    struct error *err);

#endif
