/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

#define RANGE_FLAG "service-cluster-ip-range"
#define DUAL_WRITE_GATE "DisableAllocatorDualWrite"

/* Every address under which an API server may be dialled while old and new live side by side: the
 * new first address, the old ones in use, and all control planes, so that any server may answer for
 * any other. */
static json_t *certificate_names(const struct planner *p)
{
	json_t *names = json_pack("[s]", p->first);

	for (size_t i = 0; i < p->old_first.count; i++)
		json_array_append_new(names, json_string(p->old_first.items[i]));
	for (size_t i = 0; i < p->cluster->node_count; i++)
		if (p->cluster->nodes[i].control_plane && p->cluster->nodes[i].address)
			json_array_append_new(names, json_string(p->cluster->nodes[i].address));
	return names;
}

static bool certificate_lacks(const struct cluster_certificate *certificate, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		if (!cluster_texts_contain(&certificate->addresses, json_string_value(name)))
			return true;
	}
	return false;
}

static void certificate_step(struct planner *p, enum plan_stage stage,
			     const struct cluster_node *node, json_t *add, json_t *remove)
{
	auto_free char *subject = alloc_format("%s:/etc/kubernetes/pki/apiserver.crt", node->name);
	json_t *parameters =
		json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "node", node->name, "names",
			  "apiserver", "version", p->cluster->git_version, "address",
			  node->address ? node->address : "", "add", add, "remove", remove);

	if (p->cluster->kubeadm_dns_domain)
		json_object_set_new(parameters, "dnsDomain",
				    json_string(p->cluster->kubeadm_dns_domain));
	plan_step_why(plan_add(p->plan, stage, "certificate", subject, parameters),
		      "a client that dials an address which the certificate does not name is "
		      "refused by its "
		      "own TLS library");
}

static void certificate_served_step(struct planner *p, enum plan_stage stage, json_t *add,
				    json_t *remove)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (node->control_plane && node->address)
			json_array_append_new(
				servers, json_pack("{s:s, s:s, s:i}", "node", node->name, "address",
						   node->address, "port",
						   node->api_port ? (int)node->api_port : 6443));
	}
	plan_step_why(plan_add(p->plan, stage, "certificate-served", "API servers",
			       json_pack("{s:o, s:o, s:o}", "servers", servers, "add", add,
					 "remove", remove)),
		      "a new file counts when the server shows it");
}

/* A certificate that is gone left no names behind; they come from kubeadm-config and the server. */
static json_t *certificate_add(const struct planner *p, const struct cluster_node *node,
			       json_t *names)
{
	json_t *add = json_copy(names);
	json_t *more;

	if (node->host.api_server_certificate.known)
		return add;
	more = cluster_certificate_names(p->cluster, node);
	json_array_extend(add, more);
	json_decref(more);
	return add;
}

void planner_certificates(struct planner *p)
{
	auto_json json_t *names = certificate_names(p);
	bool any = false;

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (!node->control_plane)
			continue;
		if (certificate_lacks(&node->host.api_server_certificate, names)) {
			certificate_step(p, PLAN_STAGE_CERTIFICATES, node,
					 certificate_add(p, node, names), json_array());
			any = true;
		} else if (certificate_lacks(&node->served, names)) {
			any = true;
		}
	}
	if (any)
		certificate_served_step(p, PLAN_STAGE_CERTIFICATES, json_incref(names),
					json_array());
}

/* The old first addresses in certSANs, so that a certificate made by kubeadm meanwhile still names
 * them; finalize takes them out again. */
void planner_configuration(struct planner *p)
{
	const struct cluster *c = p->cluster;
	auto_json json_t *add = json_array();
	json_t *parameters;

	if (!c->kubeadm_known)
		return;
	for (size_t i = 0; i < p->old_first.count; i++)
		if (!cluster_texts_contain(&c->kubeadm_cert_sans, p->old_first.items[i]))
			json_array_append_new(add, json_string(p->old_first.items[i]));
	/* extraArgs may say the right range over a wrong serviceSubnet */
	if (cluster_range_equal(c->kubeadm_range, p->to) &&
	    (!c->kubeadm_service_subnet || cluster_range_equal(c->kubeadm_service_subnet, p->to)) &&
	    json_array_size(add) == 0)
		return;
	parameters = json_pack("{s:s, s:s, s:s, s:O}", "namespace", "kube-system", "name",
			       "kubeadm-config", "range", p->to, "add", add);
	plan_step_why(plan_add(p->plan, PLAN_STAGE_CONFIGURATION, "kubeadm-config",
			       "ConfigMap/kube-system/kubeadm-config", parameters),
		      "the next kubeadm upgrade, join or init phase writes flags and certificates "
		      "from it");
}

