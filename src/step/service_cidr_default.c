/* SPDX-License-Identifier: MIT */
/*
 * service-cidr-default: the default ServiceCIDR "kubernetes" holds the new range.
 * Parameters: api, old and new (arrays of ranges), cover (name of the ServiceCIDR that covers the
 * old range meanwhile).
 *
 * The object is immutable and is made by API servers from their flags when it is missing. So: a
 * cover for the old range, delete it, wait until it came back with the new range from the flags,
 * and only then delete the cover, which stays Terminating until the last old address is gone.
 * Deleting the cover while the old default is still in its 10 s of grace would remove both
 * (servicecidrs_controller.go: another Terminating one counts as parent).
 */
#include "base/alloc.h"
#include "model/cluster.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service_cidr.h"

#define DEFAULT_NAME "kubernetes"

static void default_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(
		out, "make %s the default Service range",
		json_string_value(json_array_get(json_object_get(step->parameters, "new"), 0)));
}

static int default_get(struct step_context *context, const struct plan_step *step, json_t **ret,
		       struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0)
		return -1;
	target.name = DEFAULT_NAME;
	return step_find(context, &target, ret, err);
}

static int default_is_new(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	auto_json json_t *object = NULL;

	if (default_get(context, step, &object, err) < 0)
		return -1;
	*ret_done = object && step_service_cidr_ready(object) &&
		    json_equal(json_path(object, "spec.cidrs"),
			       json_object_get(step->parameters, "new"));
	return 0;
}

static int default_cover_gone(struct step_context *context, const struct plan_step *step,
			      bool *ret_done, struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0)
		return -1;
	if (step_find(context, &target, &object, err) < 0)
		return -1;
	*ret_done = !object || json_path_text(object, "metadata.deletionTimestamp");
	return 0;
}

static int default_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	if (default_is_new(context, step, ret_done, err) < 0)
		return -1;
	return *ret_done ? default_cover_gone(context, step, ret_done, err) : 0;
}

static int default_cover_ready(struct step_context *context, const struct plan_step *step,
			       bool *ret_done, struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0 ||
	    kube_client_get(context->kube, &target, &object, err) < 0)
		return -1;
	*ret_done = step_service_cidr_ready(object);
	return 0;
}

#define COVER_READY_MS 60000
#define DEFAULT_BACK_MS 120000

static int default_cover(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0 ||
	    step_service_cidr_create(context, &target, json_object_get(step->parameters, "old"),
				     err) < 0)
		return -1;
	context->say(context, "waiting until a ServiceCIDR covers the old range");
	return step_wait(context, step, default_cover_ready, 500, COVER_READY_MS,
			 "the cover of the old range is not Ready", err);
}

static int default_replace(struct step_context *context, const struct plan_step *step,
			   struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_write_options options = {0};
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0)
		return -1;
	target.name = DEFAULT_NAME;
	if (default_get(context, step, &object, err) < 0)
		return -1;
	if (object && !json_path_text(object, "metadata.deletionTimestamp")) {
		options.uid = json_path_text(object, "metadata.uid");
		if (kube_client_remove(context->kube, &target, &options, err) < 0)
			return -1;
	}
	context->say(
		context,
		"waiting until the API servers made the default ServiceCIDR anew (20 s or so)");
	return step_wait(
		context, step, default_is_new, 1000, DEFAULT_BACK_MS,
		"the default ServiceCIDR did not come back with the new range; do all API servers "
		"have the new flag",
		err);
}

static int default_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	struct kube_target target;
	bool is_new = false;

	if (step_service_cidr_target(step, "cover", &target, err) < 0 ||
	    default_is_new(context, step, &is_new, err) < 0)
		return -1;
	if (!is_new &&
	    (default_cover(context, step, err) < 0 || default_replace(context, step, err) < 0))
		return -1;
	return kube_client_remove(context->kube, &target, NULL, err);
}

/* ---- the way back: API servers have their old flags again ---- */

static int default_is_old(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	auto_json json_t *object = NULL;

	if (default_get(context, step, &object, err) < 0)
		return -1;
	*ret_done = object && step_service_cidr_ready(object) &&
		    json_equal(json_path(object, "spec.cidrs"),
			       json_object_get(step->parameters, "old"));
	return 0;
}

/* The cover of the way there may still be Terminating, and a name is taken as long as it is. */
static char *default_back_name(const struct plan_step *step)
{
	return alloc_format("%s-back", step_optional_text(step, "cover"));
}

static int default_back_cover(struct step_context *context, const struct plan_step *step,
			      const char *name, struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0)
		return -1;
	target.name = name;
	context->say(context, "waiting until a ServiceCIDR covers the old range");
	return step_service_cidr_ensure(context, step, &target,
					json_object_get(step->parameters, "old"), err);
}

/* Immutable, and made by API servers from their flags when it is missing, as on the way there. */
static int default_put_back(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	auto_json json_t *object = NULL;
	struct kube_write_options options = {0};
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0 ||
	    default_get(context, step, &object, err) < 0)
		return -1;
	target.name = DEFAULT_NAME;
	if (object && !json_path_text(object, "metadata.deletionTimestamp") &&
	    !json_equal(json_path(object, "spec.cidrs"),
			json_object_get(step->parameters, "old"))) {
		options.uid = json_path_text(object, "metadata.uid");
		if (kube_client_remove(context->kube, &target, &options, err) < 0)
			return -1;
	}
	context->say(
		context,
		"waiting until the API servers made the default ServiceCIDR anew (20 s or so)");
	return step_wait(context, step, default_is_old, 1000, DEFAULT_BACK_MS,
			 "the default ServiceCIDR did not come back with the old range; do all API "
			 "servers have the old flag",
			 err);
}

/* Both covers: the one of the way there, and the fresh one. */
static int default_uncover(struct step_context *context, const struct plan_step *step,
			   const char *name, struct error *err)
{
	struct kube_target target;

	if (step_service_cidr_target(step, "cover", &target, err) < 0)
		return -1;
	target.name = name;
	return step_service_cidr_remove(context, &target, err);
}

static int default_undo(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	auto_free char *back = default_back_name(step);
	struct kube_target target;
	bool old = false;

	if (step_service_cidr_target(step, "cover", &target, err) < 0 ||
	    default_is_old(context, step, &old, err) < 0)
		return -1;
	if (!old) {
		/* both ranges are covered by others while the default one is not there */
		if (default_back_cover(context, step, back, err) < 0)
			return -1;
		target.name = CLUSTER_NEW_CIDR_NAME;
		if (step_service_cidr_ensure(context, step, &target,
					     json_object_get(step->parameters, "new"), err) < 0 ||
		    default_put_back(context, step, err) < 0)
			return -1;
	}
	if (default_uncover(context, step, step_optional_text(step, "cover"), err) < 0)
		return -1;
	return default_uncover(context, step, back, err);
}

const struct step_kind step_service_cidr_default = {
	.name = "service-cidr-default",
	.rights = step_rights_ranges,
	.describe = default_describe,
	.check = default_check,
	.apply = default_apply,
	.undo = default_undo,
};
