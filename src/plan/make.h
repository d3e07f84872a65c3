/* SPDX-License-Identifier: MIT */
#ifndef PLAN_MAKE_H
#define PLAN_MAKE_H

#include "model/cluster.h"
#include "plan/plan.h"

struct plan_request {
	enum plan_mode mode;
	const char
		*to; /* canonical range wanted; NULL (repair only): what all servers' flags say */
	const char *map_file;  /* name for messages, or NULL: no own addresses */
	struct slice map_text; /* its lines: OLD NEW, or NAMESPACE/NAME NEW */
	const char *run;       /* id of the run */
	const char *created_at;
	const char *restart; /* "all", "needed" or "none" */
	bool nodes_reached;  /* false: steps on nodes cannot be carried out */
};

/*
 * PLAN_REPAIR: the steps that are missing until the cluster is whole on one range, from whatever
 * point somebody had reached. PLAN_MIGRATE: all steps from a healthy cluster to one on another
 * range. Pure: the same cluster and request give the same plan. ERROR_REFUSED with the reason when
 * it cannot be done this way or the target is unclear.
 */
must_check int plan_make(const struct cluster *cluster, const struct plan_request *request,
			 struct plan *ret, struct error *err);

/* What a plan rests on, from what the API shows alone (so that it can be compared in milliseconds):
 * regime, flags, kubeadm-config, ServiceCIDRs, the first address. A new reference. */
json_t *plan_digest(const struct cluster *cluster);

#endif
