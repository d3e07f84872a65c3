/* SPDX-License-Identifier: MIT */
#include "step/keep_out.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "model/cluster.h"
#include "step/admission.h"
#include "step/service.h"

#define KEEP_OUT_NAME "kubectl-renumber-keep-out"
#define KEEP_OUT_HOOK "keep-out.kubectl-renumber.io"
/* On the namespace: a webhook cannot be told its name before 1.21. */
#define KEEP_OUT_LABEL "kubectl-renumber/keep-out"

static const struct kube_target keep_out_policy = STEP_ADMISSION_POLICY(KEEP_OUT_NAME);
static const struct kube_target keep_out_binding = STEP_ADMISSION_BINDING(KEEP_OUT_NAME);
static const struct kube_target keep_out_webhook = STEP_ADMISSION_WEBHOOK(KEEP_OUT_NAME);
static const struct kube_target keep_out_namespace = {
	.version = "v1", .plural = "namespaces", .name = "default"};
static const struct kube_target keep_out_endpoints = {
	.version = "v1", .plural = "endpoints", .space = "default", .name = "kubernetes"};

static const struct step_admission keep_out_admission = {
	.name = KEEP_OUT_NAME,
	.comment = "keeps an API server that is being restarted out of default/kubernetes; "
		   "'kubectl renumber resume' or 'rollback' removes it",
};

/* ---- what the endpoints are ---- */

static int keep_out_slice_target(struct step_context *context, char **version,
				 struct kube_target *ret, struct error *err)
{
	if (step_slice_version(context, version, err) < 0)
		return -1;
	*ret = (struct kube_target){.group = "discovery.k8s.io",
				    .version = *version,
				    .plural = "endpointslices",
				    .space = "default",
				    .name = "kubernetes"};
	return 0;
}

/* Takes the address out of a list of {ip: …}; says whether it was there. */
static bool keep_out_drop_ip(json_t *list, const char *address)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!json_path_is(json_array_get(list, i), "ip", address))
			continue;
		json_array_remove(list, i);
		return true;
	}
	return false;
}

static bool keep_out_drop_endpoints(json_t *endpoints, const char *address)
{
	json_t *subset;
	bool dropped = false;
	size_t i;

	json_array_foreach(json_object_get(endpoints, "subsets"), i, subset) {
		dropped |= keep_out_drop_ip(json_object_get(subset, "addresses"), address);
		dropped |= keep_out_drop_ip(json_object_get(subset, "notReadyAddresses"), address);
	}
	return dropped;
}

static bool keep_out_drop_slice(json_t *slice, const char *address)
{
	json_t *list = json_object_get(slice, "endpoints");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *endpoint = json_array_get(list, i);
		const char *first = json_string_value(
			json_array_get(json_object_get(endpoint, "addresses"), 0));

		if (!first || strcmp(first, address) != 0)
			continue;
		json_array_remove(list, i);
		return true;
	}
	return false;
}

/* Writes one object without the address; another writer in between is an ERROR_CONFLICT. */
static int keep_out_write(struct step_context *context, const struct kube_target *target,
			  bool (*drop)(json_t *object, const char *address), const char *address,
			  struct error *err)
{
	auto_json json_t *object = NULL;

	if (step_find(context, target, &object, err) < 0)
		return -1;
	if (!object || !drop(object, address))
		return 0;
	return kube_client_replace(context->kube, target, object, NULL, NULL, err);
}

#define KEEP_OUT_TRIES 10

/* The slice first: it is what proxies go by. */
static int keep_out_take_out(struct step_context *context, const char *address, struct error *err)
{
	auto_free char *version = NULL;
	struct kube_target slice;

	if (keep_out_slice_target(context, &version, &slice, err) < 0)
		return -1;
	for (int i = 0;; i++) {
		if (keep_out_write(context, &slice, keep_out_drop_slice, address, err) == 0 &&
		    keep_out_write(context, &keep_out_endpoints, keep_out_drop_endpoints, address,
				   err) == 0)
			return 0;
		if (err->kind != ERROR_CONFLICT || i == KEEP_OUT_TRIES)
			return -1;
		error_release(err);
	}
}

int step_keep_out_listed(struct step_context *context, const char *address, bool *ret_listed,
			 struct error *err)
{
	auto_free char *version = NULL;
	auto_json json_t *endpoints = NULL;
	auto_json json_t *slice = NULL;
	struct kube_target target;

