/* SPDX-License-Identifier: MIT */
#ifndef STEP_ALIASES_H
#define STEP_ALIASES_H

#include "step/group.h"
#include "step/pulse.h"

/*
 * Aliases, many at the same time; what the step kinds about them share. `services` is an array of
 * the parameters of kind alias, NULL: the step's own.
 */
struct step_aliases {
	struct step_context *context;
	struct step_group group;
	struct step_pulse pulse;
	json_t **found;	    /* the aliases; NULL: not there */
	json_t **originals; /* specs; NULL: the Service is gone, and there is nothing to do */
	size_t *wanted;	    /* ready endpoints of the original */
};

/* Reads what is there. */
must_check int step_aliases_open(struct step_aliases *a, struct step_context *context,
				 const struct plan_step *step, const json_t *services,
				 struct error *err);
void step_aliases_release(struct step_aliases *a);
#define auto_step_aliases __attribute__((cleanup(step_aliases_release)))

/* Fills `originals`. */
must_check int step_aliases_originals(struct step_aliases *a, struct error *err);
/* Creates those that are not there, without an address in their status. */
must_check int step_aliases_create(struct step_aliases *a, struct error *err);
/* Counts, for some of a group of aliases, their ready endpoints and those of their originals: have[i]
 * and wanted[i], 0 and 1 where no answer came. */
must_check int step_aliases_count(struct step_context *context, struct step_group *group,
				  const bool *some, size_t *have, size_t *wanted,
				  struct error *err);
/* Until each has the endpoints of its original. */
must_check int step_aliases_endpoints(struct step_aliases *a, struct error *err);
/* Puts the addresses into the status of those that answer by it. */
must_check int step_aliases_claim(struct step_aliases *a, struct error *err);
/* Dials the second address, the new one, from every node. */
must_check int step_aliases_prove(struct step_aliases *a, struct error *err);

/* All of that in its order. */
must_check int step_aliases_put(struct step_context *context, const struct plan_step *step,
				const json_t *services, struct error *err);

/* Removes aliases of this run, then their slices of ours: a Service without endpoints is rejected. */
must_check int step_aliases_remove(struct step_context *context, const struct plan_step *step,
				   const json_t *services, struct error *err);

/* Removes slices of ours from those that have a controller's by now. */
must_check int step_aliases_delete_slices(struct step_context *context,
					  const struct plan_step *step, const json_t *services,
					  struct error *err);

#endif
