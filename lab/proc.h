/* SPDX-License-Identifier: MIT */
#ifndef LAB_PROC_H
#define LAB_PROC_H

#include "lab/lab.h"

/* Processes of the simulated nodes: a folder for each below NODE/proc, as the agent reads it. */

/* Takes args, env, uid, id and dns over; started now, unless it says when. */
struct lab_process *proc_start(struct lab_node *node, struct lab_process *made);
void proc_end(struct lab_node *node, struct lab_process *process);

/* 64 hex digits; for the caller to free. */
char *proc_container_id(struct lab *lab);

/* Writes what every node has below /proc, and all its processes. */
must_check int proc_show(struct lab_node *node, struct error *err);

#endif
