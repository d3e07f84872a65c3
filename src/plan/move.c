/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/*
 * The steps that move Services: every alias, answering for the old and the new address; then the
 * flips; then the aliases keep only the old one. In a repair each is a step of its own, one after
 * the other. In a migration a step is about many Services, for they share the windows of the
 * proxies; those that everything else needs go alone, each proved before the next.
 */
#define MOVE_GROUP 300

/* The steps about some Services: parameters of each. */
struct move_group {
	json_t *aliases; /* owned arrays */
	json_t *flips;
	json_t *trims;
	json_t *swaps;
};

bool planner_is_called(const struct planner *p, const struct cluster_service *s)
{
	for (size_t i = 0; i < p->cluster->caller_count; i++)
		if (planner_service_is(s, p->cluster->callers[i].namespace_,
				       p->cluster->callers[i].service))
			return true;
	return false;
}

static const char *move_target(const struct planner *p, const struct cluster_service *s,
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

/* Those that everything else needs: everybody knows their addresses by heart. */
static const char *move_hold_name(const struct cluster_service *s)
{
	if (planner_service_is(s, "default", "kubernetes"))
		return "renumber-hold-kubernetes";
	if (planner_service_is(s, "kube-system", "kube-dns"))
		return "renumber-hold-dns";
	return NULL;
}

bool planner_is_held(const struct cluster_service *s)
{
	return move_hold_name(s) != NULL;
}

/* Who holds the Service's new address until it moves. */
static json_t *move_hold(const struct planner *p, const struct cluster_service *s)
{
	auto_free char *owner = alloc_format("%s/%s", s->namespace_, s->name);
	struct net_text text;
	const char *address = move_target(p, s, &text);

	if (!address)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s}", "namespace", "kube-system", "name",
			 move_hold_name(s), "address", address, "for", owner);
}

/* The step was planned before the addresses were. */
static void move_fill_hold(struct planner *p)
{
	json_t *services = NULL;

	for (size_t i = 0; i < p->plan->count; i++)
		if (strcmp(p->plan->steps[i].kind, "hold") == 0)
			services = json_object_get(p->plan->steps[i].parameters, "services");
	for (size_t i = 0; services && i < p->move_count; i++) {
		json_t *hold = planner_is_held(p->moves[i]) ? move_hold(p, p->moves[i]) : NULL;

		if (hold)
			json_array_append_new(services, hold);
	}
}

static json_t *move_flip(const struct planner *p, const struct cluster_service *s, const char *new_,
			 const char *alias)
{
	const char *old = s->cluster_ips.items[0];
	json_t *parameters = json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:s}", "namespace",
				       s->namespace_, "name", s->name, "uid", s->uid ? s->uid : "",
				       "from", old, "to", new_, "alias", alias);

	/* the other family's address stays */
	for (size_t i = 1; i < s->cluster_ips.count; i++) {
		json_array_append_new(json_object_get(parameters, "from"),
				      json_string(s->cluster_ips.items[i]));
		json_array_append_new(json_object_get(parameters, "to"),
				      json_string(s->cluster_ips.items[i]));
	}
	if (planner_migrates(p) && move_hold_name(s))
		json_object_set_new(parameters, "hold",
				    json_pack("{s:s, s:s}", "namespace", "kube-system", "name",
					      move_hold_name(s)));
	if (p->cluster->kubeadm_dns_domain)
		json_object_set_new(parameters, "domain",
				    json_string(p->cluster->kubeadm_dns_domain));
	/* API servers look the name up in the node's DNS, which knows no Service */
	if (planner_is_called(p, s))
		json_object_set_new(parameters, "externalName", json_string(old));
	return parameters;
}

static void move_add(struct planner *p, struct move_group *group, const struct cluster_service *s)
{
	struct planner_alias wanted = {
		.namespace_ = s->namespace_,
		.name = s->name,
		.service = s,
		.old = s->cluster_ips.items[0],
	};
	struct net_text text;
	const char *alias;
	json_t *parameters;

	wanted.new_ = move_target(p, s, &text);
	if (!wanted.new_)
		return;
	parameters = planner_alias(p, &wanted);
	alias = json_path_text(parameters, "name");
	json_array_append_new(group->flips, move_flip(p, s, wanted.new_, alias));
	json_array_append_new(group->trims,
			      json_pack("{s:s, s:s, s:[s], s:O}", "namespace", s->namespace_,
					"name", alias, "addresses", wanted.old, "before",
					json_object_get(parameters, "addresses")));
	/* the API servers' alias has slices of ours while they are rolled */
	if (p->swaps && !planner_service_is(s, "default", "kubernetes"))
		json_array_append_new(group->swaps, planner_alias_swap(p, s, parameters));
	json_array_append_new(group->aliases, parameters);
	json_array_append_new(p->plan->map,
			      json_pack("{s:s, s:s, s:s, s:s}", "namespace", s->namespace_, "name",
					s->name, "from", wanted.old, "to", wanted.new_));
}

