/* SPDX-License-Identifier: MIT */
#include "step/rights.h"

#define SLICES "discovery.k8s.io", "endpointslices"
#define ADMISSION "admissionregistration.k8s.io"
#define POLICIES ADMISSION, "validatingadmissionpolicies"
#define BINDINGS ADMISSION, "validatingadmissionpolicybindings"
#define WEBHOOKS ADMISSION, "validatingwebhookconfigurations"

const struct step_right step_rights_run[] = {
	{"create", "coordination.k8s.io", "leases", "kube-system", NULL, 0, 0},
	{"patch", "coordination.k8s.io", "leases", "kube-system", "kubectl-renumber", 0, 0},
	{"delete", "coordination.k8s.io", "leases", "kube-system", "kubectl-renumber", 0, 0},
	{"create", "", "configmaps", "kube-system", NULL, 0, 0},
	{"update", "", "configmaps", "kube-system", NULL, 0, 0},
	{"delete", "", "configmaps", "kube-system", NULL, 0, 0},
	{0},
};

const struct step_right step_rights_services[] = {
	{"create", "", "services", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"patch", "", "services", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"delete", "", "services", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"patch", "", "services/status", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"create", SLICES, STEP_RIGHT_NAMED, NULL, 0, 0},
	{"update", SLICES, STEP_RIGHT_NAMED, NULL, 0, 0},
	{"patch", SLICES, STEP_RIGHT_NAMED, NULL, 0, 0},
	{"delete", SLICES, STEP_RIGHT_NAMED, NULL, 0, 0},
	/* the label that makes proxies pass endpoints over (step/flip.c) */
	{"patch", "", "endpoints", STEP_RIGHT_NAMED, NULL, 0, 22},
	/* the pulse */
	{"create", SLICES, "kube-system", NULL, 0, 0},
	{"patch", SLICES, "kube-system", NULL, 0, 0},
	{"delete", SLICES, "kube-system", NULL, 0, 0},
	{0},
};

const struct step_right step_rights_probe[] = {
	{"create", "", "services", "kube-system", NULL, 0, 0},
	{"delete", "", "services", "kube-system", NULL, 0, 0},
	{"patch", "", "services/status", "kube-system", NULL, 0, 0},
	{"create", SLICES, "kube-system", NULL, 0, 0},
	{"update", SLICES, "kube-system", NULL, 0, 0},
	{"delete", SLICES, "kube-system", NULL, 0, 0},
	{0},
};

const struct step_right step_rights_roll[] = {
	{"update", SLICES, "default", NULL, 0, 0},
	{"update", "", "endpoints", "default", "kubernetes", 0, 0},
	{"patch", "", "endpoints", "default", "kubernetes", 0, 0},
	{"patch", "", "namespaces", "default", "default", 0, 0},
	{"create", "", "services", "kube-system", NULL, 0, 0},
	{"delete", "", "services", "kube-system", NULL, 0, 0},
	{"create", SLICES, "kube-system", NULL, 0, 0},
	{"update", SLICES, "kube-system", NULL, 0, 0},
	{"delete", SLICES, "kube-system", NULL, 0, 0},
	{"create", POLICIES, "", NULL, 30, 0},
	{"delete", POLICIES, "", "kubectl-renumber-keep-out", 30, 0},
	{"create", BINDINGS, "", NULL, 30, 0},
	{"delete", BINDINGS, "", "kubectl-renumber-keep-out", 30, 0},
	{"create", WEBHOOKS, "", NULL, 0, 30},
	{"delete", WEBHOOKS, "", "kubectl-renumber-keep-out", 0, 0},
	{0},
};

const struct step_right step_rights_freeze[] = {
	{"create", POLICIES, "", NULL, 30, 0},
	{"delete", POLICIES, "", "kubectl-renumber-freeze", 30, 0},
	{"create", BINDINGS, "", NULL, 30, 0},
	{"delete", BINDINGS, "", "kubectl-renumber-freeze", 30, 0},
	{"create", WEBHOOKS, "", NULL, 0, 30},
	{"delete", WEBHOOKS, "", "kubectl-renumber-freeze", 0, 0},
	{0},
};

const struct step_right step_rights_ranges[] = {
	{"create", "networking.k8s.io", "servicecidrs", "", NULL, 0, 0},
	{"delete", "networking.k8s.io", "servicecidrs", "", NULL, 0, 0},
	{0},
};

const struct step_right step_rights_configuration[] = {
	{"update", "", "configmaps", "kube-system", NULL, 0, 0},
	{0},
};

const struct step_right step_rights_endpoint[] = {
	{"update", "", "configmaps", STEP_RIGHT_NAMED, "kubernetes-services-endpoint", 0, 0},
	{0},
};

const struct step_right step_rights_restart[] = {
	{"patch", "apps", "daemonsets", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"patch", "apps", "deployments", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"patch", "apps", "statefulsets", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"delete", "", "pods", STEP_RIGHT_NAMED, NULL, 0, 0},
	{0},
};

const struct step_right step_rights_local_dns[] = {
	{"create", "", "configmaps", "kube-system", NULL, 0, 0},
	{"update", "", "configmaps", "kube-system", NULL, 0, 0},
	{"delete", "", "configmaps", "kube-system", NULL, 0, 0},
	{"patch", "apps", "daemonsets", STEP_RIGHT_NAMED, NULL, 0, 0},
	{"delete", "", "pods", STEP_RIGHT_NAMED, NULL, 0, 0},
	{0},
};
