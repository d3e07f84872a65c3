/* SPDX-License-Identifier: MIT */
/*
 * sweep: Services that came while the run was under way and hold an old address are moved, too, and
 * kubelets of nodes that joined with the old DNS address get the new one.
 * Parameters: nodes (optional true: kubelets are looked at, not Services alone).
 *
 * What is to be done is planned on the spot (plan/sweep.h), kept as "round-1", "round-2", … and
 * then carried out by the kinds that the plan itself is made of. A killed sweep goes on with the
 * rounds that were kept: a Service that was left between the legs of its flip is found in them.
 *
 * sweep-end: what sweeps put up is taken away: the aliases of the run that no other step removes,
 * and, in finalize, its backups on nodes that joined. Parameters: none.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "model/observe.h"
#include "plan/sweep.h"
#include "step/copies.h"
#include "step/kinds.h"
#include "step/rights.h"

/* New Services may come faster than they are moved; the next sweep takes the rest. */
#define SWEEP_ROUNDS 5

static bool sweep_nodes(const struct plan_step *step)
{
	return json_is_true(json_object_get(step->parameters, "nodes"));
}

static void sweep_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "move Services%s that came meanwhile and hold old addresses",
		      sweep_nodes(step) ? " and kubelets" : "");
}

/* Machines that joined after this program had started are not in the pool yet. */
static void sweep_add_nodes(struct step_context *context)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_error struct error ignored = {0};
	auto_json json_t *nodes = NULL;
	const json_t *node;
	const json_t *address;
	size_t i;
	size_t k;

	if (kube_client_list(context->kube, &target, NULL, &nodes, NULL, &ignored) < 0)
		return;
	json_array_foreach(nodes, i, node) {
		const char *internal = NULL;

		json_array_foreach(json_path(node, "status.addresses"), k, address) {
			if (!internal && json_path_is(address, "type", "InternalIP"))
				internal = json_path_text(address, "address");
		}
		node_pool_add(context->pool, json_path_text(node, "metadata.name"), internal);
	}
}

static int sweep_look(struct step_context *context, const struct plan_step *step, struct plan *ret,
		      struct error *err)
{
	auto_json json_t *observation = NULL;
	auto_cluster struct cluster *cluster = NULL;
	bool nodes = sweep_nodes(step) && context->pool;
	unsigned int what = OBSERVE_SURROUNDINGS | (nodes ? OBSERVE_ALL : OBSERVE_API);

	if (nodes)
		sweep_add_nodes(context);
	if (observe_cluster(context->kube, nodes ? context->pool : NULL, what, &observation, err) <
		    0 ||
	    cluster_build(observation, &cluster, err) < 0)
		return -1;
	return plan_sweep(cluster, context->plan, ret, err);
}

static char *sweep_round_name(int number)
{
	return alloc_format("round-%d", number);
}

/* The round's steps, each with an id of its own in the journal. */
static int sweep_round_read(struct step_context *context, const struct plan_step *step, int number,
			    struct plan *ret, bool *ret_there, struct error *err)
{
	auto_free char *name = sweep_round_name(number);
	auto_json json_t *kept = context->kept(context, step, name);
	auto_free char *text = NULL;

	*ret_there = kept != NULL;
	if (!kept)
		return 0;
	text = json_dumps(kept, 0);
	if (plan_parse(ret, name, slice_of(text), err) < 0)
		return -1;
	for (size_t i = 0; i < ret->count; i++) {
		char *id = alloc_format("%s.%d.%s", step->id, number, ret->steps[i].id);

		free(ret->steps[i].id);
		ret->steps[i].id = id;
	}
	return 0;
}

static int sweep_do(struct step_context *context, const struct plan_step *step, struct error *err)
{
	const struct step_kind *kind = step_kind_find(step->kind);
	bool done = false;

	if (!kind)
		return error_set(err, ERROR_PARSE, "there is no step kind '%s'", step->kind);
	if (kind->check(context, step, &done, err) < 0)
		return -1;
	if (done)
		return 0;
	if (kind->apply(context, step, err) < 0)
		return -1;
	if (kind->verify)
		return kind->verify(context, step, err);
	if (kind->check(context, step, &done, err) < 0)
		return -1;
	if (done)
		return 0;
	return error_set(err, ERROR_CONFLICT, "%s is not as it was left", step->subject);
}

