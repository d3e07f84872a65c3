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

static int proxies_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	const json_t *ms = json_object_get(step->parameters, "ms");

	return step_pause(context, ms ? json_integer_value(ms) : PROXIES_DEFAULT_MS, err);
}

const struct step_kind step_proxies = {
	.name = "proxies",
	.describe = proxies_describe,
	.check = step_never_there, /* time is the effect */
	.apply = proxies_apply,
	.verify = step_proved_by_apply,
	.undo = proxies_apply,
};
