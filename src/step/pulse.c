/* SPDX-License-Identifier: MIT */
#include "step/pulse.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/condition.h"
#include "model/cluster.h"
#include "net/address.h"
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

/* how long a change may be on its way to a proxy */
#define PULSE_LAG_MS 400
#define PULSE_METRICS_PORT 10249
#define PULSE_METRICS_MS 2000
#define PULSE_POLL_MS 25
#define PULSE_WAIT_MS 100
/* in all that do not lead to a window, before time decides again */
#define PULSE_ROUNDS 6
/* in place of a proof that a proxy has caught up */
#define PULSE_SETTLE_MS 30000

void step_pulse_release(struct step_pulse *pulse)
{
	for (size_t i = 0; i < pulse->node_count; i++)
		free(pulse->nodes[i]);
	free(pulse->nodes);
	free(pulse->metrics);
	free(pulse->proxies);
	free(pulse->marks);
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

/* "" and 0.0.0.0 stand for loopback, which the agent takes by itself. A host that is no address,
 * and what cannot be read, is left to the default: nobody answers there, and time decides. */
static void pulse_read_metrics(struct step_pulse *pulse, const char *bind)
{
	const char *colon = bind ? strrchr(bind, ':') : NULL;
	struct slice host;
	struct net_address address;
	uint64_t port;

	pulse->metrics_port = PULSE_METRICS_PORT;
	if (!colon || !slice_to_u64(slice_of(colon + 1), 65535, &port) || port == 0)
		return;
	pulse->metrics_port = (uint16_t)port;
	host = (struct slice){bind, (size_t)(colon - bind)};
	if (host.len > 1 && host.ptr[0] == '[')
		host = (struct slice){host.ptr + 1, host.len - 2};
	if (!net_address_read(host, &address) || slice_is(host, "0.0.0.0") || slice_is(host, "::"))
		return;
	pulse->metrics = slice_dup(host);
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
		pulse_read_metrics(pulse,
				   yaml_string(yaml_get(yaml_root(&yaml), "metricsBindAddress")));
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
	pulse->reserve_ms = pulse->period_ms / 5;
	pulse->touches = minor >= 34 ? 1 : 2;
	pulse->touch_gap_ms = minor >= 24 ? 150 : 200;
	/* the last window's own sync comes one period after its touch; the bucket has both its
	 * tokens again two periods later, the newer runner is idle after one */
	pulse->quiet_ms = pulse->period_ms * (minor >= 34 ? 22 : 32) / 10;
	return 0;
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
		if (!name || !kube_condition_is(node, "Ready", "True"))
			continue;
		if (context->pool && node_pool_may_reach(context->pool, name))
			pulse->nodes[pulse->node_count++] = alloc_text(name);
		else
			pulse->blind++;
	}
	*ret_minor = oldest == UINT32_MAX ? 0 : oldest;
	return 0;
}

/* ---- what the proxies say ---- */

static void pulse_go_by_time(struct step_pulse *pulse, const char *node, const char *why)
{
	log_debug("the windows go by time: %s%s%s", node ? node : "", node ? ": " : "", why);
	free(pulse->proxies);
	pulse->proxies = NULL;
}

/* Asks every node once. False, and time decides from now on, when one of them does not say. */
static bool pulse_look(struct step_context *context, struct step_pulse *pulse)
{
	auto_json json_t *request = json_pack("{s:s, s:i, s:i, s:s*}", "op", "proxy-metrics",
					      "port", (int)pulse->metrics_port, "timeoutMs",
					      PULSE_METRICS_MS, "address", pulse->metrics);
	struct node_call *calls = alloc_array(pulse->node_count + 1, sizeof(*calls));
	int64_t asked_ms = clock_monotonic_ms();
	bool all = true;

	pulse->looked_ms = asked_ms;
	node_call_all(context->pool, (const char *const *)pulse->nodes, pulse->node_count, request,
		      calls);
	for (size_t i = 0; all && i < pulse->node_count; i++) {
		all = calls[i].reply && limiter_tell(&pulse->proxies[i], calls[i].reply, asked_ms);
		if (!all)
			pulse_go_by_time(pulse, pulse->nodes[i],
					 calls[i].reply ? "its proxy does not say how far it is"
							: error_text(&calls[i].error));
	}
	node_calls_release(calls, pulse->node_count);
	free(calls);
	return all;
}