	if (keep_out_slice_target(context, &version, &target, err) < 0 ||
	    step_find(context, &target, &slice, err) < 0 ||
	    step_find(context, &keep_out_endpoints, &endpoints, err) < 0)
		return -1;
	*ret_listed =
		keep_out_drop_slice(slice, address) && keep_out_drop_endpoints(endpoints, address);
	return 0;
}

/* Neither object holds it; "listed" asks for both. */
static int keep_out_is_out(struct step_context *context, const char *address, bool *ret_out,
			   struct error *err)
{
	auto_free char *version = NULL;
	auto_json json_t *endpoints = NULL;
	auto_json json_t *slice = NULL;
	struct kube_target target;

	if (keep_out_slice_target(context, &version, &target, err) < 0 ||
	    step_find(context, &target, &slice, err) < 0 ||
	    step_find(context, &keep_out_endpoints, &endpoints, err) < 0)
		return -1;
	*ret_out = !keep_out_drop_slice(slice, address) &&
		   !keep_out_drop_endpoints(endpoints, address);
	return 0;
}

/* ---- the mechanisms ---- */

static json_t *keep_out_policy_object(const struct step_context *context, const char *address)
{
	json_t *spec;
	auto_free char *condition = alloc_format(
		"(!has(object.subsets) || object.subsets.all(s, (!has(s.addresses) || "
		"s.addresses.all(a, a.ip != '%s')) && (!has(s.notReadyAddresses) || "
		"s.notReadyAddresses.all(a, a.ip != '%s')))) && (!has(object.endpoints) || "
		"object.endpoints.all(e, e.addresses.all(a, a != '%s')))",
		address, address, address);

	spec = json_pack("{s:s, s:{s:{s:{s:s}}, s:[{s:[s], s:[s], s:[s, s], s:[s]}, {s:[s], s:[s], "
			 "s:[s, s], "
			 "s:[s]}]}, s:[{s:s, s:s}], s:[{s:s, s:s}]}",
			 "failurePolicy", "Ignore", "matchConstraints", "namespaceSelector",
			 "matchLabels", "kubernetes.io/metadata.name", "default", "resourceRules",
			 "apiGroups", "", "apiVersions", "v1", "operations", "CREATE", "UPDATE",
			 "resources", "endpoints", "apiGroups", "discovery.k8s.io", "apiVersions",
			 "v1", "operations", "CREATE", "UPDATE", "resources", "endpointslices",
			 "matchConditions", "name", "of-the-api-servers", "expression",
			 "object.metadata.name == 'kubernetes'", "validations", "expression",
			 condition, "message",
			 "this API server is being restarted (" KEEP_OUT_NAME ")");
	return step_admission_policy(context, &keep_out_admission, spec);
}

static json_t *keep_out_hook(const char *name, const char *group, const char *resource,
			     const char *label, const char *value)
{
	auto_free char *full = alloc_format("%s." KEEP_OUT_HOOK, name);

	return json_pack(
		"{s:s, s:{s:s}, s:[{s:[s], s:[s], s:[s, s], s:[s]}], s:s, s:s, s:[s], s:i, "
		"s:{s:{s:s}}, s:{s:{s:s}}}",
		"name", full, "clientConfig", "url", STEP_ADMISSION_NOBODY, "rules", "apiGroups",
		group, "apiVersions", "*", "operations", "CREATE", "UPDATE", "resources", resource,
		"failurePolicy", "Fail", "sideEffects", "None", "admissionReviewVersions", "v1",
		"timeoutSeconds", 1, "namespaceSelector", "matchLabels", KEEP_OUT_LABEL, "true",
		"objectSelector", "matchLabels", label, value);
}

static json_t *keep_out_webhook_object(const struct step_context *context)
{
	json_t *hooks = json_pack("[o, o]",
				  keep_out_hook("endpoints", "", "endpoints",
						"endpointslice.kubernetes.io/skip-mirror", "true"),
				  keep_out_hook("slices", "discovery.k8s.io", "endpointslices",
						"kubernetes.io/service-name", "kubernetes"));

	return step_admission_webhook(context, &keep_out_admission, hooks);
}

