/* SPDX-License-Identifier: MIT */
#include "scan/cluster.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "scan/packed.h"

/* ---- objects ---- */

static char *page_path(const struct kube_resource *resource, const char *from)
{
	struct kube_target target = kube_resource_target(resource);
	auto_free char *path = kube_path(&target);
	auto_buffer struct buffer query = {0};

	buffer_text(&query, path);
	kube_path_query(&query, "limit", "500");
	if (from)
		kube_path_query(&query, "continue", from);
	return buffer_detach(&query);
}

static void forget_hits(struct scan_result *result, size_t count)
{
	struct scan_result dropped = {
		.hits = alloc_array(result->count + 1, sizeof(*result->hits))};

	for (; result->count > count; result->count--)
		dropped.hits[dropped.count++] = result->hits[result->count - 1];
	scan_result_release(&dropped);
}

static int scan_secrets(struct scan_result *result, const struct scan_matcher *matcher,
			struct slice body, struct error *err)
{
	auto_json json_t *list = json_parse(body, "secrets", err);

	if (!list)
		return -1;
	scan_packed_objects(result, matcher, list);
	return 0;
}

/* All pages. *ret_expired: the list expired under us (410). */
static int scan_pages(struct scan_result *result, const struct scan_matcher *matcher,
		      struct kube_client *kube, const struct kube_resource *resource,
		      bool *ret_expired, struct error *err)
{
	auto_free char *from = NULL;
	size_t pages = 0;

	do {
		auto_free char *path = page_path(resource, from);
		auto_kube_reply struct kube_reply reply = {0};
		struct kube_request request = {
			.method = KUBE_GET,
			.path = path,
			/* an aggregated API's server may be gone */
			.once = strchr(resource->group, '.') != NULL,
		};

		if (kube_client_send(kube, &request, &reply, err) < 0) {
			*ret_expired = reply.status == 410;
			return -1;
		}
		scan_objects(result, matcher, buffer_as_slice(&reply.body));
		if (strcmp(resource->plural, "secrets") == 0 && !*resource->group &&
		    scan_secrets(result, matcher, buffer_as_slice(&reply.body), err) < 0)
			return -1;
		if (++pages > LIMIT_PAGES)
			return error_set(err, ERROR_PARSE, "the list has no end: %zu pages came",
					 pages);
		free(from);
		from = scan_list_continue(buffer_as_slice(&reply.body));
	} while (from);
	return 0;
}

static int scan_resource(struct scan_result *result, const struct scan_matcher *matcher,
			 struct kube_client *kube, const struct kube_resource *resource,
			 struct error *err)
{
	size_t before = result->count;
	bool expired = false;

	if (scan_pages(result, matcher, kube, resource, &expired, err) < 0) {
		forget_hits(result, before);
		if (!expired)
			return -1;
		error_release(err);
		if (scan_pages(result, matcher, kube, resource, &expired, err) < 0) {
			forget_hits(result, before);
			return -1;
		}
	}
	result->sources++;
	result->sources_hit += result->count > before;
	return 0;
}

/* The same objects are served under several groups; these are looked at once. */
static bool is_twin(const struct kube_resource *r)
{
	if (strcmp(r->group, "events.k8s.io") == 0)
		return true;
	return strcmp(r->plural, "componentstatuses") == 0 || strcmp(r->group, "extensions") == 0;
}

int scan_cluster(struct scan_result *result, const struct scan_matcher *matcher,
		 struct kube_client *kube, struct error *err)
{
	struct kube_resources resources = {0};

	if (kube_discovery_resources(kube, &resources, err) < 0)
		return -1;
	for (size_t i = 0; i < resources.failed_count; i++)
		scan_gap_add(result, resources.failed[i], "the server of this API does not answer");
	for (size_t i = 0; i < resources.count; i++) {
		const struct kube_resource *r = &resources.items[i];
		auto_error struct error problem = {0};
		auto_free char *name =
			alloc_format("%s%s%s", r->plural, *r->group ? "." : "", r->group);

		if (!r->preferred || !r->listable || is_twin(r))
			continue;
		log_debug("looking through %s", name);
		if (scan_resource(result, matcher, kube, r, &problem) == 0)
			continue;
		if (problem.kind == ERROR_INTERRUPTED) {
			kube_resources_release(&resources);
			return error_move(err, &problem);
		}
		/* a type that is listed but cannot be (405), or was removed meanwhile */
		if (problem.kind != ERROR_NOT_FOUND)
			scan_gap_add(result, name, "%s", error_text(&problem));
	}
	kube_resources_release(&resources);
	return 0;
}

/* ---- files of nodes ---- */

