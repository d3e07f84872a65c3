/* SPDX-License-Identifier: MIT */
#include "step/budget.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "kube/discovery.h"
#include "model/cluster.h"

#define BUDGET_MS ((int64_t)10 * 60 * 1000)
#define BUDGET_POLL_MS 1000

/* An empty selector is all Pods of the namespace in policy/v1, and none in v1beta1. */
static bool budget_covers(const json_t *budget, const char *version, const json_t *labels)
{
	const json_t *selector = json_path(budget, "spec.selector");

	if (!selector || (json_object_size(selector) == 0 && strcmp(version, "v1") != 0))
		return false;
	return cluster_selects(selector, labels);
}

/* Why none may go now, allocated; NULL: one may, or never may one. */
static char *budget_objection(const json_t *budget)
{
	int64_t healthy = json_path_int(budget, "status.currentHealthy", 0);
	int64_t desired = json_path_int(budget, "status.desiredHealthy", 0);
	int64_t expected = json_path_int(budget, "status.expectedPods", 0);

	if (json_path_int(budget, "status.disruptionsAllowed", 0) > 0 || desired >= expected)
		return NULL;
	return alloc_format("PodDisruptionBudget %s/%s allows no Pod to go: %jd of %jd are "
			    "healthy, %jd have to be",
			    json_path_text(budget, "metadata.namespace"),
			    json_path_text(budget, "metadata.name"), (intmax_t)healthy,
			    (intmax_t)expected, (intmax_t)desired);
}

static int budget_look(struct step_context *context, const struct kube_target *target,
		       const json_t *labels, char **ret_why, struct error *err)
{
	auto_json json_t *budgets = NULL;
	const json_t *budget;
	size_t i;

	if (kube_client_list(context->kube, target, NULL, &budgets, NULL, err) < 0)
		return -1;
	json_array_foreach(budgets, i, budget) {
		char *why = budget_covers(budget, target->version, labels)
				    ? budget_objection(budget)
				    : NULL;

		if (!why)
			continue;
		*ret_why = why;
		return 0;
	}
	*ret_why = NULL;
	return 0;
}

int step_budget_await(struct step_context *context, const char *space, const json_t *labels,
		      struct error *err)
{
	int64_t end = clock_monotonic_ms() + BUDGET_MS;
	auto_free char *version = NULL;
	struct kube_target target = {
		.group = "policy", .plural = "poddisruptionbudgets", .space = space};

	if (kube_discovery_served(context->kube, target.group, target.plural, &version, err) < 0)
		return -1;
	target.version = version;
	while (version) {
		auto_free char *why = NULL;

		if (budget_look(context, &target, labels, &why, err) < 0)
			return -1;
		if (!why)
			return 0;
		if (clock_monotonic_ms() > end)
			return error_set(err, ERROR_NETWORK, "%s; when they are, 'resume' goes on",
					 why);
		context->say(context, "waiting: %s", why);
		if (step_pause(context, BUDGET_POLL_MS, err) < 0)
			return -1;
	}
	return 0;
}
