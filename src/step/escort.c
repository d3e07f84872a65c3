/* SPDX-License-Identifier: MIT */
#include "step/escort.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "step/alias.h"
#include "step/aliases.h"
#include "step/prove.h"
#include "step/service.h"

#define ESCORT_ENDPOINTS_MS 60000
#define ESCORT_PROVE_MS 15000
#define ESCORT_STUCK_MS 90000
/* between two windows, and so many aliases in each of its parts */
#define ESCORT_MS 400
#define ESCORT_FEW 8
#define ESCORT_MANY 80

enum escort_state {
	ESCORT_MADE,	/* there, without an address */
	ESCORT_READY,	/* has its endpoints */
	ESCORT_CLAIMED, /* both addresses */
	ESCORT_PROVED,
	ESCORT_MOVED, /* the Service is */
	ESCORT_OVER,
};

struct escort_item {
	enum escort_state state;
	int64_t since_ms; /* of the clock; what it came here by was written before */
	size_t endpoints; /* ready ones of the Service */
};

int escort_open(struct escort *e, struct step_context *context, const struct plan_step *step,
		const json_t *aliases, struct step_pulse *pulse, struct error *err)
{
	*e = (struct escort){.context = context, .pulse = pulse, .some = ESCORT_MANY / 2};
	if (step_group_open(context, step, aliases, &e->group, err) < 0)
		return -1;
	e->items = alloc_array(e->group.count + 1, sizeof(*e->items));
	e->moved_ms = clock_monotonic_ms();
	return 0;
}

void escort_release(struct escort *e)
{
	step_group_release(&e->group);
	free(e->items);
	*e = (struct escort){0};
}

static void escort_set(struct escort *e, size_t i, enum escort_state state)
{
	e->items[i].state = state;
	e->items[i].since_ms = e->moved_ms = clock_monotonic_ms();
}

bool escort_is_ready(const struct escort *e, size_t i)
{
	return e->items[i].state == ESCORT_PROVED;
}

void escort_moved(struct escort *e, size_t i)
{
	if (e->items[i].state == ESCORT_PROVED)
		escort_set(e, i, ESCORT_MOVED);
}

void escort_leave(struct escort *e, size_t i)
{
	if (e->items[i].state != ESCORT_OVER)
		escort_set(e, i, ESCORT_OVER);
}

size_t escort_left(const struct escort *e, size_t *ret_ready)
{
	size_t left = 0;

	*ret_ready = 0;
	for (size_t i = 0; i < e->group.count; i++) {
		left += e->items[i].state != ESCORT_OVER;
		*ret_ready += e->items[i].state == ESCORT_PROVED;
	}
	return left;
}

/* The first ones in a state whose last write every proxy has. */
static size_t escort_choose(const struct escort *e, enum escort_state state, bool *some)
{
	int64_t programmed_ms = step_pulse_programmed(e->pulse);
	size_t count = 0;

	for (size_t i = 0; i < e->group.count; i++) {
		some[i] = e->items[i].state == state && count < e->some &&
			  (state == ESCORT_MADE || e->items[i].since_ms <= programmed_ms);
		count += some[i];
	}
	return count;
}

/* ---- endpoints ---- */

static int escort_look(struct escort *e, bool *some, const json_t *const *specs, struct error *err)
{
	size_t *have = alloc_array(e->group.count + 1, sizeof(*have));
	size_t *wanted = alloc_array(e->group.count + 1, sizeof(*wanted));
	size_t count = escort_choose(e, ESCORT_MADE, some);
	size_t first = e->group.count;
	int result = 0;

	if (count)
		result = step_aliases_count(e->context, &e->group, some, have, wanted, err);
	for (size_t i = 0; result == 0 && i < e->group.count; i++) {
		if (!some[i] || !specs[i])
			continue;
		if (have[i] >= wanted[i]) {
			e->items[i].endpoints = wanted[i];
			escort_set(e, i, ESCORT_READY);
		} else if (first == e->group.count) {
			first = i;
		}
	}
	free(have);
	free(wanted);
	if (result == 0 && first < e->group.count &&
	    clock_monotonic_ms() > e->moved_ms + ESCORT_ENDPOINTS_MS)
		result =
			error_set(err, ERROR_STOPPED,
				  "%s has no endpoints after %d s; neither it nor what comes after "
				  "it was moved",
				  e->group.items[first].subject, ESCORT_ENDPOINTS_MS / 1000);
	return result;
}

/* ---- claims ---- */

/* One request for each; those that are refused or lost there get patience. */
static int escort_write(struct escort *e, const bool *some, bool trim, struct error *err)
{
	struct step_group_call call;
	int result;

	step_group_call_init(&e->group, &call, KUBE_PATCH_MERGE, "name");
	call.subresource = "status";
	call.some = some;
	for (size_t i = 0; i < e->group.count; i++)
		if (some[i] && step_alias_by_status(&e->group.items[i]))
			call.bodies[i] = step_alias_claim_some_patch(&e->group.items[i],
								     trim ? 1 : SIZE_MAX);
	result = step_group_send(&e->group, &call, err);
	for (size_t i = 0; result == 0 && i < e->group.count; i++) {
		const struct plan_step *item = &e->group.items[i];

		if (call.bodies[i] && !call.objects[i] &&
		    step_alias_write_claim(e->context, item, call.bodies[i], err) < 0)
			result = error_wrap(err, "%s", item->subject);
	}
	step_group_call_release(&e->group, &call);
	step_pulse_disturbed(e->pulse);
	return result;
}

