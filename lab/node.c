/* SPDX-License-Identifier: MIT */
#include "lab/node.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "lab/folder.h"
#include "lab/notice.h"
#include "lab/pod.h"
#include "lab/proc.h"
#include "lab/server.h"
#include "text/json.h"
#include "text/kubelet.h"
#include "text/manifest.h"

enum {
	NODE_LOOK_MS = 500,
	NODE_LOOK_PLAYED_MS = 4000,
	NODE_STOP_MS = 1000,
	NODE_START_MS = 8000, /* some 40 s on a real node, mostly waiting for watches to end */
	NODE_RELOAD_MS = 1500,
	NODE_GRAIN_MS = 2000,
};

#define NODE_MANIFESTS "/etc/kubernetes/manifests"

const char *const node_programs[LAB_PROGRAMS] = {"etcd", "kube-apiserver",
						 "kube-controller-manager", "kube-scheduler"};

int node_put(const struct lab_node *node, const char *path, const char *text, mode_t mode,
	     struct error *err)
{
	auto_free char *full = alloc_format("%s%s", node->folder, path);

	return folder_write(full, slice_of(text), mode, err);
}

static bool node_read(const struct lab_node *node, const char *path, struct buffer *ret)
{
	auto_free char *full = alloc_format("%s%s", node->folder, path);
	auto_error struct error ignored = {0};

	return file_read(full, LIMIT_CONFIG_FILE, ret, &ignored) == 0;
}

/* --- texts ------------------------------------------------------------------------------------ */

static void node_flags(const struct lab_node *node, const char *program, const char *range,
		       struct buffer *out)
{
	const struct lab *lab = node->lab;

	if (strcmp(program, "kube-apiserver") == 0) {
		buffer_format(out,
			      "    - --advertise-address=%s\n    - --allow-privileged=true\n"
			      "    - --client-ca-file=/etc/kubernetes/pki/ca.crt\n"
			      "    - --etcd-servers=https://127.0.0.1:2379\n"
			      "    - --secure-port=%u\n    - --service-cluster-ip-range=%s\n"
			      "    - --tls-cert-file=/etc/kubernetes/pki/apiserver.crt\n"
			      "    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key\n",
			      node->address, lab->port, range);
		if (lab->options.regime == LAB_DUAL_WRITE && !lab_since(lab, 33))
			buffer_text(out, "    - --feature-gates=MultiCIDRServiceAllocator=true\n"
					 "    - --runtime-config=networking.k8s.io/v1beta1=true\n");
	} else if (strcmp(program, "kube-controller-manager") == 0) {
		buffer_format(out,
			      "    - --allocate-node-cidrs=true\n    - --cluster-cidr=%s.0.0/16\n"
			      "    - --kubeconfig=/etc/kubernetes/controller-manager.conf\n"
			      "    - --leader-elect=true\n    - --service-cluster-ip-range=%s\n",
			      LAB_POD_PREFIX, range);
	} else if (strcmp(program, "etcd") == 0) {
		buffer_format(out,
			      "    - --advertise-client-urls=https://%s:2379\n"
			      "    - --cert-file=/etc/kubernetes/pki/etcd/server.crt\n"
			      "    - --data-dir=/var/lib/etcd\n    - --name=%s\n",
			      node->address, node->name);
	} else {
		buffer_text(out, "    - --kubeconfig=/etc/kubernetes/scheduler.conf\n"
				 "    - --leader-elect=true\n");
	}
}

char *node_manifest(const struct lab_node *node, const char *program, const char *range)
{
	auto_buffer struct buffer text = {0};

	buffer_format(&text,
		      "apiVersion: v1\nkind: Pod\nmetadata:\n  creationTimestamp: null\n"
		      "  labels:\n    component: %s\n    tier: control-plane\n  name: %s\n"
		      "  namespace: kube-system\nspec:\n  containers:\n  - command:\n    - %s\n",
		      program, program, program);
	node_flags(node, program, range, &text);
	buffer_format(&text,
		      "    image: registry.k8s.io/%s:v1.%u.%u\n"
		      "    imagePullPolicy: IfNotPresent\n    name: %s\n"
		      "    volumeMounts:\n    - mountPath: /etc/kubernetes/pki\n"
		      "      name: k8s-certs\n      readOnly: true\n  hostNetwork: true\n"
		      "  priorityClassName: system-node-critical\n  volumes:\n"
		      "  - hostPath:\n      path: /etc/kubernetes/pki\n"
		      "      type: DirectoryOrCreate\n    name: k8s-certs\nstatus: {}\n",
		      program, node->lab->options.minor, node->lab->options.patch, program);
	return buffer_detach(&text);
}

