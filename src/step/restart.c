/* SPDX-License-Identifier: MIT */
/*
 * restart: the Pods of a wave of workloads are replaced, as `kubectl rollout restart` does it,
 * because their containers hold addresses from the moment that they were started.
 * Parameters: workloads (array of {subject, namespace, kind, name}; kind is DaemonSet, Deployment,
 * StatefulSet, or ReplicaSet, whose owner is restarted), at (RFC 3339; the value of the annotation,
 * so that doing it twice is once), servers (optional, as of `converge`).
 *
 * The controller's own update strategy decides the pace; unavailable Pods are replaced first. In a
 * healthy cluster it begins when the workload's PodDisruptionBudgets allow it; in a broken one the
 * restart is what makes its Pods healthy.
 *
 * With servers every proxy has to know of the new Pods before the step is done. When Pods behind a
 * Service for UDP go, kube-proxy searches all that conntrack remembers before it looks at anything
 * else: nine seconds for 60,000 entries on a busy node. Pods of the next wave that ended meanwhile
 * would still be sent requests.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "step/converge.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/rollout.h"

#define RESTART_ANNOTATION "kubectl.kubernetes.io/restartedAt"

static void restart_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *workload;
	size_t i;

	buffer_text(out, "restart the Pods of ");
	json_array_foreach(json_object_get(step->parameters, "workloads"), i, workload) {
		const char *subject = json_path_text(workload, "subject");

		buffer_format(out, "%s%s", i ? ", " : "", subject ? subject : "?");
	}
}

static int restart_settle(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	const json_t *servers = json_object_get(step->parameters, "servers");

	auto_error struct error problem = {0};

	if (json_array_size(servers) == 0)
		return 0;
	if (step_converge(context, servers, NULL, err) == 0)
		return step_converge_forget(context, err);
	if (step_converge_forget(context, &problem) < 0)
		log_debug("%s", error_text(&problem));
	return -1;
}

static const char *restart_plural(const char *kind)
{
	static const char *const kinds[][2] = {{"DaemonSet", "daemonsets"},
					       {"Deployment", "deployments"},
					       {"StatefulSet", "statefulsets"},
					       {"ReplicaSet", "replicasets"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i][0]) == 0)
			return kinds[i][1];
	return NULL;
}

/* The workload itself; *ret_object is NULL when it is gone. A ReplicaSet leads to its Deployment. */
static int restart_find(struct step_context *context, const json_t *workload,
			struct kube_target *target, json_t **ret_object, struct error *err)
{
	const char *kind = json_path_text(workload, "kind");
	const char *owner;

	*target = (struct kube_target){.group = "apps",
				       .version = "v1",
				       .plural = kind ? restart_plural(kind) : NULL,
				       .space = json_path_text(workload, "namespace"),
				       .name = json_path_text(workload, "name")};
	if (!target->plural || !target->space || !target->name)
		return error_set(err, ERROR_PARSE,
				 "a workload of the plan is none that can be restarted");
	if (step_find(context, target, ret_object, err) < 0)
		return -1;
	if (!*ret_object)
		return 0;
	owner = json_path_text(*ret_object, "metadata.ownerReferences.0.name");
	if (strcmp(kind, "ReplicaSet") == 0 && owner &&
	    json_path_is(*ret_object, "metadata.ownerReferences.0.kind", "Deployment")) {
		json_t *replica_set = *ret_object;
		json_t *deployment = NULL;
		int result;

		target->plural = "deployments";
		target->name = owner;
		result = kube_client_get(context->kube, target, &deployment, err);
		/* borrowed from the step again: the name of the object that stays */
		target->name = NULL;
		json_decref(replica_set);
		*ret_object = deployment;
		if (result < 0)
			return -1;
		target->name = json_path_text(deployment, "metadata.name");
	}
	return 0;
}

static const char *restart_stamp(const json_t *object)
{
	const json_t *annotations = json_path(object, "spec.template.metadata.annotations");

	return json_string_value(json_object_get(annotations, RESTART_ANNOTATION));
}

/*
 * When the step turned round: "turn-1" to the way back, killed there and resumed "turn-2" forwards,
 * and so on. Every turn restarts again, for Services changed their addresses in between. *ret_last
 * is a new reference, NULL before the first turn.
 */
static unsigned restart_turns(struct step_context *context, const struct plan_step *step,
			      json_t **ret_last)
{
	*ret_last = NULL;
	for (unsigned i = 1;; i++) {
		auto_free char *name = alloc_format("turn-%u", i);
		json_t *kept = context->kept(context, step, name);

		if (!kept)
			return i - 1;
		json_decref(*ret_last);
		*ret_last = kept;
	}
}

/* Notes the turn, unless this is the direction already. */
static int restart_turn(struct step_context *context, const struct plan_step *step, bool back,
			struct error *err)
{
	auto_json json_t *last = NULL;
	unsigned turns = restart_turns(context, step, &last);
	auto_free char *name = alloc_format("turn-%u", turns + 1);
	auto_free char *now = clock_format(clock_wall_s());
	auto_json json_t *fresh = json_string(now);

	if ((turns % 2 == 1) == back)
		return 0;
	return context->keep(context, step, name, fresh, err);
}

