/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"

/* KR2xx: default/kubernetes, and the old addresses that are still dialled. */

static void add_gone_evidence(const struct patient *p, struct finding *f)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->event_count; i++) {
		if (strcmp(c->events[i].reason, "KubernetesDefaultServiceCIDRInconsistent") == 0) {
			finding_evidence(f, "event %s: %s", c->events[i].reason,
					 c->events[i].message);
			break;
		}
	}
}

static void gone(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const struct cluster_service *taker = p->first ? cluster_find_holder(c, p->first) : NULL;
	bool uncovered = p->has_cidrs && p->first && !cluster_find_cover(c, p->first);
	struct finding *f;

	if (p->kubernetes)
		return;
	f = finding_add(list, uncovered ? "KR201" : "KR202", FINDING_ERROR,
			"Service/default/kubernetes");
	if (uncovered)
		finding_message(f,
				"default/kubernetes is gone and cannot come back: no ready "
				"ServiceCIDR holds its address %s",
				p->first);
	else
		finding_message(
			f, "default/kubernetes is gone: containers have no address for the API "
			   "servers");
	finding_evidence(f, "Service/default/kubernetes: not found");
	if (!c->kubernetes_endpoints.count)
		finding_evidence(f, "Endpoints default/kubernetes: none");
	if (taker)
		finding_evidence(f, "%s belongs to Service/%s/%s", p->first, taker->namespace_,
				 taker->name);
	if (uncovered)
		add_gone_evidence(p, f);
	if (!p->range)
		finding_remedy(f,
			       "API servers disagree about the range, so none of them may be able "
			       "to create it: see KR101");
	else if (uncovered || taker)
		finding_remedy(f, DOCTOR_REPAIR);
	else
		finding_remedy(f, "the API servers create it again within 10 s; where they do "
				  "not, " DOCTOR_REPAIR);
}

static void add_users(struct finding *f, const struct cluster_dead_address *dead)
{
	for (size_t i = 0; i < dead->users.count; i++)
		finding_evidence(f, "%s uses %s", dead->users.items[i], dead->address);
}

static void recreated(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; p->address && i < c->dead_count; i++) {
		struct finding *f;

		if (!doctor_is_dialled(&c->dead[i]))
			continue;
		f = finding_add(list, "KR203", FINDING_ERROR, "Service/default/kubernetes");
		finding_message(f,
				"default/kubernetes was created anew as %s while %zu containers "
				"and files still dial %s, which nobody answers",
				p->address, c->dead[i].user_count, c->dead[i].address);
		finding_remedy(f, DOCTOR_REPAIR ": it begins with an alias for %s",
			       c->dead[i].address);
		add_users(f, &c->dead[i]);
	}
}

static const char *role_text(const struct cluster_dead_address *dead)
{
	switch (dead->role) {
	case CLUSTER_DEAD_KUBERNETES:
		return "API servers'";
	case CLUSTER_DEAD_DNS:
		return "DNS";
	case CLUSTER_DEAD_OTHER:
		break;
	}
	return "Service";
}

/* The API servers' and DNS' one by one; of the others there may be thousands. */
static void dead(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *others = NULL;
	size_t other_count = 0;

	for (size_t i = 0; i < c->dead_count; i++) {
		const struct cluster_dead_address *d = &c->dead[i];
		auto_free char *subject = alloc_format("address/%s", d->address);
		struct finding *f;

		if (d->role == CLUSTER_DEAD_OTHER)
			continue;
		f = finding_add(list, "KR204", FINDING_ERROR, subject);
		finding_message(f,
				"the old %s address %s is dead: no Service holds it, %zu "
				"containers and files use it",
				role_text(d), d->address, d->user_count);
		finding_remedy(f, DOCTOR_REPAIR ": an alias makes %s answer again within seconds",
			       d->address);
		add_users(f, d);
	}
	for (size_t i = 0; i < c->dead_count; i++) {
		const struct cluster_dead_address *d = &c->dead[i];

		if (d->role != CLUSTER_DEAD_OTHER)
			continue;
		if (!others)
			others = finding_add(list, "KR205", FINDING_ERROR, "addresses");
		other_count++;
		finding_evidence(others, "%s: %zu %s, first %s", d->address, d->user_count,
				 finding_plural(d->user_count, "container", "containers"),
				 d->users.items[0]);
	}
	if (!others)
		return;
	finding_message(others, "%zu old Service %s in the environment of running containers",
			other_count,
			finding_plural(other_count, "address is dead but stands",
				       "addresses are dead but stand"));
	finding_remedy(others, DOCTOR_REPAIR);
}

/* An endpoint list shorter than the control planes: who is missing gets no traffic. */
static void endpoints(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f;

	if (!p->kubernetes || p->kubernetes->has_selector)
		return;
	if (!c->kubernetes_endpoints.count) {
		f = finding_add(list, "KR206", FINDING_ERROR, "Endpoints/default/kubernetes");
		finding_message(f, "default/kubernetes has no ready endpoint");
		finding_remedy(
			f, "the API servers write it themselves: look at their logs for 'unable to "
			   "sync kubernetes service', and whether they are ready: 'kubectl get "
			   "--raw /readyz?verbose' at the address of each");
		return;
	}
	if (c->kubernetes_endpoints.count >= cluster_control_plane_count(c))
		return;
	f = finding_add(list, "KR207", FINDING_WARNING, "Endpoints/default/kubernetes");
	finding_message(f, "default/kubernetes has %zu %s for %zu control planes",
			c->kubernetes_endpoints.count,
			finding_plural(c->kubernetes_endpoints.count, "endpoint", "endpoints"),
			cluster_control_plane_count(c));
	finding_remedy(f, "look why the missing API server is not ready: 'kubectl get --raw "
			  "/readyz?verbose' at its address; a policy of ours that keeps it out is "
			  "reported as KR704");
	for (size_t i = 0; i < c->kubernetes_endpoints.count; i++)
		finding_evidence(f, "endpoint %s", c->kubernetes_endpoints.items[i]);
}

void doctor_kubernetes(const struct patient *p, struct finding_list *list)
{
	gone(p, list);
	recreated(p, list);
	dead(p, list);
	endpoints(p, list);
}
