/* SPDX-License-Identifier: MIT */
#include "step/service.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "kube/discovery.h"

int step_service_target(const struct plan_step *step, struct kube_target *ret, struct error *err)
{
	struct kube_target target = {.version = "v1", .plural = "services"};

	if (step_text(step, "namespace", &target.space, err) < 0 ||
	    step_text(step, "name", &target.name, err) < 0)
		return -1;
	*ret = target;
	return 0;
}

bool step_service_holds(const json_t *service, const json_t *addresses)
{
	const json_t *held = json_path(service, "spec.clusterIPs");
	const char *single = json_path_text(service, "spec.clusterIP");

	if (held)
		return json_equal(held, addresses);
	return single && json_array_size(addresses) == 1 &&
	       strcmp(single, json_string_value(json_array_get(addresses, 0))) == 0;
}

int step_slice_version(struct step_context *context, char **ret, struct error *err)
{
	auto_free char *version = NULL;

	/* asked once: waits look at slices many times a second, and no server drops what it served */
	if (!context->slice_version[0]) {
		if (kube_discovery_served(context->kube, "discovery.k8s.io", "endpointslices",
					  &version, err) < 0)
			return -1;
		snprintf(context->slice_version, sizeof(context->slice_version), "%s",
			 version ? version : "v1");
	}
	*ret = alloc_text(context->slice_version);
	return 0;
}

int step_slices(struct step_context *context, const char *namespace_, const char *service,
		json_t **ret, struct error *err)
{
	auto_free char *version = NULL;
	auto_free char *selector = alloc_format("kubernetes.io/service-name=%s", service);
	const struct kube_list_options options = {.label_selector = selector};
	struct kube_target target = {
		.group = "discovery.k8s.io", .plural = "endpointslices", .space = namespace_};

	if (step_slice_version(context, &version, err) < 0)
		return -1;
	target.version = version;
	return kube_client_list(context->kube, &target, &options, ret, NULL, err);
}

bool step_slice_is_ours(const json_t *slice)
{
	return json_path_is(slice, "metadata.labels.endpointslice\\.kubernetes\\.io/managed-by",
			    "kubectl-renumber");
}

size_t step_slices_ready(const json_t *slices)
{
	size_t ready = 0;
	const json_t *slice;
	const json_t *endpoint;
	size_t i;
	size_t k;

	json_array_foreach(slices, i, slice) {
		json_array_foreach(json_object_get(slice, "endpoints"), k, endpoint)
			ready += json_path_bool(endpoint, "conditions.ready", true);
	}
	return ready;
}
