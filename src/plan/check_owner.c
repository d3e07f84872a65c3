/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"

/*
 * Whose the cluster is. A provider's control plane cannot be changed from here; one that another
 * tool makes from its own description is changed back by it, unless the description is changed too.
 */
static bool owner_label(const struct cluster *c, const char *label)
{
	for (size_t i = 0; i < c->node_count; i++)
		if (json_object_get(c->nodes[i].labels, label))
			return true;
	return false;
}

static const char *owner_provider(const struct cluster *c)
{
	static const struct {
		const char *label;
		const char *name;
	} labels[] = {
		{"eks.amazonaws.com/nodegroup", "Amazon EKS"},
		{"alpha.eksctl.io/cluster-name", "Amazon EKS"},
		{"cloud.google.com/gke-nodepool", "Google GKE"},
		{"kubernetes.azure.com/cluster", "Azure AKS"},
		{"kubernetes.azure.com/agentpool", "Azure AKS"},
		{"doks.digitalocean.com/node-pool", "DigitalOcean"},
		{"lke.linode.com/pool-id", "Linode LKE"},
		{"k8s.scaleway.com/pool", "Scaleway Kapsule"},
		{"node.openshift.io/os_id", "OpenShift"},
	};
	const char *version = c->git_version ? c->git_version : "";

	if (strstr(version, "-eks-"))
		return "Amazon EKS";
	if (strstr(version, "-gke."))
		return "Google GKE";
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (owner_label(c, labels[i].label))
			return labels[i].name;
	return NULL;
}

/* Distributions whose servers are no static Pods, by the suffix of their version. */
static const char *owner_distribution(const struct cluster *c)
{
	static const char *const names[] = {"k3s", "rke2", "k0s"};
	const char *plus = c->git_version ? strchr(c->git_version, '+') : NULL;

	for (size_t i = 0; plus && i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(plus + 1, names[i], strlen(names[i])) == 0)
			return names[i];
	return NULL;
}

static void owner_cluster_api(struct planner *p)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const char *cluster = p->cluster->nodes[i].cluster_api;

		if (!cluster)
			continue;
		plan_consent(p->plan, "cluster-owner", json_pack("[s+]", "Cluster/", cluster),
			     "Cluster API makes machines of this cluster from the range in its own "
			     "Cluster object '%s': set spec.clusterNetwork.services there, or each "
			     "new machine comes with the old range",
			     cluster);
		return;
	}
}

static void owner_rancher(struct planner *p)
{
	for (size_t i = 0; i < p->cluster->pod_count; i++) {
		const struct cluster_pod *pod = &p->cluster->pods[i];

		if (strcmp(pod->namespace_, "cattle-system") != 0)
			continue;
		plan_consent(p->plan, "cluster-owner",
			     json_pack("[s+++]", "Pod/", pod->namespace_, "/", pod->name),
			     "Rancher manages this cluster: where it made it, the range stands in "
			     "Rancher's own cluster configuration, and the next upgrade from there "
			     "writes it back; change it there, too");
		return;
	}
}

static void owner_tigera(struct planner *p)
{
	if (cluster_texts_contain(&p->cluster->definitions, "installations.operator.tigera.io"))
		plan_consent(p->plan, "cluster-owner", json_pack("[s]", "Installation/default"),
			     "the Tigera operator writes the network plugin's configuration: where "
			     "Installation 'default' names spec.serviceCIDRs, put '%s' beside the "
			     "present range there before applying, and take the old one out after "
			     "'finalize'",
			     p->to);
}

int planner_check_owner(struct planner *p, struct error *err)
{
	const char *provider = owner_provider(p->cluster);
	const char *distribution = owner_distribution(p->cluster);

	if (provider)
		return error_set(
			err, ERROR_REFUSED,
			"this is a cluster of %s: its Service range is its provider's, and "
			"only a new cluster has another one; 'scan' finds what refers to "
			"the range",
			provider);
	if (distribution)
		return error_set(
			err, ERROR_REFUSED,
			"this is a cluster of %s, whose servers take the Service range from "
			"its own configuration ('service-cidr'); this version moves clusters "
			"that are made like kubeadm's",
			distribution);
	owner_cluster_api(p);
	owner_rancher(p);
	owner_tigera(p);
	return 0;
}
