/* SPDX-License-Identifier: MIT */
/*
 * hold: nobody else gets the addresses that everything depends on (of default/kubernetes and of
 * cluster DNS) between the moment at which servers give out the new range and that of the flip. A
 * Service without endpoints has each of them; the flip removes it right before its first leg
 * (kind flip-group, parameter "hold").
 *
 * Parameters: services (array of namespace, name (of the Service that holds), address, for
 * ("namespace/name": who gets it)), back (optional true: on the way back, which nobody's having it
 * already shall stop).
 *
 * It has a port that nobody uses: proxies reject that one, and nothing else at the address, so that
 * an alias may claim the address beside it and answer.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/cluster.h"
#include "step/alias.h"
#include "step/group.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

/* discard, RFC 863 */
#define HOLD_PORT 9
/* a server may not know of a range that another one has */
#define HOLD_MS 20000
#define HOLD_AGAIN_MS 1000

static void hold_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *item;

	buffer_text(out, "hold ");
	for (size_t i = 0; (item = plan_step_item(step, i)); i++)
		buffer_format(out, "%s%s for %s", i ? " and " : "", json_path_text(item, "address"),
			      json_path_text(item, "for"));
}

static json_t *hold_object(const struct step_context *context, const struct plan_step *item)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:{s:s}}, s:{s:O, s:[{s:i, s:s}]}}",
			 "apiVersion", "v1", "kind", "Service", "metadata", "name",
			 step_optional_text(item, "name"), "namespace",
			 step_optional_text(item, "namespace"), "labels", CLUSTER_RUN_LABEL,
			 context->plan->run, "annotations", "kubectl-renumber/comment",
			 "keeps this address for a Service that is about to move to it; 'kubectl "
			 "renumber' removes it",
			 "spec", "clusterIP", json_object_get(item->parameters, "address"), "ports",
			 "port", HOLD_PORT, "protocol", "TCP");
}

/* "namespace/name" of the Service that has the address; NULL: nobody. Caller frees. */
static int hold_owner(struct step_context *context, const char *address, char **ret,
		      struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services"};
	auto_json json_t *services = NULL;
	const json_t *service;
	const json_t *one;
	size_t i;
	size_t k;

	*ret = NULL;
	if (kube_client_list(context->kube, &target, NULL, &services, NULL, err) < 0)
		return -1;
	json_array_foreach(services, i, service) {
		bool has = json_path_is(service, "spec.clusterIP", address);

		json_array_foreach(json_path(service, "spec.clusterIPs"), k, one)
			has = has ||
			      (json_is_string(one) && strcmp(json_string_value(one), address) == 0);
		if (!has)
			continue;
		*ret = alloc_format("%s/%s", json_path_text(service, "metadata.namespace"),
				    json_path_text(service, "metadata.name"));
		return 0;
	}
	return 0;
}

/* By the Service that holds it, or already by the one that it is for. */
static int hold_is_held(struct step_context *context, const struct plan_step *item, bool *ret_held,
			struct error *err)
{
	const char *address;
	auto_free char *own = NULL;
	auto_free char *owner = NULL;

	if (step_text(item, "address", &address, err) < 0 ||
	    hold_owner(context, address, &owner, err) < 0)
		return -1;
	own = alloc_format("%s/%s", step_optional_text(item, "namespace"),
			   step_optional_text(item, "name"));
	*ret_held =
		owner && (strcmp(owner, own) == 0 || json_path_is(item->parameters, "for", owner));
	if (owner && !*ret_held)
		return error_set(err, ERROR_REFUSED,
				 "Service '%s' has the address %s, which is to be that of '%s'; "
				 "move it away",
				 owner, address, json_path_text(item->parameters, "for"));
	return 0;
}

/* On the way back somebody else's having it is no reason to stop: only going on would need it. */
static int hold_look(struct step_context *context, const struct plan_step *step,
		     const struct plan_step *item, bool *ret_held, struct error *err)
{
	if (hold_is_held(context, item, ret_held, err) == 0)
		return 0;
	if (err->kind != ERROR_REFUSED || !json_is_true(json_object_get(step->parameters, "back")))
		return -1;
	log_warning("%s before the run goes on", error_text(err));
	error_release(err);
	*ret_held = true;
	return 0;
}

static int hold_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_step_group struct step_group group = {0};
	bool done = true;

	if (step_group_open(context, step, NULL, &group, err) < 0)
		return -1;
	for (size_t i = 0; i < group.count; i++) {
		bool held = false;

		if (hold_look(context, step, &group.items[i], &held, err) < 0)
			return -1;
		done = done && held;
	}
	*ret_done = done;
	return 0;
}

/* Somebody else's having it is a reason to stop; not getting it (a quota, admission) is none: then
 * it is free, as long as nobody asks for it. */
static int hold_one(struct step_context *context, const struct plan_step *step,
		    const struct plan_step *item, struct error *err)
{
	const struct kube_target target = {.version = "v1",
					   .plural = "services",
					   .space = step_optional_text(item, "namespace"),
					   .name = step_optional_text(item, "name")};
	int64_t end = clock_monotonic_ms() + HOLD_MS;
	auto_json json_t *object = hold_object(context, item);

	for (;;) {
		bool held = false;

		if (hold_look(context, step, item, &held, err) < 0)
			return -1;
		if (held ||
		    kube_client_create(context->kube, &target, object, NULL, NULL, err) == 0)
			return 0;
		if (err->kind == ERROR_CONFLICT)
			return step_alias_owned(context, &target, err);
		if (err->kind != ERROR_API && err->kind != ERROR_NETWORK)
			return -1;
		if (clock_monotonic_ms() > end)
			break;
		error_release(err);
		if (step_pause(context, HOLD_AGAIN_MS, err) < 0)
			return -1;
	}
	log_warning("%s is not held for '%s' until that moves there: %s",
		    json_path_text(item->parameters, "address"),
		    json_path_text(item->parameters, "for"), error_text(err));
	error_release(err);
	return 0;
}

static int hold_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_step_group struct step_group group = {0};

	if (step_group_open(context, step, NULL, &group, err) < 0)
		return -1;
	for (size_t i = 0; i < group.count; i++)
		if (hold_one(context, step, &group.items[i], err) < 0)
			return error_wrap(err, "%s", group.items[i].subject);
	return 0;
}

/* What is ours goes; flips have removed theirs. */
static int hold_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_step_group struct step_group group = {0};
	json_t **found;
	int result;

	if (step_group_open(context, step, NULL, &group, err) < 0)
		return -1;
	found = step_objects_new(group.count);
	result = step_group_get(context, &group, "name", found, err);
	for (size_t i = 0; result == 0 && i < group.count; i++) {
		struct kube_target target;

		if (!json_path_is(found[i], "metadata.labels.kubectl-renumber/run",
				  context->plan->run))
			continue;
		if (step_service_target(&group.items[i], &target, err) < 0 ||
		    kube_client_remove(context->kube, &target, NULL, err) < 0)
			result = -1;
	}
	step_objects_release(found, group.count);
	return result;
}

const struct step_kind step_hold = {
	.name = "hold",
	.rights = step_rights_probe,
	.describe = hold_describe,
	.check = hold_check,
	.apply = hold_apply,
	.verify = step_proved_by_apply,
	.undo = hold_undo,
};
