/* SPDX-License-Identifier: MIT */
#include "lab/pod.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "lab/folder.h"
#include "lab/local_dns.h"
#include "lab/proc.h"
#include "lab/proxy.h"
#include "text/json.h"

enum {
	POD_START_MS = 1500,
	POD_STOP_MS = 1500,
	POD_RETRY_MS = 5000,
	POD_LOOK_MS = 2000,
	POD_LOOK_PLAYED_MS = 20000,
	POD_BACKOFF_MS = 10000,
	POD_BACKOFF_MAX_MS = 300000,
	POD_FAILURES = 2, /* that a container bears */
};

enum pod_kind { POD_PLAIN, POD_CLIENT, POD_CALICO };

struct pod_run {
	struct lab_node *node;
	char *space;
	char *name;
	enum pod_kind kind;
	struct lab_process *process; /* NULL: its container does not run */
	struct loop_timer *timer;
	char *api_host; /* as its environment says; NULL */
	unsigned int api_port;
	int restarts;
	int failures;
	bool ready;
	bool stopping;
	struct pod_run *next;
};

static json_t *pod_object(const struct pod_run *run)
{
	return store_find(run->node->lab->store, "pods", run->space, run->name);
}

bool pod_is_ready(const json_t *pod)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_path(pod, "status.conditions"), i, condition)
		if (json_path_is(condition, "type", "Ready"))
			return json_path_is(condition, "status", "True");
	return false;
}

static bool pod_on_host(const json_t *pod)
{
	return json_path_bool(pod, "spec.hostNetwork", false);
}

bool pod_network_works(struct lab_node *node)
{
	auto_free char *complaint = proxy_complaint(node, node->cni_host, node->cni_port);

	return !complaint;
}

/* --- environment ------------------------------------------------------------------------------ */