/* Anything in the manifests folder that defines a program which another file of the right name
 * defines, too. */
static void range_stray(struct planner *p, const struct cluster_node *node)
{
	for (size_t i = 0; i < node->host.manifest_count; i++) {
		const struct cluster_manifest *m = &node->host.manifests[i];
		auto_free char *right = NULL;
		auto_free char *subject = NULL;

		if (!m->program)
			continue;
		right = alloc_format("/etc/kubernetes/manifests/%s.yaml", m->program);
		if (strcmp(m->path, right) == 0)
			continue;
		subject = alloc_format("%s:%s", node->name, m->path);
		plan_step_why(
			plan_add(p->plan, PLAN_STAGE_RANGES, "stray-manifest", subject,
				 json_pack("{s:s, s:s}", "node", node->name, "path", m->path)),
			"kubelet runs every file in the folder, so an old copy wins or competes");
	}
}

/* The gates as they are with the one that ends dual writing switched on. */
static char *range_gates(const char *gates)
{
	const char *found = gates ? strstr(gates, DUAL_WRITE_GATE "=false") : NULL;

	if (found)
		return alloc_format("%.*s" DUAL_WRITE_GATE "=true%s", (int)(found - gates), gates,
				    found + strlen(DUAL_WRITE_GATE "=false"));
	if (gates && *gates)
		return alloc_format("%s," DUAL_WRITE_GATE "=true", gates);
	return alloc_text(DUAL_WRITE_GATE "=true");
}

static void range_component(struct planner *p, const struct cluster_node *node,
			    const struct cluster_component *component, const char *program,
			    bool api)
{
	auto_free char *subject =
		alloc_format("%s:/etc/kubernetes/manifests/%s.yaml", node->name, program);
	auto_json json_t *flags = json_array();
	json_t *parameters;
	bool manifest_new = cluster_range_equal(component->manifest_range, p->to);
	bool running_new =
		!component->running_range || cluster_range_equal(component->running_range, p->to);

	if (!component->manifest_known || (!api && !component->manifest_range))
		return;
	if (!manifest_new || !running_new)
		json_array_append_new(flags,
				      json_pack("{s:s, s:s}", "name", RANGE_FLAG, "value", p->to));
	/* the old bitmap stands in the way of another range only */
	if (api && p->cluster->regime == CLUSTER_REGIME_DUAL_WRITE && p->former.count) {
		auto_free char *gates = range_gates(component->manifest_feature_gates);

		json_array_append_new(
			flags, json_pack("{s:s, s:s}", "name", "feature-gates", "value", gates));
	}
	if (json_array_size(flags) == 0)
		return;
	parameters = json_pack("{s:s, s:s, s:s, s:O}", "node", node->name, "path",
			       strchr(subject, ':') + 1, "program", program, "flags", flags);
	if (api) {
		json_object_set_new(parameters, "address", json_string(node->address));
		json_object_set_new(parameters, "port",
				    json_integer(node->api_port ? node->api_port : 6443));
	}
	plan_step_why(plan_add(p->plan, PLAN_STAGE_RANGES, "manifest-flags", subject, parameters),
		      "every server must give out the same range");
}

void planner_ranges(struct planner *p)
{
	const char *api = planner_cidr_api(p);

	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];

		if (!node->control_plane)
			continue;
		range_stray(p, node);
		range_component(p, node, &node->host.api_server, "kube-apiserver", true);
		range_component(p, node, &node->host.controller_manager, "kube-controller-manager",
				false);
	}
	if (api && !cluster_find_cover(p->cluster, p->first))
		plan_step_why(plan_add(p->plan, PLAN_STAGE_RANGES, "service-cidr",
				       "ServiceCIDR/" CLUSTER_NEW_CIDR_NAME,
				       json_pack("{s:s, s:s, s:[s]}", "api", api, "name",
						 CLUSTER_NEW_CIDR_NAME, "cidrs", p->to)),
			      "addresses are given out from Ready ServiceCIDRs only, whatever the "
			      "flags say");
}

