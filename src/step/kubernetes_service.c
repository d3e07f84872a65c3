/* SPDX-License-Identifier: MIT */
/*
 * kubernetes-service: default/kubernetes is there with its new address. API servers create it
 * within 10 s once their allocator gives that address out. Parameters: address.
 */
#include <string.h>

#include "step/kinds.h"

static void kubernetes_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "wait for the API servers to create Service/default/kubernetes at %s",
		      step_optional_text(step, "address"));
}

static int kubernetes_check(struct step_context *context, const struct plan_step *step,
			    bool *ret_done, struct error *err)
{
	const struct kube_target target = {
		.version = "v1", .plural = "services", .space = "default", .name = "kubernetes"};
	auto_json json_t *service = NULL;
	const char *address;

	if (step_text(step, "address", &address, err) < 0)
		return -1;
	if (step_find(context, &target, &service, err) < 0)
		return -1;
	*ret_done = service != NULL;
	if (service && !json_path_is(service, "spec.clusterIP", address))
		return error_set(err, ERROR_REFUSED,
				 "Service/default/kubernetes came back with %s instead of %s; make "
				 "the plan anew",
				 json_path_text(service, "spec.clusterIP"), address);
	return 0;
}

#define KUBERNETES_BACK_MS 60000

static int kubernetes_apply(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	context->say(context, "waiting for Service/default/kubernetes (10 s at most, as a rule)");
	return step_wait(context, step, kubernetes_check, 250, KUBERNETES_BACK_MS,
			 "the API servers did not create Service/default/kubernetes", err);
}

const struct step_kind step_kubernetes_service = {
	.name = "kubernetes-service",
	.describe = kubernetes_describe,
	.check = kubernetes_check,
	.apply = kubernetes_apply,
};
