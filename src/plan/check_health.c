/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "doctor/doctor.h"
#include "plan/planner.h"

/*
 * A migration begins on a cluster that is whole on one range and well; anything else is for
 * `plan --repair`, or for its operator, first.
 */
static int health_range(const struct planner *p, struct error *err)
{
	if (p->cluster->regime == CLUSTER_REGIME_UNKNOWN)
		return error_set(
			err, ERROR_REFUSED,
			"who gives out Service addresses could not be found out; the flags "
			"of the API servers have to be seen");
	if (!p->from)
		return error_set(err, ERROR_REFUSED,
				 "the API servers' flags do not agree on the present Service range "
				 "(or none could be read); make the cluster whole first, with "
				 "'plan --repair'");
	if (strchr(p->from, ','))
		return error_set(
			err, ERROR_REFUSED,
			"the cluster is dual-stack ('%s'), and this version moves clusters "
			"of one address family; 'doctor', 'certs' and 'scan' work on it",
			p->from);
	return 0;
}

static int health_run_error(const char *what, const char *run, struct error *err)
{
	return error_set(err, ERROR_REFUSED,
			 "%s of run %s is in the cluster: a run is under way; finish it with "
			 "'resume' and 'finalize' first",
			 what, run);
}

/* Anything that a run of ours left, or holds now. */
static int health_runs(const struct planner *p, struct error *err)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->service_count; i++)
		if (c->services[i].alias_run)
			return health_run_error("an alias", c->services[i].alias_run, err);
	for (size_t i = 0; i < c->service_cidr_count; i++)
		if (c->service_cidrs[i].run)
			return health_run_error("a ServiceCIDR", c->service_cidrs[i].run, err);
	for (size_t i = 0; i < c->leftover_count; i++) {
		const struct cluster_leftover *l = &c->leftovers[i];

		if (l->run && strcmp(l->kind, "Lease") != 0)
			return health_run_error(l->kind, l->run, err);
		if (l->holder && *l->holder && l->renewed_s + l->duration_s > c->observed_s)
			return error_set(err, ERROR_REFUSED,
					 "'%s' holds the lock of a run just now; wait for it, see "
					 "'status'",
					 l->holder);
	}
	return 0;
}

static int health_ranges_settled(const struct planner *p, struct error *err)
{
	for (size_t i = 0; i < p->cluster->service_cidr_count; i++) {
		const struct cluster_service_cidr *cidr = &p->cluster->service_cidrs[i];

		if (cidr->deleting)
			return error_set(
				err, ERROR_REFUSED,
				"ServiceCIDR '%s' is being deleted and waits for the Services "
				"in it; move or delete those first",
				cidr->name);
	}
	return 0;
}

static int health_servers(const struct planner *p, struct error *err)
{
	for (size_t i = 0; i < p->cluster->node_count; i++) {
		const struct cluster_node *node = &p->cluster->nodes[i];
		struct cluster_component seen;

		if (!node->control_plane)
			continue;
		if (!node->address)
			return error_set(err, ERROR_REFUSED, "control plane '%s' has no InternalIP",
					 node->name);
		if (node->health_problem)
			return error_set(
				err, ERROR_REFUSED,
				"the API server of '%s' is not well (%s); every one must be, "
				"with its etcd, before others are restarted",
				node->name, node->health_problem);
		seen = planner_component(node, &node->host.api_server);
		if (!seen.manifest_known || !seen.manifest_range)
			return error_set(
				err, ERROR_REFUSED,
				"control plane '%s' has no static-Pod manifest of "
				"kube-apiserver with --service-cluster-ip-range: this version "
				"moves clusters that are made like kubeadm's",
				node->name);
	}
	return 0;
}

/* Warnings of the doctor that a repair can live with and a restart of servers cannot. */
static bool health_forbids(const struct finding *f)
{
	static const char *const codes[] = {"KR103", "KR104", "KR105", "KR207", "KR304", "KR603"};

	if (f->severity == FINDING_ERROR)
		return true;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(f->code, codes[i]) == 0)
			return true;
	return false;
}

/* The first finding that forbids, borrowed from `list`; NULL: none. */
static const struct finding *health_first(const struct planner *p, struct finding_list *list,
					  size_t *ret_count)
{
	const struct finding *first = NULL;

	*ret_count = 0;
	doctor_examine(p->cluster, list);
	for (size_t i = 0; i < list->count; i++) {
		if (!health_forbids(&list->items[i]))
			continue;
		first = first ? first : &list->items[i];
		(*ret_count)++;
	}
	return first;
}

static int health_doctor(const struct planner *p, struct error *err)
{
	auto_findings struct finding_list list = {0};
	size_t count = 0;
	const struct finding *first = health_first(p, &list, &count);

	if (!first)
		return 0;
	return error_set(err, ERROR_REFUSED,
			 "the cluster is not well: %s %s: %s%s; 'doctor' says what to do, and then "
			 "it can be moved",
			 first->code, first->subject, first->message,
			 count > 1 ? " (and more)" : "");
}

int planner_check_whole(const struct planner *p, struct error *err)
{
	auto_findings struct finding_list list = {0};
	size_t count = 0;
	const struct finding *first = health_first(p, &list, &count);

	if (!first)
		return 0;
	return error_set(err, ERROR_REFUSED,
			 "the API servers' flags say %s already, but the cluster is not whole on "
			 "it: %s %s: %s%s; 'plan --repair' lists the steps that are missing",
			 p->to, first->code, first->subject, first->message,
			 count > 1 ? " (and more)" : "");
}

int planner_check_health(const struct planner *p, struct error *err)
{
	if (health_range(p, err) < 0 || health_runs(p, err) < 0 ||
	    health_ranges_settled(p, err) < 0 || health_servers(p, err) < 0)
		return -1;
	return health_doctor(p, err);
}