static int escort_claim(struct escort *e, bool *some, enum escort_state from, enum escort_state to,
			struct error *err)
{
	if (escort_choose(e, from, some) == 0)
		return 0;
	if (escort_write(e, some, to == ESCORT_OVER, err) < 0)
		return -1;
	for (size_t i = 0; i < e->group.count; i++)
		if (some[i])
			escort_set(e, i, to);
	return 0;
}

/* ---- proof ---- */

static int escort_prove(struct escort *e, bool *some, const json_t *const *specs, struct error *err)
{
	struct step_proof *proofs;
	size_t count = 0;
	int result;

	if (escort_choose(e, ESCORT_CLAIMED, some) == 0)
		return 0;
	proofs = alloc_array(e->group.count + 1, sizeof(*proofs));
	for (size_t i = 0; i < e->group.count; i++) {
		const struct plan_step *item = &e->group.items[i];
		const json_t *addresses = json_object_get(item->parameters, "addresses");

		some[i] = some[i] && specs[i];
		/* the last address is the new one; the first is the one that answers today */
		if (some[i] && json_array_size(addresses) > 1)
			proofs[count++] = (struct step_proof){
				.subject = item->subject,
				.spec = specs[i],
				.address = json_string_value(json_array_get(addresses, 1)),
				.fallback = json_string_value(json_array_get(addresses, 0)),
				.endpoints = e->items[i].endpoints};
	}
	result = step_prove(e->context, proofs, count, e->pulse->nodes, e->pulse->node_count,
			    ESCORT_PROVE_MS, err);
	for (size_t i = 0; result == 0 && i < e->group.count; i++)
		if (some[i])
			escort_set(e, i, ESCORT_PROVED);
	free(proofs);
	return result;
}

/* All of it shall take no longer than proxies take to sync: then the next window can be opened. */
static void escort_pace(struct escort *e, int64_t took_ms)
{
	if (took_ms > ESCORT_MS && e->some > ESCORT_FEW)
		e->some = e->some * 3 / 4;
	else if (took_ms < ESCORT_MS / 2 && e->some < ESCORT_MANY)
		e->some = e->some * 5 / 4;
}

static void escort_say(const struct escort *e, int64_t took_ms)
{
	size_t at[ESCORT_OVER + 1] = {0};

	for (size_t i = 0; i < e->group.count; i++)
		at[e->items[i].state]++;
	log_debug("aliases: %zu made, %zu with endpoints, %zu claim, %zu proved, %zu of moved "
		  "Services, %zu done; %" PRId64 " ms",
		  at[ESCORT_MADE], at[ESCORT_READY], at[ESCORT_CLAIMED], at[ESCORT_PROVED],
		  at[ESCORT_MOVED], at[ESCORT_OVER], took_ms);
}

int escort_go_on(struct escort *e, const json_t *const *specs, struct error *err)
{
	bool *some = alloc_array(e->group.count + 1, sizeof(*some));
	int64_t begun_ms = clock_monotonic_ms();
	int result = escort_claim(e, some, ESCORT_MOVED, ESCORT_OVER, err);

	if (result == 0)
		result = escort_prove(e, some, specs, err);
	if (result == 0)
		result = escort_claim(e, some, ESCORT_READY, ESCORT_CLAIMED, err);
	if (result == 0)
		result = escort_look(e, some, specs, err);
	escort_say(e, clock_monotonic_ms() - begun_ms);
	escort_pace(e, clock_monotonic_ms() - begun_ms);
	free(some);
	if (result == 0 && clock_monotonic_ms() > e->moved_ms + ESCORT_STUCK_MS)
		return error_set(err, ERROR_STOPPED,
				 "nothing went on for %d s: the proxies of some nodes do not "
				 "program what is written; what has moved answers",
				 ESCORT_STUCK_MS / 1000);
	return result;
}

/* ---- the way back ---- */

int escort_claim_again(struct step_context *context, const struct plan_step *step,
		       const json_t *aliases, struct error *err)
{
	auto_step_group struct step_group group = {0};
	json_t **found;
	int result;

	if (step_group_open(context, step, aliases, &group, err) < 0)
		return -1;
	found = step_objects_new(group.count);
	result = step_group_get(context, &group, "name", found, err);
	for (size_t i = 0; result == 0 && i < group.count; i++) {
		const struct plan_step *item = &group.items[i];
		const json_t *addresses = json_object_get(item->parameters, "addresses");

		if (!found[i] || !step_alias_by_status(item) ||
		    step_alias_claims(found[i], addresses))
			continue;
		if (step_alias_claim(context, item, err) < 0)
			result = error_wrap(err, "%s", item->subject);
	}
	step_objects_release(found, group.count);
	return result;
}
