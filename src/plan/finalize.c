/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

static void finalize_alias(struct planner *p, const json_t *made)
{
	const char *namespace_ = json_path_text(made, "namespace");
	const char *name = json_path_text(made, "name");
	auto_free char *subject = planner_subject("Service", namespace_, name);

	plan_add(p->plan, PLAN_STAGE_FINALIZE, "alias-delete", subject,
		 json_pack("{s:s, s:s}", "namespace", namespace_, "name", name));
}

static void finalize_aliases(struct planner *p, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *item;

		/* plan_add may move the steps */
		for (size_t k = 0; plan_step_makes(&p->plan->steps[i], "alias") &&
				   (item = plan_step_item(&p->plan->steps[i], k));
		     k++)
			finalize_alias(p, item);
	}
}

void planner_sweep(struct planner *p, enum plan_stage stage)
{
	json_t *parameters = json_object();

	if (stage == PLAN_STAGE_DRAIN)
		json_object_set_new(parameters, "nodes", json_true());
	plan_step_why(plan_add(p->plan, stage, "sweep", "cluster", parameters),
		      "Services and nodes come while a plan is carried out");
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

	if (planner_is_idle(p))
		return;
	if (planner_migrates(p))
		planner_sweep(p, PLAN_STAGE_DRAIN);
	plan_add(p->plan, PLAN_STAGE_DRAIN, "drain", "all nodes", json_object());
	planner_local_dns_end(p);
	finalize_aliases(p, count);
	if (planner_migrates(p) || replaced)
		plan_step_why(plan_add(p->plan, PLAN_STAGE_FINALIZE, "sweep-end", "cluster",
				       json_object()),
			      "sweeps moved Services that the plan does not know");
	planner_finalize_certificates(p);
	if (replaced)
		plan_add(p->plan, PLAN_STAGE_FINALIZE, "service-cidr-delete",
			 "ServiceCIDR/" CLUSTER_OLD_CIDR_NAME,
			 json_pack("{s:s, s:s, s:s}", "api", planner_cidr_api(p), "name",
				   CLUSTER_OLD_CIDR_NAME, "wait", "yes"));
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		auto_free char *subject = alloc_format("%s:/var/lib/kubectl-renumber", node->name);

		on_nodes = node->host.reachable ||
			   (planner_migrates(p) && (node->host.asked || p->request->nodes_reached));
		if (on_nodes)
			plan_add(p->plan, PLAN_STAGE_FINALIZE, "forget", subject,
				 json_pack("{s:s}", "node", node->name));
	}
}
