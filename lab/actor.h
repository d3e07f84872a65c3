/* SPDX-License-Identifier: MIT */
#ifndef LAB_ACTOR_H
#define LAB_ACTOR_H

#include "lab/lab.h"

/*
 * What others do to a cluster while a run is under way, and what breaks by itself:
 *
 *	create, change, delete	a Service of an application
 *	join			a node that nobody can reach joins
 *	thief, unlock		somebody else takes the run's Lease, or removes it
 *	server			an API server goes away for good
 *	node			a node dies, with all that runs on it
 *	quota			etcd is full: no write succeeds
 *	compact			watches and continued lists expire
 *	clock			the wall clock where the tool runs jumps
 */

/* False when there is no such event. `seed` decides whom it meets. */
bool actor_act(struct lab *lab, const char *event, uint64_t seed);

/* What can be made good is: nodes and servers come back, the Lease is free, etcd has room. */
void actor_repair(struct lab *lab);

/* True when no write succeeds. */
bool actor_is_full(const struct lab *lab);

/* What was done to Services so far: [{"event": "delete", "key": "shop/pair"}]; borrowed. */
json_t *actor_deeds(struct lab *lab);

#endif
