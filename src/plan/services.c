/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

bool planner_service_is(const struct cluster_service *s, const char *namespace_, const char *name)
{
	return strcmp(s->namespace_, namespace_) == 0 && strcmp(s->name, name) == 0;
}

/* The order in which Services move: what everything else needs, what API servers call, the rest. */
enum services_rank {
	SERVICES_RANK_API,
	SERVICES_RANK_DNS,
	SERVICES_RANK_CALLED,
	SERVICES_RANK_OTHER,
};

struct services_ranked {
	const struct cluster_service *service;
	enum services_rank rank;
};

static enum services_rank services_rank(const struct cluster_service *s, const json_t *called)
{
	auto_free char *place = NULL;

	if (planner_service_is(s, "default", "kubernetes"))
		return SERVICES_RANK_API;
	if (planner_service_is(s, "kube-system", "kube-dns"))
		return SERVICES_RANK_DNS;
	if (!json_object_size(called))
		return SERVICES_RANK_OTHER;
	place = planner_subject("Service", s->namespace_, s->name);
	return json_object_get(called, place) ? SERVICES_RANK_CALLED : SERVICES_RANK_OTHER;
}

static int services_compare(const void *a, const void *b)
{
	const struct services_ranked *x = a;
	const struct services_ranked *y = b;
	int rank = (int)x->rank - (int)y->rank;
	int space = strcmp(x->service->namespace_, y->service->namespace_);

	return rank ? rank : space ? space : strcmp(x->service->name, y->service->name);
}

/* {"Service/shop/guard": …}: who stands behind webhooks, conversions and aggregated APIs. */
static json_t *services_called(const struct cluster *c)
{
	json_t *called = json_object();

	for (size_t i = 0; i < c->caller_count; i++) {
		auto_free char *place =
			planner_subject("Service", c->callers[i].namespace_, c->callers[i].service);

		json_object_set_new(called, place, json_true());
	}
	return called;
}

/* In a range that an operator added beside the default one: it was never the cluster's first range,
 * and its addresses are given out. */
static bool services_is_elsewhere_by_intent(const struct planner *p, const char *address)
{
	for (size_t i = 0; i < p->former.count; i++)
		if (cluster_range_contains(p->former.items[i], address))
			return false;
	return cluster_find_cover(p->cluster, address) != NULL;
}

static bool services_moves(const struct planner *p, const struct cluster_service *s)
{
	return !s->alias_run && !s->headless && s->cluster_ips.count &&
	       !planner_is_new(p, s->cluster_ips.items[0]) &&
	       !services_is_elsewhere_by_intent(p, s->cluster_ips.items[0]);
}

void planner_find_moves(struct planner *p)
{
	const struct cluster *c = p->cluster;
	struct services_ranked *ranked = alloc_array(c->service_count + 1, sizeof(*ranked));
	auto_json json_t *called = services_called(c);

	for (size_t i = 0; i < c->service_count; i++)
		if (services_moves(p, &c->services[i]))
			ranked[p->move_count++] = (struct services_ranked){
				&c->services[i], services_rank(&c->services[i], called)};
	qsort(ranked, p->move_count, sizeof(*ranked), services_compare);
	p->moves = alloc_array(p->move_count + 1, sizeof(*p->moves));
	for (size_t i = 0; i < p->move_count; i++)
		p->moves[i] = ranked[i].service;
	free(ranked);
}

struct address_list {
	struct net_address *items;
	size_t count;
};

static void address_list_add(struct address_list *list, const char *text)
{
	if (net_address_read(slice_of(text), &list->items[list->count]))
		list->count++;
}

static int services_map(struct planner *p, struct error *err)
{
	const struct cluster *c = p->cluster;
	struct address_list old = {alloc_array(p->move_count + 1, sizeof(struct net_address)), 0};
	struct address_list taken = {alloc_array(c->service_count + 1, sizeof(struct net_address)),
				     0};
	struct address_list kubernetes = {(struct net_address[1]){{0}}, 0};
	struct address_list dns = {(struct net_address[1]){{0}}, 0};
	struct net_cidr *from = alloc_array(p->former.count + 1, sizeof(*from));
	auto_net_map struct net_map own = {0};
	struct net_map_request request = {.to = &p->to_cidr, .to_count = 1};
	auto_error struct error ignored = {0};
	int result;

	for (size_t i = 0; i < p->move_count; i++) {
		const char *address = p->moves[i]->cluster_ips.items[0];

		address_list_add(&old, address);
		if (planner_service_is(p->moves[i], "default", "kubernetes"))
			address_list_add(&kubernetes, address);
		if (planner_service_is(p->moves[i], "kube-system", "kube-dns"))
			address_list_add(&dns, address);
	}
	for (size_t i = 0; i < c->service_count; i++)
		if (c->services[i].cluster_ips.count &&
		    planner_is_new(p, c->services[i].cluster_ips.items[0]))
			address_list_add(&taken, c->services[i].cluster_ips.items[0]);
	for (size_t i = 0; i < p->former.count; i++) {
		struct net_cidr_list list;

		if (net_cidr_list_parse_sloppy(slice_of(p->former.items[i]), &list, &ignored) == 0)
			from[request.from_count++] = list.item[0];
	}
	request.from = from;
	request.addresses = old.items;
	request.address_count = old.count;
	request.taken = taken.items;
	request.taken_count = taken.count;
	request.kubernetes = kubernetes.items;
	request.kubernetes_count = kubernetes.count;
	request.dns = dns.items;
	request.dns_count = dns.count;
	request.own = &own;
	result = planner_own_map(p, &own, err);
	if (result == 0)
		result = net_map_build(&p->map, &request, err);
	if (result == 0)
		result = planner_check_own_map(p, &own, err);
	if (result == 0)
		planner_hold_addresses(p);
	free(old.items);
	free(taken.items);
	free(from);
	return result;
}

/* default/kubernetes that is gone comes back by itself once its address can be given out. */
static void services_kubernetes(struct planner *p)
{
	if (cluster_find_service(p->cluster, "default", "kubernetes"))
		return;
	plan_step_why(plan_add(p->plan, PLAN_STAGE_SERVICES, "kubernetes-service",
			       "Service/default/kubernetes",
			       json_pack("{s:s}", "address", p->first)),
		      "no in-cluster client that starts now finds the API server without it");
}

int planner_services(struct planner *p, struct error *err)
{
	services_kubernetes(p);
	/* a sweep comes when the old range gives out nothing any more */
	p->swaps = planner_migrates(p) && p->cluster->service_cidr_api;
	if (planner_move_found(p, err) < 0)
		return -1;
	if (planner_migrates(p))
		planner_sweep(p, PLAN_STAGE_SERVICES);
	return 0;
}

int planner_move_found(struct planner *p, struct error *err)
{
	if (!p->move_count)
		return 0;
	if (services_map(p, err) < 0)
		return -1;
	planner_move(p);
	return 0;
}
