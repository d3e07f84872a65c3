/* SPDX-License-Identifier: MIT */
/*
 * flip-group: moves many Services to other ClusterIPs, a window at a time (step/pulse.h).
 *
 * Parameters: services (array of the parameters of kind flip), pulse (optional false: without
 * windows, where nothing has to be spared), aliases (optional array of the parameters of kind alias,
 * one for each of the Services: they are there without an address, see step/escort.h; without it
 * they claim both addresses already).
 *
 * A Service's parameter "hold" (namespace, name; optional) is the Service that has its new address
 * until now (kind hold): it is deleted right before leg 1.
 *
 * In a window the legs of several Services are under way at the same time on one connection; a
 * Service's leg 2 is sent the moment its leg 1 is answered. Services whose turn comes too late for
 * the window wait for the next one. The objects as they are right before go to the journal, in one
 * document before the first window, and anew where leg 1 finds that somebody wrote meanwhile:
 * {"namespace/name": Service}. A process killed between the
 * legs leaves ExternalName Services; the resumed step brings each of them home first, from the
 * last document that has it.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/flip.h"
#include "net/cidr.h"
#include "step/escort.h"
#include "step/flip.h"
#include "step/group.h"
#include "step/kinds.h"
#include "step/pulse.h"
#include "step/rights.h"
#include "step/service.h"

/* A Service that is written to all the time meets its own controller in every window. */
#define FLIP_GROUP_CONFLICTS 20
/* of the first window, before anything was measured */
#define FLIP_GROUP_UNIT_US 20000

static void flips_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *services = json_object_get(step->parameters, "services");
	const json_t *first = json_array_get(services, 0);

	if (json_array_size(services) == 1)
		buffer_format(out, "move Service/%s/%s from %s to %s",
			      json_path_text(first, "namespace"), json_path_text(first, "name"),
			      json_path_text(first, "from.0"), json_path_text(first, "to.0"));
	else
		buffer_format(out, "move %zu Services to new addresses", json_array_size(services));
}

enum flip_phase {
	FLIP_WAITING,
	FLIP_RELEASING, /* the deletion of who holds the address sent */
	FLIP_LEAVING,	/* leg 1 sent */
	FLIP_RETURNING, /* leg 2 sent */
	FLIP_STATUS,	/* the status of a LoadBalancer sent */
	FLIP_OPEN,	/* left to the patient way: leg 2 is missing, or may be */
	FLIP_DONE,
	FLIP_FAILED, /* refused before anything was changed */
};

struct flip_move {
	enum flip_phase phase;
	json_t *original; /* owned: before leg 1 */
	char *path;	  /* owned, like the texts below */
	char *status_path;
	char *hold_path; /* NULL: nobody holds the address */
	char *leave;
	char *back;
	char *status; /* NULL: it has none to be put back */
	bool kept;    /* the original is in the journal */
	unsigned conflicts;
	struct error error; /* why it failed */
	int64_t left_ms;    /* of the clock; when leg 1 was sent */
};

struct flips {
	struct step_context *context;
	struct step_group group;
	struct step_pulse pulse;
	struct escort escort; /* without a group where the aliases are ready */
	struct flip_move *moves;
	bool back;	   /* it is the way back */
	unsigned document; /* number of the next one in the journal */
	unsigned window;
	bool recovered; /* what an earlier attempt left was looked at */
	size_t moved;
	/* of the window under way */
	size_t under_way;   /* Services between their legs */
	size_t returned;    /* Services that have had both */
	int64_t begun_ms;   /* of the clock; 0: not yet */
	int64_t longest_ms; /* that both legs of one Service took */
	int64_t unit_us;    /* a Service's share of the time; from one window to the next */
};

static void flip_move_reset(struct flip_move *move)
{
	json_decref(move->original);
	free(move->path);
	free(move->status_path);
	free(move->hold_path);
	free(move->leave);
	free(move->back);
	free(move->status);
	error_release(&move->error);
	*move = (struct flip_move){.conflicts = move->conflicts};
}

