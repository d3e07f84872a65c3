/* SPDX-License-Identifier: MIT */
/*
 * alias-trim: after the flip the alias answers for the old address only, no longer for the new one
 * that the Service itself has now. Parameters: namespace, name, addresses.
 */
#include "step/alias.h"
#include "step/kinds.h"
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

static int trim_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	return step_alias_claim(context, step, err);
}

const struct step_kind step_alias_trim = {
	.name = "alias-trim",
	.describe = trim_describe,
	.check = trim_check,
	.apply = trim_apply,
};
