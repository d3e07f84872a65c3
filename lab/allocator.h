/* SPDX-License-Identifier: MIT */
#ifndef LAB_ALLOCATOR_H
#define LAB_ALLOCATOR_H

#include "lab/lab.h"
#include "net/cidr.h"

/*
 * Who gives Services their addresses, as each regime does it.
 *
 * bitmap: one RangeAllocation in etcd. A server can allocate only while its flag equals the range
 *	that was written last; every server's repair loop writes its own (every 3 minutes, and at its
 *	start).
 * ServiceCIDR: an IPAddress object for each address, within a ServiceCIDR that is Ready.
 * dual-write: both; the bitmap's range is never rewritten.
 */

/* `wanted` NULL: any. The address (for the caller to free), or NULL and a problem in the server's
 * words, for the caller to free. `dry`: nothing is taken. */
char *allocator_take(struct lab_server *server, const char *space, const char *name,
		     const char *wanted, bool dry, char **ret_problem);

void allocator_release(struct lab_server *server, const char *address);

/* The repair loop of the bitmap: the server's own range is written, all bits are counted anew. */
void allocator_repair(struct lab_server *server);

/* Objects for addresses that Services hold; for the regimes that have them. */
void allocator_repair_objects(struct lab *lab);

/* True when the ServiceCIDR may be allocated from. */
bool allocator_usable(const json_t *service_cidr);

/* False when the text is no range. */
bool allocator_range(const char *text, struct net_cidr *ret);

#endif
