/* SPDX-License-Identifier: MIT */
/*
 * forget: the run's backups on a node are removed, keys among them. Parameters: node.
 */
#include "step/kinds.h"

static void forget_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "remove this run's backups on %s", step_optional_text(step, "node"));
}

static int forget_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "list-backups");
	auto_json json_t *reply = NULL;
	const json_t *run;
	const char *node;
	size_t i;

	if (step_text(step, "node", &node, err) < 0 || step_need_nodes(context, step, err) < 0 ||
	    node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	*ret_done = true;
	json_array_foreach(json_object_get(reply, "runs"), i, run) {
		if (json_path_is(run, "run", context->plan->run))
			*ret_done = false;
	}
	return 0;
}

static int forget_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	auto_json json_t *request =
		json_pack("{s:s, s:s}", "op", "forget", "run", context->plan->run);
	auto_json json_t *reply = NULL;
	const char *node;

	if (step_text(step, "node", &node, err) < 0 || step_need_nodes(context, step, err) < 0)
		return -1;
	return node_call(context->pool, node, request, &reply, err);
}

const struct step_kind step_forget = {
	.name = "forget",
	.describe = forget_describe,
	.check = forget_check,
	.apply = forget_apply,
};
