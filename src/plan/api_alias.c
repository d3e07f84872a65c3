/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/*
 * The alias of the API servers has endpoints of another kind at each time. While servers are
 * restarted, slices that the run writes: a static Pod that restarts stays among a selector's
 * endpoints. For the drain, which may last weeks, a selector: Kubernetes then keeps the endpoints
 * right when servers come and go, and nothing of ours needs to run. It is another Service, for a
 * selector that comes or goes leaves slices behind; and in another namespace, for kubeadm's static
 * Pods are in kube-system.
 */

static bool api_alias_is_pod(const struct cluster_pod *pod, const struct cluster_node *node)
{
	return pod->static_pod && pod->node && strcmp(pod->node, node->name) == 0 &&
	       strcmp(pod->namespace_, "kube-system") == 0 &&
	       json_path_is(pod->labels, "component", "kube-apiserver") &&
	       json_path_is(pod->labels, "tier", "control-plane");
}

/* Every control plane has an API server that the selector finds. */
static bool api_alias_is_possible(const struct cluster *c)
{
	bool any = false;

	for (size_t i = 0; i < c->node_count; i++) {
		bool found = false;

		if (!c->nodes[i].control_plane)
			continue;
		any = true;
		for (size_t k = 0; k < c->pod_count && !found; k++)
			found = api_alias_is_pod(&c->pods[k], &c->nodes[i]);
		if (!found)
			return false;
	}
	return any;
}

static json_t *api_alias_template(const struct cluster *c)
{
	int port = 6443;

	for (size_t i = 0; i < c->node_count; i++)
		if (c->nodes[i].control_plane && c->nodes[i].api_port)
			port = (int)c->nodes[i].api_port;
	return json_pack("{s:{s:s, s:s}, s:[{s:s, s:i, s:s, s:i}]}", "selector", "component",
			 "kube-apiserver", "tier", "control-plane", "ports", "name", "https",
			 "port", 443, "protocol", "TCP", "targetPort", port);
}

static void api_alias_add(struct planner *p, const json_t *former, const char *name)
{
	auto_free char *subject = planner_subject("Service", "kube-system", name);
	json_t *own = planner_own_address(p);
	json_t *parameters = json_pack(
		"{s:s, s:s, s:s, s:O, s:[O], s:o}", "namespace", "kube-system", "name", name, "of",
		"kubernetes", "mechanism", json_object_get(former, "mechanism"), "addresses",
		json_path(former, "addresses.0"), "template", api_alias_template(p->cluster));

	if (own)
		json_object_set_new(parameters, "clusterIP", own);
	plan_step_why(plan_add(p->plan, PLAN_STAGE_DRAIN, "alias", subject, parameters),
		      "Kubernetes keeps its endpoints right while the drain lasts");
}

static void api_alias_proxies(struct planner *p)
{
	plan_step_why(plan_add(p->plan, PLAN_STAGE_DRAIN, "proxies", "all nodes",
			       json_pack("{s:i}", "ms", 2500)),
		      "kube-proxy programs changes at most once a second");
}

/* The one with slices claims nothing any more; finalize removes it. */
static void api_alias_retire(struct planner *p, const char *namespace_, const char *name)
{
	auto_free char *subject = planner_subject("Service", namespace_, name);

	plan_step_why(plan_add(p->plan, PLAN_STAGE_DRAIN, "alias-trim", subject,
			       json_pack("{s:s, s:s, s:[]}", "namespace", namespace_, "name", name,
					 "addresses")),
		      "nobody would keep the endpoints right that this run wrote");
}

/* One alias with slices of ours, as an earlier step makes it. */
static void api_alias_replace(struct planner *p, const json_t *former, int number)
{
	auto_free char *name = number > 1 ? alloc_format("kubernetes-renumber-bridge-%d", number)
					  : alloc_text("kubernetes-renumber-bridge");
	auto_free char *old_space = alloc_text(json_path_text(former, "namespace"));
	auto_free char *old_name = alloc_text(json_path_text(former, "name"));

	api_alias_add(p, former, name);
	api_alias_proxies(p);
	api_alias_retire(p, old_space, old_name);
}

void planner_api_alias(struct planner *p)
{
	size_t count = p->plan->count;
	int number = 0;

	if (!planner_migrates(p) || !api_alias_is_possible(p->cluster))
		return;
	for (size_t i = 0; i < count; i++) {
		/* a step about many Services has a list of them */
		const json_t *many = json_object_get(p->plan->steps[i].parameters, "services");
		size_t items = many ? json_array_size(many) : 1;

		for (size_t k = 0; k < items; k++) {
			const json_t *item =
				many ? json_array_get(many, k) : p->plan->steps[i].parameters;

			if (json_object_get(item, "endpoints") &&
			    json_object_get(item, "mechanism"))
				api_alias_replace(p, item, ++number);
		}
	}
}
