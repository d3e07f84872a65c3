/* SPDX-License-Identifier: MIT */
/*
 * alias-trims: what kind alias-trim does, for many aliases at the same time.
 * Parameters: services (array of the parameters of kind alias-trim, and `before`: what each claimed).
 */
#include "step/alias.h"
#include "step/group.h"
#include "step/kinds.h"
#include "step/pulse.h"
#include "step/rights.h"

static void trims_describe(const struct plan_step *step, struct buffer *out)
{
	size_t count = json_array_size(json_object_get(step->parameters, "services"));

	buffer_format(out, "leave only the old address to %zu alias%s", count,
		      count == 1 ? "" : "es");
}

/* Fills `bodies` for the aliases that claim something else; one that went claims nothing. */
static int trims_look(struct step_context *context, struct step_group *group, json_t **bodies,
		      size_t *ret_left, struct error *err)
{
	json_t **found = step_objects_new(group->count);
	int result = step_group_get(context, group, "name", found, err);
	size_t left = 0;

	for (size_t i = 0; result == 0 && i < group->count; i++) {
		const struct plan_step *item = &group->items[i];
		const json_t *addresses = json_object_get(item->parameters, "addresses");

		if (!found[i] || step_alias_claims(found[i], addresses))
			continue;
		left++;
		if (bodies)
			bodies[i] = step_alias_claim_patch(item);
	}
	step_objects_release(found, group->count);
	if (result == 0)
		*ret_left = left;
	return result;
}

static int trims_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	auto_step_group struct step_group group = {0};
	size_t left = 0;

	if (step_group_open(context, step, NULL, &group, err) < 0 ||
	    trims_look(context, &group, NULL, &left, err) < 0)
		return -1;
	*ret_done = left == 0;
	return 0;
}

/* Makes the aliases claim what their items say. */
static int trims_claim(struct step_context *context, const struct plan_step *step,
		       const json_t *services, struct error *err)
{
	auto_step_group struct step_group group = {0};
	struct step_group_call call;
	size_t left = 0;
	int result;

	if (step_group_open(context, step, services, &group, err) < 0)
		return -1;
	step_group_call_init(&group, &call, KUBE_PATCH_MERGE, "name");
	call.subresource = "status";
	result = trims_look(context, &group, call.bodies, &left, err);
	if (result == 0)
		result = step_group_send(&group, &call, err);
	for (size_t i = 0; result == 0 && i < group.count; i++)
		if (call.bodies[i] && !call.objects[i])
			result = step_alias_claim(context, &group.items[i], err);
	step_group_call_release(&group, &call);
	return result;
}

static int trims_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	return trims_claim(context, step, NULL, err);
}

/* The aliases claim again what they claimed, so that the Services can let go of it. */
static int trims_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *services = json_array();
	auto_step_pulse struct step_pulse pulse = {0};
	const json_t *item;

	for (size_t i = 0; (item = plan_step_item(step, i)); i++) {
		json_t *one = json_copy((json_t *)(uintptr_t)item);

		if (json_object_get(item, "before"))
			json_object_set(one, "addresses", json_object_get(item, "before"));
		json_array_append_new(services, one);
	}
	if (step_pulse_open(context, &pulse, err) < 0 ||
	    trims_claim(context, step, services, err) < 0)
		return -1;
	return step_pulse_settle(context, &pulse, err);
}

const struct step_kind step_alias_trims = {
	.name = "alias-trims",
	.rights = step_rights_services,
	.describe = trims_describe,
	.check = trims_check,
	.apply = trims_apply,
	.undo = trims_undo,
};
