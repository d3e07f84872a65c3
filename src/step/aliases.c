/* SPDX-License-Identifier: MIT */
/*
 * aliases: what kind alias does, for many Services at the same time and in the order that loses no
 * request: every alias without an address, until it has the endpoints of its original and every
 * proxy knows them; then the addresses, old and new; then the new ones proved from every node.
 *
 * Parameters: services (array of the parameters of kind alias), prepare (optional true: they are made
 * only; kind flip-group goes on with each, step/escort.h).
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "step/alias.h"
#include "step/aliases.h"
#include "step/kinds.h"
#include "step/prove.h"
#include "step/rights.h"
#include "step/service.h"

#define ALIASES_ENDPOINTS_MS 60000
#define ALIASES_POLL_MS 200
#define ALIASES_PROVE_MS 15000

static bool aliases_prepares(const struct plan_step *step)
{
	return json_is_true(json_object_get(step->parameters, "prepare"));
}

static void aliases_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *services = json_object_get(step->parameters, "services");
	const json_t *first = json_array_get(services, 0);
	size_t count = json_array_size(services);

	if (aliases_prepares(step) && count == 1)
		buffer_format(out, "make the alias that will keep the addresses of Service/%s/%s",
			      json_path_text(first, "namespace"), json_path_text(first, "of"));
	else if (aliases_prepares(step))
		buffer_format(out, "make the aliases that will keep the addresses of %zu Services",
			      count);
	else if (count == 1)
		buffer_format(out, "keep the addresses of Service/%s/%s answering by an alias",
			      json_path_text(first, "namespace"), json_path_text(first, "of"));
	else
		buffer_format(out, "keep the addresses of %zu Services answering by aliases",
			      count);
}

/* ---- what is there ---- */

void step_aliases_release(struct step_aliases *a)
{
	step_objects_release(a->found, a->group.count);
	step_objects_release(a->originals, a->group.count);
	free(a->wanted);
	step_pulse_release(&a->pulse);
	step_group_release(&a->group);
}

int step_aliases_open(struct step_aliases *a, struct step_context *context,
		      const struct plan_step *step, const json_t *services, struct error *err)
{
	a->context = context;
	if (step_group_open(context, step, services, &a->group, err) < 0)
		return -1;
	a->found = step_objects_new(a->group.count);
	a->originals = step_objects_new(a->group.count);
	a->wanted = alloc_array(a->group.count + 1, sizeof(*a->wanted));
	return step_group_get(context, &a->group, "name", a->found, err);
}

/* The spec that the alias is made after: of the live Service, or what the plan remembers. */
int step_aliases_originals(struct step_aliases *a, struct error *err)
{
	json_t **live = step_objects_new(a->group.count);
	int result = step_group_get(a->context, &a->group, "of", live, err);

	for (size_t i = 0; result == 0 && i < a->group.count; i++) {
		const struct plan_step *item = &a->group.items[i];
		json_t *template_ = json_object_get(item->parameters, "template");

		a->originals[i] =
			json_incref(template_ ? template_ : json_object_get(live[i], "spec"));
		if (!a->originals[i])
			log_warning("Service '%s/%s' is gone since the plan was made; it gets no "
				    "alias",
				    step_optional_text(item, "namespace"),
				    step_optional_text(item, "of"));
	}
	step_objects_release(live, a->group.count);
	return result;
}

static bool aliases_is_done(const struct step_aliases *a, size_t i)
{
	const struct plan_step *item = &a->group.items[i];
	const json_t *addresses = json_object_get(item->parameters, "addresses");

	if (aliases_prepares(a->group.step))
		return json_path_is(a->found[i], "metadata.labels.kubectl-renumber/run",
				    a->context->plan->run);
	return a->found[i] &&
	       (step_alias_by_status(item) ? step_alias_claims(a->found[i], addresses)
					   : step_service_holds(a->found[i], addresses));
}

