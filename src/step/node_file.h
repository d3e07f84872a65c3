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

#endif
