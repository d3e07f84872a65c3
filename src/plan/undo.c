/* SPDX-License-Identifier: MIT */
#include "plan/undo.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/json.h"

/* The parts of the way back, in their order. */
enum undo_part {
	UNDO_NODES,
	UNDO_SERVERS,
	UNDO_DEFAULT_CIDR,
	UNDO_SERVICES,
	UNDO_RESTARTS,
	UNDO_ALIASES,
	UNDO_NEW_CIDR,
	UNDO_CONFIGURATION,
	UNDO_CERTIFICATES,
	UNDO_CERTIFICATES_SERVED,
	UNDO_PREFLIGHT,
	UNDO_TOURNIQUET,
	UNDO_PART_COUNT,
};

static bool undo_is(const struct plan_step *step, const char *kind)
{
	return strcmp(step->kind, kind) == 0;
}

static bool undo_is_roll(const struct plan_step *step)
{
	return undo_is(step, "manifest-flags") || undo_is(step, "roll");
}

static bool undo_is_move(const struct plan_step *step)
{
	return plan_step_makes(step, "flip") || undo_is(step, "sweep");
}

static enum undo_part undo_part_of(const struct plan_step *step)
{
	if (undo_is(step, "restart") || undo_is(step, "restart-rest") || undo_is(step, "local-dns"))
		return UNDO_RESTARTS;
	if (undo_is(step, "sweep"))
		return UNDO_SERVICES;
	switch (step->stage) {
	case PLAN_STAGE_TOURNIQUET:
		return UNDO_TOURNIQUET;
	case PLAN_STAGE_PREFLIGHT:
		return UNDO_PREFLIGHT;
	case PLAN_STAGE_CERTIFICATES:
		return undo_is(step, "certificate-served") ? UNDO_CERTIFICATES_SERVED
							   : UNDO_CERTIFICATES;
	case PLAN_STAGE_CONFIGURATION:
		return UNDO_CONFIGURATION;
	case PLAN_STAGE_RANGES:
		return undo_is(step, "service-cidr") ? UNDO_NEW_CIDR : UNDO_SERVERS;
	case PLAN_STAGE_DEFAULTS:
		return strncmp(step->kind, "service-cidr", 12) == 0 ? UNDO_DEFAULT_CIDR
								    : UNDO_SERVERS;
	case PLAN_STAGE_SERVICES:
		return undo_is(step, "alias") || undo_is(step, "aliases") ? UNDO_ALIASES
									  : UNDO_SERVICES;
	case PLAN_STAGE_NODES:
	case PLAN_STAGE_WORKLOADS:
	case PLAN_STAGE_DRAIN:
	case PLAN_STAGE_FINALIZE:
		break;
	}
	return UNDO_NODES;
}

struct undo_walk {
	const struct plan *plan;
	enum plan_stage from;
	const bool *touched;
	struct plan_undo_order order;
	bool moves; /* Services go back */
};

static bool undo_wanted(const struct undo_walk *walk, size_t i)
{
	const struct plan_step *step = &walk->plan->steps[i];

	return step->stage >= walk->from && step->stage != PLAN_STAGE_FINALIZE &&
	       (!walk->touched || walk->touched[i]);
}

static void undo_add(struct undo_walk *walk, enum plan_undo_action action,
		     const struct plan_step *step)
{
	walk->order.items[walk->order.count++] = (struct plan_undo_entry){action, step};
}

/* A step that only the way back has. `parameters` is taken over. */
static void undo_add_extra(struct undo_walk *walk, const char *id, enum plan_stage stage,
			   const char *kind, const char *subject, json_t *parameters,
			   const char *why)
{
	struct plan_step *step = plan_add(&walk->order.extra, stage, kind, subject, parameters);

	free(step->id);
	step->id = alloc_text(id);
	plan_step_why(step, "%s", why);
	undo_add(walk, PLAN_UNDO_EXTRA, step);
}

