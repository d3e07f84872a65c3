/* SPDX-License-Identifier: MIT */
#ifndef DOCTOR_FAMILY_H
#define DOCTOR_FAMILY_H

#include "doctor/finding.h"

/*
 * What the families of findings share: the cluster and what follows from it at once. Inside of
 * src/doctor only.
 */
struct patient {
	const struct cluster *cluster;
	const char *range; /* that all API servers name, NULL: they differ, or unknown */
	const char
		*first; /* its first address, where default/kubernetes belongs; NULL with range */
	const char *tenth;			  /* its DNS address */
	const struct cluster_service *kubernetes; /* NULL: gone */
	const char *address;			  /* of default/kubernetes, NULL: none */
	const struct cluster_service *dns;	  /* kube-system/kube-dns */
	const char *dns_address;
	bool has_cidrs;	     /* ServiceCIDR objects take part in allocation */
	bool address_broken; /* containers cannot reach the API servers: dead or gone */
};

typedef void doctor_family(const struct patient *p, struct finding_list *list);

doctor_family doctor_facts;	   /* KR0xx */
doctor_family doctor_ranges;	   /* KR1xx */
doctor_family doctor_kubernetes;   /* KR2xx */
doctor_family doctor_certificates; /* KR3xx */
doctor_family doctor_dns;	   /* KR4xx */
doctor_family doctor_workloads;	   /* KR5xx */
doctor_family doctor_files;	   /* KR6xx */
doctor_family doctor_environment;  /* KR7xx */

/* The commands that most remedies end with. */
#define DOCTOR_REPAIR                                                   \
	"run 'kubectl renumber plan --repair --out repair.plan', then " \
	"'kubectl renumber apply repair.plan'"

/* "a, b, c" of a list; the caller frees. */
char *doctor_join(const struct cluster_texts *texts);

/* True for a Service whose addresses are its own: no alias, and with a cluster IP. */
bool doctor_has_address(const struct cluster_service *service);

/* "Kind/namespace/name" of whom a Pod belongs to (a ReplicaSet's hash is cut off), or
 * "Pod/namespace/name"; the caller frees. */
char *doctor_workload(const struct cluster_pod *pod);

/* True for an old API server address that something running dials: not only a ConfigMap names it. */
bool doctor_is_dialled(const struct cluster_dead_address *address);

#endif
