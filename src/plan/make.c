/* SPDX-License-Identifier: MIT */
#include "plan/make.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

bool planner_is_new(const struct planner *p, const char *address)
{
	return address && cluster_range_contains(p->to, address);
}

bool planner_migrates(const struct planner *p)
{
	return p->request->mode == PLAN_MIGRATE;
}

char *planner_subject(const char *kind, const char *namespace_, const char *name)
{
	return namespace_ ? alloc_format("%s/%s/%s", kind, namespace_, name)
			  : alloc_format("%s/%s", kind, name);
}

const char *planner_cidr_api(const struct planner *p)
{
	const char *slash =
		p->cluster->service_cidr_api ? strchr(p->cluster->service_cidr_api, '/') : NULL;

	return slash ? slash + 1 : NULL;
}

/* Where cluster DNS will be: a kube-dns that stands in the range stays where it is. */
char *planner_dns_address(struct planner *p)
{
	const struct cluster_service *dns =
		cluster_find_service(p->cluster, "kube-system", "kube-dns");
	struct net_text tenth = net_address_text(net_cidr_nth(p->to_cidr, 10));

	if (!dns || !dns->cluster_ips.count || !planner_is_new(p, dns->cluster_ips.items[0]))
		return alloc_text(tenth.text);
	if (strcmp(dns->cluster_ips.items[0], tenth.text) != 0)
		plan_note(p->plan,
			  "kube-dns has %s, kubeadm computes %s from the range: no step moves it "
			  "within its range, and the next kubeadm upgrade stops at it",
			  dns->cluster_ips.items[0], tenth.text);
	return alloc_text(dns->cluster_ips.items[0]);
}

static int planner_target(struct planner *p, struct error *err)
{
	const char *range = p->request->to;
	struct net_cidr_list list;

	if (planner_migrates(p)) {
		if (!range)
			return error_set(err, ERROR_USAGE,
					 "a migration needs its target: --to CIDR");
		cluster_agreed_range(p->cluster, &p->from);
	}
	if (!range && !cluster_agreed_range(p->cluster, &range))
		return error_set(
			err, ERROR_REFUSED,
			"the API servers' flags do not agree on a Service range (or none could be "
			"read); say which one is meant with --to CIDR");
	if (net_cidr_list_parse_sloppy(slice_of(range), &list, err) < 0)
		return error_wrap(err, "target range '%s'", range);
	if (list.count != 1)
		return error_set(err, ERROR_REFUSED,
				 "dual-stack clusters ('%s') cannot be handled by this version; "
				 "'doctor' and "
				 "'certs' work on them",
				 range);
	p->to_cidr = list.item[0];
	p->plan->to = alloc_text(net_cidr_text(p->to_cidr).text);
	p->to = p->plan->to;
	p->first = alloc_text(net_address_text(net_cidr_nth(p->to_cidr, 1)).text);
	p->dns = planner_dns_address(p);
	p->former = p->from ? (struct cluster_texts){&p->from, 1}
			    : cluster_former_ranges(p->cluster, p->to);
	return 0;
}

static void planner_old_first_add(struct planner *p, const char *address)
{
	if (!address || planner_is_new(p, address) || cluster_texts_contain(&p->old_first, address))
		return;
	p->old_first.items[p->old_first.count++] = address;
}

/* Every address outside of the new range at which somebody may still look for the API server. */
static void planner_find_old_first(struct planner *p)
{
	const struct cluster_service *kubernetes =
		cluster_find_service(p->cluster, "default", "kubernetes");
	const struct cluster_dead_address *dead;
	size_t count = cluster_dead_addresses(p->cluster, &dead);

	p->old_first.items = alloc_array(count + 2, sizeof(char *));
	if (kubernetes && kubernetes->cluster_ips.count)
		planner_old_first_add(p, kubernetes->cluster_ips.items[0]);
	for (size_t i = 0; i < count; i++)
		if (dead[i].role == CLUSTER_DEAD_KUBERNETES)
			planner_old_first_add(p, dead[i].address);
}

static void planner_header(struct planner *p)
{
	struct plan *plan = p->plan;

	plan->mode = p->request->mode;
	plan->run = alloc_text(p->request->run);
	plan->created_at = alloc_text(p->request->created_at);
	plan->server = alloc_text(p->cluster->server);
	plan->cluster_uid = alloc_text(p->cluster->uid);
	plan->regime = alloc_text(cluster_regime_name(p->cluster->regime));
	plan->from = json_array();
	plan->map = json_array();
	if (!plan->notes)
		plan->notes = json_array();
	plan->digest = plan_digest(p->cluster);
	plan->digest_after = plan_digest_after(p);
	for (size_t i = 0; i < p->former.count; i++)
		json_array_append_new(plan->from, json_string(p->former.items[i]));
}

static int planner_build(struct planner *p, struct error *err)
{
	if (planner_target(p, err) < 0)
		return -1;
	planner_header(p);
	if (planner_migrates(p) && cluster_range_equal(p->from, p->to))
		return planner_check_whole(p, err);
	planner_find_moves(p);
	if (planner_check(p, err) < 0)
		return -1;
	planner_find_old_first(p);
	planner_tourniquet(p);
	planner_preflight(p);
	planner_certificates(p);
	planner_configuration(p);
	planner_ranges(p);
	if (planner_services(p, err) < 0)
		return -1;
	planner_defaults(p);
	planner_nodes(p);
	planner_workloads(p);
	planner_api_alias(p);
	planner_finalize(p);
	if (planner_is_idle(p))
		plan_clear(p->plan);
	return 0;
}

void planner_release(struct planner *p)
{
	free(p->first);
	free(p->dns);
	free(p->old_first.items);
	free(p->moves);
	free(p->used);
	json_decref(p->alias_names);
	net_map_release(&p->map);
}

int plan_make(const struct cluster *cluster, const struct plan_request *request, struct plan *ret,
	      struct error *err)
{
	auto_plan struct plan plan = {0};
	struct planner p = {.cluster = cluster, .request = request, .plan = &plan};
	int result = planner_build(&p, err);

	planner_release(&p);
	if (result < 0)
		return -1;
	*ret = plan;
	plan = (struct plan){0};
	return 0;
}