/* Whether the metrics of all are there to go by. */
static void pulse_try_metrics(struct step_context *context, struct step_pulse *pulse)
{
	if (pulse->period_ms == 0 || pulse->node_count == 0 || pulse->blind) {
		pulse_go_by_time(pulse, NULL, "not every node can be asked");
		return;
	}
	pulse->proxies = alloc_array(pulse->node_count, sizeof(*pulse->proxies));
	pulse->marks = alloc_array(pulse->node_count, sizeof(*pulse->marks));
	for (size_t i = 0; i < pulse->node_count; i++)
		pulse->proxies[i] = (struct limiter){.period_ms = pulse->period_ms,
						     .bucket = pulse->minor < 34};
	(void)pulse_look(context, pulse);
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
	if (step_pulse_configure(
		    pulse,
		    json_string_value(json_object_get(json_object_get(map, "data"), "config.conf")),
		    minor, err) < 0)
		return -1;
	pulse_try_metrics(context, pulse);
	return 0;
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

	if (kube_client_patch(context->kube, &target, KUBE_PATCH_MERGE, patch, &options, NULL,
			      err) < 0)
		return -1;
	step_pulse_disturbed(pulse);
	return 0;
}

void step_pulse_disturbed(struct step_pulse *pulse)
{
	pulse->quiet_since_ms = clock_monotonic_ms();
}

/* ---- windows by the proxies' own word ---- */

static bool pulse_owes(const struct step_pulse *pulse, size_t i)
{
	return pulse->proxies[i].syncs == pulse->marks[i];
}

/* Until every node has had the sync that it owes since `changed_ms`. *ret_all is false when one
 * still has not after all that time, or when time decides from now on. */
static int pulse_await(struct step_context *context, struct step_pulse *pulse, int64_t changed_ms,
		       bool *ret_all, struct error *err)
{
	int64_t end = changed_ms + 2 * pulse->period_ms + PULSE_SYNC_MS;

	for (;;) {
		int64_t now = clock_monotonic_ms();
		int64_t next = 0;

		for (size_t i = 0; i < pulse->node_count; i++)
			if (pulse_owes(pulse, i) &&
			    limiter_expect(&pulse->proxies[i], changed_ms) > next)
				next = limiter_expect(&pulse->proxies[i], changed_ms);
		*ret_all = next == 0;
		if (next == 0 || now > end)
			return 0;
		if (next < now + PULSE_POLL_MS)
			next = now + PULSE_POLL_MS;
		if (step_pause(context, next - now, err) < 0)
			return -1;
		if (!pulse_look(context, pulse))
			return 0;
	}
}

/* The reserve was too small when a proxy began to sync before the window's last leg was there. */
static void pulse_check_reserve(struct step_pulse *pulse)
{
	for (size_t i = 0; i < pulse->node_count; i++) {
		const struct limiter *proxy = &pulse->proxies[i];

		if (pulse_owes(pulse, i) || !proxy->timed || pulse->window_ms == 0 ||
		    proxy->begun_ms >= pulse->over_ms)
			continue;
		log_debug("the proxy of node '%s' began to sync %lld ms before the window was over",
			  pulse->nodes[i], (long long)(pulse->over_ms - proxy->begun_ms));
		if (pulse->reserve_ms < pulse->period_ms / 2)
			pulse->reserve_ms += pulse->period_ms / 10;
		return;
	}
}

/* The end of a window that is opened now. */
static int64_t pulse_end(const struct step_pulse *pulse)
{
	int64_t end = INT64_MAX;

	for (size_t i = 0; i < pulse->node_count; i++)
		if (pulse->proxies[i].free_ms < end)
			end = pulse->proxies[i].free_ms;
	return end - pulse->reserve_ms;
}

/* Brings all into step: waits until each of them may sync, and makes them do it now. */
static int pulse_prime(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	int64_t now = clock_monotonic_ms();
	int64_t latest = now;

	for (size_t i = 0; i < pulse->node_count; i++) {
		if (pulse->proxies[i].free_ms > latest)
			latest = pulse->proxies[i].free_ms;
		pulse->marks[i] = pulse->proxies[i].syncs;
	}
	if (latest > now && step_pause(context, latest - now, err) < 0)
		return -1;
	return pulse->has_slice ? pulse_touch(context, pulse, err)
				: pulse_create(context, pulse, err);
}

/* *ret_open is false when time has to decide. */
static int pulse_window_told(struct step_context *context, struct step_pulse *pulse, bool *ret_open,
			     struct error *err)
{
	int64_t changed_ms = pulse->quiet_since_ms;
	bool all = false;

