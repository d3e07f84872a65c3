/* SPDX-License-Identifier: MIT */
#ifndef STEP_KEEP_OUT_H
#define STEP_KEEP_OUT_H

#include "step/step.h"

/*
 * Keeps the address of one API server out of the endpoints of default/kubernetes although every
 * server's reconciler writes all of them back, every 10 s (reconcilers/lease.go): admission denies
 * those writes, which changes nothing else, for the reconcilers only log it and try again.
 *
 *	"policy"   a ValidatingAdmissionPolicy (1.30) that denies Endpoints and EndpointSlices
 *		   "kubernetes" in "default" that hold the address
 *	"webhook"  before, and where policies are not served: a ValidatingWebhookConfiguration for the same two objects whose server
 *		   does not exist; with failurePolicy Fail nobody can write them
 *
 * Meanwhile another server that fails is not taken out either: the time is short, and the caller
 * watches the others. What is left behind by a tool that died carries the run's label.
 */

/* Takes `address` out and keeps it out; done again it does what is missing. `servers`: array of
 * {node, address, port}; each must refuse before anything relies on it. */
must_check int step_keep_out(struct step_context *context, const char *how, const json_t *servers,
			     const char *address, struct error *err);

/* Ends it, whatever the mechanism was. */
must_check int step_keep_out_end(struct step_context *context, struct error *err);

/* Whether the endpoints of default/kubernetes, in both kinds of objects, hold the address. */
must_check int step_keep_out_listed(struct step_context *context, const char *address,
				    bool *ret_listed, struct error *err);

/* Whether a policy or a webhook of ours is there, or the label that the webhook needs. */
must_check int step_keep_out_present(struct step_context *context, bool *ret_present,
				     struct error *err);

#endif