static int aliases_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
			 struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	bool done = true;

	if (step_aliases_open(&a, context, step, NULL, err) < 0 ||
	    step_aliases_originals(&a, err) < 0)
		return -1;
	for (size_t i = 0; i < a.group.count; i++)
		done = done && (!a.originals[i] || aliases_is_done(&a, i));
	for (size_t i = 0; done && i < a.group.count; i++)
		if (a.originals[i] &&
		    step_alias_has_slices(context, &a.group.items[i], &done, err) < 0)
			return -1;
	*ret_done = done;
	return 0;
}

/* ---- creating ---- */

int step_aliases_create(struct step_aliases *a, struct error *err)
{
	struct step_group_call call;
	int result;

	step_group_call_init(&a->group, &call, KUBE_POST, NULL);
	for (size_t i = 0; i < a->group.count; i++)
		if (!a->found[i] && a->originals[i])
			call.bodies[i] = step_alias_object(a->context, &a->group.items[i],
							   a->originals[i], true);
	result = step_group_send(&a->group, &call, err);
	for (size_t i = 0; result == 0 && i < a->group.count; i++) {
		const struct plan_step *item = &a->group.items[i];

		if (!a->originals[i])
			continue;
		/* refused, lost, or there before: the careful way finds out */
		if (!call.objects[i] &&
		    step_alias_create(a->context, item, a->originals[i], err) < 0)
			result = error_wrap(err, "%s", item->subject);
		else if (step_alias_slices(a->context, item, a->originals[i], err) < 0)
			result = error_wrap(err, "%s", item->subject);
	}
	step_group_call_release(&a->group, &call);
	return result;
}

/* ---- endpoints ---- */

/* Whether its slices are ours for good. */
static bool aliases_writes_slices(const struct plan_step *item)
{
	return json_object_get(item->parameters, "endpoints") ||
	       json_object_get(item->parameters, "copyEndpoints");
}

/* Some Services of one namespace and their aliases, asked for by one request. */
struct aliases_chunk {
	size_t first;
	size_t end;
	char *path; /* owned */
};

struct aliases_look {
	struct step_group *group;
	const bool *some;
	size_t *have;
	size_t *wanted;
	struct aliases_chunk *chunks; /* owned */
	size_t count;
};

/* The names of some make a selector of a few kilobytes. */
#define ALIASES_CHUNK 20

static const char *aliases_space(const struct aliases_look *look, size_t i)
{
	return step_optional_text(&look->group->items[i], "namespace");
}

/* What some[] has of the chunk that begins with `first`. */
static struct aliases_chunk aliases_chunk(const struct aliases_look *look, size_t first,
					  const char *version)
{
	const char *space = aliases_space(look, first);
	const struct kube_target target = {.group = "discovery.k8s.io",
					   .version = version,
					   .plural = "endpointslices",
					   .space = space};
	struct aliases_chunk chunk = {.first = first, .end = first};
	auto_free char *start = kube_path(&target);
	auto_buffer struct buffer names = {0};
	auto_buffer struct buffer path = {0};
	size_t taken = 0;

	for (; chunk.end < look->group->count && taken < ALIASES_CHUNK; chunk.end++) {
		const struct plan_step *item = &look->group->items[chunk.end];

		if (!look->some[chunk.end])
			continue;
		if (strcmp(aliases_space(look, chunk.end), space) != 0)
			break;
		buffer_format(&names, "%s%s,%s", taken ? "," : "kubernetes.io/service-name in (",
			      step_optional_text(item, "of"), step_optional_text(item, "name"));
		taken++;
	}
	buffer_text(&names, ")");
	buffer_text(&path, start);
	kube_path_query(&path, "labelSelector", buffer_cstr(&names));
	chunk.path = buffer_detach(&path);
	return chunk;
}

