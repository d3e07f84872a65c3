/* SPDX-License-Identifier: MIT */
#ifndef LAB_WORKLOAD_H
#define LAB_WORKLOAD_H

#include "lab/lab.h"

/* The controllers of Deployments (with their ReplicaSets), DaemonSets and StatefulSets: Pods are
 * made, replaced one after the other when the template changes, those that are not ready first. */

/* Pods or workloads have changed. */
void workload_changed(struct lab *lab, const struct store_event *event);

#endif
