/* SPDX-License-Identifier: MIT */
#ifndef MODEL_OBSERVE_H
#define MODEL_OBSERVE_H

#include "kube/client.h"
#include "model/cluster.h"
#include "node/pool.h"

/*
 * The observation, one JSON object (what could not be had is not there):
 *
 *	server, context, uid (of kube-system), observedAt, version {gitVersion, major, minor}
 *	serviceCIDRAPI: "networking.k8s.io/v1"; absent: not served
 *	nodes, services, serviceCIDRs, pods, endpointSlices (of default/kubernetes), events,
 *	leftovers: lists of API objects, cut down to the fields that model/build_*.c reads
 *	endpoints: object default/kubernetes
 *	configMaps: {"kube-system/kubeadm-config": object, …}
 *	localDNS: [{namespace, name, addresses: "169.254.20.10,10.96.0.10", configMap, corefile,
 *		managers: [who wrote its template], leavesAddresses}]; null: it could not be seen
 *	logs: {"namespace/pod": one telling line of a crashed container}
 *	hosts: {node: {problem} or {
 *		manifests: [{path, text}], kubelet: {text}, cni: [{path, server}],
 *		servers: [{name, startedAt, flags: {name: value}}],
 *		containers: [{podUID, containerID, startedAt, env, nameservers, sandbox}],
 *		routes: [CIDR], audit: as in pki/audit.h,
 *		problems: [what could not be looked at]}}
 *	validatingWebhooks, mutatingWebhooks, definitions, apiServices, networkPolicies,
 *	resourceQuotas: lists, with OBSERVE_SURROUNDINGS; surroundings: {unseen: [plural]}
 *	health: {node: {ready} or {problem}}, with OBSERVE_SURROUNDINGS
 *	served: {node: {certificate: as in pki/cert.h} or {problem}}
 *
 * Secrets are never in it: no Secret is read, of kubeconfigs only the server's URL is kept, of
 * command lines only the flags that are asked about.
 */
enum observe_what {
	OBSERVE_API = 1 << 0, /* objects */
	OBSERVE_HOSTS =
		1 << 1, /* manifests, processes, certificates, kubelet files of every node */
	OBSERVE_ALL = OBSERVE_API | OBSERVE_HOSTS,
	/* what a migration must know beside: who calls Services, policies, quotas, health */
	OBSERVE_SURROUNDINGS = 1 << 2,
	/* no more than plan_digest() (plan/make.h) reads: a few requests, however large the cluster
	 * and however broken; goes alone */
	OBSERVE_BASIS = 1 << 3,
};

/*
 * Asks the API server and, through `pool` (NULL: --nodes-via none), the nodes; everything that
 * does not answer is recorded as such and is no error, but for the API server itself.
 * Works on a broken cluster: nothing here needs a Pod, a Service address or cluster DNS.
 */
must_check int observe_cluster(struct kube_client *kube, struct node_pool *pool, unsigned int what,
			       json_t **ret_observation, struct error *err);

#endif