static int sweep_round(struct step_context *context, const struct plan *round, struct error *err)
{
	for (size_t i = 0; i < round->count; i++)
		if (sweep_do(context, &round->steps[i], err) < 0)
			return -1;
	return 0;
}

static int sweep_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	auto_plan struct plan found = {0};
	auto_json json_t *kept = context->kept(context, step, "round-1");

	*ret_done = false;
	if (kept)
		return 0;
	if (sweep_look(context, step, &found, err) < 0)
		return -1;
	*ret_done = found.count == 0;
	return 0;
}

static void sweep_say(const struct plan *found)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(found->map, i, pair)
		log_info("  came meanwhile: Service '%s/%s' moves from %s to %s",
			 json_path_text(pair, "namespace"), json_path_text(pair, "name"),
			 json_path_text(pair, "from"), json_path_text(pair, "to"));
}

/* One round from what is there now; *ret_none when nothing is left. */
static int sweep_new_round(struct step_context *context, const struct plan_step *step, int number,
			   bool *ret_none, struct error *err)
{
	auto_plan struct plan found = {0};
	auto_plan struct plan round = {0};
	auto_free char *name = sweep_round_name(number);
	auto_json json_t *document = NULL;
	bool there = false;

	if (sweep_look(context, step, &found, err) < 0)
		return -1;
	*ret_none = found.count == 0;
	if (*ret_none)
		return 0;
	sweep_say(&found);
	document = plan_to_json(&found);
	if (context->keep(context, step, name, document, err) < 0 ||
	    sweep_round_read(context, step, number, &round, &there, err) < 0)
		return -1;
	return sweep_round(context, &round, err);
}

static int sweep_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	bool none = false;
	size_t changed = 0;
	int number = 1;

	if (step_copies_follow(context, &changed, err) < 0)
		return -1;
	for (;; number++) {
		auto_plan struct plan round = {0};
		bool there = false;

		if (sweep_round_read(context, step, number, &round, &there, err) < 0)
			return -1;
		if (!there)
			break;
		if (sweep_round(context, &round, err) < 0)
			return -1;
	}
	for (int i = 0; i < SWEEP_ROUNDS && !none; i++)
		if (sweep_new_round(context, step, number++, &none, err) < 0)
			return -1;
	return 0;
}

/* The aliases stay, for what was started with new addresses; sweep-end takes them away. */
static int sweep_undo_round(struct step_context *context, const struct plan *round,
			    struct error *err)
{
	for (size_t i = round->count; i-- > 0;) {
		const struct plan_step *step = &round->steps[i];
		const struct step_kind *kind = step_kind_find(step->kind);
		bool alias = strcmp(step->kind, "alias") == 0 || strcmp(step->kind, "aliases") == 0;

		if (kind && kind->undo && !alias && kind->undo(context, step, err) < 0)
			return -1;
	}
	return 0;
}

static int sweep_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	int number = 1;

	for (;; number++) {
		auto_free char *name = sweep_round_name(number);
		auto_json json_t *kept = context->kept(context, step, name);

		if (!kept)
			break;
	}
	while (--number > 0) {
		auto_plan struct plan round = {0};
		bool there = false;

		if (sweep_round_read(context, step, number, &round, &there, err) < 0 ||
		    sweep_undo_round(context, &round, err) < 0)
			return -1;
	}
	return 0;
}

const struct step_kind step_sweep = {
	.name = "sweep",
	.rights = step_rights_services,
	.describe = sweep_describe,
	.check = sweep_check,
	.apply = sweep_apply,
	.verify = step_proved_by_apply,
	.undo = sweep_undo,
};

/* ---- sweep-end ---- */

static bool end_is_planned(const struct step_context *context, const char *node)
{
	for (size_t i = 0; i < context->plan->count; i++)
		if (strcmp(context->plan->steps[i].kind, "forget") == 0 &&
		    json_path_is(context->plan->steps[i].parameters, "node", node))
			return true;
	return false;
}

