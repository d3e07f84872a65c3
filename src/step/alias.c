/* SPDX-License-Identifier: MIT */
/*
 * alias: a second Service that keeps an old address answering.
 *
 * Parameters: namespace, name (of the alias), of (the Service it stands in for), mechanism
 *   clusterip  its clusterIP is the old address
 *   bridge     type LoadBalancer of a class that nobody serves, the old address in its status
 *   status     type ClusterIP, the old address in its status (servers up to 1.28 allow that)
 * addresses (array: what shall answer), clusterIP (optional: explicit address for the alias),
 * endpoints (optional array "ip:port": a slice that we write, for default/kubernetes),
 * copyEndpoints (optional true: the original's slices are copied; it has no selector),
 * template (optional object: spec parts of a Service that exists no more).
 *
 * Endpoints come before an address is claimed: an alias that claims an address without having
 * endpoints makes proxies reject it although the real Service would answer.
 */
#include "step/alias.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "model/cluster.h"
#include "step/aliases.h"
#include "step/copies.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

#define ALIAS_CLASS "kubectl-renumber.io/nobody"
#define ALIAS_MANAGER "kubectl-renumber"

static void alias_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *list = json_object_get(step->parameters, "addresses");
	const json_t *address;
	size_t i;

	buffer_text(out, "keep ");
	json_array_foreach(list, i, address)
		buffer_format(out, "%s%s", i ? " and " : "", json_string_value(address));
	buffer_format(out, " answering by %s (%s)", step->subject,
		      step_optional_text(step, "mechanism"));
}

bool step_alias_by_status(const struct plan_step *step)
{
	const char *mechanism = step_optional_text(step, "mechanism");

	return mechanism && strcmp(mechanism, "clusterip") != 0;
}

bool step_alias_claims(const json_t *service, const json_t *addresses)
{
	const json_t *ingress = json_path(service, "status.loadBalancer.ingress");
	const json_t *address;
	size_t i;

	if (json_array_size(ingress) != json_array_size(addresses))
		return false;
	json_array_foreach(addresses, i, address) {
		if (!json_equal(json_object_get(json_array_get(ingress, i), "ip"), address))
			return false;
	}
	return true;
}

static int alias_check(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	const json_t *addresses = json_object_get(step->parameters, "addresses");
	auto_json json_t *service = NULL;
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	if (step_find(context, &target, &service, err) < 0)
		return -1;
	*ret_done =
		service && (step_alias_by_status(step) ? step_alias_claims(service, addresses)
						       : step_service_holds(service, addresses));
	return *ret_done ? step_alias_has_slices(context, step, ret_done, err) : 0;
}

/* The alias answers in the families in which the original does: the address of a second family has
 * no other keeper between the legs. */
static void alias_set_families(json_t *spec, const json_t *original)
{
	json_t *families = json_object_get(original, "ipFamilies");
	json_t *policy = json_object_get(original, "ipFamilyPolicy");

	if (json_array_size(families) == 0)
		return;
	json_object_set(spec, "ipFamilies", families);
	if (json_array_size(families) > 1)
		json_object_set(spec, "ipFamilyPolicy", policy);
	else
		json_object_set_new(spec, "ipFamilyPolicy", json_string("SingleStack"));
}

/* The parts of the original that make the alias lead to the same endpoints. No labels and no
 * annotations: monitors, DNS controllers and GitOps pruning go by those. */
static json_t *alias_spec(const struct plan_step *step, const json_t *original)
{
	static const char *const copied[] = {"selector", "sessionAffinity", "sessionAffinityConfig",
					     "publishNotReadyAddresses"};
	const char *mechanism = step_optional_text(step, "mechanism");
	json_t *spec = json_object();
	json_t *ports = json_deep_copy(json_object_get(original, "ports"));
	json_t *port;
	size_t i;

	for (size_t k = 0; k < sizeof(copied) / sizeof(copied[0]); k++) {
		json_t *value = json_object_get(original, copied[k]);

		if (value)
			json_object_set(spec, copied[k], value);
	}
	json_array_foreach(ports, i, port)
		json_object_del(port, "nodePort");
	json_object_set_new(spec, "ports", ports);
	if (strcmp(mechanism, "clusterip") == 0 &&
	    json_object_get(original, "internalTrafficPolicy"))
		json_object_set(spec, "internalTrafficPolicy",
				json_object_get(original, "internalTrafficPolicy"));
	if (strcmp(mechanism, "bridge") == 0) {
		json_object_set_new(spec, "type", json_string("LoadBalancer"));
		json_object_set_new(spec, "loadBalancerClass", json_string(ALIAS_CLASS));
		json_object_set_new(spec, "allocateLoadBalancerNodePorts", json_false());
	}
	alias_set_families(spec, original);
	return spec;
}

