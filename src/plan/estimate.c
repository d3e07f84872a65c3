/* SPDX-License-Identifier: MIT */
#include "plan/estimate.h"

#include <string.h>

#include "text/json.h"

/* Measured on kubeadm clusters of three control planes, 1.20 to 1.36. */
static const struct {
	const char *kind;
	int64_t seconds;
	int64_t each; /* of the array that it is about, beside */
	const char *array;
} estimates[] = {
	{"snapshot", 2, 0, NULL},
	{"canary", 10, 0, NULL},
	{"certificate", 2, 0, NULL},
	{"certificate-served", 30, 0, NULL},
	{"service-cidr", 2, 0, NULL},
	{"manifest-flags", 45, 0, NULL},
	{"roll", 60, 0, NULL},
	{"converge", 4, 0, NULL},
	{"proxies", 3, 0, NULL},
	{"flip", 1, 0, NULL},
	{"aliases", 8, 0, "services"},
	{"flip-group", 4, 0, "services"},
	{"service-cidr-default", 30, 0, NULL},
	{"service-cidr-delete", 12, 0, NULL},
	{"kubelet-dns", 5, 0, NULL},
	{"restart", 20, 15, "workloads"},
	{"restart-rest", 10, 0, NULL},
	{"sweep", 3, 0, NULL},
	{"drain", 70, 0, NULL},
};

int64_t plan_step_seconds(const struct plan_step *step)
{
	for (size_t i = 0; i < sizeof(estimates) / sizeof(estimates[0]); i++) {
		const json_t *list;

		if (strcmp(estimates[i].kind, step->kind) != 0)
			continue;
		list = estimates[i].array ? json_object_get(step->parameters, estimates[i].array)
					  : NULL;
		return estimates[i].seconds + estimates[i].each * (int64_t)json_array_size(list);
	}
	return 0;
}

static bool estimate_is_api(const struct plan_step *step)
{
	return json_path_is(step->parameters, "program", "kube-apiserver") &&
	       json_object_get(step->parameters, "flags");
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