/* A machine that joined and is gone again, or down, keeps its copy of one file. */
static void end_forget(struct step_context *context)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_error struct error ignored = {0};
	auto_json json_t *nodes = NULL;
	const json_t *node;
	size_t i;

	if (!context->pool ||
	    kube_client_list(context->kube, &target, NULL, &nodes, NULL, &ignored) < 0)
		return;
	sweep_add_nodes(context);
	json_array_foreach(nodes, i, node) {
		const char *name = json_path_text(node, "metadata.name");
		auto_json json_t *request =
			json_pack("{s:s, s:s}", "op", "forget", "run", context->plan->run);
		auto_json json_t *reply = NULL;
		auto_error struct error err = {0};

		if (end_is_planned(context, name) || !node_pool_may_reach(context->pool, name))
			continue;
		if (node_call(context->pool, name, request, &reply, &err) < 0)
			log_warning("%s", error_text(&err));
	}
}

static void end_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "remove the aliases of Services that came meanwhile");
}

/* Whether an alias is a sweep's: those of the plan have a step that removes them. */
static bool end_is_ours(const struct step_context *context, const json_t *service)
{
	const char *name = json_path_text(service, "metadata.name");

	if (!name || !strstr(name, "-renumber-"))
		return false;
	for (size_t i = 0; i < context->plan->count; i++) {
		const struct plan_step *step = &context->plan->steps[i];

		if (strcmp(step->kind, "alias-delete") == 0 &&
		    json_path_is(step->parameters, "name", name) &&
		    json_path_is(step->parameters, "namespace",
				 json_path_text(service, "metadata.namespace")))
			return false;
	}
	return true;
}

static int end_aliases(struct step_context *context, json_t **ret, struct error *err)
{
	auto_json json_t *all = NULL;
	json_t *service;
	size_t i;
	auto_free char *selector = alloc_format("%s=%s", CLUSTER_RUN_LABEL, context->plan->run);
	const struct kube_list_options options = {.label_selector = selector};
	const struct kube_target target = {.version = "v1", .plural = "services"};

	if (kube_client_list(context->kube, &target, &options, &all, NULL, err) < 0)
		return -1;
	*ret = json_array();
	json_array_foreach(all, i, service) {
		if (end_is_ours(context, service))
			json_array_append(*ret, service);
	}
	return 0;
}

static int end_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		     struct error *err)
{
	auto_json json_t *services = NULL;

	(void)step;
	if (end_aliases(context, &services, err) < 0)
		return -1;
	*ret_done = json_array_size(services) == 0;
	return 0;
}

/* Nodes are asked by apply alone: it is not known which of them have something. */
static int end_first_check(struct step_context *context, const struct plan_step *step,
			   bool *ret_done, struct error *err)
{
	*ret_done = false;
	return step->stage == PLAN_STAGE_FINALIZE ? 0 : end_check(context, step, ret_done, err);
}

static int end_verify(struct step_context *context, const struct plan_step *step, struct error *err)
{
	bool done = false;

	if (end_check(context, step, &done, err) < 0)
		return -1;
	if (done)
		return 0;
	return error_set(err, ERROR_CONFLICT, "an alias of this run is there again");
}

static int end_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *services = NULL;
	const json_t *service;
	size_t i;

	if (end_aliases(context, &services, err) < 0)
		return -1;
	json_array_foreach(services, i, service) {
		auto_json json_t *parameters = json_pack(
			"{s:O, s:O}", "namespace", json_path(service, "metadata.namespace"), "name",
			json_path(service, "metadata.name"));
		auto_free char *subject =
			alloc_format("Service/%s/%s", json_path_text(service, "metadata.namespace"),
				     json_path_text(service, "metadata.name"));
		struct plan_step one = *step;

		one.kind = (char[]){"alias-delete"};
		one.subject = subject;
		one.parameters = parameters;
		if (sweep_do(context, &one, err) < 0)
			return -1;
	}
	if (step->stage == PLAN_STAGE_FINALIZE)
		end_forget(context);
	return 0;
}

const struct step_kind step_sweep_end = {
	.name = "sweep-end",
	.rights = step_rights_services,
	.describe = end_describe,
	.check = end_first_check,
	.apply = end_apply,
	.verify = end_verify,
};