static void move_proxies(struct planner *p)
{
	plan_step_why(plan_add(p->plan, PLAN_STAGE_SERVICES, "proxies", "all nodes",
			       json_pack("{s:i}", "ms", 2500)),
		      "kube-proxy programs changes at most once a second");
}

/* A step for each. */
static void move_each(struct planner *p, const char *kind, json_t *list, const char *why)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		auto_free char *subject = planner_subject(
			"Service", json_path_text(item, "namespace"), json_path_text(item, "name"));

		plan_step_why(
			plan_add(p->plan, PLAN_STAGE_SERVICES, kind, subject, json_incref(item)),
			"%s", why);
	}
}

/* One step for all; its subject is what they have in common. */
static struct plan_step *move_all(struct planner *p, const char *kind, json_t *list,
				  const char *why)
{
	struct plan_step *step;
	const json_t *first = json_array_get(list, 0);
	auto_free char *subject =
		json_array_size(list) == 1
			? planner_subject("Service", json_path_text(first, "namespace"),
					  json_path_text(first, "name"))
			: alloc_format("%zu Services", json_array_size(list));

	step = plan_add(p->plan, PLAN_STAGE_SERVICES, kind, subject,
			json_pack("{s:O}", "services", list));
	plan_step_why(step, "%s", why);
	return step;
}

static const char move_why_alias[] = "running containers dial the old address until they are "
				     "restarted";
static const char move_why_flip[] = "its address is outside of the new range";
static const char move_why_trim[] = "the Service itself answers at the new address now";

static const char move_why_swap[] =
	"an old address that is a Service's own is not masqueraded, and "
	"the cluster itself counts it";

static void move_one_by_one(struct planner *p, const struct move_group *group)
{
	move_each(p, "alias", group->aliases, move_why_alias);
	move_proxies(p);
	move_each(p, "flip", group->flips, move_why_flip);
	move_proxies(p);
	move_each(p, "alias-trim", group->trims, move_why_trim);
}

static void move_together(struct planner *p, const struct move_group *group)
{
	/* made first, without an address; each goes on when its Service's turn comes */
	json_object_set_new(move_all(p, "aliases", group->aliases, move_why_alias)->parameters,
			    "prepare", json_true());
	json_object_set(move_all(p, "flip-group", group->flips, move_why_flip)->parameters,
			"aliases", group->aliases);
	move_all(p, "alias-trims", group->trims, move_why_trim);
	if (json_array_size(group->swaps))
		move_all(p, "alias-swap", group->swaps, move_why_swap);
}

static void move_some(struct planner *p, size_t begin, size_t end)
{
	struct move_group group = {json_array(), json_array(), json_array(), json_array()};

	for (size_t i = begin; i < end; i++)
		move_add(p, &group, p->moves[i]);
	if (json_array_size(group.flips) && planner_migrates(p))
		move_together(p, &group);
	else if (json_array_size(group.flips))
		move_one_by_one(p, &group);
	json_decref(group.aliases);
	json_decref(group.flips);
	json_decref(group.trims);
	json_decref(group.swaps);
}

/* How many of the Services from here on go together. */
static size_t move_count(const struct planner *p, size_t begin)
{
	const struct cluster_service *s = p->moves[begin];
	size_t left = p->move_count - begin;

	if (!planner_migrates(p))
		return left;
	if (planner_service_is(s, "default", "kubernetes") ||
	    planner_service_is(s, "kube-system", "kube-dns") || planner_is_called(p, s))
		return 1;
	return left < MOVE_GROUP ? left : MOVE_GROUP;
}

void planner_move(struct planner *p)
{
	size_t count;

	move_fill_hold(p);
	for (size_t begin = 0; begin < p->move_count; begin += count) {
		count = move_count(p, begin);
		move_some(p, begin, begin + count);
	}
}
