/* SPDX-License-Identifier: MIT */
#include "kube/flip.h"

#include <string.h>

/* Not released with the type, but only valid for LoadBalancer: the server refuses leg 1 with it. */
#define FLIP_RANGES_ANNOTATION "service.beta.kubernetes.io/load-balancer-source-ranges"

json_t *kube_flip_leave(const json_t *service, const char *external_name)
{
	json_t *spec =
		json_pack("{s:s, s:s}", "type", "ExternalName", "externalName", external_name);
	json_t *patch = json_pack("{s:o}", "spec", spec);
	const json_t *annotations = json_path(service, "metadata.annotations");

	if (json_path(service, "spec.loadBalancerSourceRanges"))
		json_object_set_new(spec, "loadBalancerSourceRanges", json_null());
	if (json_object_get(annotations, FLIP_RANGES_ANNOTATION))
		json_object_set_new(patch, "metadata",
				    json_pack("{s:{s:n}}", "annotations", FLIP_RANGES_ANNOTATION));
	return patch;
}

json_t *kube_flip_return(const json_t *service, const json_t *addresses)
{
	json_t *spec = json_deep_copy(json_path(service, "spec"));
	json_t *patch = json_pack("{s:o}", "spec", spec);
	const json_t *annotations = json_path(service, "metadata.annotations");
	const json_t *ranges = json_object_get(annotations, FLIP_RANGES_ANNOTATION);

	json_object_set_new(spec, "externalName", json_null());
	json_object_set(spec, "clusterIP", json_array_get(addresses, 0));
	json_object_set_new(spec, "clusterIPs", json_deep_copy(addresses));
	if (ranges)
		json_object_set_new(
			patch, "metadata",
			json_pack("{s:{s:O}}", "annotations", FLIP_RANGES_ANNOTATION, ranges));
	return patch;
}

json_t *kube_flip_status(const json_t *service)
{
	const json_t *balancer = json_path(service, "status.loadBalancer");

	if (!json_path_is(service, "spec.type", "LoadBalancer") || !json_object_size(balancer))
		return NULL;
	return json_pack("{s:{s:O}}", "status", "loadBalancer", balancer);
}
