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

/*
 * A Deployment's and a StatefulSet's controllers wait for the Pods that they have on a node that is
 * down, too, with no end; nobody but the node's kubelet can replace those.
 */
enum step_rollout_here {
	ROLLOUT_GOES_ON,
	ROLLOUT_WAITS,	   /* nothing happens any more, and Pods on other nodes are stale */
	ROLLOUT_OVER_HERE, /* those on all other nodes are new and ready */
};

/* Judges it by the Pods of its namespace; GOES_ON when it has none on a node that is down. *ret_stale:
 * with WAITS, the name of one that has to go; borrowed. Pure. */
enum step_rollout_here step_rollout_judge(const json_t *pods, const json_t *workload,
					  const json_t *down, step_rollout_stale stale,
					  const void *data, const char **ret_stale);

/* The same; with `act` replaces what it waits for, one Pod a call. *ret_over: OVER_HERE. */
must_check int step_rollout_push(struct step_context *context, const json_t *workload,
				 const json_t *down, step_rollout_stale stale, const void *data,
				 bool act, bool *ret_over, struct error *err);

/* In a migration waits until the PodDisruptionBudgets over a workload's Pods let one of them go. */
must_check int step_rollout_may_begin(struct step_context *context, const json_t *workload,
				      struct error *err);

/* Deletes the workload's own Pods that are stale, one at a time; those of nodes that are `down`
 * stay. */
must_check int step_rollout_replace(struct step_context *context, const json_t *workload,
				    const json_t *down, step_rollout_stale stale, const void *data,
				    struct error *err);

#endif
