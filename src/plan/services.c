/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/* The Services that hold an address outside of the new range, in the order in which they move:
 * default/kubernetes, cluster DNS, then by namespace and name. */
struct service_moves {
	const struct cluster_service **items;
	size_t count;
};

static bool services_is(const struct cluster_service *s, const char *namespace_, const char *name)
{
	return strcmp(s->namespace_, namespace_) == 0 && strcmp(s->name, name) == 0;
}

static int services_rank(const struct cluster_service *s)
{
	if (services_is(s, "default", "kubernetes"))
		return 0;
	return services_is(s, "kube-system", "kube-dns") ? 1 : 2;
}

static int services_compare(const void *a, const void *b)
{
	const struct cluster_service *x = *(const struct cluster_service *const *)a;
	const struct cluster_service *y = *(const struct cluster_service *const *)b;
	int rank = services_rank(x) - services_rank(y);
	int space = strcmp(x->namespace_, y->namespace_);

	return rank ? rank : space ? space : strcmp(x->name, y->name);
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

static struct service_moves services_to_move(const struct planner *p)
{
	const struct cluster *c = p->cluster;
	struct service_moves moves = {alloc_array(c->service_count + 1, sizeof(*moves.items)), 0};

	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (s->alias_run || s->headless || s->cluster_ips.count == 0 ||
		    planner_is_new(p, s->cluster_ips.items[0]) ||
		    services_is_elsewhere_by_intent(p, s->cluster_ips.items[0]))
			continue;
		moves.items[moves.count++] = s;
	}
	qsort(moves.items, moves.count, sizeof(*moves.items), services_compare);
	return moves;
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

static int services_map(struct planner *p, const struct service_moves *moves, struct error *err)
{
	const struct cluster *c = p->cluster;
	struct address_list old = {alloc_array(moves->count + 1, sizeof(struct net_address)), 0};
	struct address_list taken = {alloc_array(c->service_count + 1, sizeof(struct net_address)),
				     0};
	struct address_list kubernetes = {(struct net_address[1]){{0}}, 0};
	struct address_list dns = {(struct net_address[1]){{0}}, 0};
	struct net_cidr *from = alloc_array(p->former.count + 1, sizeof(*from));
	struct net_map_request request = {.to = &p->to_cidr, .to_count = 1};
	auto_error struct error ignored = {0};
	int result;

	for (size_t i = 0; i < moves->count; i++) {
		const char *address = moves->items[i]->cluster_ips.items[0];

		address_list_add(&old, address);
		if (services_rank(moves->items[i]) == 0)
			address_list_add(&kubernetes, address);
		if (services_rank(moves->items[i]) == 1)
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
	result = net_map_build(&p->map, &request, err);
	free(old.items);
	free(taken.items);
	free(from);
	return result;
}

static const char *services_new_address(const struct planner *p, const struct cluster_service *s,
					struct net_text *text)
{
	const struct net_map_pair *pair;
	struct net_address old;

	if (!net_address_read(slice_of(s->cluster_ips.items[0]), &old))
		return NULL;
	pair = net_map_find(&p->map, old);
	if (!pair)
		return NULL;
	*text = net_address_text(pair->to);
	return text->text;
}

static void services_flip(struct planner *p, const struct cluster_service *s, const char *new_,
			  const char *alias)
{
	auto_free char *subject = planner_subject("Service", s->namespace_, s->name);
	const char *old = s->cluster_ips.items[0];
	json_t *parameters =
		json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:s}", "namespace", s->namespace_, "name",
			  s->name, "uid", s->uid, "from", old, "to", new_, "alias", alias);

	/* the other family's address stays */
	for (size_t i = 1; i < s->cluster_ips.count; i++) {
		json_array_append_new(json_object_get(parameters, "from"),
				      json_string(s->cluster_ips.items[i]));
		json_array_append_new(json_object_get(parameters, "to"),
				      json_string(s->cluster_ips.items[i]));
	}
	if (p->cluster->kubeadm_dns_domain)
		json_object_set_new(parameters, "domain",
				    json_string(p->cluster->kubeadm_dns_domain));
	plan_step_why(plan_add(p->plan, PLAN_STAGE_SERVICES, "flip", subject, parameters),
		      "its address %s is outside of the new range", old);
	json_array_append_new(p->plan->map,
			      json_pack("{s:s, s:s, s:s, s:s}", "namespace", s->namespace_, "name",
					s->name, "from", old, "to", new_));
}

static void services_trim(struct planner *p, const struct cluster_service *s, const char *alias)
{
	auto_free char *subject = planner_subject("Service", s->namespace_, alias);

	plan_add(p->plan, PLAN_STAGE_SERVICES, "alias-trim", subject,
		 json_pack("{s:s, s:s, s:[s]}", "namespace", s->namespace_, "name", alias,
			   "addresses", s->cluster_ips.items[0]));
}

static void services_proxies(struct planner *p)
{
	plan_step_why(plan_add(p->plan, PLAN_STAGE_SERVICES, "proxies", "all nodes",
			       json_pack("{s:i}", "ms", 2500)),
		      "kube-proxy programs changes at most once a second");
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

/* First every alias, each answering for both addresses; then all flips; then trim. */
static void services_group(struct planner *p, const struct service_moves *moves, size_t begin,
			   size_t end)
{
	char **aliases = alloc_array(end, sizeof(*aliases));

	for (size_t i = begin; i < end; i++) {
		const struct cluster_service *s = moves->items[i];
		struct net_text text;
		const char *new_ = services_new_address(p, s, &text);

		if (new_)
			aliases[i] = planner_add_alias(p, PLAN_STAGE_SERVICES, s->namespace_,
						       s->name, s, s->cluster_ips.items[0], new_);
	}
	services_proxies(p);
	for (size_t i = begin; i < end; i++) {
		struct net_text text;
		const char *new_ = services_new_address(p, moves->items[i], &text);

		if (new_)
			services_flip(p, moves->items[i], new_, aliases[i]);
	}
	services_proxies(p);
	for (size_t i = begin; i < end; i++) {
		if (aliases[i])
			services_trim(p, moves->items[i], aliases[i]);
		free(aliases[i]);
	}
	free(aliases);
}

/* Few enough that one window of the proxies holds them. */
#define SERVICES_GROUP 25

/* Seconds count on a broken cluster: all at once. On a healthy one default/kubernetes and cluster
 * DNS go alone, each proved before the next. */
static void services_steps(struct planner *p, const struct service_moves *moves)
{
	size_t begin = 0;

	while (begin < moves->count) {
		size_t end = begin + 1;

		if (!planner_migrates(p))
			end = moves->count;
		else if (services_rank(moves->items[begin]) == 2)
			end = begin + SERVICES_GROUP < moves->count ? begin + SERVICES_GROUP
								    : moves->count;
		services_group(p, moves, begin, end);
		begin = end;
	}
}

int planner_services(struct planner *p, struct error *err)
{
	struct service_moves moves = services_to_move(p);
	int result = 0;

	services_kubernetes(p);
	if (moves.count) {
		result = services_map(p, &moves, err);
		if (result == 0)
			services_steps(p, &moves);
	}
	free(moves.items);
	return result;
}