static void flips_release(struct flips *f)
{
	for (size_t i = 0; f->moves && i < f->group.count; i++)
		flip_move_reset(&f->moves[i]);
	free(f->moves);
	escort_release(&f->escort);
	step_pulse_release(&f->pulse);
	step_group_release(&f->group);
}
#define auto_flips __attribute__((cleanup(flips_release)))

static int flips_open(struct flips *f, struct step_context *context, const struct plan_step *step,
		      const json_t *services, struct error *err)
{
	f->context = context;
	if (step_group_open(context, step, services, &f->group, err) < 0)
		return -1;
	f->moves = alloc_array(f->group.count + 1, sizeof(*f->moves));
	f->unit_us = FLIP_GROUP_UNIT_US;
	return 0;
}

/* A Service that went since the plan was made has nothing to move. */
static bool flip_is_done(const struct plan_step *item, const json_t *service)
{
	return !service || step_service_holds(service, json_object_get(item->parameters, "to"));
}

static int flips_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	auto_flips struct flips f = {0};
	json_t **services;
	bool done = true;
	bool left = false;
	int result;

	if (flips_open(&f, context, step, NULL, err) < 0)
		return -1;
	services = step_objects_new(f.group.count);
	result = step_group_get(context, &f.group, "name", services, err);
	for (size_t i = 0; i < f.group.count; i++)
		done = done && flip_is_done(&f.group.items[i], services[i]);
	step_objects_release(services, f.group.count);
	if (result < 0)
		return -1;
	/* all moved, and killed before the pulse was over: doing it again ends that */
	if (done && step_pulse_is_left(context, &left, err) < 0)
		return -1;
	*ret_done = done && !left;
	return 0;
}

/* ---- what a Service's requests are made of ---- */

static char *flip_path(const struct plan_step *item, const char *subresource)
{
	const struct kube_target target = {.version = "v1",
					   .plural = "services",
					   .space = step_optional_text(item, "namespace"),
					   .name = step_optional_text(item, "name"),
					   .subresource = subresource};
	auto_free char *start = kube_path(&target);
	auto_buffer struct buffer path = {0};

	buffer_text(&path, start);
	kube_path_query(&path, "fieldManager", "kubectl-renumber");
	return buffer_detach(&path);
}

/* Of who holds the new address; NULL: nobody. */
static char *flip_hold_path(const struct plan_step *item)
{
	const json_t *hold = json_object_get(item->parameters, "hold");
	const struct kube_target target = {.version = "v1",
					   .plural = "services",
					   .space = json_path_text(hold, "namespace"),
					   .name = json_path_text(hold, "name")};

	return target.space && target.name ? kube_path(&target) : NULL;
}

static void flip_prepare(struct flip_move *move, const struct plan_step *item, json_t *service)
{
	auto_free char *external_name = step_flip_external_name(item);
	auto_json json_t *leave = kube_flip_leave(service, external_name);
	auto_json json_t *back = kube_flip_return(service, json_object_get(item->parameters, "to"));
	auto_json json_t *status = kube_flip_status(service);
	json_t *metadata = json_object_get(leave, "metadata");

	flip_move_reset(move);
	if (!metadata) {
		metadata = json_object();
		json_object_set_new(leave, "metadata", metadata);
	}
	/* nobody may have written since we looked: leg 2 says again what we saw */
	json_object_set(metadata, "resourceVersion",
			json_path(service, "metadata.resourceVersion"));
	move->original = json_incref(service);
	move->path = flip_path(item, NULL);
	move->status_path = flip_path(item, "status");
	move->hold_path = flip_hold_path(item);
	move->leave = json_print(leave);
	move->back = json_print(back);
	move->status = status ? json_print(status) : NULL;
}

/* ---- the journal ---- */

static char *flips_document_name(bool back, unsigned window)
{
	return alloc_format(back ? "back-%u" : "window-%u", window);
}

static char *flip_key(const struct plan_step *item)
{
	return alloc_format("%s/%s", step_optional_text(item, "namespace"),
			    step_optional_text(item, "name"));
}

