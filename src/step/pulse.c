/* SPDX-License-Identifier: MIT */
#include "step/pulse.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/cluster.h"
#include "step/service.h"
#include "text/yaml.h"

/* Endpoints of a Service that does not exist: proxies program nothing for them and sync all the
 * same (pkg/proxy/endpointslicecache.go). The addresses are of TEST-NET-1, RFC 5737. */
#define PULSE_NAME "kubectl-renumber-pulse"
#define PULSE_SPACE "kube-system"
#define PULSE_ADDRESS "192.0.2.%u"

#define PULSE_DEFAULT_MS 1000
/* a proxy needs so long to begin its sync after the touch */
#define PULSE_REACT_MS 120
/* on top of the period: the sync itself on a busy node */
#define PULSE_SYNC_MS 1000

void step_pulse_release(struct step_pulse *pulse)
{
	for (size_t i = 0; i < pulse->node_count; i++)
		free(pulse->nodes[i]);
	free(pulse->nodes);
	free(pulse->slice_version);
	*pulse = (struct step_pulse){0};
}

/* ---- what the proxies are like ---- */

/* A duration as Go writes it: "1s", "500ms", "1m0s". False when it is none. */
static bool pulse_duration(const char *text, int64_t *ret_ms)
{
	int64_t total = 0;

	while (*text) {
		int64_t number = 0;
		int64_t unit;

		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++) {
			if (number > INT32_MAX)
				return false;
			number = number * 10 + (*text - '0');
		}
		if (strncmp(text, "ms", 2) == 0)
			unit = 1;
		else if (*text == 'h')
			unit = 3600000;
		else if (*text == 'm')
			unit = 60000;
		else if (*text == 's')
			unit = 1000;
		else
			return false;
		total += number * unit;
		text += unit == 1 ? 2 : 1;
	}
	*ret_ms = total;
	return true;
}

/* 0 stands for the default of 1 s (pkg/proxy/apis/config/v1alpha1/defaults.go); only IPVS has none. */
static int64_t pulse_period(const struct yaml_node *root, const char *section)
{
	const struct yaml_node *node = yaml_get(yaml_get(root, section), "minSyncPeriod");
	const char *text = yaml_string(node);
	int64_t ms = 0;

	if (text && !pulse_duration(text, &ms))
		log_warning("kube-proxy's minSyncPeriod '%s' cannot be read; taken for 1 s", text);
	if (ms == 0 && strcmp(section, "ipvs") != 0)
		return PULSE_DEFAULT_MS;
	return ms;
}

int step_pulse_configure(struct step_pulse *pulse, const char *config, unsigned minor,
			 struct error *err)
{
	auto_yaml struct yaml yaml = {0};
	const char *mode = NULL;

	pulse->period_ms = PULSE_DEFAULT_MS;
	if (config) {
		if (yaml_parse(&yaml, "ConfigMap kube-system/kube-proxy", slice_of(config), err) <
		    0)
			return -1;
		mode = yaml_string(yaml_get(yaml_root(&yaml), "mode"));
		pulse->period_ms =
			pulse_period(yaml_root(&yaml), mode && (strcmp(mode, "ipvs") == 0 ||
								strcmp(mode, "nftables") == 0)
							       ? mode
							       : "iptables");
		/* some nodes may have the other kind */
		if (pulse->period_ms &&
		    pulse_period(yaml_root(&yaml), "iptables") > pulse->period_ms)
			pulse->period_ms = pulse_period(yaml_root(&yaml), "iptables");
	}
	pulse->minor = minor;
	pulse->touches = minor >= 34 ? 1 : 2;
	pulse->touch_gap_ms = minor >= 24 ? 150 : 200;
	/* the last window's own sync comes one period after its touch; the bucket has both its
	 * tokens again two periods later, the newer runner is idle after one */
	pulse->quiet_ms = pulse->period_ms * (minor >= 34 ? 22 : 32) / 10;
	return 0;
}

static bool pulse_is_ready(const json_t *node)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_path(node, "status.conditions"), i, condition) {
		if (json_path_is(condition, "type", "Ready"))
			return json_path_is(condition, "status", "True");
	}
	return false;
}

static int pulse_look_nodes(struct step_context *context, struct step_pulse *pulse,
			    unsigned *ret_minor, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_json json_t *nodes = NULL;
	unsigned oldest = UINT32_MAX;
	const json_t *node;
	size_t i;

	if (kube_client_list(context->kube, &target, NULL, &nodes, NULL, err) < 0)
		return -1;
	pulse->nodes = alloc_array(json_array_size(nodes) + 1, sizeof(*pulse->nodes));
	json_array_foreach(nodes, i, node) {
		const char *name = json_path_text(node, "metadata.name");
		const char *version = json_path_text(node, "status.nodeInfo.kubeletVersion");
		struct slice rest = slice_of(version ? version : "");
		struct slice major;
		struct slice part;
		uint64_t minor;

		if (slice_next(&rest, '.', &major) && slice_next(&rest, '.', &part) &&
		    slice_to_u64(part, 9999, &minor) && minor < oldest)
			oldest = (unsigned)minor;
		if (name && context->pool && node_pool_may_reach(context->pool, name) &&
		    pulse_is_ready(node))
			pulse->nodes[pulse->node_count++] = alloc_text(name);
	}
	*ret_minor = oldest == UINT32_MAX ? 0 : oldest;
	return 0;
}

