/* SPDX-License-Identifier: MIT */
/*
 * roll: restarts an API server or a controller-manager with other flags, so that nobody notices.
 * Parameters: those of manifest-flags, and
 *   servers  array of {node, address, port}: all API servers, this one among them
 *   keepOut  optional "policy" or "webhook" (step/keep_out.h): default/kubernetes itself
 *   endpoint optional: its address in there, where it is not `address`
 *
 * An API server that gets SIGTERM takes its address out of default/kubernetes and closes its door
 * milliseconds later (kubernetesservice/controller.go, genericapiserver.go), before proxies know: a
 * request or two fail. So it is taken out first, of the slices of our aliases too, every proxy is
 * seen to know, and it comes back when it was ready for a while. The only API server cannot be
 * spared; the plan says so.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "step/converge.h"
#include "step/keep_out.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"
#include "step/static_pod.h"

static const char *roll_address(const struct plan_step *step)
{
	return step_optional_text(step, "address");
}

static const char *roll_endpoint(const struct plan_step *step)
{
	const char *endpoint = step_optional_text(step, "endpoint");

	return endpoint ? endpoint : roll_address(step);
}

static const json_t *roll_servers(const struct plan_step *step)
{
	return json_object_get(step->parameters, "servers");
}

static bool roll_has_peers(const struct plan_step *step)
{
	return roll_address(step) && json_array_size(roll_servers(step)) > 1;
}

static void roll_describe(const struct plan_step *step, struct buffer *out)
{
	step_static_pod_describe(step, out);
	if (roll_has_peers(step))
		buffer_text(out, " (taken out of service first)");
	else if (roll_address(step))
		buffer_text(out, " (the only API server: away for a minute or less)");
	else
		buffer_text(out, " (restarts it)");
}

/* ---- slices of aliases ---- */

/* What was taken out of which slices is kept under these names: on the way, and on the way back. */
#define ROLL_KEPT_APPLY "slices"
#define ROLL_KEPT_UNDO "slices-undo"

/* Where the address stands in the slice's endpoints; their number when it does not. */
static size_t roll_slice_find(const json_t *slice, const char *address)
{
	const json_t *endpoints = json_object_get(slice, "endpoints");
	const json_t *endpoint;
	size_t i;

	json_array_foreach(endpoints, i, endpoint) {
		if (json_path_is(endpoint, "addresses.0", address))
			return i;
	}
	return json_array_size(endpoints);
}

/* A slice of ours with this API server and another endpoint behind it. */
static bool roll_slice_fits(const json_t *slice, const struct plan_step *step)
{
	return json_path_int(slice, "ports.0.port", 0) ==
		       json_path_int(step->parameters, "port", 6443) &&
	       json_path_count(slice, "endpoints") > 1 &&
	       roll_slice_find(slice, roll_address(step)) < json_path_count(slice, "endpoints");
}

static int roll_slice_target(struct step_context *context, const json_t *slice, char **version,
			     struct kube_target *ret, struct error *err)
{
	if (step_slice_version(context, version, err) < 0)
		return -1;
	*ret = (struct kube_target){.group = "discovery.k8s.io",
				    .version = *version,
				    .plural = "endpointslices",
				    .space = json_path_text(slice, "metadata.namespace"),
				    .name = json_path_text(slice, "metadata.name")};
	return 0;
}

/* The names of our slices that hold this server, kept durably before any is written. */
static int roll_find_slices(struct step_context *context, const struct plan_step *step,
			    const char *kept, json_t **ret, struct error *err)
{
	const struct kube_list_options options = {
		.label_selector = "endpointslice.kubernetes.io/managed-by=kubectl-renumber"};
	auto_free char *version = NULL;
	auto_json json_t *slices = NULL;
	auto_json json_t *found = context->kept(context, step, kept);
	struct kube_target target;
	const json_t *slice;
	size_t i;

	if (found) {
		*ret = steal(found);
		return 0;
	}
	if (roll_slice_target(context, NULL, &version, &target, err) < 0 ||
	    kube_client_list(context->kube, &target, &options, &slices, NULL, err) < 0)
		return -1;
	found = json_array();
	json_array_foreach(slices, i, slice) {
		if (roll_slice_fits(slice, step))
			json_array_append_new(found,
					      json_pack("{s:{s:O, s:O}}", "metadata", "namespace",
							json_path(slice, "metadata.namespace"),
							"name", json_path(slice, "metadata.name")));
	}
	if (context->keep(context, step, kept, found, err) < 0)
		return -1;
	*ret = steal(found);
	return 0;
}