char *node_kubelet_config(const char *dns)
{
	return alloc_format("apiVersion: kubelet.config.k8s.io/v1beta1\n"
			    "authentication:\n  anonymous:\n    enabled: false\n"
			    "cgroupDriver: systemd\nclusterDNS:\n- %s\n"
			    "clusterDomain: cluster.local\nkind: KubeletConfiguration\n"
			    "rotateCertificates: true\nstaticPodPath: /etc/kubernetes/manifests\n",
			    dns);
}

/* --- the folder ------------------------------------------------------------------------------- */

static int node_put_systemctl(const struct lab_node *node, struct error *err)
{
	const struct lab *lab = node->lab;
	auto_free char *text = alloc_format("#!/bin/sh\n"
					    "exec '%s' as-systemctl '%s' '%s' \"$@\"\n",
					    lab->program, lab->folder, node->name);

	return node_put(node, "/usr/bin/systemctl", text, 0755, err);
}

static int node_put_cni(const struct lab_node *node, struct error *err)
{
	auto_free char *text = alloc_format(
		"apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n    server: "
		"https://%s:%u\nusers:\n- name: calico\n  user:\n    token: lab\ncontexts:\n- "
		"name: "
		"calico-context\n  context:\n    cluster: local\n    user: "
		"calico\ncurrent-context: "
		"calico-context\n",
		node->cni_host, node->cni_port);

	if (node_put(
		    node, "/etc/cni/net.d/10-calico.conflist",
		    "{\"name\":\"k8s-pod-network\",\"cniVersion\":\"0.3.1\",\"plugins\":[{\"type\":"
		    "\"calico\",\"kubernetes\":{\"kubeconfig\":\"/etc/cni/net.d/"
		    "calico-kubeconfig\"}}]}\n",
		    0644, err) < 0)
		return -1;
	return node_put(node, "/etc/cni/net.d/calico-kubeconfig", text, 0600, err);
}

int node_show(struct lab_node *node, struct error *err)
{
	auto_free char *config = node_kubelet_config(node->dns);

	if (node->shown)
		return 0;
	node->shown = true;
	if (node_put(node, "/var/lib/kubelet/config.yaml", config, 0644, err) < 0 ||
	    node_put(node, "/etc/resolv.conf", "nameserver 192.0.2.53\n", 0644, err) < 0 ||
	    node_put(node, "/etc/hosts", "127.0.0.1 localhost\n", 0644, err) < 0 ||
	    node_put(node, "/etc/kubernetes/pki/ca.crt", node->lab->ca, 0644, err) < 0 ||
	    node_put_systemctl(node, err) < 0 || node_put_cni(node, err) < 0)
		return -1;
	return proc_show(node, err);
}

/* --- static Pods ------------------------------------------------------------------------------ */

static json_t *node_arguments(const struct lab_static *program)
{
	auto_manifest_flags struct manifest_flags flags = {0};
	auto_error struct error err = {0};
	json_t *args = json_pack("[s]", program->name);

	if (manifest_flags_read(&flags, program->name, slice_of(program->text), program->name,
				&err) < 0)
		return args;
	for (size_t i = 0; i < flags.count; i++) {
		auto_free char *word =
			flags.items[i].value
				? alloc_format("--%s=%s", flags.items[i].name, flags.items[i].value)
				: alloc_format("--%s", flags.items[i].name);

		json_array_append_new(args, json_string(word));
	}
	return args;
}

/* The value of "--NAME=…"; NULL. */
static const char *node_flag(const json_t *args, const char *name)
{
	auto_free char *prefix = alloc_format("--%s=", name);
	const json_t *word;
	size_t i;

	json_array_foreach(args, i, word)
		if (strncmp(json_string_value(word), prefix, strlen(prefix)) == 0)
			return json_string_value(word) + strlen(prefix);
	return NULL;
}

static void node_start_server(struct lab_server *server, const json_t *args)
{
	const char *range = node_flag(args, "service-cluster-ip-range");
	const char *gates = node_flag(args, "feature-gates");

	server->single_write = gates && strstr(gates, "DisableAllocatorDualWrite=true");
	server_start(server, range ? range : LAB_OLD_RANGE);
}