	for (unsigned round = 0; round < PULSE_ROUNDS; round++) {
		/* a short one is better than none: the next is a whole sync away */
		int64_t enough_ms = pulse->period_ms * 2 / 10;
		int64_t now;

		if (pulse_await(context, pulse, changed_ms, &all, err) < 0)
			return -1;
		*ret_open = false;
		if (!pulse->proxies)
			return 0;
		if (round == 0)
			pulse_check_reserve(pulse);
		now = clock_monotonic_ms();
		if (all && pulse_end(pulse) >= now + enough_ms) {
			*ret_open = true;
			pulse->window_ms = now;
			pulse->end_ms = pulse_end(pulse);
			for (size_t i = 0; i < pulse->node_count; i++)
				pulse->marks[i] = pulse->proxies[i].syncs;
			return 0;
		}
		log_debug("no window: %s, %lld ms left",
			  all ? "all have synced" : "some owe a sync",
			  (long long)(pulse_end(pulse) - now));
		if (pulse_prime(context, pulse, err) < 0)
			return -1;
		changed_ms = clock_monotonic_ms();
	}
	pulse_go_by_time(pulse, NULL, "the proxies are not in step");
	return 0;
}

/* ---- windows by time ---- */

static int pulse_window_timed(struct step_context *context, struct step_pulse *pulse,
			      struct error *err)
{
	int64_t left;

	if (!pulse->has_slice && pulse_create(context, pulse, err) < 0)
		return -1;
	left = pulse->quiet_since_ms + pulse->quiet_ms - clock_monotonic_ms();
	if (left > 0 && step_pause(context, left, err) < 0)
		return -1;
	pulse->window_ms = clock_monotonic_ms();
	pulse->end_ms = pulse->window_ms + pulse->period_ms * 8 / 10;
	for (unsigned i = 0; i < pulse->touches; i++) {
		if (i && clock_sleep_ms(pulse->touch_gap_ms, err) < 0)
			return -1;
		if (pulse_touch(context, pulse, err) < 0)
			return -1;
	}
	return clock_sleep_ms(PULSE_REACT_MS, err);
}

void step_pulse_over(struct step_pulse *pulse)
{
	pulse->over_ms = clock_monotonic_ms();
	step_pulse_disturbed(pulse);
}

int step_pulse_window(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	bool open = false;

	if (pulse->period_ms == 0)
		return 0;
	if (pulse->proxies && pulse_window_told(context, pulse, &open, err) < 0)
		return -1;
	return open ? 0 : pulse_window_timed(context, pulse, err);
}

int64_t step_pulse_left(const struct step_pulse *pulse)
{
	return pulse->period_ms == 0 ? INT64_MAX : pulse->end_ms - clock_monotonic_ms();
}

/* ---- everything programmed ---- */

int64_t step_pulse_programmed(const struct step_pulse *pulse)
{
	int64_t programmed = INT64_MAX;

	if (!pulse->proxies)
		return clock_monotonic_ms() - pulse->period_ms - PULSE_SYNC_MS;
	for (size_t i = 0; i < pulse->node_count; i++) {
		const struct limiter *proxy = &pulse->proxies[i];
		/* what may be pending would have been synced by now */
		int64_t until =
			proxy->pending ? INT64_MIN : pulse->looked_ms - 2 * pulse->period_ms;

		if (proxy->idle)
			until = pulse->looked_ms;
		else if (proxy->timed && proxy->begun_ms > until)
			until = proxy->begun_ms;
		if (until < programmed)
			programmed = until;
	}
	return programmed == INT64_MIN ? INT64_MIN : programmed - PULSE_LAG_MS;
}

int step_pulse_wait(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	if (step_pause(context, PULSE_WAIT_MS, err) < 0)
		return -1;
	if (pulse->proxies)
		(void)pulse_look(context, pulse);
	return 0;
}

int step_pulse_settle(struct step_context *context, struct step_pulse *pulse, struct error *err)
{
	int64_t now = clock_monotonic_ms();

	/* syncs are timed from one look to the next */
	if (pulse->proxies)
		(void)pulse_look(context, pulse);
	while (step_pulse_programmed(pulse) < now) {
		if (clock_monotonic_ms() > now + PULSE_SETTLE_MS) {
			log_warning("some proxies do not catch up in %d s", PULSE_SETTLE_MS / 1000);
			return 0;
		}
		if (step_pulse_wait(context, pulse, err) < 0)
			return -1;
	}
	return 0;
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