static const char *const folders[] = {
	"/etc/kubernetes",
	"/etc/kubernetes/manifests",
	"/etc/cni/net.d",
	"/etc/systemd/system/kubelet.service.d",
	"/lib/systemd/system/kubelet.service.d",
	"/etc/systemd/system/containerd.service.d",
	"/etc/systemd/system/crio.service.d",
	"/etc/systemd/system/docker.service.d",
};

static const char *const files[] = {
	"/var/lib/kubelet/config.yaml",
	"/var/lib/kubelet/kubeadm-flags.env",
	"/etc/default/kubelet",
	"/etc/sysconfig/kubelet",
	"/etc/environment",
	"/etc/hosts",
	"/etc/resolv.conf",
};

enum { FOLDER_COUNT = sizeof(folders) / sizeof(folders[0]) };

/* The regular files that the lists name; names that the agent does not read are refused by it. */
static void add_names(const json_t *reply, json_t *paths)
{
	const json_t *list = json_object_get(reply, "files"), *file;
	size_t i;

	json_array_foreach(list, i, file)
		if (json_path_is(file, "type", "file"))
			json_array_append(paths, json_object_get(file, "path"));
}

static void scan_file(struct scan_result *result, const struct scan_matcher *matcher,
		      const char *node, const json_t *file)
{
	const char *path = json_path_text(file, "path"), *kind = json_path_text(file, "kind");
	auto_error struct error err = {0};
	auto_free char *subject = alloc_format("%s:%s", node, path ? path : "");
	auto_free char *bytes = NULL;
	size_t len = 0;

	if (!path || (kind && (strcmp(kind, "not-found") == 0 || strcmp(kind, "refused") == 0)))
		return;
	if (json_path_text(file, "error")) {
		scan_gap_add(result, subject, "%s", json_path_text(file, "error"));
		return;
	}
	bytes = node_reply_bytes(file, "content", &len, &err);
	if (!bytes)
		scan_gap_add(result, subject, "%s", error_text(&err));
	else
		scan_text(result, matcher, node, path, (struct slice){bytes, len});
}

/* Nodes that are asked at the same time; their files are held in memory together. */
enum { BATCH = 16 };

/* What stands in the folders of `count` nodes: paths[i] for nodes[i]. */
static void list_folders(struct node_pool *pool, const char *const nodes[], size_t count,
			 json_t *paths[])
{
	auto_free struct node_call *calls = alloc_array(count * FOLDER_COUNT, sizeof(*calls));
	json_t *requests[FOLDER_COUNT];

	for (size_t i = 0; i < FOLDER_COUNT; i++)
		requests[i] = json_pack("{s:s,s:s}", "op", "list-files", "path", folders[i]);
	for (size_t i = 0; i < count * FOLDER_COUNT; i++) {
		calls[i].node = nodes[i / FOLDER_COUNT];
		calls[i].request = requests[i % FOLDER_COUNT];
	}
	node_pool_run(pool, calls, count * FOLDER_COUNT);
	for (size_t i = 0; i < count * FOLDER_COUNT; i++)
		if (calls[i].reply)
			add_names(calls[i].reply, paths[i / FOLDER_COUNT]);
	node_calls_release(calls, count * FOLDER_COUNT);
	for (size_t i = 0; i < FOLDER_COUNT; i++)
		json_decref(requests[i]);
}

static void scan_batch(struct scan_result *result, const struct scan_matcher *matcher,
		       struct node_pool *pool, const char *const nodes[], size_t count)
{
	struct node_call calls[BATCH] = {0};
	json_t *paths[BATCH], *requests[BATCH];
	const json_t *file;
	size_t j;

	for (size_t i = 0; i < count; i++)
		paths[i] = json_array();
	list_folders(pool, nodes, count, paths);
	for (size_t i = 0; i < count; i++) {
		for (j = 0; j < sizeof(files) / sizeof(files[0]); j++)
			json_array_append_new(paths[i], json_string(files[j]));
		requests[i] = json_pack("{s:s,s:o}", "op", "read-files", "paths", paths[i]);
		calls[i].node = nodes[i];
		calls[i].request = requests[i];
	}
	node_pool_run(pool, calls, count);
	for (size_t i = 0; i < count; i++) {
		if (!calls[i].reply)
			scan_gap_add(result, nodes[i], "%s", error_text(&calls[i].error));
		json_array_foreach(json_object_get(calls[i].reply, "files"), j, file)
			scan_file(result, matcher, nodes[i], file);
		json_decref(requests[i]);
	}
	node_calls_release(calls, count);
}

void scan_nodes(struct scan_result *result, const struct scan_matcher *matcher,
		struct node_pool *pool, const char *const nodes[], size_t count)
{
	const char *batch[BATCH];
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (node_pool_may_reach(pool, nodes[i]))
			batch[used++] = nodes[i];
		if (used == BATCH || (i + 1 == count && used > 0)) {
			scan_batch(result, matcher, pool, batch, used);
			used = 0;
		}
	}
}
