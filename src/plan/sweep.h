/* SPDX-License-Identifier: MIT */
#ifndef PLAN_SWEEP_H
#define PLAN_SWEEP_H

#include "model/cluster.h"
#include "plan/plan.h"

/*
 * What came while `plan` was carried out and still holds an old address: the steps that move those
 * Services as the plan moves its own, and, where the machines were looked at, the kubelets that
 * give out the old DNS address. Pure. ret->count is 0 when there is nothing; ret->map has the
 * addresses.
 */
must_check int plan_sweep(const struct cluster *cluster, const struct plan *plan, struct plan *ret,
			  struct error *err);

#endif