/* The mirror of a static Pod in the API. */
static void node_mirror(const struct lab_static *program, const json_t *args)
{
	const struct lab_node *node = program->node;
	auto_free char *name = alloc_format("%s-%s", program->name, node->name);
	auto_free char *now = lab_time(node->lab);
	json_t *old = store_find(node->lab->store, "pods", "kube-system", name);
	json_t *pod = json_pack(
		"{s:{s:s,s:s,s:{s:s,s:s},s:{s:s,s:s},s:[{s:s,s:s,s:s,s:s}]},"
		"s:{s:s,s:b,s:[{s:s,s:O,s:s}]},"
		"s:{s:s,s:s,s:s,s:s,s:[{s:s,s:s}],s:[{s:s,s:b,s:i,s:{s:{s:s}}}]}}",
		"metadata", "name", name, "namespace", "kube-system", "labels", "component",
		program->name, "tier", "control-plane", "annotations",
		"kubernetes.io/config.mirror", "0123456789abcdef0123456789abcdef",
		"kubernetes.io/config.source", "file", "ownerReferences", "apiVersion", "v1",
		"kind", "Node", "name", node->name, "uid", node->name, "spec", "nodeName",
		node->name, "hostNetwork", 1, "containers", "name", program->name, "command", args,
		"image", "registry.k8s.io/x", "status", "phase", "Running", "podIP", node->address,
		"hostIP", node->address, "startTime", now, "conditions", "type", "Ready", "status",
		"True", "containerStatuses", "name", program->name, "ready", 1, "restartCount", 0,
		"state", "running", "startedAt", now);

	if (old)
		json_object_set(json_object_get(pod, "metadata"), "uid",
				json_path(old, "metadata.uid"));
	lab_create(node->lab, "pods", pod);
}

static void node_start_program(void *data)
{
	struct lab_static *program = data;
	struct lab_node *node = program->node;
	struct lab_process made = {.host_network = true};

	program->start = NULL;
	made.args = node_arguments(program);
	program->process = proc_start(node, &made);
	node_mirror(program, program->process->args);
	if (strcmp(program->name, "kube-apiserver") == 0)
		node_start_server(node->server, program->process->args);
}

static void node_stop_program(void *data)
{
	struct lab_static *program = data;

	program->stop = NULL;
	proc_end(program->node, program->process);
	program->process = NULL;
	if (strcmp(program->name, "kube-apiserver") == 0)
		server_stop(program->node->server);
}

void node_halt(struct lab_node *node, const char *program)
{
	for (size_t i = 0; i < LAB_PROGRAMS; i++) {
		struct lab_static *s = &node->statics[i];

		if (program && strcmp(s->name, program) != 0)
			continue;
		loop_cancel(node->lab->loop, s->stop);
		loop_cancel(node->lab->loop, s->start);
		s->stop = s->start = NULL;
		if (s->process)
			node_stop_program(s);
	}
}

void node_resume(struct lab_node *node)
{
	for (size_t i = 0; i < LAB_PROGRAMS; i++) {
		struct lab_static *s = &node->statics[i];

		if (s->text && !s->process && !s->start)
			s->start =
				loop_after(node->lab->loop, NODE_START_MS, node_start_program, s);
	}
}

/* `text` NULL: its file is gone. */
static void node_take_manifest(struct lab_static *program, const char *text)
{
	struct loop *loop = program->node->lab->loop;

	if (text && program->text && strcmp(text, program->text) == 0)
		return;
	if (!text && !program->text)
		return;
	/* what a second look finds may depend on what the first found */
	program->node->lab->looked = 0;
	free(program->text);
	program->text = text ? alloc_text(text) : NULL;
	loop_cancel(loop, program->stop);
	loop_cancel(loop, program->start);
	program->stop = program->process
				? loop_after(loop, NODE_STOP_MS, node_stop_program, program)
				: NULL;
	program->start = text ? loop_after(loop, program->process ? NODE_START_MS : 0,
					   node_start_program, program)
			      : NULL;
}

static struct lab_static *node_program_of(struct lab_node *node, const char *file, const char *text)
{
	for (size_t i = 0; i < LAB_PROGRAMS; i++) {
		auto_manifest_flags struct manifest_flags flags = {0};
		auto_error struct error ignored = {0};

		if (manifest_flags_read(&flags, file, slice_of(text), node->statics[i].name,
					&ignored) == 0)
			return &node->statics[i];
	}
	return NULL;
}

/* The program whose file of the usual name still says the same: most looks find that. */
static struct lab_static *node_unchanged(struct lab_node *node, const char *file, const char *text)
{
	for (size_t i = 0; i < LAB_PROGRAMS; i++) {
		struct lab_static *program = &node->statics[i];

		if (strncmp(file, program->name, strlen(program->name)) == 0 &&
		    strcmp(file + strlen(program->name), ".yaml") == 0 && program->text &&
		    strcmp(program->text, text) == 0)
			return program;
	}
	return NULL;
}

