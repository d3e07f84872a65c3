/* SPDX-License-Identifier: MIT */
/*
 * converge: the proxy of every node has programmed what was written before.
 * Parameters: servers (array of {node, address, port}), remove (optional true: it is the last of
 * its kind, its Service goes).
 */
#include "step/converge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/condition.h"
#include "model/cluster.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/service.h"

#define CONVERGE_SPACE "kube-system"
#define CONVERGE_NAME "renumber-converge"
#define CONVERGE_SLICE "renumber-converge-1"
/* So many moves lie between two uses of a port: a node that lags by less is seen. */
#define CONVERGE_PORTS 16
#define CONVERGE_MS 60000
#define CONVERGE_POLL_MS 100
#define CONVERGE_DIAL_MS 1000
/* In place of a proof: some periods of kube-proxy (1 s by default). */
#define CONVERGE_BLIND_MS 5000

static const struct kube_target converge_service = {
	.version = "v1", .plural = "services", .space = CONVERGE_SPACE, .name = CONVERGE_NAME};

static json_t *converge_service_object(const struct step_context *context)
{
	json_t *ports = json_array();

	for (int i = 1; i <= CONVERGE_PORTS; i++) {
		auto_free char *name = alloc_format("p%d", i);

		json_array_append_new(ports, json_pack("{s:s, s:i, s:s, s:i}", "name", name, "port",
						       i, "protocol", "TCP", "targetPort", 6443));
	}
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:{s:s}}, s:{s:o}}", "apiVersion", "v1",
			 "kind", "Service", "metadata", "name", CONVERGE_NAME, "namespace",
			 CONVERGE_SPACE, "labels", CLUSTER_RUN_LABEL, context->plan->run,
			 "annotations", "kubectl-renumber/comment",
			 "shows that every node's proxy has caught up while API servers are "
			 "restarted; 'kubectl renumber' removes it",
			 "spec", "ports", ports);
}

int step_converge_prepare(struct step_context *context, struct error *err)
{
	auto_json json_t *there = NULL;
	auto_json json_t *object = NULL;

	if (step_find(context, &converge_service, &there, err) < 0)
		return -1;
	if (there)
		return 0;
	object = converge_service_object(context);
	if (kube_client_create(context->kube, &converge_service, object, NULL, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_CONFLICT)
		return -1;
	error_release(err);
	return 0;
}

/* The server that stands behind the port. */
static const json_t *converge_server(const json_t *servers, const char *except)
{
	const json_t *server;
	size_t i;

	json_array_foreach(servers, i, server) {
		if (!except || !json_path_is(server, "address", except))
			return server;
	}
	return json_array_get(servers, 0);
}

/* "p7": 7; 0 for anything else. */
static int64_t converge_port_of(const json_t *slice)
{
	const char *name = json_path_text(slice, "ports.0.name");
	uint64_t port = 0;

	if (!name || name[0] != 'p' || !slice_to_u64(slice_of(name + 1), CONVERGE_PORTS, &port))
		return 0;
	return (int64_t)port;
}

/* Moves the slice to the next port, which no node serves yet. */
static int converge_move(struct step_context *context, const json_t *server, int64_t *ret_port,
			 struct error *err)
{
	auto_free char *version = NULL;
	auto_free char *api = NULL;
	auto_free char *name = NULL;
	auto_json json_t *there = NULL;
	auto_json json_t *slice = NULL;
	const char *address = json_path_text(server, "address");
	struct kube_target target = {.group = "discovery.k8s.io",
				     .plural = "endpointslices",
				     .space = CONVERGE_SPACE,
				     .name = CONVERGE_SLICE};
	int64_t port;

	if (step_slice_version(context, &version, err) < 0)
		return -1;
	target.version = version;
	if (step_find(context, &target, &there, err) < 0)
		return -1;
	port = converge_port_of(there) % CONVERGE_PORTS + 1;
	name = alloc_format("p%d", (int)port);
	api = alloc_format("discovery.k8s.io/%s", version);
	slice = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s, s:s}}, s:s, s:[{s:[s], s:{s:b}}], "
		"s:[{s:s, s:I, s:s}]}",
		"apiVersion", api, "kind", "EndpointSlice", "metadata", "name", CONVERGE_SLICE,
		"namespace", CONVERGE_SPACE, "labels", "kubernetes.io/service-name", CONVERGE_NAME,
		"endpointslice.kubernetes.io/managed-by", "kubectl-renumber", CLUSTER_RUN_LABEL,
		context->plan->run, "addressType", strchr(address, ':') ? "IPv6" : "IPv4",
		"endpoints", "addresses", address, "conditions", "ready", 1, "ports", "name", name,
		"port", (json_int_t)json_path_int(server, "port", 6443), "protocol", "TCP");
	*ret_port = port;
	if (!there)
		return kube_client_create(context->kube, &target, slice, NULL, NULL, err);
	json_object_set(json_object_get(slice, "metadata"), "resourceVersion",
			json_path(there, "metadata.resourceVersion"));
	return kube_client_replace(context->kube, &target, slice, NULL, NULL, err);
}

/* Nodes that are Ready and still to be seen; names are borrowed from `list`. */
struct converge_nodes {
	json_t *list;
	const char **names;
	size_t count;
};

static void converge_nodes_release(struct converge_nodes *nodes)
{
	json_decref(nodes->list);
	free(nodes->names);
}
#define auto_converge_nodes __attribute__((cleanup(converge_nodes_release)))

static void converge_add(struct step_context *context, const json_t *node,
			 struct converge_nodes *ret)
{
	const char *name = json_path_text(node, "metadata.name");
	const json_t *entry;
	size_t i;