/* What is about to be moved and is not there yet, in one document, on disk before the first leg. */
static int flips_keep(struct flips *f, struct error *err)
{
	auto_free char *name = flips_document_name(f->back, f->document);
	auto_json json_t *document = json_object();

	for (size_t i = 0; i < f->group.count; i++) {
		struct flip_move *move = &f->moves[i];
		auto_free char *key = flip_key(&f->group.items[i]);

		if (move->phase != FLIP_WAITING || !move->original || move->kept)
			continue;
		json_object_set(document, key, move->original);
		move->kept = true;
	}
	if (json_object_size(document) == 0)
		return 0;
	f->document++;
	return f->context->keep(f->context, f->group.step, name, document, err);
}

/* Adds what the documents of one direction say, and counts them. */
static unsigned flips_read(struct flips *f, bool back, json_t *originals)
{
	for (unsigned i = 0;; i++) {
		auto_free char *name = flips_document_name(back, i);
		auto_json json_t *document = f->context->kept(f->context, f->group.step, name);

		if (!document)
			return i;
		json_object_update(originals, document);
	}
}

/* Of all documents of earlier attempts, the last one that has a Service is the one. On the way back
 * a Service may have been left parked by the way there. */
static void flips_remember(struct flips *f, json_t *originals)
{
	auto_json json_t *single = f->context->kept(f->context, f->group.step, STEP_FLIP_KEPT);

	/* kind flip keeps the one that it is about */
	if (single && f->group.count == 1) {
		auto_free char *key = flip_key(&f->group.items[0]);

		json_object_set(originals, key, single);
	}
	f->document = flips_read(f, false, originals);
	if (f->back)
		f->document = flips_read(f, true, originals);
}

/* Services that an earlier attempt left between the legs come home first, one by one. */
static int flips_recover(struct flips *f, json_t **services, struct error *err)
{
	auto_json json_t *originals = json_object();

	flips_remember(f, originals);
	for (size_t i = 0; i < f->group.count; i++) {
		const struct plan_step *item = &f->group.items[i];
		auto_free char *key = flip_key(item);
		const json_t *original = json_object_get(originals, key);

		if (!step_flip_is_parked(services[i]))
			continue;
		if (!original)
			return error_set(err, ERROR_REFUSED,
					 "%s is of type ExternalName now, and not by this run; "
					 "nothing is moved",
					 item->subject);
		if (step_flip_finish(f->context, item, original, err) < 0)
			return error_wrap(err, "%s", item->subject);
		f->moves[i].phase = FLIP_DONE;
		f->moved++;
	}
	return 0;
}

/* ---- a window ---- */

/* The way back does not lead away from an address that somebody else gave it. */
static bool flips_is_other(const struct flips *f, const struct plan_step *item,
			   const json_t *service)
{
	return f->back && json_path(service, "spec.clusterIP") && !flip_is_done(item, service) &&
	       !step_service_holds(service, json_object_get(item->parameters, "from"));
}

static bool flips_is_of_old_range(const struct flips *f, const char *address)
{
	struct net_address wanted;
	const json_t *range;
	size_t i;

	if (!net_address_read(slice_of(address), &wanted))
		return false;
	json_array_foreach(f->context->plan->from, i, range) {
		auto_error struct error ignored = {0};
		struct net_cidr_list old;

		if (net_cidr_list_parse_sloppy(slice_of(json_string_value(range)), &old,
					       &ignored) == 0 &&
		    net_cidr_list_contains(&old, wanted))
			return true;
	}
	return false;
}

/* It stays as it is, and the others go back all the same. In the old range it stands in nobody's way;
 * else the ranges must not go back before somebody has looked at it. */
static void flips_leave_other(struct flips *f, size_t i, const json_t *service)
{
	const char *address = json_path_text(service, "spec.clusterIP");
	const char *subject = f->group.items[i].subject;

	if (flips_is_of_old_range(f, address)) {
		log_warning("%s has the address %s, which is not from this run; it stays as it is",
			    subject, address);
		f->moves[i].phase = FLIP_DONE;
		return;
	}
	f->moves[i].phase = FLIP_FAILED;
	error_put(&f->moves[i].error, ERROR_REFUSED,
		  "it has the address %s, which is not from this run; it stays as it is", address);
}