/* Another run's, or that of another server, is replaced. */
static int keep_out_put(struct step_context *context, const struct kube_target *target,
			json_t *object, struct error *err)
{
	auto_json json_t *wanted = object;
	auto_json json_t *there = NULL;

	if (step_find(context, target, &there, err) < 0)
		return -1;
	if (!there)
		return kube_client_create(context->kube, target, wanted, NULL, NULL, err);
	json_object_set(json_object_get(wanted, "metadata"), "resourceVersion",
			json_path(there, "metadata.resourceVersion"));
	return kube_client_replace(context->kube, target, wanted, NULL, NULL, err);
}

static int keep_out_label(struct step_context *context, bool on, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *patch = json_pack("{s:{s:{s:o}}}", "metadata", "labels", KEEP_OUT_LABEL,
					    on ? json_string("true") : json_null());

	return kube_client_patch(context->kube, &keep_out_namespace, KUBE_PATCH_MERGE, patch,
				 &options, NULL, err);
}

static bool keep_out_serves_policies(struct step_context *context)
{
	auto_error struct error ignored = {0};
	auto_free char *version = NULL;

	return kube_discovery_served(context->kube, STEP_ADMISSION_GROUP, keep_out_policy.plural,
				     &version, &ignored) == 0 &&
	       version && strcmp(version, "v1") == 0;
}

/* ---- whether it holds ---- */

/* Does this server refuse the address? By a dry run that would put it in. */
static int keep_out_refuses(struct step_context *context, const json_t *server, const char *address,
			    bool *ret_refuses, struct error *err)
{
	const struct kube_write_options options = {.dry_run = true, .repeatable = true};
	auto_kube_client struct kube_client *kube =
		kube_client_at(context->kube, json_path_text(server, "address"),
			       (uint16_t)json_path_int(server, "port", 6443), err);
	auto_json json_t *endpoints = NULL;
	auto_json json_t *patch = NULL;
	json_t *list;

	if (!kube || kube_client_get(kube, &keep_out_endpoints, &endpoints, err) < 0)
		return -1;
	keep_out_drop_endpoints(endpoints, address);
	list = json_path(endpoints, "subsets.0.addresses");
	if (!list)
		return error_set(err, ERROR_NOT_FOUND, "default/kubernetes has no endpoints");
	json_array_append_new(list, json_pack("{s:s}", "ip", address));
	patch = json_pack("{s:O}", "subsets", json_object_get(endpoints, "subsets"));
	*ret_refuses = false;
	if (kube_client_patch(kube, &keep_out_endpoints, KUBE_PATCH_MERGE, patch, &options, NULL,
			      err) == 0)
		return 0;
	*ret_refuses = strstr(error_text(err), "keep-out") != NULL;
	if (!*ret_refuses)
		return -1;
	error_release(err);
	return 0;
}

#define KEEP_OUT_REFUSE_MS 30000
#define KEEP_OUT_POLL_MS 200

/* The server that is kept out may be down already, when a step is resumed. */
static bool keep_out_is_down(const json_t *server, const char *address, struct error *err)
{
	if (err->kind != ERROR_NETWORK || (!json_path_is(server, "address", address) &&
					   !json_path_is(server, "endpoint", address)))
		return false;
	error_release(err);
	return true;
}

static int keep_out_await(struct step_context *context, const json_t *servers, const char *address,
			  struct error *err)
{
	int64_t end = clock_monotonic_ms() + KEEP_OUT_REFUSE_MS;
	const json_t *server;
	size_t i;

