/* SPDX-License-Identifier: MIT */
#ifndef STEP_SERVICE_H
#define STEP_SERVICE_H

#include "step/step.h"

/* What the step kinds about Services share. */

/* core/v1 services, from the step's parameters "namespace" and "name". Borrowed from the step. */
must_check int step_service_target(const struct plan_step *step, struct kube_target *ret,
				   struct error *err);

/* True when the Service's clusterIPs are exactly these texts. */
bool step_service_holds(const json_t *service, const json_t *addresses);

/* The API version of EndpointSlices that the server knows: "v1", or "v1beta1" up to 1.20. Caller
 * frees. */
must_check int step_slice_version(struct step_context *context, char **ret, struct error *err);

/* The EndpointSlices of a Service; new reference to an array. */
must_check int step_slices(struct step_context *context, const char *namespace_,
			   const char *service, json_t **ret, struct error *err);

/* Written by us. Our run's label does not tell: controllers copy the labels of a Service to its
 * slices. */
bool step_slice_is_ours(const json_t *slice);

/* How many of their endpoints are ready. */
size_t step_slices_ready(const json_t *slices);

#endif
