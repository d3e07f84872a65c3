/* SPDX-License-Identifier: MIT */
#include "plan/estimate.h"

#include <string.h>

#include "text/json.h"

/* Measured on kubeadm clusters of three control planes, 1.20 to 1.36. */
static const struct {
	const char *kind;
	int64_t seconds;
	int64_t each; /* of the workloads that it is about, beside */
} estimates[] = {
	{"rights", 1, 0},
	{"snapshot", 3, 0},
	{"canary", 15, 0},
	{"certificate", 1, 0},
	{"certificate-served", 15, 0},
	{"manifest-flags", 45, 0},
	{"roll", 21, 0},
	{"converge", 1, 0},
	{"proxies", 3, 0},
	{"flip", 1, 0},
	{"aliases", 5, 0},
	{"flip-group", 5, 0},
	{"alias-swap", 5, 0},
	{"service-cidr-default", 13, 0},
	{"service-cidr-delete", 10, 0},
	{"local-dns", 15, 0},
	{"kubelet-dns", 2, 0},
	{"restart", 5, 5},
	{"restart-rest", 10, 0},
	{"sweep", 1, 0},
	{"drain", 60, 0},
};

/* An API server is taken out of service first, and comes back when it was ready for a while. */
#define ESTIMATE_API_S 67

static bool estimate_is_api(const struct plan_step *step)
{
	return json_path_is(step->parameters, "program", "kube-apiserver") &&
	       json_object_get(step->parameters, "flags");
}

int64_t plan_step_seconds(const struct plan_step *step)
{
	const json_t *workloads = json_object_get(step->parameters, "workloads");

	if (strcmp(step->kind, "roll") == 0 && estimate_is_api(step))
		return ESTIMATE_API_S;
	for (size_t i = 0; i < sizeof(estimates) / sizeof(estimates[0]); i++)
		if (strcmp(estimates[i].kind, step->kind) == 0)
			return estimates[i].seconds +
			       estimates[i].each * (int64_t)json_array_size(workloads);
	return 0;
}

struct plan_sum plan_sum(const struct plan *plan)
{
	struct plan_sum sum = {.services = json_array_size(plan->map)};

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *step = &plan->steps[i];

		if (step->stage == PLAN_STAGE_FINALIZE)
			continue;
		sum.api_servers += estimate_is_api(step);
		sum.kubelets += strcmp(step->kind, "kubelet-dns") == 0;
		if (strcmp(step->kind, "restart") == 0)
			sum.workloads +=
				json_array_size(json_object_get(step->parameters, "workloads"));
		sum.seconds += plan_step_seconds(step);
	}
	return sum;
}