/* Takes the server out of one slice, or puts it back; one that is gone is no matter. */
static int roll_slice_write(struct step_context *context, const struct plan_step *step,
			    const json_t *name, bool in, struct error *err)
{
	const char *address = roll_address(step);
	auto_free char *version = NULL;
	auto_json json_t *slice = NULL;
	struct kube_target target;
	json_t *endpoints;
	size_t at;

	if (roll_slice_target(context, name, &version, &target, err) < 0 ||
	    step_find(context, &target, &slice, err) < 0)
		return -1;
	endpoints = json_object_get(slice, "endpoints");
	at = roll_slice_find(slice, address);
	if (!slice || (at < json_array_size(endpoints)) == in)
		return 0;
	if (in)
		json_array_append_new(endpoints, json_pack("{s:[s], s:{s:b}}", "addresses", address,
							   "conditions", "ready", 1));
	else
		json_array_remove(endpoints, at);
	return kube_client_replace(context->kube, &target, slice, NULL, NULL, err);
}

static int roll_slices_out(struct step_context *context, const struct plan_step *step,
			   const char *kept, struct error *err)
{
	auto_json json_t *names = NULL;
	const json_t *name;
	size_t i;

	if (roll_find_slices(context, step, kept, &names, err) < 0)
		return -1;
	json_array_foreach(names, i, name) {
		if (roll_slice_write(context, step, name, /* in= */ false, err) < 0)
			return -1;
	}
	return 0;
}

/* What either direction took out: a run that was killed there may have been turned round since. */
static json_t *roll_slices_taken(struct step_context *context, const struct plan_step *step)
{
	auto_json json_t *there = context->kept(context, step, ROLL_KEPT_APPLY);
	auto_json json_t *back = context->kept(context, step, ROLL_KEPT_UNDO);
	json_t *names = json_array();

	json_array_extend(names, there);
	json_array_extend(names, back);
	return names;
}

static int roll_slices_in(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_json json_t *names = roll_slices_taken(context, step);
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		if (roll_slice_write(context, step, name, /* in= */ true, err) < 0)
			return -1;
	}
	return 0;
}

/* False: some slice that it was taken out of still lacks the server. */
static int roll_slices_whole(struct step_context *context, const struct plan_step *step, bool *ret,
			     struct error *err)
{
	auto_json json_t *names = roll_slices_taken(context, step);
	const json_t *name;
	size_t i;

	*ret = true;
	json_array_foreach(names, i, name) {
		auto_free char *version = NULL;
		auto_json json_t *slice = NULL;
		struct kube_target target;

		if (roll_slice_target(context, name, &version, &target, err) < 0 ||
		    step_find(context, &target, &slice, err) < 0)
			return -1;
		*ret = *ret && (!slice || roll_slice_find(slice, roll_address(step)) <
						  json_path_count(slice, "endpoints"));
	}
	return 0;
}

/* ---- the other servers ---- */

static bool roll_is_ready(struct step_context *context, const json_t *server)
{
	auto_error struct error ignored = {0};
	auto_kube_reply struct kube_reply reply = {0};
	auto_kube_client struct kube_client *kube =
		kube_client_at(context->kube, json_path_text(server, "address"),
			       (uint16_t)json_path_int(server, "port", 6443), &ignored);

	return kube && kube_client_get_raw(kube, "/readyz", &reply, &ignored) == 0;
}

/* One that is not ready; NULL: all the others are. */
static const json_t *roll_find_unready(struct step_context *context, const struct plan_step *step)
{
	const json_t *server;
	size_t i;

	json_array_foreach(roll_servers(step), i, server) {
		if (!json_path_is(server, "address", roll_address(step)) &&
		    !roll_is_ready(context, server))
			return server;
	}
	return NULL;
}

static int roll_peers_ready(struct step_context *context, const struct plan_step *step,
			    bool *ret_done, struct error *err)
{
	const json_t *unready = roll_find_unready(context, step);

	(void)err;
	*ret_done = !unready;
	if (unready)
		context->say(context, "waiting for the API server on %s: it must be ready first",
			     json_path_text(unready, "node"));
	return 0;
}

