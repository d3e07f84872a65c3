/* SPDX-License-Identifier: MIT */
#include "plan/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/* No alias gets the name of a Service that is there: those of the run are among them. */
static void sweep_hold_names(struct planner *p)
{
	p->alias_names = json_object();
	for (size_t i = 0; i < p->cluster->service_count; i++) {
		const struct cluster_service *s = &p->cluster->services[i];
		auto_free char *place = alloc_format("%s/%s", s->namespace_, s->name);

		json_object_set_new(p->alias_names, place, json_true());
	}
}

static void sweep_former(struct planner *p, const json_t *from)
{
	const json_t *range;
	size_t i;

	p->former.items = alloc_array(json_array_size(from) + 1, sizeof(char *));
	json_array_foreach(from, i, range)
		p->former.items[p->former.count++] = json_string_value(range);
}

/* The ranges that the plan leaves count, whatever the servers' flags say meanwhile. */
static int sweep_target(struct planner *p, const struct plan *plan, struct error *err)
{
	if (net_cidr_parse(slice_of(plan->to), &p->to_cidr, err) < 0)
		return -1;
	p->plan->to = alloc_text(plan->to);
	p->to = p->plan->to;
	p->first = alloc_text(net_address_text(net_cidr_nth(p->to_cidr, 1)).text);
	p->dns = planner_dns_address(p);
	sweep_former(p, plan->from);
	sweep_hold_names(p);
	return 0;
}

/* Those of the old ranges only: what somebody keeps elsewhere is his. */
static void sweep_find(struct planner *p)
{
	size_t kept = 0;

	planner_find_moves(p);
	for (size_t i = 0; i < p->move_count; i++) {
		bool old = false;

		for (size_t k = 0; k < p->former.count; k++)
			old = old || cluster_range_contains(p->former.items[k],
							    p->moves[i]->cluster_ips.items[0]);
		if (old)
			p->moves[kept++] = p->moves[i];
	}
	p->move_count = kept;
}

static void sweep_head(struct plan *found, const struct plan *plan)
{
	found->mode = PLAN_MIGRATE;
	found->run = alloc_text(plan->run);
	found->created_at = alloc_text(plan->created_at);
	found->server = alloc_text(plan->server);
	found->cluster_uid = alloc_text(plan->cluster_uid);
	found->regime = alloc_text(plan->regime);
	found->from = json_incref(plan->from);
	found->map = json_array();
}

int plan_sweep(const struct cluster *cluster, const struct plan *plan, struct plan *ret,
	       struct error *err)
{
	const struct plan_request request = {
		.mode = PLAN_MIGRATE, .to = plan->to, .run = plan->run};
	auto_plan struct plan found = {0};
	struct planner p = {.cluster = cluster, .request = &request, .plan = &found};
	int result;

	sweep_head(&found, plan);
	result = sweep_target(&p, plan, err);
	if (result == 0) {
		sweep_find(&p);
		result = planner_move_found(&p, err);
	}
	if (result == 0)
		planner_kubelets(&p);
	free(p.former.items);
	planner_release(&p);
	if (result < 0)
		return -1;
	*ret = found;
	found = (struct plan){0};
	return 0;
}