/* Every file that does not begin with a dot is one, whatever its name; the one with the usual name
 * wins over a second for the same program. */
static void node_look_at(struct lab_node *node, const char *name)
{
	auto_free char *path = alloc_format(NODE_MANIFESTS "/%s", name);
	auto_buffer struct buffer text = {0};
	struct lab_static *program;
	auto_free char *usual = NULL;

	if (name[0] == '.' || slice_ends(slice_of(name), "~") || !node_read(node, path, &text))
		return;
	program = node_unchanged(node, name, buffer_cstr(&text));
	if (!program)
		program = node_program_of(node, name, buffer_cstr(&text));
	if (!program)
		return;
	usual = alloc_format("%s.yaml", program->name);
	if (strcmp(name, usual) != 0 && program->text)
		return;
	program->wanted = true;
	node_take_manifest(program, buffer_cstr(&text));
}

static void node_look(struct lab_node *node)
{
	auto_free char *folder = alloc_format("%s" NODE_MANIFESTS, node->folder);
	DIR *dir = node->broken ? NULL : opendir(folder);
	struct dirent *entry;

	if (!dir) {
		node->lab->looked = 0;
		return;
	}
	for (size_t i = 0; i < LAB_PROGRAMS; i++)
		node->statics[i].wanted = false;
	while ((entry = readdir(dir)))
		node_look_at(node, entry->d_name);
	closedir(dir);
	for (size_t i = 0; i < LAB_PROGRAMS; i++)
		if (!node->statics[i].wanted)
			node_take_manifest(&node->statics[i], NULL);
}

static void node_look_around(void *data)
{
	struct lab *lab = data;
	uint64_t version = notice_version(lab->notice);

	if (version != lab->looked) {
		lab->looked = version;
		for (size_t i = 0; i < lab->node_count; i++)
			if (lab->nodes[i].control_plane)
				node_look(&lab->nodes[i]);
	}
	/* nobody edits files while a scenario is played but the scenario itself */
	loop_after(lab->loop, lab->open ? NODE_LOOK_MS : NODE_LOOK_PLAYED_MS, node_look_around,
		   lab);
}

static void node_reload(void *data)
{
	struct lab *lab = data;
	uint64_t version = notice_version(lab->notice);
	bool done = true;

	for (size_t i = 0; i < lab->server_count && version != lab->reloaded; i++)
		done &= lab->servers[i].state != LAB_DOWN && server_reload(&lab->servers[i]);
	if (done)
		lab->reloaded = version;
	server_manage(lab);
	loop_after(lab->loop, NODE_RELOAD_MS, node_reload, lab);
}

void node_watch(struct lab *lab)
{
	node_look_around(lab);
	node_reload(lab);
}

/* --- kubelet ---------------------------------------------------------------------------------- */

static void node_read_dns(struct lab_node *node)
{
	auto_kubelet_config struct kubelet_config config = {0};
	auto_buffer struct buffer text = {0};
	auto_error struct error err = {0};

	if (!node->shown || !node_read(node, "/var/lib/kubelet/config.yaml", &text))
		return;
	if (kubelet_config_read(&config, "config.yaml", buffer_as_slice(&text), &err) < 0) {
		log_warning("%s: %s", node->name, error_text(&err));
		return;
	}
	if (!config.cluster_dns_count)
		return;
	free(node->dns);
	node->dns = alloc_text(config.cluster_dns[0]);
}

void node_restart_kubelet(struct lab_node *node)
{
	struct lab_process made = {.host_network = true};
	const struct loop *loop = node->lab->loop;

	node_read_dns(node);
	proc_end(node, node->kubelet);
	/* start times have a second's grain, and somebody in a hurry compares them with the file's */
	made.started =
		loop_now(loop) +
		(int64_t)NODE_GRAIN_MS * (loop_is_shared(loop) ? 1 : node->lab->options.pace);
	made.args = json_pack("[s,s]", "/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml");
	node->kubelet = proc_start(node, &made);
}

void node_release(struct lab_node *node)
{
	pod_forget(node);
	while (node->processes)
		proc_end(node, node->processes);
	for (size_t i = 0; i < LAB_PROGRAMS; i++)
		free(node->statics[i].text);
	json_decref(node->table);
	free(node->name);
	free(node->address);
	free(node->folder);
	free(node->dns);
	free(node->cni_host);
}