	json_array_foreach(json_path(node, "status.addresses"), i, entry) {
		if (json_path_is(entry, "type", "InternalIP")) {
			node_pool_add(context->pool, name, json_path_text(entry, "address"));
			break;
		}
	}
	ret->names[ret->count++] = name;
}

/* *ret_blind: how many Ready nodes cannot be asked. */
static int converge_find_nodes(struct step_context *context, struct converge_nodes *ret,
			       size_t *ret_blind, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	const json_t *node;
	size_t i;

	*ret_blind = 0;
	if (kube_client_list(context->kube, &target, NULL, &ret->list, NULL, err) < 0)
		return -1;
	ret->names = alloc_array(json_array_size(ret->list) + 1, sizeof(char *));
	json_array_foreach(ret->list, i, node) {
		if (!kube_condition_is(node, "Ready", "True"))
			continue;
		if (context->pool &&
		    node_pool_may_reach(context->pool, json_path_text(node, "metadata.name")))
			converge_add(context, node, ret);
		else
			(*ret_blind)++;
	}
	return 0;
}

/* Dials from every node that is left, and keeps those that do not get through. */
static void converge_dial(struct step_context *context, const char *address, int64_t port,
			  struct converge_nodes *nodes, size_t *blind)
{
	auto_json json_t *request =
		json_pack("{s:s, s:s, s:I, s:s, s:i}", "op", "dial", "address", address, "port",
			  (json_int_t)port, "kind", "tcp", "timeoutMs", CONVERGE_DIAL_MS);
	struct node_call *calls = alloc_array(nodes->count, sizeof(*calls));
	size_t left = 0;
	size_t count = nodes->count;

	node_call_all(context->pool, nodes->names, count, request, calls);
	for (size_t i = 0; i < count; i++) {
		const char *name = nodes->names[i];

		if (!calls[i].reply) {
			log_warning("%s; its proxy gets %d s instead of a proof",
				    error_text(&calls[i].error), CONVERGE_BLIND_MS / 1000);
			(*blind)++;
		} else if (!json_path_bool(calls[i].reply, "reached", false)) {
			nodes->names[left++] = name;
		}
	}
	nodes->count = left;
	node_calls_release(calls, count);
	free(calls);
}

static int converge_wait(struct step_context *context, const char *address, int64_t port,
			 struct error *err)
{
	auto_converge_nodes struct converge_nodes nodes = {0};
	int64_t end = clock_monotonic_ms() + CONVERGE_MS;
	size_t blind = 0;

	if (converge_find_nodes(context, &nodes, &blind, err) < 0)
		return -1;
	while (nodes.count) {
		converge_dial(context, address, port, &nodes, &blind);
		if (!nodes.count)
			break;
		if (clock_monotonic_ms() > end)
			return error_set(err, ERROR_NETWORK,
					 "node '%s' does not follow: %s port %d, written %d s ago, "
					 "does not answer there; is its kube-proxy well",
					 nodes.names[0], address, (int)port, CONVERGE_MS / 1000);
		context->say(context, "waiting for the proxies of %zu node%s", nodes.count,
			     nodes.count == 1 ? "" : "s");
		if (step_pause(context, CONVERGE_POLL_MS, err) < 0)
			return -1;
	}
	return blind ? step_pause(context, CONVERGE_BLIND_MS, err) : 0;
}

int step_converge(struct step_context *context, const json_t *servers, const char *except,
		  struct error *err)
{
	auto_json json_t *service = NULL;
	const json_t *server = converge_server(servers, except);
	int64_t port = 0;

	if (!server)
		return error_set(err, ERROR_PARSE, "the step names no API server");
	if (step_converge_prepare(context, err) < 0 ||
	    kube_client_get(context->kube, &converge_service, &service, err) < 0 ||
	    converge_move(context, server, &port, err) < 0)
		return -1;
	return converge_wait(context, json_path_text(service, "spec.clusterIP"), port, err);
}

int step_converge_is_left(struct step_context *context, bool *ret_left, struct error *err)
{
	auto_json json_t *service = NULL;

	if (step_find(context, &converge_service, &service, err) < 0)
		return -1;
	*ret_left = service != NULL;
	return 0;
}

int step_converge_forget(struct step_context *context, struct error *err)
{
	const struct kube_write_options options = {.repeatable = true};
	auto_free char *version = NULL;
	struct kube_target slice = {.group = "discovery.k8s.io",
				    .plural = "endpointslices",
				    .space = CONVERGE_SPACE,
				    .name = CONVERGE_SLICE};

	if (step_slice_version(context, &version, err) < 0)
		return -1;
	slice.version = version;
	if (kube_client_remove(context->kube, &converge_service, &options, err) < 0)
		return -1;
	return kube_client_remove(context->kube, &slice, &options, err);
}

static bool converge_removes(const struct plan_step *step)
{
	return json_is_true(json_object_get(step->parameters, "remove"));
}

static void converge_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_text(out, "prove on every node that its proxy has caught up");
	if (converge_removes(step))
		buffer_text(out, ", and remove what that took");
}

static int converge_apply(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	if (step_converge(context, json_object_get(step->parameters, "servers"), NULL, err) < 0)
		return -1;
	return converge_removes(step) ? step_converge_forget(context, err) : 0;
}

/* On the way back the first of them comes last. */
static int converge_undo(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	return converge_removes(step) ? step_converge_prepare(context, err)
				      : step_converge_forget(context, err);
}

const struct step_kind step_converge_kind = {
	.name = "converge",
	.rights = step_rights_probe,
	.describe = converge_describe,
	.check = step_never_there,
	.apply = converge_apply,
	.verify = step_proved_by_apply,
	.undo = converge_undo,
};
