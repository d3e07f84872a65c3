/* SPDX-License-Identifier: MIT */
#include "model/observe_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/json.h"
#include "text/yaml.h"

/*
 * Two rounds to all nodes at once: what can be asked without knowing anything, then the files whose
 * names the first round brought.
 */
enum call {
	CALL_MANIFESTS,
	CALL_CNI,
	CALL_PROCESSES,
	CALL_FACTS,
	CALL_AUDIT,
	CALL_KUBELET,
	CALL_COUNT,
};

#define MANIFESTS_FOLDER "/etc/kubernetes/manifests"
#define CNI_FOLDER "/etc/cni/net.d"
#define KUBELET_CONFIG "/var/lib/kubelet/config.yaml"

static void make_requests(json_t *requests[CALL_COUNT], json_t *cidrs)
{
	requests[CALL_MANIFESTS] =
		json_pack("{s:s,s:s}", "op", "list-files", "path", MANIFESTS_FOLDER);
	requests[CALL_CNI] =
		json_pack("{s:s,s:s,s:b}", "op", "list-files", "path", CNI_FOLDER, "recursive", 1);
	requests[CALL_PROCESSES] = json_pack("{s:s,s:o}", "op", "processes", "cidrs", cidrs);
	requests[CALL_FACTS] = json_pack("{s:s}", "op", "sysfacts");
	requests[CALL_AUDIT] = json_pack("{s:s}", "op", "certs-audit");
	requests[CALL_KUBELET] = json_pack("{s:s,s:s}", "op", "read-file", "path", KUBELET_CONFIG);
}

/* ---- what is kept of the answers ---- */

/* Flags that somebody asks about; a command line may hold more than we should pass on. */
static const char *const kept_flags[] = {
	"service-cluster-ip-range",
	"feature-gates",
	"runtime-config",
	"secure-port",
	"advertise-address",
	"tls-cert-file",
	"config",
	"cluster-cidr",
	"allocate-node-cidrs",
	"disable-admission-plugins",
	"enable-admission-plugins",
	"proxy-mode",
	"cluster-dns",
};

static json_t *keep_flags(const json_t *args)
{
	json_t *flags = json_object();
	const json_t *word;
	size_t i;

	json_array_foreach(args, i, word) {
		const char *text = json_string_value(word);
		const char *name = text ? text + strspn(text, "-") : "";
		size_t len = strcspn(name, "=");

		for (size_t k = 0; name != text && k < sizeof(kept_flags) / sizeof(kept_flags[0]);
		     k++) {
			const char *value = json_string_value(json_array_get(args, i + 1));

			if (strlen(kept_flags[k]) != len || strncmp(kept_flags[k], name, len) != 0)
				continue;
			if (name[len] == '=')
				value = name + len + 1;
			json_object_set_new(flags, kept_flags[k], json_string(value ? value : ""));
		}
	}
	return flags;
}

static json_t *keep_servers(const json_t *servers)
{
	json_t *list = json_array();
	const json_t *server;
	size_t i;

	json_array_foreach(servers, i, server) {
		json_t *kept = json_object();

		json_object_set(kept, "name", json_object_get(server, "name"));
		json_object_set(kept, "startedAt", json_object_get(server, "startedAt"));
		json_object_set_new(kept, "flags", keep_flags(json_object_get(server, "args")));
		json_array_append_new(list, kept);
	}
	return list;
}

static json_t *keep_containers(const json_t *containers)
{
	static const char *const fields[] = {"podUID", "containerID", "startedAt",
					     "env",    "nameservers", "sandbox"};
	json_t *list = json_array();
	const json_t *container;
	size_t i;

	json_array_foreach(containers, i, container)
		json_array_append_new(
			list, observe_trim(container, fields, sizeof(fields) / sizeof(fields[0])));
	return list;
}

static json_t *keep_routes(const json_t *facts)
{
	json_t *list = json_array();
	const json_t *route;
	size_t i;

	json_array_foreach(json_path(facts, "routes"), i, route) {
		if (json_path_text(route, "destination"))
			json_array_append(list, json_path(route, "destination"));
	}
	return list;
}

static void keep_kubelet(json_t *host, const json_t *reply)
{
	auto_error struct error err = {0};
	auto_free char *text = node_reply_bytes(reply, "content", NULL, &err);
	json_t *string = text ? json_string(text) : NULL;

	if (string)
		json_object_set_new(host, "kubelet", json_pack("{s:o}", "text", string));
}

