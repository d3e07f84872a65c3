/* SPDX-License-Identifier: MIT */
/*
 * canary: tries what the plan relies on, before anything does. Each mechanism of aliases is built
 * once, for an address that nobody has, with API servers behind it, and dialled from every node and
 * from an address of the node in the Pod network; then it is removed. And every alias of the plan is
 * shown to the server, which does not keep it: quotas and admission speak now.
 *
 * Parameters: mechanisms (array of {mechanism, address}), endpoints (array "ip:port").
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "net/address.h"
#include "net/cidr.h"
#include "step/alias.h"
#include "step/aliases.h"
#include "step/kinds.h"
#include "step/prove.h"
#include "step/rights.h"

#define CANARY_SPACE "kube-system"
#define CANARY_PORT 443
#define CANARY_PROVE_MS 15000

static void canary_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *item;
	size_t i;

	buffer_text(out, "try aliases (");
	json_array_foreach(json_object_get(step->parameters, "mechanisms"), i, item)
		buffer_format(out, "%s%s", i ? ", " : "", json_path_text(item, "mechanism"));
	buffer_text(out, ") on a Service of our own, from every node");
}

/* Parameters of kind alias, one for each mechanism. */
static json_t *canary_services(const struct plan_step *step)
{
	json_t *services = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(step->parameters, "mechanisms"), i, item) {
		const char *mechanism = json_path_text(item, "mechanism");
		auto_free char *name = alloc_format("kubectl-renumber-canary-%s", mechanism);

		json_array_append_new(
			services,
			json_pack("{s:s, s:s, s:s, s:s, s:[O], s:O, s:{s:[{s:s, s:i, s:s, s:i}]}}",
				  "namespace", CANARY_SPACE, "name", name, "of", name, "mechanism",
				  mechanism, "addresses", json_object_get(item, "address"),
				  "endpoints", json_object_get(step->parameters, "endpoints"),
				  "template", "ports", "name", "https", "port", CANARY_PORT,
				  "protocol", "TCP", "targetPort", CANARY_PORT));
	}
	return services;
}

/* ---- from the Pod network ---- */

/* The first of the node's own addresses that lies in its podCIDR. */
static void canary_source(const json_t *node, const json_t *facts, json_t *sources)
{
	const char *range = json_path_text(node, "spec.podCIDR");
	auto_error struct error ignored = {0};
	struct net_cidr_list list;
	const json_t *entry;
	size_t i;

	if (!range || net_cidr_list_parse_sloppy(slice_of(range), &list, &ignored) < 0)
		return;
	json_array_foreach(json_object_get(facts, "addresses"), i, entry) {
		const char *text = json_path_text(entry, "address");
		struct net_address address;

		if (text && net_address_read(slice_of(text), &address) &&
		    net_cidr_contains(list.item[0], address)) {
			json_object_set_new(sources, json_path_text(node, "metadata.name"),
					    json_string(text));
			return;
		}
	}
}

/* {node: address}; a node whose plugin gives it no such address is dialled from as it is. */
static int canary_sources(struct step_context *context, const struct step_pulse *pulse,
			  json_t *sources, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_json json_t *nodes = NULL;
	auto_json json_t *request = json_pack("{s:s}", "op", "sysfacts");
	struct node_call *calls;
	const json_t *node;
	size_t i;

	if (!context->pool)
		return 0;
	if (kube_client_list(context->kube, &target, NULL, &nodes, NULL, err) < 0)
		return -1;
	calls = alloc_array(pulse->node_count + 1, sizeof(*calls));
	node_call_all(context->pool, (const char *const *)pulse->nodes, pulse->node_count, request,
		      calls);
	for (size_t k = 0; k < pulse->node_count; k++) {
		json_array_foreach(nodes, i, node) {
			if (json_path_is(node, "metadata.name", pulse->nodes[k]))
				canary_source(node, calls[k].reply, sources);
		}
	}
	node_calls_release(calls, pulse->node_count);
	free(calls);
	return 0;
}

/* ---- the mechanisms ---- */

