/* SPDX-License-Identifier: MIT */
/*
 * alias-swap: aliases whose clusterIP is the old address take over from those that have it in their
 * status. Possible where ServiceCIDR objects decide, once the Services themselves have let go.
 *
 * Parameters: services (array of the parameters of kind alias, with mechanism clusterip, and
 * `replaces`: the name of the alias that goes, `bridge`: its parameters).
 *
 * Both have the same endpoints at each moment at which both are there: slices that we write come
 * before the new Service, so that no proxy sees it without endpoints and rejects; they go when a
 * controller has written its own.
 */
#include <string.h>

#include "base/alloc.h"
#include "step/alias.h"
#include "step/aliases.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

static void swap_describe(const struct plan_step *step, struct buffer *out)
{
	size_t count = json_array_size(json_object_get(step->parameters, "services"));

	buffer_format(out, "make the old address%s the clusterIP of %zu alias%s",
		      count == 1 ? "" : "es", count, count == 1 ? "" : "es");
}

/* What goes, as parameters of kind alias-delete. */
static json_t *swap_replaced(const struct plan_step *step)
{
	json_t *replaced = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(step->parameters, "services"), i, item)
		json_array_append_new(replaced,
				      json_pack("{s:O, s:O}", "namespace",
						json_object_get(item, "namespace"), "name",
						json_object_get(item, "replaces")));
	return replaced;
}

static int swap_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	json_t **bridges;
	bool done = true;
	int result;

	if (step_aliases_open(&a, context, step, NULL, err) < 0 ||
	    step_aliases_originals(&a, err) < 0)
		return -1;
	bridges = step_objects_new(a.group.count);
	result = step_group_get(context, &a.group, "replaces", bridges, err);
	for (size_t i = 0; i < a.group.count; i++)
		done = done &&
		       (!a.originals[i] ||
			(a.found[i] && !bridges[i] &&
			 step_service_holds(a.found[i], json_object_get(a.group.items[i].parameters,
									"addresses"))));
	step_objects_release(bridges, a.group.count);
	if (result == 0)
		*ret_done = done;
	return result;
}

/* Endpoints before the Service that they belong to. */
static int swap_prepare(struct step_aliases *a, struct error *err)
{
	for (size_t i = 0; i < a->group.count; i++) {
		const struct plan_step *item = &a->group.items[i];

		if (a->originals[i] && !a->found[i] &&
		    step_alias_copy_slices(a->context, item, err) < 0)
			return error_wrap(err, "%s", item->subject);
	}
	return step_pulse_settle(a->context, &a->pulse, err);
}

static int swap_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	auto_json json_t *replaced = swap_replaced(step);

	if (step_aliases_open(&a, context, step, NULL, err) < 0 ||
	    step_aliases_originals(&a, err) < 0 || step_pulse_open(context, &a.pulse, err) < 0 ||
	    swap_prepare(&a, err) < 0 || step_aliases_create(&a, err) < 0 ||
	    step_aliases_endpoints(&a, err) < 0 || step_pulse_settle(context, &a.pulse, err) < 0 ||
	    step_aliases_remove(context, step, replaced, err) < 0)
		return -1;
	return step_aliases_delete_slices(context, step, NULL, err);
}

/* What goes comes back, claiming the old address only, before the one that has it leaves. */
static json_t *swap_bridges(const struct plan_step *step)
{
	json_t *bridges = json_array();
	const json_t *item;

	for (size_t i = 0; (item = plan_step_item(step, i)); i++) {
		json_t *bridge = json_copy(json_object_get(item, "bridge"));

		if (!bridge)
			continue;
		json_object_set(bridge, "addresses", json_object_get(item, "addresses"));
		json_array_append_new(bridges, bridge);
	}
	return bridges;
}

static int swap_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *bridges = swap_bridges(step);

	if (step_aliases_put(context, step, bridges, err) < 0)
		return -1;
	return step_aliases_remove(context, step, NULL, err);
}

const struct step_kind step_alias_swap = {
	.name = "alias-swap",
	.rights = step_rights_services,
	.describe = swap_describe,
	.check = swap_check,
	.apply = swap_apply,
	.undo = swap_undo,
};