static json_t *alias_labels(const struct step_context *context, const struct plan_step *step)
{
	json_t *labels = json_pack("{s:s}", CLUSTER_RUN_LABEL, context->plan->run);

	if (json_is_true(json_object_get(step->parameters, "copyEndpoints")))
		json_object_set_new(labels, STEP_COPIES_LABEL,
				    json_string(step_optional_text(step, "of")));
	return labels;
}

json_t *step_alias_object(const struct step_context *context, const struct plan_step *step,
			  const json_t *original, bool with_address)
{
	json_t *spec = alias_spec(step, original);
	const json_t *address = json_object_get(step->parameters, "clusterIP");

	if (!step_alias_by_status(step))
		address = json_array_get(json_object_get(step->parameters, "addresses"), 0);
	if (address && with_address)
		json_object_set(spec, "clusterIP", (json_t *)(uintptr_t)address);
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:o, s:{s:s}}, s:o}", "apiVersion", "v1", "kind",
			 "Service", "metadata", "name", step_optional_text(step, "name"),
			 "namespace", step_optional_text(step, "namespace"), "labels",
			 alias_labels(context, step), "annotations", "kubectl-renumber/comment",
			 "keeps an old Service address answering while the Service CIDR is "
			 "changed; 'kubectl renumber finalize' removes it",
			 "spec", spec);
}

/* What the alias stands in for: the live Service, or what the plan remembers of it. */
static int alias_original(struct step_context *context, const struct plan_step *step, json_t **ret,
			  struct error *err)
{
	const json_t *template_ = json_object_get(step->parameters, "template");
	auto_json json_t *service = NULL;
	struct kube_target target;

	if (template_) {
		*ret = json_deep_copy(template_);
		return 0;
	}
	if (step_service_target(step, &target, err) < 0 ||
	    step_text(step, "of", &target.name, err) < 0 ||
	    kube_client_get(context->kube, &target, &service, err) < 0)
		return -1;
	*ret = json_incref(json_object_get(service, "spec"));
	return 0;
}

/* Ours from this run, or somebody else's? */
int step_alias_owned(struct step_context *context, const struct kube_target *target,
		     struct error *err)
{
	auto_json json_t *service = NULL;

	if (kube_client_get(context->kube, target, &service, err) < 0)
		return -1;
	if (json_path_is(service, "metadata.labels.kubectl-renumber/run", context->plan->run))
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"Service '%s/%s' exists and is not of this run; end the run that made it: 'resume' "
		"and 'finalize', or 'rollback' (with --adopt where that run is not known); delete "
		"it only when nobody uses its addresses",
		target->space, target->name);
}

/* Servers take the address before they look at the name (core/service/storage/storage.go, beginCreate):
 * one that is there already, with it, is refused for an address "already allocated", by itself. */
static bool alias_is_there(struct step_context *context, const struct kube_target *target,
			   struct error *err)
{
	auto_error struct error other = {0};

	if (err->kind != ERROR_API || step_alias_owned(context, target, &other) < 0)
		return false;
	error_release(err);
	return true;
}

