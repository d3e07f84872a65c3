/* SPDX-License-Identifier: MIT */
#ifndef STEP_STATIC_POD_H
#define STEP_STATIC_POD_H

#include "step/step.h"

/*
 * Flags of a control-plane program in its static-Pod manifest, and the process that has them: what
 * manifest-flags and roll share. Parameters of the step: node, path, program, flags (array of
 * {name, value}); address and port of API servers.
 */

/* "kube-apiserver on cp1: --service-cluster-ip-range=10.17.0.0/16" */
void step_static_pod_describe(const struct plan_step *step, struct buffer *out);

/* A step_file_edit: the manifest with the flags. */
must_check int step_static_pod_edit(const struct plan_step *step, const char *file,
				    struct slice text, struct buffer *ret, struct error *err);

/* Exactly one process of the program, with the flags, and its /readyz answers where the step has an
 * address. A step_condition. */
must_check int step_static_pod_ready(struct step_context *context, const struct plan_step *step,
				     bool *ret_done, struct error *err);

/* Whether manifest and process are as asked. */
must_check int step_static_pod_check(struct step_context *context, const struct plan_step *step,
				     bool *ret_done, struct error *err);

/* Writes the manifest: kubelet restarts the process. */
must_check int step_static_pod_write(struct step_context *context, const struct plan_step *step,
				     struct error *err);

/* Writes the manifest and waits until the new process was ready three times in a row. */
must_check int step_static_pod_apply(struct step_context *context, const struct plan_step *step,
				     struct error *err);

/* The way back: whether the manifest is what it was before the run, and the process, too. */
must_check int step_static_pod_is_restored(struct step_context *context,
					   const struct plan_step *step, bool *ret_done,
					   struct error *err);

/* Puts the first bytes back. ERROR_REFUSED when somebody has changed the manifest since. */
must_check int step_static_pod_restore(struct step_context *context, const struct plan_step *step,
				       struct error *err);

/* A step_condition: a process without the step's flags, ready. */
must_check int step_static_pod_ready_again(struct step_context *context,
					   const struct plan_step *step, bool *ret_done,
					   struct error *err);

/* Restores and waits, as step_static_pod_apply does on the way. */
must_check int step_static_pod_undo(struct step_context *context, const struct plan_step *step,
				    struct error *err);

/* Waits for a stable process, as step_static_pod_apply does after writing. */
must_check int step_static_pod_settle(struct step_context *context, const struct plan_step *step,
				      step_condition ready, struct error *err);

#endif