/* A client of another server: the one of the kubeconfig may be the one that goes away. */
static struct kube_client *roll_peer(struct step_context *context, const struct plan_step *step,
				     struct error *err)
{
	const json_t *server;
	size_t i;

	json_array_foreach(roll_servers(step), i, server) {
		if (!json_path_is(server, "address", roll_address(step)) &&
		    roll_is_ready(context, server))
			return kube_client_at(context->kube, json_path_text(server, "address"),
					      (uint16_t)json_path_int(server, "port", 6443), err);
	}
	error_put(err, ERROR_NETWORK, "no other API server is ready");
	return NULL;
}

/* ---- out, restart, in ---- */

#define ROLL_PEERS_MS 120000
#define ROLL_AGAIN_MS 1000
/* 10 s as a rule; minutes where etcd is busy. */
#define ROLL_LISTED_MS 180000

#define ROLL_KEPT_KNOWN "listed"

/* Whether default/kubernetes had the server when the step began. Another reconciler, or none
 * (--endpoint-reconciler-type), is no reason not to go on. */
static int roll_known(struct step_context *context, const struct plan_step *step, bool *ret,
		      struct error *err)
{
	auto_json json_t *kept = context->kept(context, step, ROLL_KEPT_KNOWN);

	if (!kept) {
		if (step_keep_out_listed(context, roll_endpoint(step), ret, err) < 0)
			return -1;
		kept = json_pack("{s:b}", "listed", *ret);
		return context->keep(context, step, ROLL_KEPT_KNOWN, kept, err);
	}
	*ret = json_path_bool(kept, "listed", true);
	return 0;
}

static int roll_out(struct step_context *context, const struct plan_step *step, const char *kept,
		    struct error *err)
{
	const char *how = step_optional_text(step, "keepOut");
	bool known = true;

	if (step_wait(context, step, roll_peers_ready, 1000, ROLL_PEERS_MS,
		      "not all of the other API servers are ready", err) < 0)
		return -1;
	context->say(context, "taking the API server on %s out of service",
		     step_optional_text(step, "node"));
	if (step_converge_prepare(context, err) < 0 ||
	    roll_slices_out(context, step, kept, err) < 0 ||
	    roll_known(context, step, &known, err) < 0)
		return -1;
	if (!known) {
		log_warning("%s is not among the endpoints of default/kubernetes: whoever uses "
			    "that is not spared the restart",
			    roll_endpoint(step));
		how = NULL;
	}
	if (how && step_keep_out(context, how, roll_servers(step), roll_endpoint(step), err) < 0)
		return -1;
	return step_converge(context, roll_servers(step), roll_address(step), err);
}

/* While the address is kept out nobody takes another server out that fails: then rather end it. */
static int roll_guard(struct step_context *context, const struct plan_step *step, struct error *err)
{
	if (!step_optional_text(step, "keepOut") || !roll_find_unready(context, step))
		return 0;
	/* one late answer is no failure */
	if (step_pause(context, ROLL_AGAIN_MS, err) < 0)
		return -1;
	if (!roll_find_unready(context, step))
		return 0;
	log_warning("another API server is not ready while the one on %s restarts",
		    step_optional_text(step, "node"));
	return step_keep_out_end(context, err);
}

static int roll_ready(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	if (roll_guard(context, step, err) < 0)
		return -1;
	return step_static_pod_ready(context, step, ret_done, err);
}

static int roll_ready_again(struct step_context *context, const struct plan_step *step,
			    bool *ret_done, struct error *err)
{
	if (roll_guard(context, step, err) < 0)
		return -1;
	return step_static_pod_ready_again(context, step, ret_done, err);
}

static int roll_listed(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	bool known = true;

	if (roll_known(context, step, &known, err) < 0)
		return -1;
	*ret_done = true;
	return known ? step_keep_out_listed(context, roll_endpoint(step), ret_done, err) : 0;
}

static int roll_in(struct step_context *context, const struct plan_step *step, struct error *err)
{
	if (roll_slices_in(context, step, err) < 0 ||
	    (step_optional_text(step, "keepOut") && step_keep_out_end(context, err) < 0))
		return -1;
	context->say(context, "waiting until %s is back in default/kubernetes",
		     roll_endpoint(step));
	if (step_wait(context, step, roll_listed, 500, ROLL_LISTED_MS,
		      "the API server is ready but not among the endpoints of default/kubernetes",
		      err) < 0)
		return -1;
	return step_converge(context, roll_servers(step), NULL, err);
}

