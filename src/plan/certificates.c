/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

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

void planner_kubeadm_config(struct planner *p, enum plan_stage stage, const char *range,
			    json_t *add)
{
	json_t *parameters = json_pack("{s:s, s:s, s:O}", "namespace", "kube-system", "name",
				       "kubeadm-config", "add", add);

	if (range)
		json_object_set_new(parameters, "range", json_string(range));
	plan_step_why(plan_add(p->plan, stage, "kubeadm-config",
			       "ConfigMap/kube-system/kubeadm-config", parameters),
		      "the next kubeadm upgrade, join or init phase writes flags and certificates "
		      "from it");
}

static void configuration_name(const struct planner *p, json_t *add, const char *address)
{
	if (!cluster_texts_contain(&p->cluster->kubeadm_cert_sans, address))
		json_array_append_new(add, json_string(address));
}

/*
 * The first addresses in certSANs, so that a certificate that kubeadm makes meanwhile names both;
 * finalize takes them out again. The range itself is written here only where something was begun
 * before: in a migration a control plane that joins must not be ahead of the others.
 */
void planner_configuration(struct planner *p)
{
	const struct cluster *c = p->cluster;
	auto_json json_t *add = json_array();
	bool as_it_is;

	if (!c->kubeadm_known)
		return;
	for (size_t i = 0; i < p->old_first.count; i++)
		configuration_name(p, add, p->old_first.items[i]);
	if (planner_migrates(p)) {
		configuration_name(p, add, p->first);
		if (json_array_size(add))
			planner_kubeadm_config(p, PLAN_STAGE_CONFIGURATION, NULL, add);
		return;
	}
	/* extraArgs may say the right range over a wrong serviceSubnet */
	as_it_is = cluster_range_equal(c->kubeadm_range, p->to) &&
		   (!c->kubeadm_service_subnet ||
		    cluster_range_equal(c->kubeadm_service_subnet, p->to));
	if (!as_it_is || json_array_size(add))
		planner_kubeadm_config(p, PLAN_STAGE_CONFIGURATION, p->to, add);
}

void planner_finalize_certificates(struct planner *p)
{
	auto_json json_t *remove = json_array();
	auto_json json_t *names = NULL;

	for (size_t i = 0; i < p->old_first.count; i++)
		json_array_append_new(remove, json_string(p->old_first.items[i]));
	if (json_array_size(remove) == 0)
		return;
	/* kubeadm adds the first address of its range by itself */
	names = json_copy(remove);
	if (planner_migrates(p))
		configuration_name(p, names, p->first);
	if (p->cluster->kubeadm_known)
		plan_add(p->plan, PLAN_STAGE_FINALIZE, "kubeadm-config",
			 "ConfigMap/kube-system/kubeadm-config",
			 json_pack("{s:s, s:s, s:O}", "namespace", "kube-system", "name",
				   "kubeadm-config", "remove", names));
	for (size_t i = 0; i < p->cluster->node_count; i++)
		if (p->cluster->nodes[i].control_plane)
			certificate_step(p, PLAN_STAGE_FINALIZE, &p->cluster->nodes[i],
					 json_pack("[s]", p->first), json_incref(remove));
	certificate_served_step(p, PLAN_STAGE_FINALIZE, json_pack("[s]", p->first),
				json_incref(remove));
}
