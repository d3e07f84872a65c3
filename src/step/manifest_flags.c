/* SPDX-License-Identifier: MIT */
/*
 * manifest-flags: flags of kube-apiserver or kube-controller-manager in its static-Pod manifest,
 * and the process that runs has them.
 * Parameters: node, path, program, flags (array of {name, value}), address and port (API servers:
 * whose /readyz is waited for).
 *
 * All flags of a program are written at once: each write is a restart.
 */
#include "step/kinds.h"
#include "step/static_pod.h"

static void manifest_describe(const struct plan_step *step, struct buffer *out)
{
	step_static_pod_describe(step, out);
	buffer_text(out, " (restarts it)");
}

const struct step_kind step_manifest_flags = {
	.name = "manifest-flags",
	.describe = manifest_describe,
	.check = step_static_pod_check,
	.apply = step_static_pod_apply,
	.undo = step_static_pod_undo,
};
