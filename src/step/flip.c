/* SPDX-License-Identifier: MIT */
/*
 * flip: moves a Service to another ClusterIP without deleting it (kube/flip.h).
 *
 * Parameters: namespace, name, uid, from, to (arrays of addresses, primary first), alias (name of
 * the Service that keeps the old address; its DNS name is what the parked Service points to),
 * externalName (instead of that name), domain (of the cluster).
 *
 * The original object is kept before leg 1. A process killed between the legs leaves an
 * ExternalName Service; the resumed step finds it and goes on with leg 2 from the kept original.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/flip.h"
#include "step/flip.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

static void flip_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *from = json_object_get(step->parameters, "from");
	const json_t *to = json_object_get(step->parameters, "to");

	buffer_format(out, "move %s from %s to %s", step->subject,
		      json_string_value(json_array_get(from, 0)),
		      json_string_value(json_array_get(to, 0)));
}

/* A Service that went since the plan was made has nothing to move. */
static int flip_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_json json_t *service = NULL;
	const char *uid = step_optional_text(step, "uid");
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	if (step_find(context, &target, &service, err) < 0)
		return -1;
	if (!service) {
		log_warning("%s is gone since the plan was made; there is nothing to move",
			    step->subject);
		*ret_done = true;
		return 0;
	}
	*ret_done = step_service_holds(service, json_object_get(step->parameters, "to"));
	if (uid && !*ret_done && !json_path_is(service, "metadata.uid", uid))
		log_warning("%s was made anew since the plan was made; moving the new one",
			    step->subject);
	return 0;
}

bool step_flip_is_parked(const json_t *service)
{
	return json_path_is(service, "spec.type", "ExternalName");
}

/* 1.20 may label the Endpoints as headless while the Service has no address, and then kube-proxy
 * passes them over (endpoints_controller.go). */
#define FLIP_HEADLESS_LABEL "service.kubernetes.io/headless"

