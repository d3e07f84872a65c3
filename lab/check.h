/* SPDX-License-Identifier: MIT */
#ifndef LAB_CHECK_H
#define LAB_CHECK_H

#include "lab/answer.h"
#include "lab/lab.h"

/*
 * What API servers complete and refuse in objects of all kinds but Services. 0, or -1 with the
 * refusal in the answer.
 */

/* The name of an object that is to be created. */
int check_name(const struct lab *lab, const struct store_type *type, const char *name,
	       struct answer *answer);

/* `old` NULL: it is to be created. */
int check_object(const struct lab *lab, const struct store_type *type, const json_t *old,
		 json_t *object, struct answer *answer);

/* "Lease.coordination.k8s.io", as refusals call it; for the caller to free. */
char *check_kind(const struct store_type *type);

#endif
