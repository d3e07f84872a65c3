/* SPDX-License-Identifier: MIT */
/*
 * services-endpoint: the ConfigMap kubernetes-services-endpoint, from which calico takes the API
 * server's address. Parameters: namespace, name, host, port.
 */
#include "step/config_map.h"
#include "step/kinds.h"
#include "step/rights.h"

static const char *const endpoint_keys[][2] = {
	{"KUBERNETES_SERVICE_HOST", "host"},
	{"KUBERNETES_SERVICE_PORT", "port"},
	{"KUBERNETES_SERVICE_PORT_HTTPS", "port"},
};
#define ENDPOINT_KEYS (sizeof(endpoint_keys) / sizeof(endpoint_keys[0]))

static void endpoint_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "%s: %s:%s", step->subject, step_optional_text(step, "host"),
		      step_optional_text(step, "port"));
}

/* Only the keys that are there already are looked at: some installations set two of the three. */
static int endpoint_check(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	auto_json json_t *map = NULL;
	bool done = true;

	if (step_config_map_get(context, step, &map, err) < 0)
		return -1;
	for (size_t i = 0; i < ENDPOINT_KEYS; i++) {
		const json_t *value = json_object_get(json_path(map, "data"), endpoint_keys[i][0]);

		if (value &&
		    !json_equal(value, json_object_get(step->parameters, endpoint_keys[i][1])))
			done = false;
	}
	*ret_done = done;
	return 0;
}

static int endpoint_apply(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_json json_t *map = NULL;
	struct kube_target target = {.version = "v1", .plural = "configmaps"};
	auto_json json_t *data = NULL;

	if (step_config_map_get(context, step, &map, err) < 0 ||
	    step_text(step, "namespace", &target.space, err) < 0 ||
	    step_text(step, "name", &target.name, err) < 0)
		return -1;
	data = json_copy(json_object_get(map, "data"));
	for (size_t i = 0; i < ENDPOINT_KEYS; i++) {
		if (json_object_get(data, endpoint_keys[i][0]))
			json_object_set(data, endpoint_keys[i][0],
					json_object_get(step->parameters, endpoint_keys[i][1]));
	}
	if (step_config_map_keep(context, step, map, data, err) < 0)
		return -1;
	json_object_set(map, "data", data);
	return kube_client_replace(context->kube, &target, map, NULL, NULL, err);
}

const struct step_kind step_services_endpoint = {
	.name = "services-endpoint",
	.rights = step_rights_endpoint,
	.describe = endpoint_describe,
	.check = endpoint_check,
	.apply = endpoint_apply,
	.undo = step_config_map_undo,
};
