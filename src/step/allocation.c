/* SPDX-License-Identifier: MIT */
/*
 * allocation: every API server gives out addresses of the new range.
 * Parameters: servers (array of {node, address, port}), range, address (one of the range that
 * nothing has), implicit (optional true: also what a server chooses itself lies in the range).
 *
 * Each server makes a Service for the purpose and removes it. A dry run would not ask the allocator
 * up to 1.23, and later on asks the server's own copy only. With one range for all, servers of
 * which another one has written the stored range refuse until their own repair loop has run, every
 * 3 minutes (pkg/registry/core/service/ipallocator/controller/repair.go).
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/cluster.h"
#include "step/kinds.h"
#include "step/rights.h"

#define ALLOCATION_NAME "renumber-allocation"
#define ALLOCATION_MS ((int64_t)4 * 60 * 1000)
#define ALLOCATION_AGAIN_MS 2000

static const struct kube_target allocation_target = {
	.version = "v1", .plural = "services", .space = "kube-system", .name = ALLOCATION_NAME};

static void allocation_describe(const struct plan_step *step, struct buffer *out)
{
	size_t count = json_array_size(json_object_get(step->parameters, "servers"));

	buffer_format(out, "prove that %s %zu API server%s give%s out addresses of %s",
		      count == 1 ? "the" : "all", count, count == 1 ? "" : "s",
		      count == 1 ? "s" : "", step_optional_text(step, "range"));
}

static json_t *allocation_object(const struct step_context *context, const char *address)
{
	json_t *spec = json_pack("{s:[{s:i}]}", "ports", "port", 1);

	if (address)
		json_object_set_new(spec, "clusterIP", json_string(address));
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:o}", "apiVersion", "v1", "kind",
			 "Service", "metadata", "name", ALLOCATION_NAME, "namespace", "kube-system",
			 "labels", CLUSTER_RUN_LABEL, context->plan->run, "spec", spec);
}

static int allocation_remove(struct kube_client *kube, struct error *err)
{
	return kube_client_remove(kube, &allocation_target, NULL, err);
}

/* One Service made and removed by one server. `address` NULL: it chooses. */
static int allocation_try(struct step_context *context, const struct plan_step *step,
			  struct kube_client *kube, const char *address, struct error *err)
{
	auto_json json_t *object = allocation_object(context, address);
	auto_json json_t *made = NULL;
	const char *range;
	const char *got;

	if (step_text(step, "range", &range, err) < 0 || allocation_remove(kube, err) < 0 ||
	    kube_client_create(kube, &allocation_target, object, NULL, &made, err) < 0)
		return -1;
	got = json_path_text(made, "spec.clusterIP");
	if (allocation_remove(kube, err) < 0)
		return -1;
	if (!got || !cluster_range_contains(range, got))
		return error_set(err, ERROR_API, "it gave out %s, which is not in %s",
				 got ? got : "nothing", range);
	return 0;
}

static int allocation_at(struct step_context *context, const struct plan_step *step,
			 const json_t *server, struct error *err)
{
	auto_kube_client struct kube_client *kube =
		kube_client_at(context->kube, json_path_text(server, "address"),
			       (uint16_t)json_path_int(server, "port", 6443), err);
	const char *address = step_optional_text(step, "address");

	if (!kube || (address && allocation_try(context, step, kube, address, err) < 0))
		return -1;
	if (!json_is_true(json_object_get(step->parameters, "implicit")))
		return 0;
	return allocation_try(context, step, kube, NULL, err);
}

static int allocation_apply(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	int64_t end = clock_monotonic_ms() + ALLOCATION_MS;
	const json_t *server;
	size_t i;

	json_array_foreach(json_object_get(step->parameters, "servers"), i, server) {
		const char *node = json_path_text(server, "node");

		while (allocation_at(context, step, server, err) < 0) {
			if (err->kind == ERROR_INTERRUPTED || clock_monotonic_ms() > end)
				return error_wrap(err, "API server on '%s'", node);
			context->say(context, "the API server on %s is not there yet: %s", node,
				     error_text(err));
			error_release(err);
			if (step_pause(context, ALLOCATION_AGAIN_MS, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Nothing of it is left; on the way back that is all there is to do. */
static int allocation_clean(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	(void)step;
	return allocation_remove(context->kube, err);
}

const struct step_kind step_allocation = {
	.name = "allocation",
	.rights = step_rights_probe,
	.describe = allocation_describe,
	.check = step_never_there,
	.apply = allocation_apply,
	.verify = allocation_clean,
	.undo = allocation_clean,
};
