/* SPDX-License-Identifier: MIT */
#ifndef STEP_COPIES_H
#define STEP_COPIES_H

#include "step/step.h"

/*
 * A Service without a selector has EndpointSlices that somebody writes (or Endpoints, which Kubernetes
 * mirrors as slices). Nobody writes them for its alias: that gets copies, which follow the originals
 * as long as a run is under way. The alias says whose copies it has by a label, so that they are
 * found whoever made it: a step of the plan, a swap, a sweep.
 */
#define STEP_COPIES_LABEL "kubectl-renumber/copies-of"

/* Makes the slices of ours of Service `alias` what those of Service `of` are. `alias` need not be
 * there yet. *ret_changed (may be NULL): how many were written or deleted. */
must_check int step_copies_write(struct step_context *context, const char *namespace_,
				 const char *alias, const char *of, size_t *ret_changed,
				 struct error *err);

/* The same for every alias of the run that says so. Asks once: for places that come back. */
must_check int step_copies_follow(struct step_context *context, size_t *ret_changed,
				  struct error *err);

#endif
