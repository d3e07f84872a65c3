/* SPDX-License-Identifier: MIT */
/*
 * snapshot: what the run will touch, as it is before the run, for a person who has to go back
 * without this program. Parameters: none; the plan says what it touches.
 *
 * Objects become lists in the run's backup folder with the commands that put them back; files of
 * nodes stay on their nodes, in a folder that only root reads. Secrets are not among the objects.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "model/cluster.h"
#include "step/kinds.h"

#define SNAPSHOT_README "README"

static void snapshot_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "keep what the run will touch: objects here, files on their nodes");
}

static int snapshot_write(const struct step_context *context, const char *name, const char *text,
			  struct error *err)
{
	auto_free char *path = file_join(context->backup_folder, name);

	return file_replace(path, text, strlen(text), 0600, 0, err);
}

/* What servers fill in, and refuse in an object that is put back. */
static void snapshot_clean(json_t *object)
{
	static const char *const filled[] = {"resourceVersion", "uid", "creationTimestamp",
					     "generation", "managedFields"};
	json_t *metadata = json_object_get(object, "metadata");

	for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++)
		json_object_del(metadata, filled[i]);
}

/* Slices that a controller makes from Services and Pods come back by themselves. */
static bool snapshot_is_made(const json_t *object)
{
	static const char *const makers[] = {"endpointslice-controller.k8s.io",
					     "endpointslicemirroring-controller.k8s.io"};
	const json_t *labels = json_path(object, "metadata.labels");
	const char *maker = json_string_value(
		json_object_get(labels, "endpointslice.kubernetes.io/managed-by"));

	for (size_t i = 0; maker && i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcmp(maker, makers[i]) == 0)
			return true;
	return false;
}

static int snapshot_list(struct step_context *context, const struct kube_target *target,
			 const char *file, struct error *err)
{
	auto_json json_t *objects = NULL;
	auto_json json_t *kept = json_array();
	auto_json json_t *list = NULL;
	auto_free char *text = NULL;
	json_t *object;
	size_t i;

	if (kube_client_list(context->kube, target, NULL, &objects, NULL, err) < 0)
		return -1;
	json_array_foreach(objects, i, object) {
		if (snapshot_is_made(object) ||
		    json_object_get(json_path(object, "metadata.labels"), CLUSTER_RUN_LABEL))
			continue;
		snapshot_clean(object);
		json_array_append(kept, object);
	}
	list = json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", kept);
	text = json_dumps(list, JSON_INDENT(1));
	return snapshot_write(context, file, text, err);
}

/* A kind that is not served here has no objects. */
static int snapshot_list_served(struct step_context *context, const char *group, const char *plural,
				const char *file, struct error *err)
{
	auto_free char *version = NULL;
	struct kube_target target = {.group = group, .plural = plural};

	if (kube_discovery_served(context->kube, group, plural, &version, err) < 0)
		return -1;
	target.version = version;
	return version ? snapshot_list(context, &target, file, err) : 0;
}

static bool snapshot_is_config_map(const struct plan_step *step)
{
	return strncmp(step->subject, "ConfigMap/", strlen("ConfigMap/")) == 0;
}

static int snapshot_config_maps(struct step_context *context, struct error *err)
{
	for (size_t i = 0; i < context->plan->count; i++) {
		const struct plan_step *step = &context->plan->steps[i];
		auto_json json_t *map = NULL;
		auto_free char *name = NULL;
		struct kube_target target = {.version = "v1", .plural = "configmaps"};

		if (!snapshot_is_config_map(step))
			continue;
		if (step_text(step, "namespace", &target.space, err) < 0 ||
		    step_text(step, "name", &target.name, err) < 0 ||
		    step_find(context, &target, &map, err) < 0)
			return -1;
		name = alloc_format("configmap-%s-%s", target.space, target.name);
		if (map && step_backup_object(context, name, map, err) < 0)
			return -1;
	}
	return 0;
}

static int snapshot_objects(struct step_context *context, struct error *err)
{
	const struct kube_target services = {.version = "v1", .plural = "services"};

	if (snapshot_list(context, &services, "services.json", err) < 0 ||
	    snapshot_list_served(context, "discovery.k8s.io", "endpointslices",
				 "endpointslices.json", err) < 0 ||
	    snapshot_list_served(context, "networking.k8s.io", "servicecidrs", "servicecidrs.json",
				 err) < 0)
		return -1;
	return snapshot_config_maps(context, err);
}