/* Fetches what still waits and is not there as it is now, which leg 1 would tell; gives the number
 * of all that wait. */
static int flips_fetch(struct flips *f, size_t *ret_waiting, struct error *err)
{
	json_t **services = step_objects_new(f->group.count);
	bool *some = alloc_array(f->group.count + 1, sizeof(*some));
	size_t waiting = 0;
	int result;

	for (size_t i = 0; i < f->group.count; i++) {
		some[i] = f->moves[i].phase == FLIP_WAITING && !f->moves[i].original;
		waiting += f->moves[i].phase == FLIP_WAITING && f->moves[i].original;
	}
	result = step_group_get_some(f->context, &f->group, "name", some, services, err);
	if (result == 0 && !f->recovered)
		result = flips_recover(f, services, err);
	f->recovered = true;
	for (size_t i = 0; result == 0 && i < f->group.count; i++) {
		struct flip_move *move = &f->moves[i];
		const struct plan_step *item = &f->group.items[i];

		if (move->phase != FLIP_WAITING || !some[i])
			continue;
		if (!services[i])
			log_warning("%s is gone since the plan was made; there is nothing to move",
				    item->subject);
		if (services[i] && flips_is_other(f, item, services[i])) {
			flips_leave_other(f, i, services[i]);
			continue;
		}
		if (flip_is_done(item, services[i])) {
			move->phase = FLIP_DONE;
			continue;
		}
		flip_prepare(move, item, services[i]);
		waiting++;
	}
	step_objects_release(services, f->group.count);
	free(some);
	*ret_waiting = waiting;
	return result;
}

static void flip_request(struct kube_request *request, const char *path, const char *body)
{
	*request = (struct kube_request){
		.method = KUBE_PATCH_MERGE, .path = path, .body = slice_of(body)};
}

/* Leg 1 is not begun any more when the window might not see leg 2: servers work on what is under
 * way more or less one after the other, so that it takes its turn. */
static bool flip_begin(struct flips *f, struct flip_move *move, struct kube_request *request)
{
	int64_t turn_us = (int64_t)(f->under_way + 1) * f->unit_us;

	if (move->phase != FLIP_WAITING || !move->original ||
	    (f->escort.items && !escort_is_ready(&f->escort, (size_t)(move - f->moves))) ||
	    step_pulse_left(&f->pulse) <= turn_us * 3 / 2 / 1000)
		return false;
	if (f->begun_ms == 0)
		f->begun_ms = clock_monotonic_ms();
	f->under_way++;
	move->left_ms = clock_monotonic_ms();
	if (move->hold_path) {
		move->phase = FLIP_RELEASING;
		*request = (struct kube_request){.method = KUBE_DELETE, .path = move->hold_path};
		return true;
	}
	move->phase = FLIP_LEAVING;
	flip_request(request, move->path, move->leave);
	return true;
}

/* After the deletion. One that went before was deleted by an earlier attempt; without an answer
 * nothing has begun, and the next window asks again. */
static bool flip_released(struct flip_move *move, const struct kube_answer *last,
			  struct kube_request *request)
{
	const struct error *error = &last->error;

	if (error->kind == ERROR_NETWORK && ++move->conflicts < FLIP_GROUP_CONFLICTS) {
		move->phase = FLIP_WAITING;
		return false;
	}
	if (error->kind != ERROR_NONE && error->kind != ERROR_NOT_FOUND) {
		move->phase = FLIP_FAILED;
		(void)error_set(&move->error, error->kind, "%s", error->message);
		return false;
	}
	move->phase = FLIP_LEAVING;
	flip_request(request, move->path, move->leave);
	return true;
}

/* After leg 1. A lost answer may have been a yes: leg 2 then finds out. */
static bool flip_left(struct flip_move *move, const struct kube_answer *last,
		      struct kube_request *request)
{
	const struct error *error = &last->error;

