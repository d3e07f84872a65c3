/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <stdlib.h>
#include <string.h>

#include "text/json.h"
#include "text/kubelet.h"
#include "text/manifest.h"

#define SERVICE_HOST_SUFFIX "_SERVICE_HOST"

static const char *const programs[] = {
	"kube-apiserver",
	"kube-controller-manager",
	"kube-scheduler",
	"etcd",
};
enum { PROGRAM_COUNT = sizeof(programs) / sizeof(programs[0]) };

static struct cluster_component *component_of(struct cluster_host *host, const char *program)
{
	if (strcmp(program, "kube-apiserver") == 0)
		return &host->api_server;
	if (strcmp(program, "kube-controller-manager") == 0)
		return &host->controller_manager;
	return NULL;
}

/* The file that kubeadm writes counts; a second one for the same program is a finding. */
static void take_manifest(const struct build *b, struct cluster_component *component,
			  const struct cluster_manifest *manifest,
			  const struct manifest_flags *flags)
{
	const char *own = arena_format(b->arena, "/%s.yaml", manifest->program);
	bool is_own = slice_ends(slice_of(manifest->path), own);

	if (component->manifest_known && !is_own)
		return;
	component->manifest_known = true;
	component->manifest_path = manifest->path;
	component->manifest_text = manifest->text;
	component->manifest_range =
		arena_text(b->arena, manifest_flags_get(flags, "service-cluster-ip-range"));
	component->manifest_feature_gates =
		arena_text(b->arena, manifest_flags_get(flags, "feature-gates"));
}

static void build_manifest(const struct build *b, struct cluster_host *host,
			   struct cluster_manifest *manifest)
{
	for (size_t i = 0; i < PROGRAM_COUNT; i++) {
		auto_manifest_flags struct manifest_flags flags = {0};
		auto_error struct error err = {0};
		struct cluster_component *component;

		if (manifest_flags_read(&flags, manifest->path, slice_of(manifest->text),
					programs[i], &err) < 0)
			continue;
		manifest->program = programs[i];
		component = component_of(host, programs[i]);
		if (component)
			take_manifest(b, component, manifest, &flags);
		return;
	}
}

static int compare_manifests(const void *a, const void *b)
{
	const struct cluster_manifest *x = a;
	const struct cluster_manifest *y = b;

	return strcmp(x->path, y->path);
}

static void build_manifests(const struct build *b, struct cluster_host *host, const json_t *object)
{
	const json_t *file;
	size_t i;

	host->manifests = arena_array(b->arena, json_path_count(object, "manifests"),
				      sizeof(*host->manifests));
	json_array_foreach(json_path(object, "manifests"), i, file) {
		if (!json_path_text(file, "path"))
			continue;
		host->manifests[host->manifest_count++] = (struct cluster_manifest){
			.path = json_path_text(file, "path"),
			.text = json_path_text(file, "text"),
		};
	}
	if (host->manifest_count)
		qsort(host->manifests, host->manifest_count, sizeof(*host->manifests),
		      compare_manifests);
	for (i = 0; i < host->manifest_count; i++) {
		if (host->manifests[i].text)
			build_manifest(b, host, &host->manifests[i]);
	}
}

static void build_servers(struct cluster_node *node, const json_t *object)
{
	const json_t *server;
	size_t i;

	json_array_foreach(json_path(object, "servers"), i, server) {
		const char *name = json_path_text(server, "name");
		const json_t *flags = json_path(server, "flags");
		struct cluster_component *component = name ? component_of(&node->host, name) : NULL;
		uint64_t port;

		if (name && strcmp(name, "kubelet") == 0)
			node->host.kubelet_started_s = json_path_int(server, "startedAt", 0);
		if (!component)
			continue;
		component->running = true;
		component->started_s = json_path_int(server, "startedAt", 0);
		component->running_range =
			json_string_value(json_object_get(flags, "service-cluster-ip-range"));
		component->running_feature_gates =
			json_string_value(json_object_get(flags, "feature-gates"));
		component->running_runtime_config =
			json_string_value(json_object_get(flags, "runtime-config"));
		component->running_advertise =
			json_string_value(json_object_get(flags, "advertise-address"));
		if (component == &node->host.api_server &&
		    slice_to_u64(slice_of(json_path_text(flags, "secure-port")), 65535, &port) &&
		    port)
			node->api_port = (unsigned int)port;
	}
}