/* Ready endpoints of one slice, for the alias or for the Service it stands in for. */
static void aliases_count_slice(struct aliases_look *look, const struct aliases_chunk *chunk,
				json_t *slice)
{
	const char *owner = json_path_text(slice, "metadata.labels.kubernetes\\.io/service-name");
	auto_json json_t *one = json_pack("[O]", slice);

	for (size_t i = chunk->first; owner && i < chunk->end; i++) {
		const struct plan_step *item = &look->group->items[i];

		if (!look->some[i])
			continue;
		/* ours stand in for what a controller will make: that is what is waited for */
		if (!aliases_writes_slices(item) && step_slice_is_ours(slice))
			continue;
		if (strcmp(step_optional_text(item, "name"), owner) == 0)
			look->have[i] += step_slices_ready(one);
		if (strcmp(step_optional_text(item, "of"), owner) == 0)
			look->wanted[i] += step_slices_ready(one);
	}
}

static void aliases_count(struct aliases_look *look, const struct aliases_chunk *chunk,
			  const struct kube_answer *answer)
{
	auto_error struct error ignored = {0};
	auto_json json_t *list =
		json_parse(buffer_as_slice(&answer->reply.body), "answer", &ignored);
	json_t *slice;
	size_t k;

	if (!list)
		return;
	for (size_t i = chunk->first; i < chunk->end; i++)
		if (look->some[i])
			look->have[i] = look->wanted[i] = 0;
	json_array_foreach(json_object_get(list, "items"), k, slice)
		aliases_count_slice(look, chunk, slice);
	/* of those that we write ourselves, some may be taken out on purpose */
	for (size_t i = chunk->first; i < chunk->end; i++)
		if (look->some[i] && look->have[i] &&
		    json_object_get(look->group->items[i].parameters, "endpoints"))
			look->wanted[i] = look->have[i];
}

static bool aliases_look_next(void *data, size_t job, const struct kube_answer *last,
			      struct kube_request *request)
{
	struct aliases_look *look = data;

	if (last) {
		if (!last->error.message)
			aliases_count(look, &look->chunks[job], last);
		return false;
	}
	*request = (struct kube_request){.method = KUBE_GET, .path = look->chunks[job].path};
	return true;
}

int step_aliases_count(struct step_context *context, struct step_group *group, const bool *some,
		       size_t *have, size_t *wanted, struct error *err)
{
	struct aliases_look look = {group, some, have, wanted, NULL, 0};
	struct kube_jobs jobs = {.next = aliases_look_next, .data = &look};
	auto_free char *version = NULL;
	int result;

	if (step_slice_version(context, &version, err) < 0)
		return -1;
	look.chunks = alloc_array(group->count + 1, sizeof(*look.chunks));
	for (size_t i = 0; i < group->count; i++) {
		if (!some[i])
			continue;
		/* not known until it is answered */
		have[i] = 0;
		wanted[i] = 1;
		if (look.count == 0 || i >= look.chunks[look.count - 1].end)
			look.chunks[look.count++] = aliases_chunk(&look, i, version);
	}
	jobs.count = look.count;
	result = kube_multiplex_run(group->many, &jobs, err);
	for (size_t i = 0; i < look.count; i++)
		free(look.chunks[i].path);
	free(look.chunks);
	return result;
}

/* Marks those that have fewer ready endpoints than their original, and gives their number. */
static int aliases_without(struct step_aliases *a, bool *some, size_t *have, size_t *ret_left,
			   struct error *err)
{
	size_t left = 0;

	if (step_aliases_count(a->context, &a->group, some, have, a->wanted, err) < 0)
		return -1;
	for (size_t i = 0; i < a->group.count; i++) {
		some[i] = some[i] && have[i] < a->wanted[i];
		left += some[i];
	}
	*ret_left = left;
	return 0;
}

static size_t aliases_first(const struct step_aliases *a, const bool *some)
{
	size_t i = 0;

	while (i < a->group.count && !some[i])
		i++;
	return i;
}