/* When the step began to count: a step that was undone and is done again restarts again. */
static int restart_at(struct step_context *context, const struct plan_step *step, char **ret,
		      struct error *err)
{
	auto_json json_t *undone = context->kept(context, step, STEP_KEPT_UNDONE);
	auto_json json_t *turned = NULL;
	const char *later = json_string_value(undone);
	const char *at;

	if (step_text(step, "at", &at, err) < 0)
		return -1;
	if (restart_turns(context, step, &turned))
		later = json_string_value(turned);
	*ret = alloc_text(later && strcmp(later, at) > 0 ? later : at);
	return 0;
}

static bool restart_is_stale(const json_t *pod, const void *data)
{
	const char *at = data;
	const char *created = json_path_text(pod, "metadata.creationTimestamp");

	return created && strcmp(created, at) < 0;
}

/* One that is gone is restarted enough. What only a node that is down keeps is left to it, and to
 * 'resume' when it is back; with `act` what it keeps on other nodes is not. */
static int restart_is_done(struct step_context *context, const json_t *workload, const char *at,
			   bool act, bool *ret_done, struct error *err)
{
	auto_json json_t *object = NULL;
	auto_json json_t *down = NULL;
	struct kube_target target;
	const char *stamp;
	bool daemon_set;

	if (restart_find(context, workload, &target, &object, err) < 0 ||
	    step_rollout_down(context, &down, err) < 0)
		return -1;
	stamp = object ? restart_stamp(object) : at;
	daemon_set = strcmp(target.plural, "daemonsets") == 0;
	*ret_done = !object || (stamp && strcmp(stamp, at) >= 0 &&
				step_rollout_is_over(object, daemon_set, json_object_size(down)));
	if (*ret_done || daemon_set || json_object_size(down) == 0 || !stamp ||
	    strcmp(stamp, at) < 0)
		return 0;
	return step_rollout_push(context, object, down, restart_is_stale, at, act, ret_done, err);
}

static int restart_look(struct step_context *context, const struct plan_step *step, bool act,
			bool *ret_done, struct error *err)
{
	auto_free char *at = NULL;
	const json_t *workload;
	size_t i;

	if (restart_at(context, step, &at, err) < 0)
		return -1;
	*ret_done = true;
	json_array_foreach(json_object_get(step->parameters, "workloads"), i, workload) {
		if (restart_is_done(context, workload, at, act, ret_done, err) < 0)
			return -1;
		if (*ret_done)
			continue;
		context->say(context, "waiting until the Pods of %s are new and ready",
			     json_path_text(workload, "subject"));
		return 0;
	}
	return 0;
}

static int restart_rolled(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	return restart_look(context, step, /* act= */ false, ret_done, err);
}

static int restart_pushed(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	return restart_look(context, step, /* act= */ true, ret_done, err);
}

/* Killed while it waited for proxies, it left what that takes: doing it again removes it. */
static int restart_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	bool left = false;

	if (restart_rolled(context, step, ret_done, err) < 0)
		return -1;
	if (*ret_done && json_array_size(json_object_get(step->parameters, "servers")) &&
	    step_converge_is_left(context, &left, err) < 0)
		return -1;
	*ret_done = *ret_done && !left;
	return 0;
}

#define RESTART_MS ((int64_t)15 * 60 * 1000)

static int restart_one(struct step_context *context, const json_t *workload, const char *at,
		       struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *object = NULL;
	auto_json json_t *patch = NULL;
	auto_json json_t *down = NULL;
	struct kube_target target;
	const char *stamp;

	if (restart_find(context, workload, &target, &object, err) < 0)
		return -1;
	if (!object)
		return 0;
	if (step_rollout_down(context, &down, err) < 0)
		return -1;
	stamp = restart_stamp(object);
	if (!stamp || strcmp(stamp, at) < 0) {
		patch = json_pack("{s:{s:{s:{s:{s:s}}}}}", "spec", "template", "metadata",
				  "annotations", RESTART_ANNOTATION, at);
		if (step_rollout_may_begin(context, object, err) < 0 ||
		    kube_client_patch(context->kube, &target, KUBE_PATCH_MERGE, patch, &options,
				      NULL, err) < 0)
			return -1;
	}
	if (step_rollout_is_ours(object, strcmp(target.plural, "daemonsets") == 0,
				 json_object_size(down)))
		return step_rollout_replace(context, object, down, restart_is_stale, at, err);
	return 0;
}

static int restart_all(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_free char *at = NULL;
	const json_t *workload;
	size_t i;

	if (restart_at(context, step, &at, err) < 0)
		return -1;
	json_array_foreach(json_object_get(step->parameters, "workloads"), i, workload) {
		if (restart_one(context, workload, at, err) < 0)
			return -1;
	}
	if (step_wait(context, step, restart_pushed, 1000, RESTART_MS,
		      "Pods are not all replaced and ready; look with 'kubectl get pods -A'",
		      err) < 0)
		return -1;
	return restart_settle(context, step, err);
}

static int restart_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	if (restart_turn(context, step, /* back= */ false, err) < 0)
		return -1;
	return restart_all(context, step, err);
}

/* Services have their old addresses again: what was restarted onto the new ones is restarted. */
static int restart_undo(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	if (restart_turn(context, step, /* back= */ true, err) < 0)
		return -1;
	return restart_all(context, step, err);
}

const struct step_kind step_restart = {
	.name = "restart",
	.rights = step_rights_restart,
	.describe = restart_describe,
	.check = restart_check,
	.apply = restart_apply,
	.undo = restart_undo,
};
