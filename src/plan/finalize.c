/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

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
	planner_finalize_certificates(p);
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
