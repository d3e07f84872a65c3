/* SPDX-License-Identifier: MIT */
#ifndef STEP_ADMISSION_H
#define STEP_ADMISSION_H

#include "step/step.h"

/*
 * Objects by which a step has API servers refuse something for some minutes: a
 * ValidatingAdmissionPolicy with its binding where the API has them (v1: 1.30 and later), before
 * that a webhook that nobody serves. Those of one step have one name, the run's label, and an
 * annotation that tells whoever finds them how to be rid of them.
 */
#define STEP_ADMISSION_GROUP "admissionregistration.k8s.io"
#define STEP_ADMISSION_TARGET(kinds, its_name)                                     \
	{                                                                          \
		.group = STEP_ADMISSION_GROUP, .version = "v1", .plural = (kinds), \
		.name = (its_name)                                                 \
	}
#define STEP_ADMISSION_POLICY(name) STEP_ADMISSION_TARGET("validatingadmissionpolicies", name)
#define STEP_ADMISSION_BINDING(name) \
	STEP_ADMISSION_TARGET("validatingadmissionpolicybindings", name)
#define STEP_ADMISSION_WEBHOOK(name) STEP_ADMISSION_TARGET("validatingwebhookconfigurations", name)
/* Port 1 of the API server's own host: refused at once. */
#define STEP_ADMISSION_NOBODY "https://127.0.0.1:1/"

struct step_admission {
	const char *name;
	const char *comment;
};

/* New references. `spec` and `hooks` (an array) become theirs. */
json_t *step_admission_policy(const struct step_context *context, const struct step_admission *what,
			      json_t *spec);
json_t *step_admission_binding(const struct step_context *context,
			       const struct step_admission *what);
json_t *step_admission_webhook(const struct step_context *context,
			       const struct step_admission *what, json_t *hooks);

#endif