/* The variables of our own aliases: nobody reads them, and they end with the alias. */
static bool is_alias_variable(const char *name)
{
	return strstr(name, "_RENUMBER_BRIDGE_") || strstr(name, "_RENUMBER_PREVIOUS_");
}

static void build_service_host(const struct build *b, struct cluster_container *container,
			       const char *name, const json_t *value)
{
	const char *address = build_address(b, json_string_value(value));
	size_t len = strlen(name);

	if (!address || !slice_ends(slice_of(name), SERVICE_HOST_SUFFIX) || is_alias_variable(name))
		return;
	build_add_text(&container->service_hosts, address);
	build_add_text(&container->service_names,
		       arena_text_n(b->arena, name, len - strlen(SERVICE_HOST_SUFFIX)));
}

static void build_container(const struct build *b, struct cluster_container *container,
			    const json_t *object)
{
	json_t *environment = json_path(object, "env");
	const char *name;
	json_t *value;

	container->pod_uid = json_path_text(object, "podUID");
	container->container_id = json_path_text(object, "containerID");
	container->started_s = json_path_int(object, "startedAt", 0);
	container->kubernetes_host = build_address(
		b, json_string_value(json_object_get(environment, "KUBERNETES_SERVICE_HOST")));
	container->kubernetes_port =
		json_string_value(json_object_get(environment, "KUBERNETES_SERVICE_PORT"));
	container->service_hosts = build_room(b, json_object_size(environment));
	container->service_names = build_room(b, json_object_size(environment));
	json_object_foreach(environment, name, value)
		build_service_host(b, container, name, value);
	container->nameservers = build_texts(b, json_path(object, "nameservers"));
}

/*
 * Where several nodes share one process table (nodes that are containers of one machine), each
 * shows the containers of all: only those of its own Pods count.
 */
static bool is_own(const struct build *b, const struct cluster_node *node, const json_t *container)
{
	const char *uid = json_path_text(container, "podUID");
	const struct cluster_pod *pod = uid ? cluster_find_pod_uid(b->cluster, uid) : NULL;

	return pod && pod->node && strcmp(pod->node, node->name) == 0;
}

static void build_containers(const struct build *b, struct cluster_node *node, const json_t *object)
{
	struct cluster_host *host = &node->host;
	const json_t *item;
	size_t i;

	host->processes_known = json_is_array(json_path(object, "containers"));
	host->containers = arena_array(b->arena, json_path_count(object, "containers"),
				       sizeof(*host->containers));
	json_array_foreach(json_path(object, "containers"), i, item) {
		/* pause has no environment of the Pod's and asks nobody */
		if (!json_path_bool(item, "sandbox", false) && is_own(b, node, item))
			build_container(b, &host->containers[host->container_count++], item);
	}
}

static void build_kubelet(const struct build *b, struct cluster_host *host, const json_t *object)
{
	auto_kubelet_config struct kubelet_config config = {0};
	auto_error struct error err = {0};
	const char *text = json_path_text(object, "kubelet.text");

	if (!text ||
	    kubelet_config_read(&config, "/var/lib/kubelet/config.yaml", slice_of(text), &err) < 0)
		return;
	host->kubelet_config_known = true;
	host->kubelet_config_text = text;
	if (config.static_pod_path)
		host->static_pod_path = arena_text(b->arena, config.static_pod_path);
	host->kubelet_dns = build_room(b, config.cluster_dns_count);
	for (size_t i = 0; i < config.cluster_dns_count; i++)
		build_add_text(&host->kubelet_dns,
			       build_address(b, arena_text(b->arena, config.cluster_dns[i])));
}