static int roll_restart(struct step_context *context, const struct plan_step *step, bool back,
			struct error *err)
{
	if (back ? step_static_pod_restore(context, step, err) < 0
		 : step_static_pod_write(context, step, err) < 0)
		return -1;
	return step_static_pod_settle(context, step, back ? roll_ready_again : roll_ready, err);
}

/* `back`: to the manifest that was there before. */
static int roll_drained(struct step_context *context, const struct plan_step *step, bool back,
			struct error *err)
{
	const char *kept = back ? ROLL_KEPT_UNDO : ROLL_KEPT_APPLY;
	auto_error struct error problem = {0};
	bool there = false;

	if (back ? step_static_pod_is_restored(context, step, &there, err) < 0
		 : step_static_pod_check(context, step, &there, err) < 0)
		return -1;
	if (there || (roll_out(context, step, kept, err) == 0 &&
		      roll_restart(context, step, back, err) == 0))
		return roll_in(context, step, err);
	/* a server that is not well takes itself out, and others must be free to go out */
	if (step_optional_text(step, "keepOut") && step_keep_out_end(context, &problem) < 0)
		log_warning("%s", error_text(&problem));
	return -1;
}

/* ---- the controller-manager ---- */

static const struct kube_target roll_lease = {.group = "coordination.k8s.io",
					      .version = "v1",
					      .plural = "leases",
					      .space = "kube-system",
					      .name = "kube-controller-manager"};

#define ROLL_LEADER_MS 120000
/* Held by one that renews it: every 2 s. */
#define ROLL_RENEWALS 2

/* After the leader was restarted nobody keeps endpoints right until another one leads: 15 s. */
static int roll_await_leader(struct step_context *context, struct error *err)
{
	int64_t end = clock_monotonic_ms() + ROLL_LEADER_MS;
	auto_free char *last = NULL;
	int renewed = -1; /* the first look is no renewal */

	context->say(context, "waiting until a controller-manager leads");
	while (renewed < ROLL_RENEWALS) {
		auto_json json_t *lease = NULL;
		const char *renew_time;
		const char *holder;

		if (step_find(context, &roll_lease, &lease, err) < 0)
			return -1;
		if (!lease) {
			/* before 1.20 the lock was on an Endpoints object, which says nothing */
			return step_pause(context, 20000, err);
		}
		renew_time = json_path_text(lease, "spec.renewTime");
		holder = json_path_text(lease, "spec.holderIdentity");
		if (holder && *holder && renew_time && (!last || strcmp(last, renew_time) != 0)) {
			free(last);
			last = alloc_text(renew_time);
			renewed++;
		}
		if (clock_monotonic_ms() > end)
			return error_set(err, ERROR_NETWORK, "no controller-manager leads");
		if (step_pause(context, 500, err) < 0)
			return -1;
	}
	return 0;
}

static int roll_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		      struct error *err)
{
	bool kept_out = false;

	if (step_static_pod_check(context, step, ret_done, err) < 0)
		return -1;
	if (!*ret_done || !roll_has_peers(step))
		return 0;
	if (step_keep_out_present(context, &kept_out, err) < 0 ||
	    roll_slices_whole(context, step, ret_done, err) < 0)
		return -1;
	*ret_done = *ret_done && !kept_out;
	return 0;
}

static int roll_whole(struct step_context *context, const struct plan_step *step, bool back,
		      struct error *err)
{
	struct step_context via = *context;
	auto_kube_client struct kube_client *peer = NULL;

	if (step_need_nodes(context, step, err) < 0)
		return -1;
	if (!roll_has_peers(step)) {
		if (back ? step_static_pod_undo(context, step, err) < 0
			 : step_static_pod_apply(context, step, err) < 0)
			return -1;
		return roll_address(step) ? 0 : roll_await_leader(context, err);
	}
	peer = roll_peer(context, step, err);
	if (!peer)
		return -1;
	via.kube = peer;
	return roll_drained(&via, step, back, err);
}

static int roll_apply(struct step_context *context, const struct plan_step *step, struct error *err)
{
	return roll_whole(context, step, /* back= */ false, err);
}

static int roll_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	return roll_whole(context, step, /* back= */ true, err);
}

const struct step_kind step_roll = {
	.name = "roll",
	.rights = step_rights_roll,
	.describe = roll_describe,
	.check = roll_check,
	.apply = roll_apply,
	.undo = roll_undo,
};