	if (error->kind == ERROR_CONFLICT && ++move->conflicts < FLIP_GROUP_CONFLICTS) {
		flip_move_reset(move);
		return false;
	}
	if (error->kind == ERROR_NETWORK && !last->reply.sent) {
		move->phase = FLIP_WAITING;
		move->conflicts++;
		return false;
	}
	if (error->kind != ERROR_NONE && error->kind != ERROR_NETWORK) {
		move->phase = error->kind == ERROR_NOT_FOUND ? FLIP_DONE : FLIP_FAILED;
		(void)error_set(&move->error, error->kind, "%s", error->message);
		return false;
	}
	move->phase = FLIP_RETURNING;
	flip_request(request, move->path, move->back);
	return true;
}

static bool flip_returned(struct flips *f, struct flip_move *move, const struct kube_answer *last,
			  struct kube_request *request)
{
	int64_t took = clock_monotonic_ms() - move->left_ms;

	if (last->error.message) {
		move->phase = FLIP_OPEN;
		return false;
	}
	if (took > f->longest_ms)
		f->longest_ms = took;
	f->moved++;
	f->returned++;
	f->unit_us =
		(clock_monotonic_ms() - f->begun_ms) * 1000 / (int64_t)(f->returned + f->under_way);
	move->phase = move->status ? FLIP_STATUS : FLIP_DONE;
	if (!move->status)
		return false;
	flip_request(request, move->status_path, move->status);
	return true;
}

static bool flips_next(void *data, size_t job, const struct kube_answer *last,
		       struct kube_request *request)
{
	struct flips *f = data;
	struct flip_move *move = &f->moves[job];

	if (!last)
		return flip_begin(f, move, request);
	switch (move->phase) {
	case FLIP_RELEASING:
		if (flip_released(move, last, request))
			return true;
		f->under_way--;
		return false;
	case FLIP_LEAVING:
		if (flip_left(move, last, request))
			return true;
		f->under_way--;
		return false;
	case FLIP_RETURNING:
		f->under_way--;
		return flip_returned(f, move, last, request);
	default:
		/* a status that was not written is written by the patient way */
		move->phase = last->error.message ? FLIP_OPEN : FLIP_DONE;
		return false;
	}
}

/* What one request could not finish: leg 2 with patience. Never left for later. */
static int flips_finish_open(struct flips *f, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < f->group.count; i++) {
		struct flip_move *move = &f->moves[i];

		if (move->phase != FLIP_OPEN)
			continue;
		if (step_flip_finish(f->context, &f->group.items[i], move->original, err) == 0) {
			move->phase = FLIP_DONE;
			f->moved++;
		} else if (result == 0) {
			result = error_wrap(err, "%s", f->group.items[i].subject);
		} else {
			/* the first one is reported, all are tried */
			error_release(&move->error);
		}
	}
	return result;
}

static int flips_window(struct flips *f, struct error *err)
{
	const struct kube_jobs jobs = {.count = f->group.count, .next = flips_next, .data = f};
	auto_error struct error stop = {0};

	f->under_way = f->returned = 0;
	f->begun_ms = f->longest_ms = 0;
	if (flips_keep(f, err) < 0 || step_pulse_window(f->context, &f->pulse, err) < 0)
		return -1;
	if (kube_multiplex_run(f->group.many, &jobs, &stop) < 0 && stop.kind != ERROR_INTERRUPTED)
		return error_move(err, &stop);
	step_pulse_over(&f->pulse);
	f->window++;
	log_debug("window %u: %zu Services in %" PRId64 " ms, at most %" PRId64
		  " ms between the legs, %" PRId64 " ms left",
		  f->window, f->returned, f->begun_ms ? clock_monotonic_ms() - f->begun_ms : 0,
		  f->longest_ms, f->pulse.period_ms ? step_pulse_left(&f->pulse) : 0);
	if (flips_finish_open(f, err) < 0)
		return -1;
	f->context->say(f->context, "%zu of %zu Services moved", f->moved, f->group.count);
	return stop.kind == ERROR_INTERRUPTED ? error_move(err, &stop) : 0;
}

/* ---- the step ---- */

static int flips_failures(struct flips *f, struct error *err)
{
	size_t failed = 0;
	size_t first = 0;

	for (size_t i = f->group.count; i > 0; i--) {
		if (f->moves[i - 1].phase != FLIP_FAILED)
			continue;
		failed++;
		first = i - 1;
	}
	if (!failed)
		return 0;
	return error_set(err, ERROR_REFUSED, "%zu of %zu Services not moved; %s: %s", failed,
			 f->group.count, f->group.items[first].subject,
			 error_text(&f->moves[first].error));
}