static struct cluster_certificate build_certificate(const struct build *b, const json_t *object,
						    const char *path)
{
	struct cluster_certificate certificate = {0};

	if (!json_path_text(object, "fingerprint"))
		return certificate;
	certificate.known = true;
	certificate.path = path;
	certificate.fingerprint = json_path_text(object, "fingerprint");
	certificate.dns_names = build_texts(b, json_path(object, "dnsNames"));
	certificate.addresses = build_texts(b, json_path(object, "addresses"));
	certificate.not_before_s = json_path_int(object, "notBefore", 0);
	certificate.not_after_s = json_path_int(object, "notAfter", 0);
	return certificate;
}

static void build_audit(const struct build *b, struct cluster_host *host, const json_t *object)
{
	const json_t *record;
	size_t i;

	host->audit = json_path(object, "audit");
	json_array_foreach(json_path(host->audit, "records"), i, record) {
		if (json_path_is(record, "role", "apiserver") &&
		    json_path_int(record, "index", 0) == 0)
			host->api_server_certificate =
				build_certificate(b, json_path(record, "certificate"),
						  json_path_text(record, "path"));
	}
}

static void build_cni(const struct build *b, struct cluster_host *host, const json_t *object)
{
	json_t *list = json_path(object, "cni");
	const json_t *item;
	size_t i;

	host->cni_servers = build_room(b, json_array_size(list));
	host->cni_files = build_room(b, json_array_size(list));
	json_array_foreach(list, i, item) {
		const char *path = json_path_text(item, "path");
		const char *server = json_path_text(item, "server");

		if (!path || !server)
			continue;
		/* index by index, so equal texts stand as often as they come */
		host->cni_servers.items[host->cni_servers.count++] = server;
		host->cni_files.items[host->cni_files.count++] = path;
	}
}

/* The value of "--flag=value" in a container's command. */
static const char *command_flag(const struct build *b, const json_t *container, const char *flag)
{
	const char *prefix = arena_format(b->arena, "--%s=", flag);
	const char *found = NULL;
	const json_t *word;
	size_t i;

	json_array_foreach(json_path(container, "command"), i, word) {
		if (slice_starts(slice_of(json_string_value(word)), prefix))
			found = json_string_value(word) + strlen(prefix);
	}
	return found;
}

/* The API shows each static Pod as a mirror: what kubelet read when it last looked. */
static void build_mirror(const struct build *b, struct cluster_node *node)
{
	const json_t *object;
	size_t i;

	json_array_foreach(json_path(b->document, "pods"), i, object) {
		const json_t *container = json_path(object, "spec.containers.0");
		const char *program = json_path_text(container, "name");
		struct cluster_component *component;

		if (!json_path_is(object, "metadata.namespace", "kube-system") || !program ||
		    !json_path_is(object, "spec.nodeName", node->name) ||
		    !json_path_text(object, "metadata.annotations.kubernetes\\.io/config\\.mirror"))
			continue;
		component = component_of(&node->host, program);
		if (!component)
			continue;
		component->pod_range = command_flag(b, container, "service-cluster-ip-range");
		component->pod_feature_gates = command_flag(b, container, "feature-gates");
	}
}

static void build_host(const struct build *b, struct cluster_node *node)
{
	const json_t *object = json_object_get(json_path(b->document, "hosts"), node->name);
	const json_t *served = json_object_get(json_path(b->document, "served"), node->name);
	struct cluster_host *host = &node->host;

	build_mirror(b, node);
	if (served) {
		node->served = build_certificate(b, json_path(served, "certificate"), NULL);
		node->served_problem = json_path_text(served, "problem");
	}
	if (!object)
		return;
	host->asked = true;
	host->problem = json_path_text(object, "problem");
	host->reachable = !host->problem;
	if (!host->reachable)
		return;
	host->problems = build_texts(b, json_path(object, "problems"));
	build_manifests(b, host, object);
	build_servers(node, object);
	build_containers(b, node, object);
	build_kubelet(b, host, object);
	build_audit(b, host, object);
	build_cni(b, host, object);
	host->routes = build_texts(b, json_path(object, "routes"));
}

void build_hosts(const struct build *b)
{
	for (size_t i = 0; i < b->cluster->node_count; i++)
		build_host(b, &b->cluster->nodes[i]);
}
