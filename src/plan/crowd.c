/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "plan/planner.h"
#include "plan/stale.h"
#include "text/json.h"

/*
 * Many Services in front of the same Pods. When such Pods are replaced, the controller-manager writes
 * the endpoints of each of those Services, and of its alias, 20 a second (--kube-api-qps,
 * pkg/controller/…/config: ClientConnection.QPS): Pods that end sooner than that are asked in vain, in
 * this rollout as in any other. Seen with 300 Services before Pods that end after 12 s.
 */
#define CROWD_QPS 20
/* what a Pod that says nothing gets (pkg/apis/core/v1/defaults.go) */
#define CROWD_GRACE_S 30

static bool crowd_is_of(const struct cluster_pod *pod, const struct plan_workload *w)
{
	return pod->owner_kind && w->kind && strcmp(pod->owner_kind, w->kind) == 0 &&
	       strcmp(pod->owner_name, w->name) == 0 && strcmp(pod->namespace_, w->namespace_) == 0;
}

static const struct cluster_pod *crowd_pod(const struct cluster *c, const struct plan_workload *w)
{
	for (size_t i = 0; i < c->pod_count; i++)
		if (crowd_is_of(&c->pods[i], w))
			return &c->pods[i];
	return NULL;
}

static bool crowd_selects(const struct cluster_service *s, const struct cluster_pod *pod)
{
	return s->has_selector && strcmp(s->type, "ExternalName") != 0 &&
	       strcmp(s->namespace_, pod->namespace_) == 0 &&
	       cluster_has_labels(pod->labels, json_path(s->object, "spec.selector"));
}

void planner_note_crowd(struct planner *p, const struct plan_workload *w)
{
	const struct cluster_pod *pod = crowd_pod(p->cluster, w);
	auto_json json_t *named = plan_workload_json(w);
	int64_t grace_s = pod && pod->grace_s >= 0 ? pod->grace_s : CROWD_GRACE_S;
	size_t services = 0;
	size_t writes = 0;

	for (size_t i = 0; pod && i < p->cluster->service_count; i++) {
		const struct cluster_service *s = &p->cluster->services[i];

		if (s->alias_run || !crowd_selects(s, pod))
			continue;
		services++;
		writes += s->headless ? 1 : 2;
	}
	if ((int64_t)(writes / CROWD_QPS) < grace_s)
		return;
	plan_note(
		p->plan,
		"%s stands behind %zu Services: when its Pods are replaced it takes some %zu s "
		"until endpoints of all of them and of their aliases are written, and its Pods end "
		"after %lld s at most: requests may fail meanwhile, as in any rollout of it; give "
		"its Pods more time (terminationGracePeriodSeconds, and a preStop that uses it), "
		"or restart it later yourself",
		json_path_text(named, "subject"), services, writes / CROWD_QPS, (long long)grace_s);
}
