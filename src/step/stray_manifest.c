/* SPDX-License-Identifier: MIT */
/*
 * stray-manifest: a copy of a manifest that lies in the manifests folder is taken out: kubelet
 * runs every file there, so the copy competes with the real one.
 * Parameters: node, path. The run's backup on the node keeps it.
 */
#include "step/kinds.h"

static void stray_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "take %s out of the manifests folder (kept in the backup)",
		      step->subject);
}

static int stray_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	const char *node;
	const char *path;

	if (step_text(step, "node", &node, err) < 0 || step_text(step, "path", &path, err) < 0 ||
	    step_need_nodes(context, step, err) < 0)
		return -1;
	request = json_pack("{s:s, s:s}", "op", "read-file", "path", path);
	*ret_done = false;
	if (node_call(context->pool, node, request, &reply, err) == 0)
		return 0;
	if (err->kind != ERROR_NOT_FOUND)
		return -1;
	error_release(err);
	*ret_done = true;
	return 0;
}

static int stray_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	const char *node;
	const char *path;

	if (step_text(step, "node", &node, err) < 0 || step_text(step, "path", &path, err) < 0 ||
	    step_need_nodes(context, step, err) < 0)
		return -1;
	request = json_pack("{s:s, s:s, s:s}", "op", "remove-file", "run", context->plan->run,
			    "path", path);
	return node_call(context->pool, node, request, &reply, err);
}

static int stray_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	bool gone = false;

	if (stray_check(context, step, &gone, err) < 0)
		return -1;
	/* never taken out, put back before, or somebody has a new one: it stays */
	if (!gone)
		return 0;
	request = json_pack("{s:s, s:s, s:[s]}", "op", "restore", "run", context->plan->run,
			    "paths", step_optional_text(step, "path"));
	return node_call(context->pool, step_optional_text(step, "node"), request, &reply, err);
}

const struct step_kind step_stray_manifest = {
	.name = "stray-manifest",
	.describe = stray_describe,
	.check = stray_check,
	.apply = stray_apply,
	.undo = stray_undo,
};