/* The server of every cluster in a kubeconfig: nothing else of it is kept. */
static void keep_cni(json_t *host, const char *path, const char *text)
{
	auto_yaml struct yaml y = {0};
	auto_error struct error err = {0};
	const struct yaml_node *clusters;
	json_t *list = json_object_get(host, "cni");

	if (yaml_parse(&y, path, slice_of(text), &err) < 0)
		return;
	clusters = yaml_path(yaml_root(&y), "clusters");
	for (size_t i = 0; clusters && i < clusters->count; i++) {
		const char *server =
			yaml_string(yaml_path(yaml_item(clusters, i), "cluster.server"));

		if (server)
			json_array_append_new(
				list, json_pack("{s:s,s:s}", "path", path, "server", server));
	}
}

static void keep_file(json_t *host, const json_t *file)
{
	const char *path = json_path_text(file, "path");
	auto_error struct error err = {0};
	auto_free char *text = path ? node_reply_bytes(file, "content", NULL, &err) : NULL;
	json_t *entry;

	if (!path)
		return;
	if (slice_starts(slice_of(path), CNI_FOLDER "/")) {
		if (text)
			keep_cni(host, path, text);
		return;
	}
	entry = json_pack("{s:s}", "path", path);
	if (text)
		json_object_set_new(entry, "text", json_string(text)); /* NULL: no UTF-8, no text */
	json_array_append_new(json_object_get(host, "manifests"), entry);
}

/* ---- the second round's wishes ---- */

static bool is_wanted(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (slice_starts(slice_of(path), MANIFESTS_FOLDER "/"))
		return *name != '.'; /* kubelet passes those over, too */
	return strstr(name, "kubeconfig") != NULL;
}

static void want_files(json_t *paths, const json_t *reply)
{
	const json_t *file;
	size_t i;

	json_array_foreach(json_path(reply, "files"), i, file) {
		const char *path = json_path_text(file, "path");

		if (path && strchr(path, '/') && !json_path_is(file, "type", "folder") &&
		    is_wanted(path))
			json_array_append_new(paths, json_string(path));
	}
}

/* ---- rounds ---- */

static const char *const audit_fields[] = {"root", "at", "records"};

static void take_first(json_t *host, const struct node_call *calls)
{
	const json_t *processes = calls[CALL_PROCESSES].reply;

	if (processes) {
		json_object_set_new(host, "servers", keep_servers(json_path(processes, "servers")));
		json_object_set_new(host, "containers",
				    keep_containers(json_path(processes, "containers")));
	}
	if (calls[CALL_FACTS].reply)
		json_object_set_new(host, "routes", keep_routes(calls[CALL_FACTS].reply));
	if (json_path(calls[CALL_AUDIT].reply, "records"))
		json_object_set_new(host, "audit",
				    observe_trim(calls[CALL_AUDIT].reply, audit_fields, 3));
	if (calls[CALL_KUBELET].reply)
		keep_kubelet(host, calls[CALL_KUBELET].reply);
	json_object_set_new(host, "manifests", json_array());
	json_object_set_new(host, "cni", json_array());
}

/* A node that cannot be reached fails every call in the same way. */
static const struct error *unreached(const struct node_call *calls)
{
	for (size_t i = 0; i < CALL_COUNT; i++) {
		if (calls[i].reply)
			return NULL;
	}
	return &calls[0].error;
}

/* What a node could not say. That a file is not there (a worker has no manifests) is no problem. */
static void keep_problems(json_t *host, const struct node_call *calls)
{
	json_t *problems = json_array();

	for (size_t i = 0; i < CALL_COUNT; i++) {
		if (!calls[i].reply && calls[i].error.kind != ERROR_NOT_FOUND)
			json_array_append_new(problems, json_string(error_text(&calls[i].error)));
	}
	json_object_set_new(host, "problems", problems);
}