/* Restarts go the way there: the network plugin first. Then whatever else was started meanwhile. */
static void undo_restarts(struct undo_walk *walk)
{
	bool restarts = false; /* else --restart none: the user does it */

	for (size_t i = 0; i < walk->plan->count; i++) {
		const struct plan_step *step = &walk->plan->steps[i];

		restarts = restarts || undo_is(step, "restart") || undo_is(step, "restart-rest");
		if (undo_wanted(walk, i) && undo_part_of(step) == UNDO_RESTARTS)
			undo_add(walk,
				 undo_is(step, "local-dns") ||
						 (walk->moves && undo_is(step, "restart"))
					 ? PLAN_UNDO_STEP
					 : PLAN_UNDO_NOTHING,
				 step);
	}
	if (!walk->moves)
		return;
	undo_add_extra(walk, "u-restart", PLAN_STAGE_SERVICES, "restart-back", "all nodes",
		       json_pack("{s:s, s:O, s:b}", "new", walk->plan->to, "old", walk->plan->from,
				 "list", !restarts),
		       "what was started after its Services had moved has new addresses in its "
		       "environment");
}

/* The aliases of Services that a sweep moved are in no step of the plan. */
static void undo_sweeps(struct undo_walk *walk)
{
	bool any = false;

	for (size_t i = 0; i < walk->plan->count; i++)
		any = any || (undo_wanted(walk, i) && undo_is(&walk->plan->steps[i], "sweep"));
	if (!any)
		return;
	undo_add_extra(walk, "u-sweep", PLAN_STAGE_SERVICES, "sweep-end", "cluster", NULL,
		       "what a sweep put up is in no step of the plan");
}

/* What the flips released is held again where the run goes on from after the holds. */
static void undo_holds(struct undo_walk *walk)
{
	for (size_t i = 0; i < walk->plan->count && walk->moves; i++) {
		const struct plan_step *step = &walk->plan->steps[i];
		json_t *parameters;

		if (!undo_is(step, "hold") || step->stage >= walk->from ||
		    (walk->touched && !walk->touched[i]))
			continue;
		parameters = json_copy(step->parameters);
		json_object_set_new(parameters, "back", json_true());
		undo_add_extra(walk, "u-hold", step->stage, step->kind, step->subject, parameters,
			       "the Services that these addresses are for have left them");
	}
}

static void undo_part(struct undo_walk *walk, enum undo_part part)
{
	if (part == UNDO_RESTARTS) {
		undo_restarts(walk);
		return;
	}
	for (size_t i = walk->plan->count; i-- > 0;)
		if (undo_wanted(walk, i) && undo_part_of(&walk->plan->steps[i]) == part)
			undo_add(walk, PLAN_UNDO_STEP, &walk->plan->steps[i]);
	if (part == UNDO_SERVICES)
		undo_holds(walk);
	if (part == UNDO_ALIASES)
		undo_sweeps(walk);
}

static bool undo_is_dual(const struct undo_walk *walk)
{
	return strcmp(walk->plan->regime, "dual-write") == 0;
}

/*
 * Dual writing: the servers that this run has restarted do not write the old bitmap any more, so
 * that it still has every old address that a Service let go of. Servers with their old flags would
 * refuse to give those out again: there Services go back first, while nobody asks the bitmap.
 */
static enum undo_part undo_part_at(const struct undo_walk *walk, int i)
{
	static const enum undo_part dual[] = {UNDO_NODES, UNDO_SERVICES, UNDO_SERVERS,
					      UNDO_DEFAULT_CIDR};

	if (undo_is_dual(walk) && (size_t)i < sizeof(dual) / sizeof(dual[0]))
		return dual[i];
	return (enum undo_part)i;
}

