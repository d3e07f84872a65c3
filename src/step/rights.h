/* SPDX-License-Identifier: MIT */
#ifndef STEP_RIGHTS_H
#define STEP_RIGHTS_H

#include "step/step.h"

/* The namespaces that the parameters of the step name. */
#define STEP_RIGHT_NAMED NULL

/*
 * What a step kind writes to the API server, as authorization sees it
 * (https://kubernetes.io/docs/reference/access-authn-authz/authorization/). Sets end with a row
 * without a verb; kinds that do the same work share one. deploy/rbac-run.yaml grants them all.
 */
struct step_right {
	const char *verb;
	const char *group;    /* "": the core group */
	const char *resource; /* plural; "services/status" */
	const char *space;    /* STEP_RIGHT_NAMED; "": it has no namespace */
	const char *name;     /* NULL: any */
	unsigned since;	      /* needed by servers from 1.since on; 0: by all */
	unsigned before;      /* needed by servers before 1.before; 0: by all */
};

/* of every run: its lock, and the mirror of its progress */
extern const struct step_right step_rights_run[];
/* Services, the aliases beside them, and the endpoints that these have */
extern const struct step_right step_rights_services[];
/* a Service of ours in kube-system, by which proxies or allocators are tried */
extern const struct step_right step_rights_probe[];
/* API servers and controller-managers are started anew */
extern const struct step_right step_rights_roll[];
/* nobody makes Services meanwhile */
extern const struct step_right step_rights_freeze[];
extern const struct step_right step_rights_ranges[];
/* ConfigMaps of the cluster's configuration */
extern const struct step_right step_rights_configuration[];
extern const struct step_right step_rights_endpoint[];
extern const struct step_right step_rights_restart[];
/* NodeLocal DNSCache */
extern const struct step_right step_rights_local_dns[];

#endif