	json_array_foreach(servers, i, server) {
		for (;;) {
			bool refuses = false;

			if (keep_out_refuses(context, server, address, &refuses, err) < 0) {
				if (!keep_out_is_down(server, address, err))
					return error_wrap(err, "API server on '%s'",
							  json_path_text(server, "node"));
				refuses = true;
			}
			if (refuses)
				break;
			if (clock_monotonic_ms() > end)
				return error_set(err, ERROR_NETWORK,
						 "the API server on '%s' does not follow %s",
						 json_path_text(server, "node"), KEEP_OUT_NAME);
			if (step_pause(context, KEEP_OUT_POLL_MS, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int keep_out_by_policy(struct step_context *context, const json_t *servers,
			      const char *address, struct error *err)
{
	if (keep_out_put(context, &keep_out_policy, keep_out_policy_object(context, address), err) <
		    0 ||
	    keep_out_put(context, &keep_out_binding,
			 step_admission_binding(context, &keep_out_admission), err) < 0 ||
	    keep_out_await(context, servers, address, err) < 0)
		return -1;
	return keep_out_take_out(context, address, err);
}

#define KEEP_OUT_ROUNDS 20

/* Nobody can write while the webhook is there, we neither: take the address out, shut the door, and
 * look whether a reconciler slipped in between. */
static int keep_out_by_webhook(struct step_context *context, const json_t *servers,
			       const char *address, struct error *err)
{
	bool out = false;

	if (keep_out_label(context, true, err) < 0)
		return -1;
	for (int i = 0; i < KEEP_OUT_ROUNDS; i++) {
		if (kube_client_remove(context->kube, &keep_out_webhook, NULL, err) < 0)
			return -1;
		if (keep_out_take_out(context, address, err) < 0) {
			/* a server still sees the webhook of the last round */
			if (!strstr(error_text(err), "keep-out"))
				return -1;
			error_release(err);
			if (step_pause(context, KEEP_OUT_POLL_MS, err) < 0)
				return -1;
			continue;
		}
		if (keep_out_put(context, &keep_out_webhook, keep_out_webhook_object(context),
				 err) < 0 ||
		    keep_out_await(context, servers, address, err) < 0 ||
		    keep_out_is_out(context, address, &out, err) < 0)
			return -1;
		if (out)
			return 0;
	}
	return error_set(err, ERROR_NETWORK,
			 "'%s' comes back into default/kubernetes each time it is taken out",
			 address);
}

/* The reconcilers write every 10 s: whoever is out for longer stays out. */
#define KEEP_OUT_WATCH_MS 11000

static int keep_out_watch(struct step_context *context, const char *address, struct error *err)
{
	int64_t end = clock_monotonic_ms() + KEEP_OUT_WATCH_MS;

	do {
		bool out = false;

		if (keep_out_is_out(context, address, &out, err) < 0)
			return -1;
		if (!out)
			return error_set(err, ERROR_NETWORK,
					 "'%s' is back in default/kubernetes although admission "
					 "denies it",
					 address);
		context->say(context, "seeing that %s stays out of default/kubernetes", address);
		if (step_pause(context, 500, err) < 0)
			return -1;
	} while (clock_monotonic_ms() < end);
	return 0;
}

int step_keep_out(struct step_context *context, const char *how, const json_t *servers,
		  const char *address, struct error *err)
{
	/* somebody may have switched them off */
	bool policy = strcmp(how, "policy") == 0 && keep_out_serves_policies(context);

	if (policy ? keep_out_by_policy(context, servers, address, err) < 0
		   : keep_out_by_webhook(context, servers, address, err) < 0)
		return -1;
	return keep_out_watch(context, address, err);
}

int step_keep_out_end(struct step_context *context, struct error *err)
{
	if (keep_out_serves_policies(context) &&
	    (kube_client_remove(context->kube, &keep_out_binding, NULL, err) < 0 ||
	     kube_client_remove(context->kube, &keep_out_policy, NULL, err) < 0))
		return -1;
	if (kube_client_remove(context->kube, &keep_out_webhook, NULL, err) < 0)
		return -1;
	return keep_out_label(context, false, err);
}

/* Its patch may have arrived although the answer was lost, and the run have stopped there. */
static int keep_out_is_labelled(struct step_context *context, bool *ret, struct error *err)
{
	auto_json json_t *space = NULL;

	if (kube_client_get(context->kube, &keep_out_namespace, &space, err) < 0)
		return -1;
	*ret = json_object_get(json_path(space, "metadata.labels"), KEEP_OUT_LABEL) != NULL;
	return 0;
}

int step_keep_out_present(struct step_context *context, bool *ret_present, struct error *err)
{
	auto_json json_t *policy = NULL;
	auto_json json_t *webhook = NULL;
	bool labelled = false;

	if (step_find(context, &keep_out_webhook, &webhook, err) < 0)
		return -1;
	if (keep_out_serves_policies(context) &&
	    step_find(context, &keep_out_policy, &policy, err) < 0)
		return -1;
	if (keep_out_is_labelled(context, &labelled, err) < 0)
		return -1;
	*ret_present = policy || webhook || labelled;
	return 0;
}