int step_pulse_open(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	const struct kube_target target = {.version = "v1",
					   .plural = "configmaps",
					   .space = "kube-system",
					   .name = "kube-proxy"};
	auto_json json_t *map = NULL;
	unsigned minor;

	if (step_slice_version(context, &pulse->slice_version, err) < 0 ||
	    step_find(context, &target, &map, err) < 0 ||
	    pulse_look_nodes(context, pulse, &minor, err) < 0)
		return -1;
	/* whatever stood there before a crash is overwritten by another value */
	pulse->value = (unsigned)(clock_wall_s() % 251);
	pulse->quiet_since_ms = clock_monotonic_ms();
	return step_pulse_configure(
		pulse,
		json_string_value(json_object_get(json_object_get(map, "data"), "config.conf")),
		minor, err);
}

/* ---- touching ---- */

static struct kube_target pulse_target(const struct step_pulse *pulse)
{
	return (struct kube_target){.group = "discovery.k8s.io",
				    .version = pulse->slice_version,
				    .plural = "endpointslices",
				    .space = PULSE_SPACE,
				    .name = PULSE_NAME};
}

static json_t *pulse_endpoints(struct step_pulse *pulse)
{
	auto_free char *address = NULL;

	pulse->value = (pulse->value + 1) % 251;
	address = alloc_format(PULSE_ADDRESS, pulse->value + 1);
	return json_pack("[{s:[s], s:{s:b}}]", "addresses", address, "conditions", "ready", 1);
}

static int pulse_create(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	const struct kube_target target = pulse_target(pulse);
	auto_free char *api = alloc_format("discovery.k8s.io/%s", pulse->slice_version);
	auto_json json_t *slice = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s, s:s}}, s:s, s:o, s:[{s:s, s:i, s:s}]}",
		"apiVersion", api, "kind", "EndpointSlice", "metadata", "name", PULSE_NAME,
		"namespace", PULSE_SPACE, "labels", "kubernetes.io/service-name", PULSE_NAME,
		"endpointslice.kubernetes.io/managed-by", "kubectl-renumber", CLUSTER_RUN_LABEL,
		context->plan->run, "addressType", "IPv4", "endpoints", pulse_endpoints(pulse),
		"ports", "name", "", "port", 9, "protocol", "TCP");

	if (kube_client_create(context->kube, &target, slice, NULL, NULL, err) < 0) {
		if (err->kind != ERROR_CONFLICT)
			return -1;
		error_release(err);
	}
	pulse->has_slice = true;
	step_pulse_disturbed(pulse);
	return 0;
}

static int pulse_touch(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	const struct kube_target target = pulse_target(pulse);
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *patch = json_pack("{s:o}", "endpoints", pulse_endpoints(pulse));

	return kube_client_patch(context->kube, &target, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

void step_pulse_disturbed(struct step_pulse *pulse)
{
	pulse->quiet_since_ms = clock_monotonic_ms();
}

int step_pulse_window(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	int64_t left;

	if (pulse->period_ms == 0)
		return 0;
	if (!pulse->has_slice && pulse_create(context, pulse, err) < 0)
		return -1;
	left = pulse->quiet_since_ms + pulse->quiet_ms - clock_monotonic_ms();
	if (left > 0 && step_pause(context, left, err) < 0)
		return -1;
	pulse->window_ms = clock_monotonic_ms();
	for (unsigned i = 0; i < pulse->touches; i++) {
		if (i && clock_sleep_ms(pulse->touch_gap_ms, err) < 0)
			return -1;
		if (pulse_touch(context, pulse, err) < 0)
			return -1;
	}
	step_pulse_disturbed(pulse);
	return clock_sleep_ms(PULSE_REACT_MS, err);
}

int64_t step_pulse_left(const struct step_pulse *pulse)
{
	if (pulse->period_ms == 0)
		return INT64_MAX;
	return pulse->window_ms + pulse->period_ms * 8 / 10 - clock_monotonic_ms();
}

int step_pulse_settle(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	return step_pause(context, pulse->period_ms + PULSE_SYNC_MS, err);
}

int step_pulse_is_left(struct step_context *context, bool *ret_left, struct error *err)
{
	struct step_pulse pulse = {0};
	auto_json json_t *slice = NULL;
	struct kube_target target;
	int result;

	if (step_slice_version(context, &pulse.slice_version, err) < 0)
		return -1;
	target = pulse_target(&pulse);
	result = step_find(context, &target, &slice, err);
	free(pulse.slice_version);
	if (result < 0)
		return -1;
	*ret_left = slice != NULL;
	return 0;
}

void step_pulse_close(struct step_context *context, struct step_pulse *pulse)
{
	const struct kube_target target = pulse_target(pulse);
	const struct kube_write_options options = {.repeatable = true};
	auto_error struct error err = {0};

	/* one that was killed before it came here may have left a slice */
	if (!pulse->slice_version)
		return;
	pulse->has_slice = false;
	if (kube_client_delete(context->kube, &target, &options, &err) < 0 &&
	    err.kind != ERROR_NOT_FOUND)
		log_warning("EndpointSlice " PULSE_SPACE "/" PULSE_NAME
			    " of ours is left behind: %s; delete it",
			    error_text(&err));
}
