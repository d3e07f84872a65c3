/* SPDX-License-Identifier: MIT */
#ifndef PLAN_UNDO_H
#define PLAN_UNDO_H

#include "plan/plan.h"

/*
 * The way back. It is not the way there backwards:
 *
 *	nodes      kubelets go back first: the old DNS address answers, by its Service or its alias
 *	servers    flags of API servers and controller-managers before the Services, because leg 2 of
 *	           a flip needs an allocator that gives out the old range; then the default
 *	           ServiceCIDR, which API servers make from their flags
 *	services   trims and flips backwards; the aliases stay. What the flips released is held
 *	           again when the holds' own stage stays
 *	restart    what was started after its Services had moved has new addresses in its
 *	           environment; it is restarted while the aliases still answer for those
 *	           (node-local DNS, which listens at both addresses until then, first)
 *	aliases    and only then the aliases go
 *	           (dual writing: Services before servers; undo.c says why)
 *	the rest   ServiceCIDR of the new range, configuration, certificates, backwards; at the
 *	           very end what the tourniquet put up
 */
enum plan_undo_action {
	PLAN_UNDO_STEP,	   /* undo a step of the plan */
	PLAN_UNDO_EXTRA,   /* do a step that only the way back has; its id begins with "u-" */
	PLAN_UNDO_NOTHING, /* the step is undone by what came before; record that */
};

struct plan_undo_entry {
	enum plan_undo_action action;
	const struct plan_step *step; /* borrowed from the plan, or from the order's own */
};

struct plan_undo_order {
	struct plan_undo_entry *items;
	size_t count;
	struct plan extra; /* owns the steps that only the way back has */
};

/*
 * The order in which the steps of stage `from` and of later ones are undone; steps of finalize are
 * not among them. touched[i] says whether step i had an effect or may have had one in this run
 * (NULL: every step had); steps that had none are left out, and extra steps that only they need.
 *
 * ERROR_REFUSED, naming the stage to go back to instead, where the way back does not lead to `from`:
 * Services cannot go back while API servers only give out the new range.
 */
must_check int plan_undo_order(const struct plan *plan, enum plan_stage from, const bool *touched,
			       struct plan_undo_order *ret, struct error *err);

void plan_undo_order_release(struct plan_undo_order *order);
#define auto_plan_undo_order __attribute__((cleanup(plan_undo_order_release)))

#endif
