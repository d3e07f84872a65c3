/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/json.h"

/* Subjects of a consent that are named; of the others only the number is said. */
#define SERVICES_NAMED 100

struct services_found {
	json_t *subjects;
	size_t count;
	const char *first; /* more of the first one, for the message */
};

static void services_found_add(struct services_found *found, const struct cluster_service *s,
			       const char *more)
{
	auto_free char *subject = planner_subject("Service", s->namespace_, s->name);

	if (!found->subjects)
		found->subjects = json_array();
	if (!found->count++)
		found->first = more;
	if (found->count <= SERVICES_NAMED)
		json_array_append_new(found->subjects, json_string(subject));
}

static const char *services_plural(size_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- room ---- */

/* What the canary, the proofs of proxies and allocators and the API servers' second alias take. */
#define SERVICES_PROOFS 4

/* The longest prefix with room for `needed` addresses. */
static unsigned int services_fitting(struct net_cidr range, uint64_t needed)
{
	unsigned int bits = range.bits;

	while (bits > 8 && net_cidr_usable(net_cidr_of(range.base, bits)) < needed)
		bits--;
	return bits;
}

static int services_room(const struct planner *p, struct error *err)
{
	uint64_t usable = net_cidr_usable(p->to_cidr);
	uint64_t needed = 2 * (uint64_t)p->move_count + SERVICES_PROOFS;

	for (size_t i = 0; i < p->cluster->service_count; i++) {
		const struct cluster_texts *ips = &p->cluster->services[i].cluster_ips;

		if (ips->count && planner_is_new(p, ips->items[0]))
			needed++;
	}
	if (needed <= usable)
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"range '%s' is too small: it gives out %llu addresses, and %llu are needed "
		"(%zu Services, as many aliases that keep the old addresses answering, and %d to "
		"prove things with); a /%u or larger would do",
		p->to, (unsigned long long)usable, (unsigned long long)needed, p->move_count,
		SERVICES_PROOFS, services_fitting(p->to_cidr, needed));
}

static size_t services_in(const struct planner *p, const char *namespace_)
{
	size_t count = 0;

	for (size_t i = 0; i < p->move_count; i++)
		count += strcmp(p->moves[i]->namespace_, namespace_) == 0;
	return count;
}

/* Where ServiceCIDRs decide, the second kind of alias stands beside the first for a moment. */
static int services_quota(const struct planner *p, const struct cluster_quota *quota,
			  struct error *err)
{
	bool balancers = strcmp(quota->resource, "services.loadbalancers") == 0;
	uint64_t more = services_in(p, quota->namespace_);

	if (balancers && p->cluster->major == 1 && p->cluster->minor < 24)
		return 0;
	if (!balancers && p->cluster->service_cidr_api)
		more *= 2;
	if (more == 0 || quota->used + more <= quota->hard)
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"ResourceQuota '%s/%s' allows %llu %s, %llu are there, and %llu aliases come "
		"beside them while addresses move; raise it to %llu until 'finalize'",
		quota->namespace_, quota->name, (unsigned long long)quota->hard, quota->resource,
		(unsigned long long)quota->used, (unsigned long long)more,
		(unsigned long long)(quota->used + more));
}

/* ---- consents ---- */

static bool services_is_api(const struct cluster_service *s)
{
	return planner_service_is(s, "default", "kubernetes");
}

static void services_balancers(struct planner *p)
{
	struct services_found found = {0};

	for (size_t i = 0; i < p->move_count; i++)
		if (strcmp(p->moves[i]->type, "LoadBalancer") == 0)
			services_found_add(&found, p->moves[i], NULL);
	if (found.count)
		plan_consent(p->plan, "load-balancers", found.subjects,
			     "%zu Service%s of type LoadBalancer %s no load balancer for some tens "
			     "of milliseconds: a controller that looks just then may give the "
			     "outer address back; stop it for the stage services, or be sure that "
			     "the address stays",
			     found.count, services_plural(found.count),
			     found.count == 1 ? "is" : "are");
}

static void services_pinned(struct planner *p)
{
	struct services_found found = {0};

	for (size_t i = 0; i < p->move_count; i++)
		if (p->moves[i]->pinned_by && !services_is_api(p->moves[i]))
			services_found_add(&found, p->moves[i], p->moves[i]->pinned_by);
	if (found.count)
		plan_consent(
			p->plan, "pinned-addresses", found.subjects,
			"the clusterIP of %zu Service%s stands in a description that somebody "
			"applies (the first is written by '%s'), which fails or moves it back: "
			"take clusterIP out there, or write the new address ('map' in the plan)",
			found.count, services_plural(found.count), found.first);
}

static void services_without_selector(struct planner *p)
{
	struct services_found found = {0};

	for (size_t i = 0; i < p->move_count; i++)
		if (!p->moves[i]->has_selector && !services_is_api(p->moves[i]))
			services_found_add(&found, p->moves[i], NULL);
	if (found.count)
		plan_consent(p->plan, "without-selector", found.subjects,
			     "the endpoints of %zu Service%s without selector are written by "
			     "somebody: old addresses get copies of them, which follow changes "
			     "while 'apply' or 'resume' is at work; after changes in the drain "
			     "call 'resume'",
			     found.count, services_plural(found.count));
}

static bool services_policy_touches(const struct planner *p, const struct cluster_policy *policy,
				    const struct cluster_service *s)
{
	auto_json json_t *selector =
		json_pack("{s:O}", "matchLabels", json_path(s->object, "spec.selector"));

	for (size_t i = 0; i < p->cluster->pod_count; i++) {
		const struct cluster_pod *pod = &p->cluster->pods[i];

		if (strcmp(pod->namespace_, s->namespace_) == 0 && !pod->host_network &&
		    cluster_selects(policy->pods, pod->labels) &&
		    cluster_selects(selector, pod->labels))
			return true;
	}
	return false;
}

static const struct cluster_policy *services_policy(const struct planner *p,
						    const struct cluster_service *s)
{
	for (size_t i = 0; s->has_selector && i < p->cluster->policy_count; i++) {
		const struct cluster_policy *policy = &p->cluster->policies[i];

		if (strcmp(policy->namespace_, s->namespace_) == 0 &&
		    services_policy_touches(p, policy, s))
			return policy;
	}
	return NULL;
}

static void services_policies(struct planner *p)
{
	struct services_found found = {0};

	for (size_t i = 0; i < p->move_count; i++) {
		const struct cluster_policy *policy = services_policy(p, p->moves[i]);

		if (policy)
			services_found_add(&found, p->moves[i], policy->name);
	}
	if (found.count)
		plan_consent(
			p->plan, "network-policies", found.subjects,
			"NetworkPolicies (the first is '%s') say who may dial the Pods of %zu "
			"Service%s; what comes by %s comes from a node's address%s and is refused "
			"where the policy does not allow the nodes",
			found.first, found.count, services_plural(found.count),
			found.count == 1 ? "its old address" : "their old addresses",
			p->cluster->service_cidr_api ? " for the seconds around the move"
						     : " until 'finalize'");
}

int planner_check_services(struct planner *p, struct error *err)
{
	if (services_room(p, err) < 0)
		return -1;
	for (size_t i = 0; i < p->cluster->quota_count; i++)
		if (services_quota(p, &p->cluster->quotas[i], err) < 0)
			return -1;
	services_balancers(p);
	services_pinned(p);
	services_without_selector(p);
	services_policies(p);
	return 0;
}
