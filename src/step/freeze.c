/* SPDX-License-Identifier: MIT */
/*
 * freeze: while API servers disagree on the one range that a bitmap can have, some of them refuse
 * new Services and forget addresses that are released. So nobody but this run makes any, and gets
 * told why. thaw: that ends.
 * Parameters: how ("policy": a ValidatingAdmissionPolicy, from 1.30 on; "webhook": before, one that
 * nobody serves, so that its name is what the user reads).
 *
 * What is denied: creating a Service, and (policy) making one an ExternalName or the reverse. Free
 * are Services with the run's label and what the API servers do themselves.
 */
#include <string.h>

#include "base/alloc.h"
#include "model/cluster.h"
#include "step/admission.h"
#include "step/kinds.h"
#include "step/rights.h"

#define FREEZE_NAME "kubectl-renumber-freeze"

static const struct kube_target freeze_policy = STEP_ADMISSION_POLICY(FREEZE_NAME);
static const struct kube_target freeze_binding = STEP_ADMISSION_BINDING(FREEZE_NAME);
static const struct kube_target freeze_webhook = STEP_ADMISSION_WEBHOOK(FREEZE_NAME);

static const struct step_admission freeze_admission = {
	.name = FREEZE_NAME,
	.comment = "no Services are made while the Service CIDR changes; 'kubectl renumber resume' "
		   "or 'rollback' ends it",
};

static bool freeze_by_policy(const struct plan_step *step)
{
	const char *how = step_optional_text(step, "how");

	return how && strcmp(how, "policy") == 0;
}

static void freeze_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "let nobody create Services while the API servers' ranges differ");
}

static json_t *freeze_policy_object(const struct step_context *context)
{
	json_t *spec = json_pack(
		"{s:s, s:{s:[{s:[s], s:[s], s:[s, s], s:[s]}]}, s:[{s:s, s:s}, {s:s, s:s}], "
		"s:[{s:s, s:s}]}",
		"failurePolicy", "Ignore", "matchConstraints", "resourceRules", "apiGroups", "",
		"apiVersions", "v1", "operations", "CREATE", "UPDATE", "resources", "services",
		"matchConditions", "name", "not-of-the-run", "expression",
		"!(has(object.metadata.labels) && '" CLUSTER_RUN_LABEL
		"' in object.metadata.labels)",
		"name", "not-the-api-server", "expression",
		"request.userInfo.username != 'system:apiserver'", "validations", "expression",
		"oldObject != null && (object.spec.type == 'ExternalName') == (oldObject.spec.type "
		"== 'ExternalName')",
		"message",
		"Services are frozen for some minutes while kubectl-renumber changes the Service "
		"CIDR; try again then");

	return step_admission_policy(context, &freeze_admission, spec);
}

static json_t *freeze_webhook_object(const struct step_context *context)
{
	json_t *hooks =
		json_pack("[{s:s, s:{s:s}, s:[{s:[s], s:[s], s:[s], s:[s]}], s:s, s:s, s:[s], s:i, "
			  "s:{s:[{s:s, s:s}]}, s:{s:[{s:s, s:s}]}}]",
			  "name", "services-are-frozen-for-some-minutes.kubectl-renumber.io",
			  "clientConfig", "url", STEP_ADMISSION_NOBODY, "rules", "apiGroups", "",
			  "apiVersions", "v1", "operations", "CREATE", "resources", "services",
			  "failurePolicy", "Fail", "sideEffects", "None", "admissionReviewVersions",
			  "v1", "timeoutSeconds", 1, "objectSelector", "matchExpressions", "key",
			  CLUSTER_RUN_LABEL, "operator", "DoesNotExist", "namespaceSelector",
			  "matchExpressions", "key", CLUSTER_RUN_LABEL, "operator", "DoesNotExist");

	return step_admission_webhook(context, &freeze_admission, hooks);
}

static int freeze_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	auto_json json_t *binding = NULL;
	auto_json json_t *webhook = NULL;

	if ((freeze_by_policy(step) && step_find(context, &freeze_binding, &binding, err) < 0) ||
	    step_find(context, &freeze_webhook, &webhook, err) < 0)
		return -1;
	*ret_done = binding || webhook;
	return 0;
}

static int freeze_create(struct step_context *context, const struct kube_target *target,
			 json_t *object, struct error *err)
{
	auto_json json_t *owned = object;

	if (kube_client_create(context->kube, target, owned, NULL, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_CONFLICT)
		return -1;
	error_release(err);
	return 0;
}

/* Until every server goes by it. */
#define FREEZE_MS 3000

static int freeze_put_policy(struct step_context *context, struct error *err)
{
	if (freeze_create(context, &freeze_policy, freeze_policy_object(context), err) < 0)
		return -1;
	return freeze_create(context, &freeze_binding,
			     step_admission_binding(context, &freeze_admission), err);
}

static int freeze_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	bool policy = freeze_by_policy(step);

	if (policy && freeze_put_policy(context, err) < 0) {
		/* somebody may have switched policies off */
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		policy = false;
	}
	if (!policy &&
	    freeze_create(context, &freeze_webhook, freeze_webhook_object(context), err) < 0)
		return -1;
	return step_pause(context, FREEZE_MS, err);
}

static void thaw_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "let Services be created again");
}

/* A policy that is bound no more denies nothing, but is not to stay either. */
static int thaw_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_json json_t *policy = NULL;
	bool frozen = false;

	if (freeze_check(context, step, &frozen, err) < 0 ||
	    (freeze_by_policy(step) && step_find(context, &freeze_policy, &policy, err) < 0))
		return -1;
	*ret_done = !frozen && !policy;
	return 0;
}

static int thaw_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	if (freeze_by_policy(step) &&
	    (kube_client_remove(context->kube, &freeze_binding, NULL, err) < 0 ||
	     kube_client_remove(context->kube, &freeze_policy, NULL, err) < 0))
		return -1;
	return kube_client_remove(context->kube, &freeze_webhook, NULL, err);
}

/* Each is the other's way back: rolling back passes through the same window. */
const struct step_kind step_freeze = {
	.name = "freeze",
	.rights = step_rights_freeze,
	.describe = freeze_describe,
	.check = freeze_check,
	.apply = freeze_apply,
	.undo = thaw_apply,
};

const struct step_kind step_thaw = {
	.name = "thaw",
	.rights = step_rights_freeze,
	.describe = thaw_describe,
	.check = thaw_check,
	.apply = thaw_apply,
	.undo = freeze_apply,
};
