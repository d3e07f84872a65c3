/* SPDX-License-Identifier: MIT */
#include "step/rollout.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/condition.h"
#include "model/cluster.h"
#include "step/budget.h"
#include "text/json.h"

int step_rollout_down(struct step_context *context, json_t **ret, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_json json_t *nodes = NULL;
	json_t *down;
	const json_t *node;
	size_t i;

	if (kube_client_list(context->kube, &target, NULL, &nodes, NULL, err) < 0)
		return -1;
	down = json_object();
	json_array_foreach(nodes, i, node) {
		if (!kube_condition_is(node, "Ready", "True"))
			json_object_set_new(down, json_path_text(node, "metadata.name"),
					    json_true());
	}
	*ret = down;
	return 0;
}

bool step_rollout_is_over(const json_t *workload, bool daemon_set, size_t down)
{
	int64_t generation = json_path_int(workload, "metadata.generation", 0);
	int64_t observed = json_path_int(workload, "status.observedGeneration", 0);
	int64_t missing = (int64_t)down;
	int64_t wanted;
	int64_t updated;
	int64_t ready;
	int64_t total;

	if (observed < generation)
		return false;
	if (daemon_set) {
		wanted = json_path_int(workload, "status.desiredNumberScheduled", 0);
		updated = json_path_int(workload, "status.updatedNumberScheduled", 0);
		ready = json_path_int(workload, "status.numberAvailable", 0);
		return updated + missing >= wanted && ready + missing >= wanted;
	}
	wanted = json_path_int(workload, "spec.replicas", 1);
	updated = json_path_int(workload, "status.updatedReplicas", 0);
	ready = json_path_int(workload, "status.readyReplicas", 0);
	total = json_path_int(workload, "status.replicas", 0);
	return updated >= wanted && ready >= wanted && total <= updated;
}

bool step_rollout_is_ours(const json_t *workload, bool daemon_set, size_t down)
{
	return json_path_is(workload, "spec.updateStrategy.type", "OnDelete") ||
	       (daemon_set && down);
}

int step_rollout_may_begin(struct step_context *context, const json_t *workload, struct error *err)
{
	if (context->plan->mode != PLAN_MIGRATE)
		return 0;
	return step_budget_await(context, json_path_text(workload, "metadata.namespace"),
				 json_path(workload, "spec.template.metadata.labels"), err);
}

/* Of this DaemonSet or StatefulSet, on a node that is up. */
static bool rollout_is_its(const json_t *pod, const json_t *workload, const json_t *down)
{
	const char *uid = json_path_text(workload, "metadata.uid");

	return uid && json_path_is(pod, "metadata.ownerReferences.0.uid", uid) &&
	       !json_object_get(down, json_path_text(pod, "spec.nodeName"));
}

#define ROLLOUT_PAUSE_MS 3000

int step_rollout_replace(struct step_context *context, const json_t *workload, const json_t *down,
			 step_rollout_stale stale, const void *data, struct error *err)
{
	const struct kube_target all = {.version = "v1",
					.plural = "pods",
					.space = json_path_text(workload, "metadata.namespace")};
	auto_json json_t *pods = NULL;
	const json_t *pod;
	size_t i;

	if (kube_client_list(context->kube, &all, NULL, &pods, NULL, err) < 0)
		return -1;
	json_array_foreach(pods, i, pod) {
		struct kube_target target = all;

		if (!rollout_is_its(pod, workload, down) || !stale(pod, data))
			continue;
		target.name = json_path_text(pod, "metadata.name");
		if (step_rollout_may_begin(context, workload, err) < 0)
			return -1;
		if (kube_client_remove(context->kube, &target, NULL, err) < 0)
			return -1;
		if (step_pause(context, ROLLOUT_PAUSE_MS, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what waits for a node that is down ---- */

/* A controller that can go on does so sooner after a Pod of its has become ready. */
#define ROLLOUT_STILL_S 20

static bool rollout_has_ended(const json_t *pod)
{
	return json_path_is(pod, "status.phase", "Succeeded") ||
	       json_path_is(pod, "status.phase", "Failed");
}

static int64_t rollout_ready_s(const json_t *pod)
{
	const char *text = json_path_text(kube_condition(pod, "Ready"), "lastTransitionTime");
	int64_t since_s = 0;

	return text && clock_parse(text, &since_s) ? since_s : 0;
}

enum step_rollout_here step_rollout_judge(const json_t *pods, const json_t *workload,
					  const json_t *down, step_rollout_stale stale,
					  const void *data, const char **ret_stale)
{
	const json_t *selector = json_path(workload, "spec.selector");
	const char *found = NULL;
	int64_t newest_s = 0;
	size_t left = 0;
	const json_t *pod;
	size_t i;

	*ret_stale = NULL;
	json_array_foreach(pods, i, pod) {
		if (!cluster_selects(selector, json_path(pod, "metadata.labels")) ||
		    rollout_has_ended(pod))
			continue;
		if (json_object_get(down, json_path_text(pod, "spec.nodeName"))) {
			left++;
			continue;
		}
		if (json_path(pod, "metadata.deletionTimestamp") ||
		    !kube_condition_is(pod, "Ready", "True"))
			return ROLLOUT_GOES_ON;
		if (rollout_ready_s(pod) > newest_s)
			newest_s = rollout_ready_s(pod);
		if (!found && stale(pod, data))
			found = json_path_text(pod, "metadata.name");
	}
	if (left == 0)
		return ROLLOUT_GOES_ON;
	if (!found)
		return ROLLOUT_OVER_HERE;
	if (clock_wall_s() <= newest_s + ROLLOUT_STILL_S)
		return ROLLOUT_GOES_ON;
	*ret_stale = found;
	return ROLLOUT_WAITS;
}

int step_rollout_push(struct step_context *context, const json_t *workload, const json_t *down,
		      step_rollout_stale stale, const void *data, bool act, bool *ret_over,
		      struct error *err)
{
	struct kube_target target = {.version = "v1",
				     .plural = "pods",
				     .space = json_path_text(workload, "metadata.namespace")};
	auto_json json_t *pods = NULL;
	enum step_rollout_here here;

	if (kube_client_list(context->kube, &target, NULL, &pods, NULL, err) < 0)
		return -1;
	here = step_rollout_judge(pods, workload, down, stale, data, &target.name);
	*ret_over = here == ROLLOUT_OVER_HERE;
	if (here != ROLLOUT_WAITS || !act)
		return 0;
	log_debug("Pod '%s/%s' is replaced: its controller waits for a node that is down",
		  target.space, target.name);
	if (step_rollout_may_begin(context, workload, err) < 0)
		return -1;
	return kube_client_remove(context->kube, &target, NULL, err);
}