static void snapshot_add_path(json_t *nodes, const char *node, const char *path)
{
	json_t *paths = json_object_get(nodes, node);
	const json_t *known;
	size_t i;

	if (!paths) {
		paths = json_array();
		json_object_set_new(nodes, node, paths);
	}
	json_array_foreach(paths, i, known)
		if (strcmp(json_string_value(known), path) == 0)
			return;
	json_array_append_new(paths, json_string(path));
}

/* {node: [path]} of the files that the plan edits. */
static json_t *snapshot_paths(const struct plan *plan)
{
	json_t *nodes = json_object();

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *step = &plan->steps[i];
		const char *node = step_optional_text(step, "node");
		const char *path = step_optional_text(step, "path");

		if (node && path)
			snapshot_add_path(nodes, node, path);
		if (node && strcmp(step->kind, "certificate") == 0) {
			snapshot_add_path(nodes, node, "/etc/kubernetes/pki/apiserver.crt");
			snapshot_add_path(nodes, node, "/etc/kubernetes/pki/apiserver.key");
		}
	}
	return nodes;
}

/* A node that cannot be reached now keeps its files when a step first writes one of them. */
static int snapshot_files(struct step_context *context, const json_t *nodes, struct error *err)
{
	const char *node;
	json_t *paths;

	json_object_foreach((json_t *)(uintptr_t)nodes, node, paths) {
		auto_json json_t *request = json_pack("{s:s, s:s, s:O}", "op", "backup", "run",
						      context->plan->run, "paths", paths);
		auto_json json_t *reply = NULL;

		if (!context->pool || !node_pool_may_reach(context->pool, node))
			continue;
		context->say(context, "keeping %zu files on %s", json_array_size(paths), node);
		if (node_call(context->pool, node, request, &reply, err) == 0)
			continue;
		if (err->kind != ERROR_NETWORK)
			return -1;
		log_warning("%s; its files are kept when a step first writes there",
			    error_text(err));
		error_release(err);
	}
	return 0;
}

static void snapshot_readme_files(const struct step_context *context, const json_t *nodes,
				  struct buffer *out)
{
	const char *node;
	const json_t *path;
	json_t *paths;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)nodes, node, paths) {
		buffer_format(out, "\nOn node %s, as root:\n\n", node);
		json_array_foreach(paths, i, path)
			buffer_format(out, "  cp -p /var/lib/kubectl-renumber/%s/files%s %s\n",
				      context->plan->run, json_string_value(path),
				      json_string_value(path));
	}
}

static char *snapshot_readme(const struct step_context *context, const json_t *nodes)
{
	auto_buffer struct buffer text = {0};

	buffer_format(
		&text,
		"Run %s of kubectl-renumber, to %s, on the cluster at %s (%s).\n"
		"\n"
		"What is here was so before the run. 'kubectl renumber rollback' brings it back in "
		"the order\n"
		"that keeps Services answering; use what follows when that is not possible.\n"
		"\n"
		"Files first, API servers before kubelets; kubelet restarts what a manifest "
		"defines:\n",
		context->plan->run, context->plan->to, context->plan->server,
		context->plan->cluster_uid);
	snapshot_readme_files(context, nodes, &text);
	buffer_text(&text,
		    "\nThen the objects. A Service takes its former clusterIP only when it is made "
		    "anew, which\n"
		    "closes its connections; --force does that:\n"
		    "\n"
		    "  kubectl replace --force -f services.json\n"
		    "  kubectl apply -f endpointslices.json\n"
		    "  for f in configmap-*.json; do kubectl replace --force -f \"$f\"; done\n"
		    "\n"
		    "The default ServiceCIDR is made by API servers from their flags when it is "
		    "missing "
		    "(see\n"
		    "servicecidrs.json for what there was):\n"
		    "\n"
		    "  kubectl delete servicecidr kubernetes\n");
	return buffer_detach(&text);
}

static int snapshot_apply(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_json json_t *nodes = snapshot_paths(context->plan);
	auto_free char *readme = snapshot_readme(context, nodes);

	(void)step;
	if (snapshot_objects(context, err) < 0 || snapshot_files(context, nodes, err) < 0)
		return -1;
	return snapshot_write(context, SNAPSHOT_README, readme, err);
}

static int snapshot_verify(struct step_context *context, const struct plan_step *step,
			   struct error *err)
{
	auto_free char *readme = file_join(context->backup_folder, SNAPSHOT_README);

	(void)step;
	return file_exists(readme) ? 0 : error_set(err, ERROR_IO, "'%s' is not there", readme);
}

const struct step_kind step_snapshot = {
	.name = "snapshot",
	.describe = snapshot_describe,
	.check = step_never_there, /* taken anew whenever the run begins */
	.apply = snapshot_apply,
	.verify = snapshot_verify,
};