void planner_defaults(struct planner *p)
{
	const struct cluster_service_cidr *current = cluster_default_cidr(p->cluster);
	const char *api = planner_cidr_api(p);
	json_t *old;

	if (!api || !current || !current->cidrs.count ||
	    cluster_range_equal(current->cidrs.items[0], p->to))
		return;
	old = json_array();
	for (size_t i = 0; i < current->cidrs.count; i++)
		json_array_append_new(old, json_string(current->cidrs.items[i]));
	plan_step_why(plan_add(p->plan, PLAN_STAGE_DEFAULTS, "service-cidr-default",
			       "ServiceCIDR/kubernetes",
			       json_pack("{s:s, s:o, s:[s], s:s}", "api", api, "old", old, "new",
					 p->to, "cover", CLUSTER_OLD_CIDR_NAME)),
		      "API servers never change the default ServiceCIDR, they only make it when it "
		      "is missing");
	if (!cluster_find_cover(p->cluster, p->first))
		plan_add(p->plan, PLAN_STAGE_DEFAULTS, "service-cidr-delete",
			 "ServiceCIDR/" CLUSTER_NEW_CIDR_NAME,
			 json_pack("{s:s, s:s, s:s}", "api", api, "name", CLUSTER_NEW_CIDR_NAME,
				   "wait", "yes"));
}

/* ---- finalize ---- */

static void finalize_aliases(struct planner *p, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct plan_step *made = &p->plan->steps[i];

		if (strcmp(made->kind, "alias") != 0)
			continue;
		plan_add(p->plan, PLAN_STAGE_FINALIZE, "alias-delete", made->subject,
			 json_pack("{s:s, s:s}", "namespace",
				   json_path_text(made->parameters, "namespace"), "name",
				   json_path_text(made->parameters, "name")));
		/* `made` is stale here: plan_add may have moved the steps */
	}
}

static void finalize_certificates(struct planner *p)
{
	auto_json json_t *remove = json_array();

	for (size_t i = 0; i < p->old_first.count; i++)
		json_array_append_new(remove, json_string(p->old_first.items[i]));
	if (json_array_size(remove) == 0)
		return;
	if (p->cluster->kubeadm_known)
		plan_add(p->plan, PLAN_STAGE_FINALIZE, "kubeadm-config",
			 "ConfigMap/kube-system/kubeadm-config",
			 json_pack("{s:s, s:s, s:O}", "namespace", "kube-system", "name",
				   "kubeadm-config", "remove", remove));
	for (size_t i = 0; i < p->cluster->node_count; i++)
		if (p->cluster->nodes[i].control_plane)
			certificate_step(p, PLAN_STAGE_FINALIZE, &p->cluster->nodes[i],
					 json_pack("[s]", p->first), json_incref(remove));
	certificate_served_step(p, PLAN_STAGE_FINALIZE, json_pack("[s]", p->first),
				json_incref(remove));
}

static bool finalize_has(const struct plan *plan, const char *kind)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->steps[i].kind, kind) == 0)
			return true;
	return false;
}

void planner_finalize(struct planner *p)
{
	size_t count = p->plan->count;
	bool replaced = finalize_has(p->plan, "service-cidr-default");
	bool on_nodes = false;

	if (count == 0)
		return;
	plan_add(p->plan, PLAN_STAGE_DRAIN, "drain", "all nodes", json_object());
	finalize_aliases(p, count);
	finalize_certificates(p);
	if (replaced)
		plan_add(p->plan, PLAN_STAGE_FINALIZE, "service-cidr-delete",
			 "ServiceCIDR/" CLUSTER_OLD_CIDR_NAME,
			 json_pack("{s:s, s:s, s:s}", "api", planner_cidr_api(p), "name",
				   CLUSTER_OLD_CIDR_NAME, "wait", "yes"));
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		auto_free char *subject = alloc_format("%s:/var/lib/kubectl-renumber", node->name);

		on_nodes = node->host.asked && node->host.reachable;
		if (on_nodes)
			plan_add(p->plan, PLAN_STAGE_FINALIZE, "forget", subject,
				 json_pack("{s:s}", "node", node->name));
	}
}