static int flip_unlabel(struct step_context *context, const struct kube_target *object,
			const json_t *labels, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *patch = NULL;

	if (!json_object_get(labels, FLIP_HEADLESS_LABEL))
		return 0;
	patch = json_pack("{s:{s:{s:n}}}", "metadata", "labels", FLIP_HEADLESS_LABEL);
	return kube_client_patch(context->kube, object, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

static int flip_unlabel_endpoints(struct step_context *context, const struct kube_target *service,
				  struct error *err)
{
	const struct kube_target target = {.version = "v1",
					   .plural = "endpoints",
					   .space = service->space,
					   .name = service->name};
	auto_json json_t *endpoints = NULL;

	if (step_find(context, &target, &endpoints, err) < 0)
		return -1;
	return flip_unlabel(context, &target, json_path(endpoints, "metadata.labels"), err);
}

static int flip_unlabel_slices(struct step_context *context, const struct kube_target *service,
			       struct error *err)
{
	struct kube_target target;
	auto_free char *version = NULL;
	auto_json json_t *slices = NULL;
	const json_t *slice;
	size_t i;

	if (step_slice_version(context, &version, err) < 0 ||
	    step_slices(context, service->space, service->name, &slices, err) < 0)
		return -1;
	target = (struct kube_target){.group = "discovery.k8s.io",
				      .version = version,
				      .plural = "endpointslices",
				      .space = service->space};
	json_array_foreach(slices, i, slice) {
		target.name = json_path_text(slice, "metadata.name");
		if (flip_unlabel(context, &target, json_path(slice, "metadata.labels"), err) < 0)
			return -1;
	}
	return 0;
}

#define FLIP_UNLABEL_TRIES 5

/* The Service has just changed, so its controllers write to the same objects, and remove some:
 * what went between our look and our write is looked for again. */
static int flip_unlabel_all(struct step_context *context, const struct kube_target *service,
			    struct error *err)
{
	for (int i = 1;; i++) {
		if (flip_unlabel_endpoints(context, service, err) == 0 &&
		    flip_unlabel_slices(context, service, err) == 0)
			return 0;
		if (err->kind != ERROR_NOT_FOUND || i == FLIP_UNLABEL_TRIES)
			return -1;
		error_release(err);
		if (step_pause(context, 200, err) < 0)
			return -1;
	}
}

char *step_flip_external_name(const struct plan_step *step)
{
	const char *given = step_optional_text(step, "externalName");
	const char *alias = step_optional_text(step, "alias");
	const char *domain = step_optional_text(step, "domain");

	if (given)
		return alloc_text(given);
	return alloc_format("%s.%s.svc.%s", alias ? alias : step_optional_text(step, "name"),
			    step_optional_text(step, "namespace"),
			    domain ? domain : "cluster.local");
}

#define FLIP_RETRY_MS 60000
/* In a migration the allocators agree: a refusal will stay one, and NodePorts wait. */
#define FLIP_REFUSED_MS 4000

/* Leg 2 is refused for good: the Service must not stay parked. Always -1. */
static int flip_retreat(struct kube_client *pinned, const struct plan_step *step,
			const struct kube_target *target, const json_t *original, struct error *err)
{
	const json_t *from = json_object_get(step->parameters, "from");
	auto_json json_t *patch = from ? kube_flip_return(original, from) : NULL;
	auto_error struct error problem = {0};

	if (err->kind != ERROR_API || !patch)
		return -1;
	if (kube_client_patch(pinned, target, KUBE_PATCH_MERGE, patch, NULL, NULL, &problem) < 0)
		return error_wrap(err, "it has no address now, and its old one is refused (%s)",
				  error_text(&problem));
	return error_wrap(err, "it has its old address again");
}

/*
 * Leg 2, tried again for a minute: while allocators of several servers disagree, one of them may
 * still refuse the address. A lost answer is looked up, never guessed.
 */
static int flip_return(struct kube_client *pinned, struct step_context *context,
		       const struct plan_step *step, const struct kube_target *target,
		       const json_t *original, struct error *err)
{
	const json_t *to = json_object_get(step->parameters, "to");
	auto_json json_t *patch = kube_flip_return(original, to);
	int64_t begun = clock_monotonic_ms();

	while (kube_client_patch(pinned, target, KUBE_PATCH_MERGE, patch, NULL, NULL, err) < 0) {
		auto_json json_t *now = NULL;
		auto_error struct error problem = {0};
		int64_t patience_ms;

		if (kube_client_get(context->kube, target, &now, &problem) == 0 &&
		    step_service_holds(now, to)) {
			error_release(err);
			return 0;
		}
		if (err->kind == ERROR_NOT_FOUND)
			return -1;
		patience_ms = err->kind == ERROR_API && context->plan->mode == PLAN_MIGRATE
				      ? FLIP_REFUSED_MS
				      : FLIP_RETRY_MS;
		if (clock_monotonic_ms() > begun + patience_ms)
			return flip_retreat(pinned, step, target, original, err);
		context->say(context, "%s: %s; trying again", step->subject, error_text(err));
		error_release(err);
		if (step_pause(context, 1000, err) < 0)
			return -1;
		kube_client_repin(pinned);
	}
	return 0;
}

static int flip_legs(struct step_context *context, const struct plan_step *step,
		     const struct kube_target *target, const json_t *current,
		     const json_t *original, struct error *err)
{
	auto_kube_client struct kube_client *pinned = kube_client_pinned(context->kube, err);
	auto_free char *external_name = step_flip_external_name(step);
	auto_json json_t *leave = kube_flip_leave(original, external_name);
	struct kube_write_options options = {
		.resource_version = json_path_text(current, "metadata.resourceVersion")};

	if (!pinned)
		return -1;
	if (!step_flip_is_parked(current)) {
		/* The connection is opened first, so that nothing stands between the legs. */
		auto_json json_t *warm = NULL;

		if (kube_client_get(pinned, target, &warm, err) < 0)
			return -1;
		if (kube_client_patch(pinned, target, KUBE_PATCH_MERGE, leave, &options, NULL,
				      err) < 0 &&
		    err->kind != ERROR_NETWORK)
			return -1;
		error_release(err);
	}
	return flip_return(pinned, context, step, target, original, err);
}

static int flip_restore_status(struct step_context *context, const struct kube_target *target,
			       const json_t *original, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	struct kube_target status = *target;
	auto_json json_t *patch = kube_flip_status(original);

	if (!patch)
		return 0;
	status.subresource = "status";
	return kube_client_patch(context->kube, &status, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

/* What the legs took away besides. */
static int flip_after(struct step_context *context, const struct kube_target *target,
		      const json_t *original, struct error *err)
{
	if (flip_restore_status(context, target, original, err) < 0)
		return -1;
	return flip_unlabel_all(context, target, err);
}

int step_flip_finish(struct step_context *context, const struct plan_step *step,
		     const json_t *original, struct error *err)
{
	auto_kube_client struct kube_client *pinned = kube_client_pinned(context->kube, err);
	struct kube_target target;

	if (!pinned || step_service_target(step, &target, err) < 0 ||
	    flip_return(pinned, context, step, &target, original, err) < 0)
		return -1;
	return flip_after(context, &target, original, err);
}

static int flip_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *current = NULL;
	auto_json json_t *original = NULL;
	auto_free char *backup = NULL;
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0 ||
	    kube_client_get(context->kube, &target, &current, err) < 0)
		return -1;
	original = context->kept(context, step, STEP_FLIP_KEPT);
	if (step_flip_is_parked(current) && !original)
		return error_set(
			err, ERROR_REFUSED,
			"it is of type ExternalName now, and not by this run; nothing is moved");
	if (!step_flip_is_parked(current)) {
		backup = alloc_format("service-%s-%s", target.space, target.name);
		if (context->keep(context, step, STEP_FLIP_KEPT, current, err) < 0 ||
		    step_backup_object(context, backup, current, err) < 0)
			return -1;
		json_decref(original);
		original = json_incref(current);
	}
	if (flip_legs(context, step, &target, current, original, err) < 0)
		return -1;
	return flip_after(context, &target, original, err);
}

const struct step_kind step_flip = {
	.name = "flip",
	.rights = step_rights_services,
	.describe = flip_describe,
	.check = flip_check,
	.apply = flip_apply,
	.undo = step_flip_back,
};
