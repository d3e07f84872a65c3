/* SPDX-License-Identifier: MIT */
/*
 * alias-trim: after the flip the alias answers for the old address only, no longer for the new one
 * that the Service itself has now. Parameters: namespace, name, addresses.
 */
#include "step/alias.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

static void trim_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "leave only the old address to %s", step->subject);
}

/* An alias that went meanwhile claims nothing any more. */
static int trim_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_json json_t *service = NULL;
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	if (step_find(context, &target, &service, err) < 0)
		return -1;
	*ret_done = !service ||
		    step_alias_claims(service, json_object_get(step->parameters, "addresses"));
	return 0;
}

#define TRIM_KEPT "claimed"

static int trim_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *service = NULL;
	json_t *claimed;
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0 ||
	    kube_client_get(context->kube, &target, &service, err) < 0)
		return -1;
	claimed = json_path(service, "status.loadBalancer.ingress");
	if (claimed && context->keep(context, step, TRIM_KEPT, claimed, err) < 0)
		return -1;
	return step_alias_claim(context, step, err);
}

/* The alias claims again what it claimed; one that is gone was taken back by its own step. */
static int trim_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *claimed = context->kept(context, step, TRIM_KEPT);
	auto_json json_t *patch = NULL;
	struct kube_target target;

	if (!claimed)
		return 0;
	if (step_service_target(step, &target, err) < 0)
		return -1;
	target.subresource = "status";
	patch = json_pack("{s:{s:{s:O}}}", "status", "loadBalancer", "ingress", claimed);
	if (kube_client_patch(context->kube, &target, KUBE_PATCH_MERGE, patch, &options, NULL,
			      err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	return 0;
}

const struct step_kind step_alias_trim = {
	.name = "alias-trim",
	.rights = step_rights_services,
	.describe = trim_describe,
	.check = trim_check,
	.apply = trim_apply,
	.undo = trim_undo,
};
