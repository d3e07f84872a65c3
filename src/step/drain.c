/* SPDX-License-Identifier: MIT */
/*
 * drain: who still uses an old address? Looks at every container's environment and resolv.conf, at
 * kubelets and CNI kubeconfigs, and over a window at the connections of every node, and says it.
 * Nothing is changed: the aliases stay until `finalize`, which asks the same question again.
 * Parameters: none.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "model/observe.h"
#include "step/evidence.h"
#include "step/kinds.h"

#define DRAIN_SHOWN 10

static void drain_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "look who still uses an old address");
}

static int drain_pause(void *data, int64_t ms, struct error *err)
{
	struct step_context *context = data;

	context->say(context, "watching who connects to old addresses");
	return step_pause(context, ms, err);
}

static void drain_say(const struct evidence *evidence)
{
	auto_buffer struct buffer text = {0};
	struct slice rest;
	struct slice line;

	evidence_print(evidence, DRAIN_SHOWN, &text);
	rest = buffer_as_slice(&text);
	while (slice_next(&rest, '\n', &line))
		if (line.len)
			log_info("  %.*s", (int)line.len, line.ptr);
	if (evidence_used(evidence, /* connections= */ true))
		log_warning("old addresses are still used; 'finalize' waits for that");
}

static int drain_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *observation = NULL;
	auto_cluster struct cluster *cluster = NULL;
	auto_evidence struct evidence evidence = {0};
	struct evidence_request request = {
		.pool = context->pool,
		.plan = context->plan,
		.moved_s = context->moved_at ? context->moved_at(context) : 0,
		.window_ms = context->window_ms,
		.pause = drain_pause,
		.data = context,
	};
	auto_json json_t *document = NULL;

	if (observe_cluster(context->kube, context->pool, OBSERVE_ALL, &observation, err) < 0 ||
	    cluster_build(observation, &cluster, err) < 0)
		return -1;
	request.cluster = cluster;
	if (evidence_collect(&request, &evidence, err) < 0)
		return -1;
	drain_say(&evidence);
	document = evidence_json(&evidence);
	return context->keep(context, step, "evidence", document, err);
}

const struct step_kind step_drain = {
	.name = "drain",
	.describe = drain_describe,
	.check = step_never_there,
	.apply = drain_apply,
	.verify = step_proved_by_apply,
};
