/* SPDX-License-Identifier: MIT */
/*
 * restart-rest: looks again at every container and restarts what still holds old addresses: Pods
 * that were stuck when the plan was made, or were started while it was carried out. It waits a minute for
 * Pods that are being created and for nodes that do not answer.
 * Parameters: to (the new range).
 *
 * restart-back: the same on the way back, when Services have their old addresses again: what was
 * started since they had moved has new ones. Parameters: new (the range that is left), old (array
 * of ranges), list (optional true: nothing is restarted, only said).
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/observe.h"
#include "plan/stale.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "text/json.h"

static void rest_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "look again, and restart what still holds old addresses");
}

/* What was found, as the parameter of a step of the kind "restart". */
static json_t *rest_workloads(const struct plan_workloads *list)
{
	json_t *workloads = json_array();

	for (size_t i = 0; i < list->count; i++) {
		const struct plan_workload *w = &list->items[i];
		json_t *object = plan_workload_json(w);

		if (object)
			json_array_append_new(workloads, object);
		else
			log_warning("Pod '%s/%s' holds old addresses and nothing restarts it; "
				    "delete it by "
				    "hand",
				    w->namespace_, w->name);
	}
	return workloads;
}

static int rest_restart(struct step_context *context, const struct plan_step *step,
			const json_t *workloads, struct error *err)
{
	auto_free char *now = clock_format(clock_wall_s());
	auto_json json_t *parameters = json_pack("{s:O, s:s}", "workloads", workloads, "at", now);
	struct plan_step restart = *step;

	restart.parameters = parameters;
	return step_restart.apply(context, &restart, err);
}

static int rest_look(struct step_context *context, struct cluster **ret, struct error *err)
{
	auto_json json_t *observation = NULL;

	if (observe_cluster(context->kube, context->pool, OBSERVE_ALL, &observation, err) < 0)
		return -1;
	return cluster_build(observation, ret, err);
}

/* How long Pods may take to be created, and nodes to answer again. */
#define REST_PATIENCE_MS 60000
#define REST_AGAIN_MS 2000

/* A look that can tell, or the last one before the end of the patience. */
static int rest_observe(struct step_context *context, struct cluster **ret, struct error *err)
{
	int64_t end = clock_monotonic_ms() + REST_PATIENCE_MS;

	while (true) {
		auto_cluster struct cluster *cluster = NULL;
		auto_free char *unsettled = NULL;

		if (rest_look(context, &cluster, err) < 0)
			return -1;
		unsettled = plan_stale_unsettled(cluster);
		if (!unsettled || clock_monotonic_ms() > end) {
			if (unsettled)
				log_warning(
					"%s: whether it holds old addresses is not known; 'kubectl "
					"renumber status' tells later",
					unsettled);
			*ret = steal(cluster);
			return 0;
		}
		context->say(context, "%s; looking again", unsettled);
		if (step_pause(context, REST_AGAIN_MS, err) < 0)
			return -1;
	}
}

static void rest_say(const json_t *workloads)
{
	const json_t *workload;
	size_t i;

	json_array_foreach(workloads, i, workload)
		log_warning("%s holds addresses of the range that goes; restart it by hand",
			    json_path_text(workload, "subject"));
}

static int rest_round(struct step_context *context, const struct plan_step *step, size_t *ret_found,
		      struct error *err)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_plan_workloads struct plan_workloads list = {0};
	auto_json json_t *workloads = NULL;
	const char *former = step_optional_text(step, "new");
	struct plan_stale query = {
		.to = former ? json_string_value(
				       json_array_get(json_object_get(step->parameters, "old"), 0))
			     : step_optional_text(step, "to"),
		.former = {&former, 1},
		.seen_only = true,
	};

	if (!query.to)
		return error_set(err, ERROR_PARSE, "step %s names no range", step->id);
	if (rest_observe(context, &cluster, err) < 0)
		return -1;
	query.cluster = cluster;
	if (!former)
		query.former = cluster_former_ranges(cluster, query.to);
	list = plan_stale_workloads(&query);
	workloads = rest_workloads(&list);
	if (json_is_true(json_object_get(step->parameters, "list"))) {
		rest_say(workloads);
		*ret_found = 0;
		return 0;
	}
	*ret_found = json_array_size(workloads);
	return *ret_found ? rest_restart(context, step, workloads, err) : 0;
}

/* A Pod that ends slowly is still seen in the first look behind its restart. */
#define REST_ROUNDS 3

static int rest_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	size_t found = 1;

	for (int i = 0; i < REST_ROUNDS && found; i++) {
		if (rest_round(context, step, &found, err) < 0)
			return -1;
	}
	return 0;
}

const struct step_kind step_restart_rest = {
	.name = "restart-rest",
	.rights = step_rights_restart,
	.describe = rest_describe,
	.check = step_never_there,
	.apply = rest_apply,
	.verify = step_proved_by_apply,
};

static void back_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "look for containers with addresses of %s, and restart them",
		      step_optional_text(step, "new"));
}

const struct step_kind step_restart_back = {
	.name = "restart-back",
	.rights = step_rights_restart,
	.describe = back_describe,
	.check = step_never_there,
	.apply = rest_apply,
	.verify = step_proved_by_apply,
};