static int canary_dial(struct step_context *context, const struct step_pulse *pulse,
		       const json_t *services, const json_t *sources, struct error *err)
{
	size_t count = json_array_size(services);
	struct step_proof *proofs = alloc_array(2 * count + 1, sizeof(*proofs));
	size_t used = 0;
	const json_t *item;
	size_t i;
	int result;

	json_array_foreach(services, i, item) {
		struct step_proof proof = {.subject = json_path_text(item, "name"),
					   .spec = json_object_get(item, "template"),
					   .address = json_path_text(item, "addresses.0"),
					   .endpoints = 1};

		proofs[used++] = proof;
		proof.sources = sources;
		if (json_object_size(sources))
			proofs[used++] = proof;
	}
	result = step_prove(context, proofs, used, pulse->nodes, pulse->node_count, CANARY_PROVE_MS,
			    err);
	free(proofs);
	return result;
}

static int canary_try(struct step_context *context, const struct plan_step *step,
		      const json_t *services, struct error *err)
{
	auto_step_pulse struct step_pulse pulse = {0};
	auto_json json_t *sources = json_object();

	if (step_pulse_open(context, &pulse, err) < 0 ||
	    step_aliases_put(context, step, services, err) < 0 ||
	    canary_sources(context, &pulse, sources, err) < 0)
		return -1;
	return canary_dial(context, &pulse, services, sources, err);
}

/* Whatever was tried goes, also when it failed. */
static int canary_mechanisms(struct step_context *context, const struct plan_step *step,
			     struct error *err)
{
	auto_json json_t *services = canary_services(step);
	auto_error struct error problem = {0};
	int result = canary_try(context, step, services, &problem);

	if (step_aliases_remove(context, step, services, err) < 0)
		return -1;
	if (result == 0)
		return 0;
	if (problem.kind == ERROR_INTERRUPTED || problem.kind == ERROR_NETWORK)
		return error_move(err, &problem);
	return error_set(err, ERROR_REFUSED,
			 "old addresses cannot be kept answering here: %s; nothing was changed",
			 error_text(&problem));
}

/* ---- what the server says to each alias ---- */

static json_t *canary_planned(const struct step_context *context)
{
	json_t *services = json_array();
	const json_t *item;

	for (size_t i = 0; i < context->plan->count; i++) {
		const struct plan_step *step = &context->plan->steps[i];

		if (strcmp(step->kind, "aliases") != 0)
			continue;
		for (size_t k = 0; (item = plan_step_item(step, k)); k++)
			json_array_append(services, (json_t *)(uintptr_t)item);
	}
	return services;
}

static int canary_refusals(const struct step_aliases *a, const struct step_group_call *call,
			   struct error *err)
{
	for (size_t i = 0; i < a->group.count; i++) {
		const struct error *error = &call->errors[i];

		if (error->kind == ERROR_API || error->kind == ERROR_CONFLICT)
			return error_set(err, ERROR_REFUSED, "%s cannot be made: %s",
					 a->group.items[i].subject, error_text(error));
		if (error->kind != ERROR_NONE)
			log_warning("%s was not tried: %s", a->group.items[i].subject,
				    error_text(error));
	}
	return 0;
}

static int canary_dry_run(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	auto_json json_t *services = canary_planned(context);
	struct step_group_call call;
	int result;

	if (step_aliases_open(&a, context, step, services, err) < 0 ||
	    step_aliases_originals(&a, err) < 0)
		return -1;
	step_group_call_init(&a.group, &call, KUBE_POST, NULL);
	call.dry_run = true;
	for (size_t i = 0; i < a.group.count; i++)
		/* the new range gives out no address yet */
		if (!a.found[i] && a.originals[i])
			call.bodies[i] =
				step_alias_object(context, &a.group.items[i], a.originals[i],
						  /* with_address= */ false);
	result = step_group_send(&a.group, &call, err);
	if (result == 0)
		result = canary_refusals(&a, &call, err);
	step_group_call_release(&a.group, &call);
	return result;
}

static int canary_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	if (canary_dry_run(context, step, err) < 0)
		return -1;
	return canary_mechanisms(context, step, err);
}

static int canary_undo(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *services = canary_services(step);

	return step_aliases_remove(context, step, services, err);
}

const struct step_kind step_canary = {
	.name = "canary",
	.rights = step_rights_probe,
	.describe = canary_describe,
	.check = step_never_there,
	.apply = canary_apply,
	.verify = step_proved_by_apply,
	.undo = canary_undo,
};