int step_alias_create(struct step_context *context, const struct plan_step *step,
		      const json_t *original, struct error *err)
{
	auto_json json_t *object =
		step_alias_object(context, step, original, /* with_address= */ true);
	auto_kube_reply struct kube_reply reply = {0};
	const struct kube_write_options options = {.reply = &reply};
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	if (kube_client_create(context->kube, &target, object, &options, NULL, err) == 0)
		return 0;
	if (err->kind == ERROR_CONFLICT || (err->kind == ERROR_NETWORK && reply.sent)) {
		error_release(err);
		return step_alias_owned(context, &target, err);
	}
	if (alias_is_there(context, &target, err))
		return 0;
	/* The explicit address is a wish for aliases by status: a server that still allocates from
	 * another range must not keep the old address dead. */
	if (err->kind == ERROR_API && step_alias_by_status(step) &&
	    json_object_get(step->parameters, "clusterIP")) {
		auto_json json_t *plain =
			step_alias_object(context, step, original, /* with_address= */ false);

		log_debug("%s; trying without an explicit address", error_text(err));
		error_release(err);
		return kube_client_create(context->kube, &target, plain, NULL, NULL, err);
	}
	return -1;
}

/* {"addresses":["10.1.15.121"]} for each "ip:port"; all have the same port. */
static json_t *alias_endpoints(const json_t *list, int64_t *ret_port)
{
	json_t *endpoints = json_array();
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *text = json_string_value(entry);
		const char *colon = strrchr(text, ':');
		uint64_t port = 0;

		if (!colon || !slice_to_u64(slice_of(colon + 1), 65535, &port))
			continue;
		*ret_port = (int64_t)port;
		json_array_append_new(endpoints,
				      json_pack("{s:[s%], s:{s:b}}", "addresses", text,
						(size_t)(colon - text), "conditions", "ready", 1));
	}
	return endpoints;
}

static json_t *alias_slice(const struct step_context *context, const struct plan_step *step,
			   const json_t *original, const char *version)
{
	const char *name = step_optional_text(step, "name");
	auto_free char *slice_name = alloc_format("%s-1", name);
	auto_free char *api = alloc_format("discovery.k8s.io/%s", version);
	json_t *first = json_array_get(json_object_get(original, "ports"), 0);
	const char *port_name = json_path_text(first, "name");
	int64_t port = 0;
	json_t *endpoints = alias_endpoints(json_object_get(step->parameters, "endpoints"), &port);

	return json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s, s:s}}, s:s, s:o, s:[{s:s, s:I, s:s}]}",
		"apiVersion", api, "kind", "EndpointSlice", "metadata", "name", slice_name,
		"namespace", step_optional_text(step, "namespace"), "labels",
		"kubernetes.io/service-name", name, "endpointslice.kubernetes.io/managed-by",
		ALIAS_MANAGER, CLUSTER_RUN_LABEL, context->plan->run, "addressType",
		strchr(json_string_value(
			       json_array_get(json_object_get(step->parameters, "addresses"), 0)),
		       ':')
			? "IPv6"
			: "IPv4",
		"endpoints", endpoints, "ports", "name", port_name ? port_name : "", "port",
		(json_int_t)port, "protocol", "TCP");
}