/* Until each alias has as many ready endpoints as its original. */
static int aliases_wait(struct step_aliases *a, bool *some, size_t *have, struct error *err)
{
	int64_t end = clock_monotonic_ms() + ALIASES_ENDPOINTS_MS;
	size_t left = 0;

	for (;;) {
		if (aliases_without(a, some, have, &left, err) < 0)
			return -1;
		if (left == 0)
			return 0;
		if (clock_monotonic_ms() > end)
			return error_set(err, ERROR_STOPPED,
					 "%zu alias%s no endpoints after %d s, the first is %s; "
					 "nothing was moved",
					 left, left == 1 ? " has" : "es have",
					 ALIASES_ENDPOINTS_MS / 1000,
					 a->group.items[aliases_first(a, some)].subject);
		a->context->say(a->context, "waiting for the endpoints of %zu aliases", left);
		if (step_pause(a->context, ALIASES_POLL_MS, err) < 0)
			return -1;
	}
}

int step_aliases_endpoints(struct step_aliases *a, struct error *err)
{
	bool *some = alloc_array(a->group.count + 1, sizeof(*some));
	size_t *have = alloc_array(a->group.count + 1, sizeof(*have));
	int result;

	for (size_t i = 0; i < a->group.count; i++)
		some[i] = a->originals[i] != NULL;
	result = aliases_wait(a, some, have, err);
	free(some);
	free(have);
	return result;
}

/* ---- addresses ---- */

int step_aliases_claim(struct step_aliases *a, struct error *err)
{
	struct step_group_call call;
	int result;

	step_group_call_init(&a->group, &call, KUBE_PATCH_MERGE, "name");
	call.subresource = "status";
	for (size_t i = 0; i < a->group.count; i++)
		if (a->originals[i] && step_alias_by_status(&a->group.items[i]))
			call.bodies[i] = step_alias_claim_patch(&a->group.items[i]);
	result = step_group_send(&a->group, &call, err);
	for (size_t i = 0; result == 0 && i < a->group.count; i++) {
		const struct plan_step *item = &a->group.items[i];

		if (call.bodies[i] && !call.objects[i] &&
		    step_alias_claim(a->context, item, err) < 0)
			result = error_wrap(err, "%s", item->subject);
	}
	step_group_call_release(&a->group, &call);
	return result;
}

/* The last address is the new one; the first is the one that answers today. */
int step_aliases_prove(struct step_aliases *a, struct error *err)
{
	struct step_proof *proofs = alloc_array(a->group.count + 1, sizeof(*proofs));
	size_t count = 0;
	int result;

	for (size_t i = 0; i < a->group.count; i++) {
		const struct plan_step *item = &a->group.items[i];
		const json_t *addresses = json_object_get(item->parameters, "addresses");
		const char *old = json_string_value(json_array_get(addresses, 0));
		const char *new_ = json_string_value(json_array_get(addresses, 1));

		if (!a->originals[i] || !new_)
			continue;
		proofs[count++] = (struct step_proof){.subject = item->subject,
						      .spec = a->originals[i],
						      .address = new_,
						      .fallback = old,
						      .endpoints = a->wanted[i]};
	}
	result = step_prove(a->context, proofs, count, a->pulse.nodes, a->pulse.node_count,
			    ALIASES_PROVE_MS, err);
	free(proofs);
	return result;
}

int step_aliases_put(struct step_context *context, const struct plan_step *step,
		     const json_t *services, struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};

	if (step_aliases_open(&a, context, step, services, err) < 0 ||
	    step_aliases_originals(&a, err) < 0 || step_pulse_open(context, &a.pulse, err) < 0 ||
	    step_aliases_create(&a, err) < 0 || step_aliases_endpoints(&a, err) < 0 ||
	    step_pulse_settle(context, &a.pulse, err) < 0 || step_aliases_claim(&a, err) < 0 ||
	    step_pulse_settle(context, &a.pulse, err) < 0)
		return -1;
	return step_aliases_prove(&a, err);
}

