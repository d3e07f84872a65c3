/* SPDX-License-Identifier: MIT */
/*
 * service-cidr: a ServiceCIDR object that is there and Ready.
 * Parameters: api ("v1" or "v1beta1"), name, cidrs (array).
 *
 * service-cidr-delete: it is gone, or Terminating because addresses of it are still in use (the
 * controller takes it away with the last of them).
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/condition.h"
#include "model/cluster.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service_cidr.h"

int step_service_cidr_target(const struct plan_step *step, const char *member,
			     struct kube_target *ret, struct error *err)
{
	struct kube_target target = {.group = "networking.k8s.io", .plural = "servicecidrs"};

	if (step_text(step, "api", &target.version, err) < 0 ||
	    step_text(step, member, &target.name, err) < 0)
		return -1;
	*ret = target;
	return 0;
}

bool step_service_cidr_ready(const json_t *object)
{
	/* Without a condition the allocator uses it, too, but its controller has not seen it yet. */
	return !json_path_text(object, "metadata.deletionTimestamp") &&
	       kube_condition_is(object, "Ready", "True");
}

static void cidr_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(
		out, "create %s for %s", step->subject,
		json_string_value(json_array_get(json_object_get(step->parameters, "cidrs"), 0)));
}

static int cidr_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0)
		return -1;
	*ret_done = false;
	if (step_find(context, &target, &object, err) < 0)
		return -1;
	if (!object)
		return 0;
	if (!json_equal(json_path(object, "spec.cidrs"),
			json_object_get(step->parameters, "cidrs")))
		return error_set(err, ERROR_REFUSED,
				 "%s exists with other ranges; delete or rename it", step->subject);
	*ret_done = step_service_cidr_ready(object);
	return 0;
}

int step_service_cidr_create(struct step_context *context, const struct kube_target *target,
			     const json_t *cidrs, struct error *err)
{
	auto_json json_t *object = json_pack(
		"{s:s+, s:s, s:{s:s, s:{s:s}}, s:{s:O}}", "apiVersion", "networking.k8s.io/",
		target->version, "kind", "ServiceCIDR", "metadata", "name", target->name, "labels",
		CLUSTER_RUN_LABEL, context->plan->run, "spec", "cidrs", cidrs);

	if (kube_client_create(context->kube, target, object, NULL, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_CONFLICT)
		return -1;
	error_release(err);
	return 0;
}

#define CIDR_READY_MS 60000

static int cidr_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0 ||
	    step_service_cidr_create(context, &target, json_object_get(step->parameters, "cidrs"),
				     err) < 0)
		return -1;
	context->say(context, "waiting until the controller-manager has made %s Ready",
		     step->subject);
	return step_wait(context, step, cidr_check, 500, CIDR_READY_MS,
			 "the ServiceCIDR is not Ready; is a kube-controller-manager running", err);
}

#define CIDR_AGAIN_MS 500

int step_service_cidr_ensure(struct step_context *context, const struct plan_step *step,
			     const struct kube_target *target, const json_t *cidrs,
			     struct error *err)
{
	int64_t end = clock_monotonic_ms() + CIDR_READY_MS;

	for (;;) {
		auto_json json_t *object = NULL;

		if (step_find(context, target, &object, err) < 0)
			return -1;
		if (!object && step_service_cidr_create(context, target, cidrs, err) < 0)
			return -1;
		if (object && !json_equal(json_path(object, "spec.cidrs"), cidrs))
			return error_set(err, ERROR_REFUSED,
					 "ServiceCIDR '%s' exists with other ranges; delete it",
					 target->name);
		if (object && step_service_cidr_ready(object))
			return 0;
		if (clock_monotonic_ms() > end)
			return error_set(err, ERROR_NETWORK,
					 "ServiceCIDR '%s' is not Ready after %d s (step %s)",
					 target->name, CIDR_READY_MS / 1000, step->id);
		if (step_pause(context, CIDR_AGAIN_MS, err) < 0)
			return -1;
	}
}