/* Tells the aliases what came of their Services, and brings them on. */
static int flips_escort(struct flips *f, struct error *err)
{
	const json_t **specs = alloc_array(f->group.count + 1, sizeof(*specs));
	int result;

	for (size_t i = 0; i < f->group.count; i++) {
		specs[i] = json_object_get(f->moves[i].original, "spec");
		if (f->moves[i].phase == FLIP_WAITING)
			continue;
		/* what was over before is left to the step that trims */
		if (f->moves[i].phase == FLIP_DONE && f->moves[i].original)
			escort_moved(&f->escort, i);
		else
			escort_leave(&f->escort, i);
	}
	result = escort_go_on(&f->escort, specs, err);
	free(specs);
	return result;
}

/* Windows as long as somebody waits; with an escort as soon as somebody may move, and until each
 * alias is at its end. */
static int flips_windows(struct flips *f, struct error *err)
{
	size_t waiting = 0;
	size_t ready = 0;
	size_t left = 0;

	while (flips_fetch(f, &waiting, err) == 0) {
		if (f->escort.items) {
			if (flips_escort(f, err) < 0)
				return -1;
			left = escort_left(&f->escort, &ready);
		}
		if (waiting == 0 && left == 0)
			return flips_failures(f, err);
		if (f->escort.items && ready == 0) {
			if (step_pulse_wait(f->context, &f->pulse, err) < 0)
				return -1;
		} else if (flips_window(f, err) < 0) {
			return -1;
		}
	}
	return -1;
}

static int flips_run(struct flips *f, bool careful, struct error *err)
{
	const json_t *aliases = json_object_get(f->group.step->parameters, "aliases");
	int result;

	if (careful && step_pulse_open(f->context, &f->pulse, err) < 0)
		return -1;
	if (careful && !f->back && json_array_size(aliases) == f->group.count &&
	    escort_open(&f->escort, f->context, f->group.step, aliases, &f->pulse, err) < 0)
		return -1;
	if (f->back && aliases &&
	    (escort_claim_again(f->context, f->group.step, aliases, err) < 0 ||
	     step_pulse_settle(f->context, &f->pulse, err) < 0))
		return -1;
	result = flips_windows(f, err);
	step_pulse_close(f->context, &f->pulse);
	if (result < 0)
		return -1;
	log_debug("%zu Services moved in %u windows", f->moved, f->window);
	/* the aliases may let go of the new addresses when every proxy has the flip */
	return careful && !f->escort.items ? step_pulse_settle(f->context, &f->pulse, err) : 0;
}

static int flips_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_flips struct flips f = {0};

	if (flips_open(&f, context, step, NULL, err) < 0)
		return -1;
	return flips_run(&f, json_path_bool(step->parameters, "pulse", true), err);
}

/* ---- the way back ---- */

/* The same with "from" and "to" changed over. A flip that never began leads nowhere back. */
static json_t *flips_turned(const struct plan_step *step)
{
	json_t *turned = json_array();
	const json_t *item;

	for (size_t i = 0; (item = plan_step_item(step, i)); i++) {
		json_t *one = json_deep_copy(item);

		json_object_set(one, "from", json_object_get(item, "to"));
		json_object_set(one, "to", json_object_get(item, "from"));
		json_object_del(one, "hold");
		json_array_append_new(turned, one);
	}
	return turned;
}

/* As careful as the way there: the alias, which claims both addresses again, answers at the one that
 * the Service leaves. */
int step_flip_back(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *turned = flips_turned(step);
	auto_flips struct flips f = {.back = true};

	if (flips_open(&f, context, step, turned, err) < 0)
		return -1;
	return flips_run(&f, /* careful= */ true, err);
}

const struct step_kind step_flip_group = {
	.name = "flip-group",
	.rights = step_rights_services,
	.describe = flips_describe,
	.check = flips_check,
	.apply = flips_apply,
	.undo = step_flip_back,
};