static void second_round(struct node_pool *pool, json_t *hosts, const char *const nodes[],
			 size_t count, const struct node_call *first)
{
	json_t **requests = alloc_array(count ? count : 1, sizeof(json_t *));
	struct node_call *calls = alloc_array(count ? count : 1, sizeof(*calls));
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		json_t *paths = json_array();

		want_files(paths, first[i * CALL_COUNT + CALL_MANIFESTS].reply);
		want_files(paths, first[i * CALL_COUNT + CALL_CNI].reply);
		if (!json_array_size(paths)) {
			json_decref(paths);
			continue;
		}
		requests[used] = json_pack("{s:s,s:o}", "op", "read-files", "paths", paths);
		calls[used] = (struct node_call){.node = nodes[i], .request = requests[used]};
		used++;
	}
	node_pool_run(pool, calls, used);
	for (size_t i = 0; i < used; i++) {
		json_t *host = json_object_get(hosts, calls[i].node);
		const json_t *file;
		size_t k;

		json_array_foreach(json_path(calls[i].reply, "files"), k, file)
			keep_file(host, file);
		json_decref(requests[i]);
	}
	node_calls_release(calls, used);
	free(calls);
	free(requests);
}

static void first_round(struct node_pool *pool, json_t *hosts, const char *const nodes[],
			size_t count, json_t *cidrs)
{
	json_t *requests[CALL_COUNT];
	struct node_call *calls = alloc_array(count * CALL_COUNT + 1, sizeof(*calls));

	make_requests(requests, cidrs);
	for (size_t i = 0; i < count * CALL_COUNT; i++)
		calls[i] = (struct node_call){.node = nodes[i / CALL_COUNT],
					      .request = requests[i % CALL_COUNT]};
	node_pool_run(pool, calls, count * CALL_COUNT);
	for (size_t i = 0; i < count; i++) {
		const struct error *problem = unreached(&calls[i * CALL_COUNT]);
		json_t *host = json_object();

		json_object_set_new(hosts, nodes[i], host);
		if (problem) {
			json_object_set_new(host, "problem", json_string(error_text(problem)));
			continue;
		}
		keep_problems(host, &calls[i * CALL_COUNT]);
		take_first(host, &calls[i * CALL_COUNT]);
	}
	second_round(pool, hosts, nodes, count, calls);
	node_calls_release(calls, count * CALL_COUNT);
	free(calls);
	for (size_t i = 0; i < CALL_COUNT; i++)
		json_decref(requests[i]);
}

/*
 * Containers' environment may tell of a range that nothing else names any more. Then they are asked
 * once again, for their addresses in that one, too.
 */
static void ask_again(struct node_pool *pool, json_t *hosts, const char *const nodes[],
		      size_t count, json_t *cidrs)
{
	json_t *request = json_pack("{s:s,s:o}", "op", "processes", "cidrs", cidrs);
	struct node_call *calls = alloc_array(count + 1, sizeof(*calls));

	node_call_all(pool, nodes, count, request, calls);
	for (size_t i = 0; i < count; i++) {
		if (calls[i].reply)
			json_object_set_new(
				json_object_get(hosts, nodes[i]), "containers",
				keep_containers(json_path(calls[i].reply, "containers")));
	}
	node_calls_release(calls, count);
	free(calls);
	json_decref(request);
}

static bool has_guess(const struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->range_count; i++) {
		if (cluster->ranges[i].guessed)
			return true;
	}
	return false;
}

/* Every range that somebody names: addresses in them are what containers are asked about. */
static json_t *known_cidrs(const struct cluster *cluster)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cluster->range_count; i++) {
		for (size_t k = 0; k < cluster->ranges[i].cidrs.count; k++)
			json_array_append_new(
				list,
				json_string(net_cidr_text(cluster->ranges[i].cidrs.item[k]).text));
	}
	return list;
}

void observe_hosts(struct node_pool *pool, json_t *document)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_cluster struct cluster *seen = NULL;
	auto_error struct error err = {0};
	json_t *hosts = json_object();
	const char **nodes;
	size_t count = 0;

	json_object_set_new(document, "hosts", hosts);
	if (cluster_build(document, &cluster, &err) < 0)
		return;
	nodes = alloc_array(cluster->node_count + 1, sizeof(*nodes));
	for (size_t i = 0; i < cluster->node_count; i++) {
		node_pool_add(pool, cluster->nodes[i].name, cluster->nodes[i].address);
		if (node_pool_may_reach(pool, cluster->nodes[i].name))
			nodes[count++] = cluster->nodes[i].name;
	}
	first_round(pool, hosts, nodes, count, known_cidrs(cluster));
	if (cluster_build(document, &seen, &err) == 0 && has_guess(seen) &&
	    seen->range_count > cluster->range_count)
		ask_again(pool, hosts, nodes, count, known_cidrs(seen));
	free(nodes);
}
