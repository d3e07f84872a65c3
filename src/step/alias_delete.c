/* SPDX-License-Identifier: MIT */
/*
 * alias-delete: the alias and the slices that were written for it are gone. Parameters: namespace,
 * name.
 */
#include "model/cluster.h"
#include "step/alias.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

static void delete_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "remove %s", step->subject);
}

static int delete_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	auto_json json_t *service = NULL;
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	if (step_find(context, &target, &service, err) < 0)
		return -1;
	*ret_done = service == NULL;
	return 0;
}

/* Slices that we wrote have no owner and would outlive the Service. */
static int delete_slices(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	const char *namespace_ = step_optional_text(step, "namespace");
	auto_free char *version = NULL;
	auto_json json_t *slices = NULL;
	const json_t *slice;
	size_t i;

	if (step_slice_version(context, &version, err) < 0 ||
	    step_slices(context, namespace_, step_optional_text(step, "name"), &slices, err) < 0)
		return -1;
	json_array_foreach(slices, i, slice) {
		const struct kube_target target = {.group = "discovery.k8s.io",
						   .version = version,
						   .plural = "endpointslices",
						   .space = namespace_,
						   .name = json_path_text(slice, "metadata.name")};

		if (!step_slice_is_ours(slice))
			continue;
		if (kube_client_remove(context->kube, &target, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* Killed behind the delete, a run finds nothing to delete any more. */
static int delete_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	struct kube_target target;
	bool gone = false;

	if (delete_check(context, step, &gone, err) < 0 ||
	    step_service_target(step, &target, err) < 0)
		return -1;
	if (!gone && step_alias_owned(context, &target, err) < 0)
		return -1;
	if (delete_slices(context, step, err) < 0)
		return -1;
	return kube_client_remove(context->kube, &target, NULL, err);
}

const struct step_kind step_alias_delete = {
	.name = "alias-delete",
	.rights = step_rights_services,
	.describe = delete_describe,
	.check = delete_check,
	.apply = delete_apply,
};
