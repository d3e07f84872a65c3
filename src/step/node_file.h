/* SPDX-License-Identifier: MIT */
#ifndef STEP_NODE_FILE_H
#define STEP_NODE_FILE_H

#include "step/step.h"

/* Edits of a file on a node; what the step kinds about files share. */

typedef int (*step_file_edit)(const struct plan_step *step, const char *file, struct slice text,
			      struct buffer *ret, struct error *err);

/* Whether the edit would change nothing in the file of parameters "node" and "path". */
must_check int step_node_file_check(struct step_context *context, const struct plan_step *step,
				    step_file_edit edit, bool *ret_done, struct error *err);

/* Reads, edits and writes it, the old bytes as precondition; its first state stays in the run's
 * backup on the node. */
must_check int step_node_file_apply(struct step_context *context, const struct plan_step *step,
				    step_file_edit edit, struct error *err);

/*
 * Brings the file's first state in this run back from the backup on its node: bytes, mode and
 * owner. *ret_changed is false when it was so. ERROR_REFUSED, and nothing is written, when the file
 * is neither what it was nor what the step wrote. Nothing is done where the step wrote nothing.
 */
must_check int step_node_file_undo(struct step_context *context, const struct plan_step *step,
				   bool *ret_changed, struct error *err);

#endif
