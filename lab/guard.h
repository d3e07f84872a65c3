/* SPDX-License-Identifier: MIT */
#ifndef LAB_GUARD_H
#define LAB_GUARD_H

#include "lab/lab.h"

/*
 * Looks on, whatever a run does: an old address that some Service claims (as its clusterIP, or in its
 * status) must be claimed until the guard is told that it may go.
 */
struct guard;

/* The old addresses of all Services of now, and those of the API servers and DNS. */
struct guard *guard_new(struct lab *lab);
void guard_free(struct guard *guard);

/* After each request; `what` for the record. NULL is fine. */
void guard_look(struct guard *guard, const char *method, const char *path);

/* Its Service goes by somebody's will. NULL is fine. */
void guard_release(struct guard *guard, const char *address);

/* What it saw: a list of sentences; a new reference. */
json_t *guard_seen(const struct guard *guard);

/* Keys below /etc/kubernetes/pki of any node that do not belong to their certificates, and files there
 * that cannot be read: a list of sentences; a new reference. */
json_t *guard_pairs(const struct lab *lab);

#endif
