/* SPDX-License-Identifier: MIT */
/*
 * drain: who still uses an old address? Looks at every container's environment and resolv.conf, at
 * kubelets and CNI kubeconfigs, and says it. Nothing is changed and nothing waited for: the aliases
 * stay until `finalize`, which asks the same question again. Parameters: none.
 */
#include "base/log.h"
#include "model/cluster.h"
#include "model/observe.h"
#include "step/kinds.h"

static void drain_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "look who still uses an old address");
}

static int drain_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	(void)context;
	(void)step;
	(void)err;
	*ret_done = false;
	return 0;
}

static int drain_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *observation = NULL;
	auto_cluster struct cluster *cluster = NULL;
	const struct cluster_dead_address *dead;
	size_t count;

	(void)step;
	if (observe_cluster(context->kube, context->pool, OBSERVE_ALL, &observation, err) < 0 ||
	    cluster_build(observation, &cluster, err) < 0)
		return -1;
	count = cluster_dead_addresses(cluster, &dead);
	for (size_t i = 0; i < count; i++)
		log_warning("%s is still used by %zu (%s%s); 'finalize' waits for that",
			    dead[i].address, dead[i].user_count,
			    dead[i].users.count ? dead[i].users.items[0] : "",
			    dead[i].user_count > 1 ? ", …" : "");
	return 0;
}

static int drain_verify(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	(void)step;
	return context->tick(context, err);
}

const struct step_kind step_drain = {
	.name = "drain",
	.describe = drain_describe,
	.check = drain_check,
	.apply = drain_apply,
	.verify = drain_verify,
};