static void pod_add_service(json_t *env, const json_t *service)
{
	const char *address = json_path_text(service, "spec.clusterIP");
	const char *name = json_path_text(service, "metadata.name");
	auto_free char *upper = NULL;
	auto_free char *host = NULL;
	auto_free char *port = NULL;
	auto_free char *number = NULL;

	if (!address || !*address || strcmp(address, "None") == 0)
		return;
	upper = alloc_text(name);
	for (char *c = upper; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	host = alloc_format("%s_SERVICE_HOST", upper);
	port = alloc_format("%s_SERVICE_PORT", upper);
	number = alloc_format("%lld", (long long)json_path_int(service, "spec.ports.0.port", 0));
	json_object_set_new(env, host, json_string(address));
	json_object_set_new(env, port, json_string(number));
}

static void pod_add_services(struct lab *lab, const char *space, json_t *env)
{
	const struct store_type *type = store_type_find("", "services");
	size_t count;
	const char *const *keys = store_keys_in(lab->store, type, space, &count);

	for (size_t i = 0; i < count; i++)
		pod_add_service(env, store_by_key(lab->store, type, keys[i]));
}

static void pod_add_config_maps(struct lab *lab, const json_t *pod, json_t *env)
{
	const json_t *source;
	size_t i;

	json_array_foreach(json_path(pod, "spec.containers.0.envFrom"), i, source) {
		const char *name = json_path_text(source, "configMapRef.name");
		const json_t *map =
			name ? store_find(lab->store, "configmaps",
					  json_path_text(pod, "metadata.namespace"), name)
			     : NULL;

		json_object_update(env, json_path(map, "data"));
	}
}

static json_t *pod_environment(struct lab *lab, const json_t *pod)
{
	const json_t *api = store_find(lab->store, "services", "default", "kubernetes");
	json_t *env = json_pack("{s:s}", "PATH", "/usr/bin:/bin");

	pod_add_services(lab, json_path_text(pod, "metadata.namespace"), env);
	if (api)
		pod_add_service(env, api);
	pod_add_config_maps(lab, pod, env);
	return env;
}

/* --- status ----------------------------------------------------------------------------------- */

static json_t *pod_state(const struct pod_run *run)
{
	auto_free char *started = NULL;

	if (!run->process)
		return json_pack("{s:{s:s}}", "waiting", "reason",
				 run->restarts ? "CrashLoopBackOff" : "ContainerCreating");
	started = clock_format(loop_wall_s(run->node->lab->loop, run->process->started));
	return json_pack("{s:{s:s}}", "running", "startedAt", started);
}

static char *pod_address(const struct pod_run *run, const json_t *pod)
{
	const char *old = json_path_text(pod, "status.podIP");
	struct lab *lab = run->node->lab;

	if (pod_on_host(pod))
		return alloc_text(run->node->address);
	if (old)
		return alloc_text(old);
	return alloc_format(LAB_POD_PREFIX ".%zu.%llu", run->node->index % 256,
			    (unsigned long long)lab_random(lab, 250) + 2);
}

/* `ended`: what the last container said before it ended, or NULL. */
static void pod_report(struct pod_run *run, const char *ended)
{
	struct lab *lab = run->node->lab;
	json_t *pod = json_deep_copy(pod_object(run));
	auto_free char *address = NULL;
	auto_free char *now = lab_time(lab);
	json_t *last;
	json_t *status;

	if (!pod)
		return;
	address = pod_address(run, pod);
	last = json_incref(json_path(pod, "status.containerStatuses.0.lastState"));
	if (ended) {
		json_decref(last);
		last = json_pack("{s:{s:i,s:s,s:s,s:s}}", "terminated", "exitCode", 1, "reason",
				 "Error", "message", ended, "finishedAt", now);
	}
	status = json_pack(
		"{s:s,s:s,s:s,s:[{s:s,s:s},{s:s,s:s}],s:[{s:s,s:b,s:b,s:i,s:o}]}", "phase",
		run->process || run->restarts ? "Running" : "Pending", "hostIP", run->node->address,
		"startTime",
		json_path_text(pod, "status.startTime") ? json_path_text(pod, "status.startTime")
							: now,
		"conditions", "type", "Ready", "status", run->ready ? "True" : "False", "type",
		"ContainersReady", "status", run->ready ? "True" : "False", "containerStatuses",
		"name", json_path_text(pod, "spec.containers.0.name"), "ready", (int)run->ready,
		"started", (int)run->ready, "restartCount", run->restarts, "state", pod_state(run));
	if (last)
		json_object_set_new(json_path(status, "containerStatuses.0"), "lastState", last);
	if (run->process || json_path(pod, "status.podIP"))
		json_object_set_new(status, "podIP", json_string(address));
	json_object_set_new(pod, "status", status);
	lab_put(lab, "pods", pod);
}

static void pod_say(struct pod_run *run, const char *line)
{
	auto_free char *key = store_key(run->space, run->name);
	auto_free char *now = lab_time(run->node->lab);
	auto_free char *text = alloc_format("%s %s\n", now, line);

	json_object_set_new(run->node->lab->logs, key, json_string(text));
}

/* --- containers ------------------------------------------------------------------------------- */

static void pod_look(void *data);
static void pod_start(void *data);
static void pod_crash(struct pod_run *run, const char *complaint);

static void pod_look_after(struct pod_run *run, int64_t ms, loop_due *fn)
{
	loop_cancel(run->node->lab->loop, run->timer);
	run->timer = loop_after(run->node->lab->loop, ms, fn, run);
}

static void pod_read_environment(struct pod_run *run, const json_t *env)
{
	const char *host = json_path_text(env, "KUBERNETES_SERVICE_HOST");
	const char *port = json_path_text(env, "KUBERNETES_SERVICE_PORT");
	uint64_t number;

	free(run->api_host);
	run->api_host = host ? alloc_text(host) : NULL;
	run->api_port =
		port && slice_to_u64(slice_of(port), 65535, &number) ? (unsigned int)number : 443;
}

static void pod_run_container(struct pod_run *run)
{
	struct lab *lab = run->node->lab;
	const json_t *pod = pod_object(run);
	auto_free char *complaint = local_dns_crash(lab, pod);
	const char *name = json_path_text(pod, "spec.containers.0.name");
	struct lab_process made = {
		.env = pod_environment(lab, pod),
		.pod_uid = alloc_text(json_path_text(pod, "metadata.uid")),
		.container_id = proc_container_id(lab),
		.dns = !pod_on_host(pod) && run->node->dns ? alloc_text(run->node->dns) : NULL,
		.host_network = pod_on_host(pod),
	};
	auto_free char *program = alloc_format("/%s", name);

	made.args = json_pack("[s]", program);
	pod_read_environment(run, made.env);
	run->process = proc_start(run->node, &made);
	if (complaint) {
		pod_crash(run, complaint);
		return;
	}
	run->failures = 0;
	run->ready = run->kind != POD_CALICO;
	pod_report(run, NULL);
	if (run->kind != POD_PLAIN)
		pod_look_after(run, 100, pod_look);
}

static void pod_start(void *data)
{
	struct pod_run *run = data;
	struct lab_node *node = run->node;
	const json_t *pod = pod_object(run);

	run->timer = NULL;
	if (!lab_any_server(node->lab)) {
		pod_look_after(run, POD_RETRY_MS, pod_start);
		return;
	}
	if (local_dns_missing(node->lab, pod)) {
		pod_look_after(run, POD_RETRY_MS, pod_start);
		return;
	}
	if (!run->process && !run->restarts && !pod_on_host(pod) && !pod_network_works(node)) {
		auto_free char *complaint = proxy_complaint(node, node->cni_host, node->cni_port);

		lab_event(
			node->lab, "Pod", run->space, run->name, "FailedCreatePodSandBox",
			"Failed to create pod sandbox: rpc error: code = Unknown desc = failed "
			"to setup network for sandbox: plugin type=\"calico\" failed (add): error "
			"getting ClusterInformation: %s",
			complaint ? complaint : "unknown");
		pod_look_after(run, POD_RETRY_MS, pod_start);
		return;
	}
	pod_run_container(run);
}

/* Its network plugin's kubeconfig gets the address that calico-node itself uses. */
static void pod_install_cni(struct pod_run *run)
{
	struct lab_node *node = run->node;
	auto_free char *path = alloc_format("%s/etc/cni/net.d/calico-kubeconfig", node->folder);
	auto_free char *text = alloc_format(
		"apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: "
		"https://%s:%u\nusers:\n- name: calico\n  user:\n    token: lab\ncontexts:\n- "
		"name: "
		"calico-context\n  context:\n    cluster: local\n    user: "
		"calico\ncurrent-context: "
		"calico-context\n",
		run->api_host, run->api_port);
	auto_error struct error ignored = {0};

	if (node->cni_host && strcmp(node->cni_host, run->api_host) == 0 &&
	    node->cni_port == run->api_port)
		return;
	free(node->cni_host);
	node->cni_host = alloc_text(run->api_host);
	node->cni_port = run->api_port;
	if (node->shown && folder_write(path, slice_of(text), 0600, &ignored) < 0)
		error_release(&ignored);
}

static void pod_crash(struct pod_run *run, const char *complaint)
{
	int64_t backoff = POD_BACKOFF_MS;

	proc_end(run->node, run->process);
	run->process = NULL;
	run->ready = false;
	for (int i = 0; i < run->restarts && backoff < POD_BACKOFF_MAX_MS; i++)
		backoff *= 2;
	run->restarts++;
	pod_report(run, complaint);
	pod_look_after(run, backoff > POD_BACKOFF_MAX_MS ? POD_BACKOFF_MAX_MS : backoff, pod_start);
}

static void pod_look(void *data)
{
	struct pod_run *run = data;
	auto_free char *complaint = NULL;
	auto_free char *line = NULL;
	bool ready;

	run->timer = NULL;
	complaint = proxy_complaint(run->node, run->api_host, run->api_port);
	line = complaint
		       ? alloc_format("error https://%s:%u: %s", run->api_host ? run->api_host : "",
				      run->api_port, complaint)
		       : alloc_format(" ok https://%s:%u", run->api_host, run->api_port);
	pod_say(run, line);
	run->failures = complaint ? run->failures + 1 : 0;
	if (run->kind == POD_CALICO && run->failures >= POD_FAILURES) {
		pod_crash(run, complaint);
		return;
	}
	if (run->kind == POD_CALICO) {
		ready = !complaint;
		if (ready)
			pod_install_cni(run);
		if (ready != run->ready) {
			run->ready = ready;
			pod_report(run, NULL);
		}
	}
	/* nobody breaks anything between the steps of a scenario that is played */
	pod_look_after(run, complaint || run->node->lab->open ? POD_LOOK_MS : POD_LOOK_PLAYED_MS,
		       pod_look);
}

/* --- coming and going ------------------------------------------------------------------------- */

static void pod_free(struct pod_run *run)
{
	struct lab_node *node = run->node;

	for (struct pod_run **at = &node->pods; *at; at = &(*at)->next) {
		if (*at == run) {
			*at = run->next;
			break;
		}
	}
	loop_cancel(node->lab->loop, run->timer);
	proc_end(node, run->process);
	free(run->space);
	free(run->name);
	free(run->api_host);
	free(run);
}

void pod_forget(struct lab_node *node)
{
	while (node->pods)
		pod_free(node->pods);
}

static void pod_stop(void *data)
{
	struct pod_run *run = data;
	struct lab_node *node = run->node;
	const json_t *pod = pod_object(run);

	run->timer = NULL;
	if (!lab_any_server(node->lab)) {
		pod_look_after(run, POD_RETRY_MS, pod_stop);
		return;
	}
	if (!pod_on_host(pod) && !pod_network_works(node)) {
		auto_free char *complaint = proxy_complaint(node, node->cni_host, node->cni_port);

		lab_event(node->lab, "Pod", run->space, run->name, "FailedKillPod",
			  "error killing pod: failed to \"KillPodSandbox\": rpc error: plugin "
			  "type=\"calico\" failed (delete): error getting ClusterInformation: %s",
			  complaint ? complaint : "unknown");
		pod_look_after(run, POD_RETRY_MS, pod_stop);
		return;
	}
	lab_delete(node->lab, "pods", run->space, run->name);
}

static enum pod_kind pod_kind_of(const json_t *pod)
{
	const char *name = json_path_text(pod, "spec.containers.0.name");

	if (name && strcmp(name, "calico-node") == 0)
		return POD_CALICO;
	return name && strcmp(name, "client") == 0 ? POD_CLIENT : POD_PLAIN;
}

static struct pod_run *pod_find(struct lab_node *node, const json_t *pod)
{
	for (struct pod_run *run = node->pods; run; run = run->next)
		if (json_path_is(pod, "metadata.name", run->name) &&
		    json_path_is(pod, "metadata.namespace", run->space))
			return run;
	return NULL;
}

static void pod_come(struct lab_node *node, const json_t *pod)
{
	struct pod_run *run = ALLOC_NEW(struct pod_run);

	*run = (struct pod_run){
		.node = node,
		.space = alloc_text(json_path_text(pod, "metadata.namespace")),
		.name = alloc_text(json_path_text(pod, "metadata.name")),
		.kind = pod_kind_of(pod),
		.next = node->pods,
	};
	node->pods = run;
	pod_look_after(run, POD_START_MS, pod_start);
}

void pod_changed(struct lab *lab, const struct store_event *event)
{
	struct lab_node *node = lab_node(lab, json_path_text(event->object, "spec.nodeName"));
	struct pod_run *run;

	if (!node || json_object_get(json_path(event->object, "metadata.annotations"),
				     "kubernetes.io/config.mirror"))
		return;
	run = pod_find(node, event->object);
	if (event->change == STORE_DELETED) {
		if (run)
			pod_free(run);
		return;
	}
	if (!run) {
		pod_come(node, event->object);
		return;
	}
	if (json_path(event->object, "metadata.deletionTimestamp") && !run->stopping) {
		run->stopping = true;
		run->ready = false;
		pod_look_after(run, POD_STOP_MS, pod_stop);
	}
}
