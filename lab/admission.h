/* SPDX-License-Identifier: MIT */
#ifndef LAB_ADMISSION_H
#define LAB_ADMISSION_H

#include "lab/answer.h"
#include "lab/lab.h"

/*
 * ValidatingAdmissionPolicies, as far as somebody needs them who keeps an address out of
 * default/kubernetes: CEL is not evaluated. A bound policy that matches the type, the operation
 * and the object's name refuses every object that holds an address which its expressions name.
 *
 * Webhooks: nobody in the lab answers one, so that whatever matches one whose failurePolicy is Fail
 * is refused.
 */
int admission_check(struct lab *lab, const struct store_type *type, const char *operation,
		    const json_t *object, struct answer *answer);

#endif
