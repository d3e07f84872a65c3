/* SPDX-License-Identifier: MIT */
/*
 * proxies: gives every kube-proxy the time to program what was written last. kube-proxy syncs at
 * most once per minSyncPeriod, 1 s by default (pkg/proxy/apis/config/v1alpha1/defaults.go).
 * Parameters: ms.
 */
#include "step/kinds.h"

#define PROXIES_DEFAULT_MS 2500

static void proxies_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "let every kube-proxy program what was written");
}

/* Time is the effect: a step that was not done is never there already. */
static int proxies_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	(void)context;
	(void)step;
	(void)err;
	*ret_done = false;
	return 0;
}

static int proxies_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	const json_t *ms = json_object_get(step->parameters, "ms");

	return step_pause(context, ms ? json_integer_value(ms) : PROXIES_DEFAULT_MS, err);
}

static int proxies_verify(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	(void)step;
	return context->tick(context, err);
}

const struct step_kind step_proxies = {
	.name = "proxies",
	.describe = proxies_describe,
	.check = proxies_check,
	.apply = proxies_apply,
	.verify = proxies_verify,
	.undo = proxies_apply,
};
