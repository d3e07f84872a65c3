/* SPDX-License-Identifier: MIT */
#include "step/admission.h"

#include "model/cluster.h"

static json_t *admission_object(const struct step_context *context,
				const struct step_admission *what, const char *kind,
				const char *field, json_t *content)
{
	return json_pack("{s:s, s:s, s:{s:s, s:{s:s}, s:{s:s}}, s:o}", "apiVersion",
			 STEP_ADMISSION_GROUP "/v1", "kind", kind, "metadata", "name", what->name,
			 "labels", CLUSTER_RUN_LABEL, context->plan->run, "annotations",
			 "kubectl-renumber/comment", what->comment, field, content);
}

json_t *step_admission_policy(const struct step_context *context, const struct step_admission *what,
			      json_t *spec)
{
	return admission_object(context, what, "ValidatingAdmissionPolicy", "spec", spec);
}

json_t *step_admission_binding(const struct step_context *context,
			       const struct step_admission *what)
{
	return admission_object(
		context, what, "ValidatingAdmissionPolicyBinding", "spec",
		json_pack("{s:s, s:[s]}", "policyName", what->name, "validationActions", "Deny"));
}

json_t *step_admission_webhook(const struct step_context *context,
			       const struct step_admission *what, json_t *hooks)
{
	return admission_object(context, what, "ValidatingWebhookConfiguration", "webhooks", hooks);
}