/* ---- removing ---- */

static int aliases_delete_slices(struct step_aliases *a, const struct plan_step *item,
				 const char *version, struct error *err)
{
	const char *space = step_optional_text(item, "namespace");
	auto_json json_t *slices = NULL;
	const json_t *slice;
	size_t i;

	if (step_slices(a->context, space, step_optional_text(item, "name"), &slices, err) < 0)
		return -1;
	json_array_foreach(slices, i, slice) {
		const struct kube_target target = {.group = "discovery.k8s.io",
						   .version = version,
						   .plural = "endpointslices",
						   .space = space,
						   .name = json_path_text(slice, "metadata.name")};

		if (!step_slice_is_ours(slice))
			continue;
		if (kube_client_remove(a->context->kube, &target, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int step_aliases_delete_slices(struct step_context *context, const struct plan_step *step,
			       const json_t *services, struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	auto_free char *version = NULL;

	if (step_aliases_open(&a, context, step, services, err) < 0 ||
	    step_slice_version(context, &version, err) < 0)
		return -1;
	for (size_t i = 0; i < a.group.count; i++)
		if (!aliases_writes_slices(&a.group.items[i]) &&
		    aliases_delete_slices(&a, &a.group.items[i], version, err) < 0)
			return -1;
	return 0;
}

/* The Services with a precondition, so that nothing but what was looked at goes. */
static int aliases_delete_services(struct step_aliases *a, struct error *err)
{
	struct step_group_call call;
	int result;

	step_group_call_init(&a->group, &call, KUBE_DELETE, "name");
	for (size_t i = 0; i < a->group.count; i++)
		if (json_path_is(a->found[i], "metadata.labels.kubectl-renumber/run",
				 a->context->plan->run))
			call.bodies[i] = json_pack("{s:s, s:s, s:{s:O}}", "kind", "DeleteOptions",
						   "apiVersion", "v1", "preconditions", "uid",
						   json_path(a->found[i], "metadata.uid"));
	result = step_group_send(&a->group, &call, err);
	for (size_t i = 0; result == 0 && i < a->group.count; i++) {
		struct kube_target target;

		if (call.errors[i].kind == ERROR_NONE || call.errors[i].kind == ERROR_NOT_FOUND)
			continue;
		if (step_service_target(&a->group.items[i], &target, err) < 0 ||
		    step_alias_owned(a->context, &target, err) < 0 ||
		    kube_client_delete(a->context->kube, &target, NULL, err) < 0)
			result = err->kind == ERROR_NOT_FOUND ? 0 : -1;
	}
	step_group_call_release(&a->group, &call);
	return result;
}

int step_aliases_remove(struct step_context *context, const struct plan_step *step,
			const json_t *services, struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};
	auto_free char *version = NULL;

	if (step_aliases_open(&a, context, step, services, err) < 0 ||
	    step_slice_version(context, &version, err) < 0 || aliases_delete_services(&a, err) < 0)
		return -1;
	for (size_t i = 0; i < a.group.count; i++)
		if (aliases_delete_slices(&a, &a.group.items[i], version, err) < 0)
			return -1;
	return 0;
}

static int aliases_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	auto_step_aliases struct step_aliases a = {0};

	if (!aliases_prepares(step))
		return step_aliases_put(context, step, NULL, err);
	if (step_aliases_open(&a, context, step, NULL, err) < 0 ||
	    step_aliases_originals(&a, err) < 0)
		return -1;
	return step_aliases_create(&a, err);
}

static int aliases_undo(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	return step_aliases_remove(context, step, NULL, err);
}

const struct step_kind step_aliases = {
	.name = "aliases",
	.rights = step_rights_services,
	.describe = aliases_describe,
	.check = aliases_check,
	.apply = aliases_apply,
	.undo = aliases_undo,
};