static int alias_put_slice(struct step_context *context, const struct plan_step *step,
			   const char *version, const json_t *slice, struct error *err)
{
	const struct kube_target target = {.group = "discovery.k8s.io",
					   .version = version,
					   .plural = "endpointslices",
					   .space = step_optional_text(step, "namespace")};

	if (kube_client_create(context->kube, &target, slice, NULL, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_CONFLICT)
		return -1;
	error_release(err);
	return 0;
}

static int alias_create_slice(struct step_context *context, const struct plan_step *step,
			      const json_t *original, struct error *err)
{
	auto_free char *version = NULL;
	auto_json json_t *slice = NULL;

	if (step_slice_version(context, &version, err) < 0)
		return -1;
	slice = alias_slice(context, step, original, version);
	return alias_put_slice(context, step, version, slice, err);
}

int step_alias_copy_slices(struct step_context *context, const struct plan_step *step,
			   struct error *err)
{
	return step_copies_write(context, step_optional_text(step, "namespace"),
				 step_optional_text(step, "name"), step_optional_text(step, "of"),
				 NULL, err);
}

int step_alias_slices(struct step_context *context, const struct plan_step *step,
		      const json_t *original, struct error *err)
{
	if (json_object_get(step->parameters, "endpoints") &&
	    alias_create_slice(context, step, original, err) < 0)
		return -1;
	if (json_is_true(json_object_get(step->parameters, "copyEndpoints")))
		return step_alias_copy_slices(context, step, err);
	return 0;
}

int step_alias_has_slices(struct step_context *context, const struct plan_step *step, bool *ret,
			  struct error *err)
{
	const char *space = step_optional_text(step, "namespace");
	bool copies = json_is_true(json_object_get(step->parameters, "copyEndpoints"));
	auto_json json_t *slices = NULL;
	auto_json json_t *originals = NULL;
	const json_t *slice;
	size_t i;

	*ret = true;
	if (!copies && !json_object_get(step->parameters, "endpoints"))
		return 0;
	if (step_slices(context, space, step_optional_text(step, "name"), &slices, err) < 0)
		return -1;
	json_array_foreach(slices, i, slice)
		if (step_slice_is_ours(slice))
			return 0;
	if (copies &&
	    step_slices(context, space, step_optional_text(step, "of"), &originals, err) < 0)
		return -1;
	*ret = copies && json_array_size(originals) == 0;
	return 0;
}

static int alias_has_endpoints(struct step_context *context, const struct plan_step *step,
			       bool *ret_done, struct error *err)
{
	auto_json json_t *slices = NULL;
	const char *namespace_ = step_optional_text(step, "namespace");

	if (step_slices(context, namespace_, step_optional_text(step, "name"), &slices, err) < 0)
		return -1;
	*ret_done = step_slices_ready(slices) > 0;
	if (!*ret_done)
		context->say(context, "waiting for the endpoints of %s", step->subject);
	return 0;
}

#define ALIAS_ENDPOINTS_MS 30000

/* A Service without a ready endpoint has none behind its alias either: nothing to wait for. */
static int alias_await_endpoints(struct step_context *context, const struct plan_step *step,
				 struct error *err)
{
	auto_json json_t *slices = NULL;

	/* what a template describes has endpoints of its own */
	if (!json_object_get(step->parameters, "template")) {
		if (step_slices(context, step_optional_text(step, "namespace"),
				step_optional_text(step, "of"), &slices, err) < 0)
			return -1;
		if (step_slices_ready(slices) == 0)
			return 0;
	}
	return step_wait(context, step, alias_has_endpoints, 100, ALIAS_ENDPOINTS_MS,
			 "the alias has no endpoints", err);
}

json_t *step_alias_claim_some_patch(const struct plan_step *step, size_t count)
{
	const json_t *addresses = json_object_get(step->parameters, "addresses");
	json_t *ingress = json_array();
	const json_t *address;
	size_t i;

	json_array_foreach(addresses, i, address)
		if (i < count)
			json_array_append_new(ingress, json_pack("{s:O}", "ip", address));
	return json_pack("{s:{s:{s:o}}}", "status", "loadBalancer", "ingress", ingress);
}

json_t *step_alias_claim_patch(const struct plan_step *step)
{
	return step_alias_claim_some_patch(step, SIZE_MAX);
}

int step_alias_write_claim(struct step_context *context, const struct plan_step *step,
			   const json_t *patch, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	struct kube_target target;

	if (step_service_target(step, &target, err) < 0)
		return -1;
	target.subresource = "status";
	return kube_client_patch(context->kube, &target, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

int step_alias_claim(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *patch = step_alias_claim_patch(step);

	return step_alias_write_claim(context, step, patch, err);
}

static int alias_apply(struct step_context *context, const struct plan_step *step,
		       struct error *err)
{
	auto_json json_t *original = NULL;

	if (alias_original(context, step, &original, err) < 0 ||
	    step_alias_create(context, step, original, err) < 0 ||
	    step_alias_slices(context, step, original, err) < 0)
		return -1;
	if (!json_object_get(step->parameters, "endpoints") &&
	    json_object_get(original, "selector") && alias_await_endpoints(context, step, err) < 0)
		return -1;
	return step_alias_by_status(step) ? step_alias_claim(context, step, err) : 0;
}

/* Only what is of this run goes. */
static int alias_undo(struct step_context *context, const struct plan_step *step, struct error *err)
{
	auto_json json_t *only = json_array();

	json_array_append(only, step->parameters);
	return step_aliases_remove(context, step, only, err);
}

const struct step_kind step_alias = {
	.name = "alias",
	.rights = step_rights_services,
	.describe = alias_describe,
	.check = alias_check,
	.apply = alias_apply,
	.undo = alias_undo,
};
