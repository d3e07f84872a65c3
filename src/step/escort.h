/* SPDX-License-Identifier: MIT */
#ifndef STEP_ESCORT_H
#define STEP_ESCORT_H

#include "step/group.h"
#include "step/pulse.h"

/*
 * The aliases of Services that move, each at its own point of the way, so that nobody waits for all
 * the others. Such an alias is there, without an address. Then, one after the other:
 *
 *	it has the endpoints of its Service, and every proxy knows them
 *	it claims the old and the new address, and every proxy knows that
 *	the new one answers from every node: now the Service may move
 *	the Service has moved, and every proxy knows that: the alias claims the old one only
 *
 * Between the windows of a pulse each is brought as far as it can be by then.
 */
struct escort_item;

struct escort {
	struct step_context *context;
	struct step_pulse *pulse; /* borrowed */
	struct step_group group;
	struct escort_item *items;
	size_t some;	  /* so many at a time */
	int64_t moved_ms; /* of the clock; when something went on last */
};

/* `aliases`: array of parameters of kind alias, in the order of the Services; borrowed. */
must_check int escort_open(struct escort *e, struct step_context *context,
			   const struct plan_step *step, const json_t *aliases,
			   struct step_pulse *pulse, struct error *err);
void escort_release(struct escort *e);

/* Brings each as far as it can be. specs[i]: of the Service, NULL: not known for now. ERROR_STOPPED
 * when one does not get endpoints, or does not answer. */
must_check int escort_go_on(struct escort *e, const json_t *const *specs, struct error *err);

/* Whether Service i may move. */
bool escort_is_ready(const struct escort *e, size_t i);
/* It has moved. */
void escort_moved(struct escort *e, size_t i);
/* There is nothing to do for it. */
void escort_leave(struct escort *e, size_t i);
/* How many are not at their end; those of Services that may move at once among them. */
size_t escort_left(const struct escort *e, size_t *ret_ready);

/* For the way back: the aliases that are there claim both addresses again. */
must_check int escort_claim_again(struct step_context *context, const struct plan_step *step,
				  const json_t *aliases, struct error *err);

#endif