/* They need a ServiceCIDR for their addresses, too; the undo of the default one removes it. */
static void undo_cover(struct undo_walk *walk)
{
	for (size_t i = 0; i < walk->plan->count && walk->moves; i++) {
		const struct plan_step *step = &walk->plan->steps[i];
		const char *cover = json_string_value(json_object_get(step->parameters, "cover"));
		auto_free char *name = alloc_format("%s-back", cover ? cover : "");
		auto_free char *subject = alloc_format("ServiceCIDR/%s", name);
		json_t *parameters;

		if (!undo_is(step, "service-cidr-default") || !undo_wanted(walk, i))
			continue;
		parameters = json_pack("{s:s}", "name", name);
		json_object_set(parameters, "api", json_object_get(step->parameters, "api"));
		json_object_set(parameters, "cidrs", json_object_get(step->parameters, "old"));
		undo_add_extra(walk, "u-cover", PLAN_STAGE_SERVICES, "service-cidr", subject,
			       parameters, "Services go back before the default ServiceCIDR does");
	}
}

/* A repair of dual writing may change other flags of servers than their range. */
static bool undo_is_range(const struct plan_step *step)
{
	const json_t *flags = json_object_get(step->parameters, "flags");
	const json_t *flag;
	size_t i;

	json_array_foreach(flags, i, flag)
		if (json_path_is(flag, "name", "service-cluster-ip-range"))
			return true;
	return undo_is_roll(step) && !flags;
}

/* The earliest stage with a step that rolls servers to another range, and whether there is one. */
static bool undo_first_roll(const struct plan *plan, enum plan_stage *ret)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (!undo_is_range(&plan->steps[i]) || plan->steps[i].stage == PLAN_STAGE_FINALIZE)
			continue;
		*ret = plan->steps[i].stage;
		return true;
	}
	return false;
}

static int undo_refuse(const struct undo_walk *walk, const char *what, struct error *err)
{
	enum plan_stage roll;

	if (!undo_first_roll(walk->plan, &roll))
		return error_set(err, ERROR_REFUSED,
				 "%s while API servers give out the new range only, and it was not "
				 "this run that changed their flags; go back to a later stage with "
				 "--to",
				 what);
	return error_set(err, ERROR_REFUSED,
			 "%s while API servers give out the new range only; go back to '%s' or "
			 "further with --to",
			 what, plan_stage_name(roll - 1));
}

/* What goes back only when the API servers' flags go back, too. */
static int undo_check(const struct undo_walk *walk, struct error *err)
{
	bool bitmap = strcmp(walk->plan->regime, "bitmap") == 0;
	enum plan_stage roll;
	bool rolls = undo_first_roll(walk->plan, &roll) && roll >= walk->from;

	for (size_t i = 0; i < walk->plan->count && !rolls; i++) {
		const struct plan_step *step = &walk->plan->steps[i];

		if (!undo_wanted(walk, i))
			continue;
		if (bitmap && undo_is_move(step))
			return undo_refuse(walk, "Services cannot go back to the old range", err);
		if (undo_is(step, "service-cidr-default"))
			return undo_refuse(walk,
					   "the default ServiceCIDR cannot go back to the old "
					   "range",
					   err);
	}
	return 0;
}

int plan_undo_order(const struct plan *plan, enum plan_stage from, const bool *touched,
		    struct plan_undo_order *ret, struct error *err)
{
	struct undo_walk walk = {.plan = plan, .from = from, .touched = touched};

	if (undo_check(&walk, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->count; i++)
		walk.moves = walk.moves || (undo_wanted(&walk, i) && undo_is_move(&plan->steps[i]));
	/* a cover or a hold for each step at most, u-restart and u-sweep; entries point into
	 * `extra`, which must not move */
	walk.order.extra.capacity = plan->count + 2;
	walk.order.extra.steps =
		alloc_array(walk.order.extra.capacity, sizeof(*walk.order.extra.steps));
	walk.order.items =
		alloc_array(plan->count + walk.order.extra.capacity, sizeof(*walk.order.items));
	if (undo_is_dual(&walk))
		undo_cover(&walk);
	for (int part = 0; part < UNDO_PART_COUNT; part++)
		undo_part(&walk, undo_part_at(&walk, part));
	*ret = walk.order;
	return 0;
}

void plan_undo_order_release(struct plan_undo_order *order)
{
	free(order->items);
	plan_release(&order->extra);
	*order = (struct plan_undo_order){0};
}
