/* SPDX-License-Identifier: MIT */
#ifndef LAB_NODE_H
#define LAB_NODE_H

#include "lab/lab.h"

/* Simulated nodes: a folder that stands for "/", kubelet, and the static Pods of control planes. */

/* Writes the folder of a node that nobody looked at so far. */
must_check int node_show(struct lab_node *node, struct error *err);

/* kubelet reads its configuration anew. */
void node_restart_kubelet(struct lab_node *node);

/* Looks through the manifests of every control plane, again and again. */
void node_watch(struct lab *lab);

/* The programs of a control plane, in the order of struct lab_node's statics. */
extern const char *const node_programs[LAB_PROGRAMS];

/* The text of a manifest as kubeadm writes it; for the caller to free. */
char *node_manifest(const struct lab_node *node, const char *program, const char *range);

/* kubelet's configuration with this clusterDNS; for the caller to free. */
char *node_kubelet_config(const char *dns);

/* Writes a file below the node's "/". */
must_check int node_put(const struct lab_node *node, const char *path, const char *text,
			mode_t mode, struct error *err);

/* A program of a control plane ends, NULL: all do; kubelet starts nothing while node->broken. */
void node_halt(struct lab_node *node, const char *program);
/* What was halted starts again. */
void node_resume(struct lab_node *node);

/* Frees what it holds. */
void node_release(struct lab_node *node);

#endif