/* "default/web, default/api": who has an address of these ranges; "" for nobody. */
static int cidr_users(struct step_context *context, const json_t *cidrs, struct buffer *ret,
		      struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services"};
	auto_json json_t *services = NULL;
	const json_t *service;
	size_t i;

	if (kube_client_list(context->kube, &target, NULL, &services, NULL, err) < 0)
		return -1;
	json_array_foreach(services, i, service) {
		const char *address = json_path_text(service, "spec.clusterIP");
		const json_t *range;
		size_t k;

		json_array_foreach(cidrs, k, range)
			if (address && cluster_range_contains(json_string_value(range), address))
				buffer_format(ret, "%s%s/%s", ret->len ? ", " : "",
					      json_path_text(service, "metadata.namespace"),
					      json_path_text(service, "metadata.name"));
	}
	return 0;
}

static int cidr_await_gone(struct step_context *context, const struct kube_target *target,
			   struct error *err)
{
	int64_t end = clock_monotonic_ms() + CIDR_READY_MS;

	for (;;) {
		auto_json json_t *object = NULL;
		auto_buffer struct buffer users = {0};

		if (step_find(context, target, &object, err) < 0)
			return -1;
		if (!object)
			return 0;
		if (clock_monotonic_ms() > end) {
			if (cidr_users(context, json_path(object, "spec.cidrs"), &users, err) < 0)
				return -1;
			if (!users.len)
				return error_set(err, ERROR_NETWORK,
						 "ServiceCIDR '%s' is still there, and no Service "
						 "has an address of it",
						 target->name);
			log_warning("ServiceCIDR '%s' stays until no Service has an address of it "
				    "any more; these were made with one meanwhile: %s",
				    target->name, buffer_cstr(&users));
			return 0;
		}
		context->say(context, "waiting until ServiceCIDR '%s' is let go", target->name);
		if (step_pause(context, CIDR_AGAIN_MS, err) < 0)
			return -1;
	}
}

int step_service_cidr_remove(struct step_context *context, const struct kube_target *target,
			     struct error *err)
{
	auto_json json_t *object = NULL;

	if (step_find(context, target, &object, err) < 0)
		return -1;
	if (!object ||
	    !json_path_is(object, "metadata.labels.kubectl-renumber/run", context->plan->run))
		return 0;
	if (!json_path_text(object, "metadata.deletionTimestamp") &&
	    kube_client_remove(context->kube, target, NULL, err) < 0)
		return -1;
	return cidr_await_gone(context, target, err);
}

static int cidr_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0)
		return -1;
	return step_service_cidr_remove(context, &target, err);
}

const struct step_kind step_service_cidr = {
	.name = "service-cidr",
	.rights = step_rights_ranges,
	.describe = cidr_describe,
	.check = cidr_check,
	.apply = cidr_apply,
	.undo = cidr_undo,
};

static void delete_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "delete %s", step->subject);
}

static int delete_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0)
		return -1;
	if (step_find(context, &target, &object, err) < 0)
		return -1;
	*ret_done = !object || (json_path_text(object, "metadata.deletionTimestamp") &&
				!step_optional_text(step, "wait"));
	return 0;
}

#define CIDR_GONE_MS 120000

static int delete_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0)
		return -1;
	if (kube_client_remove(context->kube, &target, NULL, err) < 0)
		return -1;
	context->say(context, "waiting until %s is let go (its controller takes 10 s or more)",
		     step->subject);
	return step_wait(context, step, delete_check, 1000, CIDR_GONE_MS, "it is still there", err);
}

/* Its ranges were those of the plan: the new one's cover until it was the default. */
static int delete_undo(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *cidrs = json_pack("[s]", context->plan->to);
	struct kube_target target;

	if (step_service_cidr_target(step, "name", &target, err) < 0)
		return -1;
	if (strcmp(target.name, CLUSTER_NEW_CIDR_NAME) != 0)
		return error_set(err, ERROR_REFUSED, "%s cannot be brought back", step->subject);
	return step_service_cidr_ensure(context, step, &target, cidrs, err);
}

const struct step_kind step_service_cidr_delete = {
	.name = "service-cidr-delete",
	.rights = step_rights_ranges,
	.describe = delete_describe,
	.check = delete_check,
	.apply = delete_apply,
	.undo = delete_undo,
};
