/* SPDX-License-Identifier: MIT */
#ifndef STEP_CONFIG_MAP_H
#define STEP_CONFIG_MAP_H

#include "step/step.h"

/* Edits one text inside a ConfigMap; what the step kinds about ConfigMaps share. */

/* Appends the edited text; the same bytes when there is nothing to do. */
typedef int (*step_text_edit)(const struct plan_step *step, const char *file, struct slice text,
			      struct buffer *ret, struct error *err);

/* The ConfigMap of the parameters "namespace" and "name". */
must_check int step_config_map_get(struct step_context *context, const struct plan_step *step,
				   json_t **ret, struct error *err);

/* Whether the edit would change nothing in data[key]. A ConfigMap that is not there: ERROR_NOT_FOUND. */
must_check int step_config_map_check(struct step_context *context, const struct plan_step *step,
				     const char *key, step_text_edit edit, bool *ret_done,
				     struct error *err);

/* Backs the object up, edits and replaces it; read again and done again when somebody else wrote. */
must_check int step_config_map_apply(struct step_context *context, const struct plan_step *step,
				     const char *key, step_text_edit edit, struct error *err);

/* What a step keeps before it writes a ConfigMap: the object as it is, and the data it will have.
 * By them undo knows what it may take back. */
must_check int step_config_map_keep(struct step_context *context, const struct plan_step *step,
				    const json_t *map, const json_t *data, struct error *err);

/* Puts the values that the step changed back, the object's version as precondition; everything else
 * in it stays. ERROR_REFUSED when one of those values was changed by somebody since. */
must_check int step_config_map_undo(struct step_context *context, const struct plan_step *step,
				    struct error *err);

#endif
