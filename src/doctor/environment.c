/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

/* KR7xx: what could not be looked at, and what runs of ours have left behind. */

static void unreachable(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	size_t unasked = 0;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];

		unasked += !n->host.asked;
		if (!n->host.asked || n->host.reachable)
			continue;
		if (!f)
			f = finding_add(list, "KR701", FINDING_WARNING, "nodes");
		finding_evidence(f, "%s: %s", n->name, n->host.problem);
	}
	if (f) {
		finding_message(f, "%zu of %zu nodes could not be looked at", f->evidence_count,
				c->node_count);
		finding_remedy(
			f, "check 'ssh NODE true' as this user, --ssh-map, --ssh-user and --sudo; "
			   "or run on a control plane with --nodes-via local");
	}
	if (!unasked)
		return;
	f = finding_add(list, "KR702", FINDING_INFO, "nodes");
	finding_message(
		f,
		"%zu of %zu nodes %s not asked: the files, processes and certificates there are "
		"unknown",
		unasked, c->node_count, finding_plural(unasked, "was", "were"));
}

/* A node that answers, but not to everything: then a clean report says less than it seems to. */
static void partly_seen(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_texts *problems = &c->nodes[i].host.problems;

		for (size_t k = 0; k < problems->count; k++) {
			if (!f)
				f = finding_add(list, "KR709", FINDING_WARNING,
						"partly seen nodes");
			finding_evidence(f, "%s", problems->items[k]);
		}
	}
	if (!f)
		return;
	finding_message(f, "%zu %s on nodes could not be looked at", f->evidence_count,
			finding_plural(f->evidence_count, "thing", "things"));
	finding_remedy(f, "see the evidence; run 'kubectl renumber doctor -v' for more");
}

static void aliases(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];
		auto_free char *holds = NULL;

		if (!s->alias_run)
			continue;
		if (!f)
			f = finding_add(list, "KR703", FINDING_WARNING, "aliases");
		holds = doctor_join(s->ingress_ips.count ? &s->ingress_ips : &s->cluster_ips);
		finding_evidence(f, "Service/%s/%s holds %s (run %s)", s->namespace_, s->name,
				 holds, s->alias_run);
	}
	if (!f)
		return;
	finding_message(f, "%zu %s", f->evidence_count,
			finding_plural(f->evidence_count, "alias keeps an old address alive",
				       "aliases keep old addresses alive"));
	finding_remedy(f, "run 'kubectl renumber status' to see who uses them, then "
			  "'kubectl renumber finalize'");
}

static bool is_policy(const struct cluster_leftover *l)
{
	return slice_starts(slice_of(l->kind), "ValidatingAdmissionPolicy") ||
	       slice_starts(slice_of(l->kind), "ValidatingWebhookConfiguration");
}

/* step/freeze.c; all others are of step/keep_out.c. */
static bool is_freeze(const struct cluster_leftover *l)
{
	return l->name && strstr(l->name, "freeze");
}

static void policies(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	bool keeps_out = false;
	bool freezes = false;

	for (size_t i = 0; i < c->leftover_count; i++) {
		const struct cluster_leftover *l = &c->leftovers[i];

		if (!is_policy(l))
			continue;
		freezes = freezes || is_freeze(l);
		keeps_out = keeps_out || !is_freeze(l);
		if (!f)
			f = finding_add(list, "KR704", FINDING_WARNING,
					"ValidatingAdmissionPolicies of a run");
		finding_evidence(f, "%s/%s (run %s)", l->kind, l->name,
				 l->run ? l->run : "unknown");
	}
	if (!f)
		return;
	if (keeps_out)
		finding_message(f,
				"an admission policy of an interrupted run keeps an API server "
				"out of default/kubernetes%s",
				freezes ? ", and another lets nobody create Services" : "");
	else
		finding_message(f, "an admission policy of an interrupted run lets nobody create "
				   "Services");
	finding_remedy(f, "run 'kubectl renumber resume' or 'kubectl renumber rollback'");
}

static void lock(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->leftover_count; i++) {
		const struct cluster_leftover *l = &c->leftovers[i];
		bool expired = l->renewed_s + l->duration_s < c->observed_s;
		auto_free char *when = clock_format(l->renewed_s);
		struct finding *f;

		if (strcmp(l->kind, "Lease") != 0 || !l->holder || !*l->holder)
			continue;
		f = finding_add(list, "KR705", expired ? FINDING_WARNING : FINDING_INFO,
				"Lease/kube-system/" CLUSTER_LOCK_NAME);
		finding_evidence(f, "held by %s, renewed at %s for %lld s", l->holder, when,
				 (long long)l->duration_s);
		if (expired) {
			finding_message(f, "a run of '%s' was interrupted and never finished",
					l->holder);
			finding_remedy(
				f, "run 'kubectl renumber status', then 'kubectl renumber resume' "
				   "(with --adopt on another machine) or 'kubectl renumber "
				   "rollback'");
		} else {
			finding_message(f, "'%s' is changing this cluster now", l->holder);
		}
	}
}

static void remains(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->leftover_count; i++) {
		const struct cluster_leftover *l = &c->leftovers[i];

		if (is_policy(l) || strcmp(l->kind, "Lease") == 0)
			continue;
		if (!f)
			f = finding_add(list, "KR706", FINDING_INFO, "objects of a run");
		finding_evidence(f, "%s/%s%s%s (run %s)", l->kind,
				 l->namespace_ ? l->namespace_ : "", l->namespace_ ? "/" : "",
				 l->name, l->run ? l->run : "unknown");
	}
	if (!f)
		return;
	finding_message(f, "%zu %s in the cluster", f->evidence_count,
			finding_plural(f->evidence_count,
				       "object of a run that is not finalized is",
				       "objects of a run that is not finalized are"));
	finding_remedy(f, "before anything else that is advised here: run 'kubectl renumber "
			  "status', which says whether to 'resume', 'rollback' or 'finalize' it");
}

static void nodes(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		if (c->nodes[i].ready)
			continue;
		if (!f)
			f = finding_add(list, "KR707", FINDING_WARNING, "not ready nodes");
		finding_evidence(f, "Node/%s", c->nodes[i].name);
	}
	if (!f)
		return;
	finding_message(f, "%zu of %zu nodes %s not ready", f->evidence_count, c->node_count,
			finding_plural(f->evidence_count, "is", "are"));
	finding_remedy(
		f, "look at 'kubectl describe node'; a network plugin that cannot reach the API "
		   "servers is the usual reason here");
}

static void cidrs(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &c->service_cidrs[i];
		auto_free char *subject = alloc_format("ServiceCIDR/%s", s->name);
		struct finding *f;

		/* one that is being deleted is told as KR109 */
		if (s->deleting || (!s->run && strcmp(s->name, CLUSTER_NEW_CIDR_NAME) != 0 &&
				    strcmp(s->name, CLUSTER_OLD_CIDR_NAME) != 0))
			continue;
		f = finding_add(list, "KR708", FINDING_WARNING, subject);
		finding_message(f, "ServiceCIDR '%s' of a run that is not finished is still there",
				s->name);
		finding_remedy(f,
			       "run 'kubectl renumber status', then 'kubectl renumber resume' or "
			       "'kubectl renumber finalize'");
		finding_evidence(f, "run %s", s->run ? s->run : "unknown");
	}
}

void doctor_environment(const struct patient *p, struct finding_list *list)
{
	unreachable(p, list);
	partly_seen(p, list);
	aliases(p, list);
	policies(p, list);
	lock(p, list);
	remains(p, list);
	nodes(p, list);
	cidrs(p, list);
}
