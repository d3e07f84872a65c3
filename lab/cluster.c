/* SPDX-License-Identifier: MIT */
#include "lab/cluster.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lab/control.h"
#include "lab/dns.h"
#include "lab/endpoints.h"
#include "lab/folder.h"
#include "lab/guard.h"
#include "lab/http.h"
#include "lab/keys.h"
#include "lab/node.h"
#include "lab/notice.h"
#include "lab/objects.h"
#include "lab/pod.h"
#include "lab/proxy.h"
#include "lab/relay.h"
#include "lab/server.h"
#include "lab/workload.h"
#include "text/json.h"

enum { CLUSTER_PORT = 6443, CLUSTER_TRIES = 200 };

/* --- addresses -------------------------------------------------------------------------------- */

/* The socket that shows it, or -1. */
static int cluster_try(unsigned int net, unsigned int low, unsigned int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	to.sin_addr.s_addr = htonl(127U << 24 | net << 16 | 15U << 8 | low);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 1) < 0)
		return -1;
	return steal_fd(&fd);
}

static bool cluster_is_free(unsigned int net, unsigned int low, unsigned int port)
{
	auto_close int fd = cluster_try(net, low, port);

	return fd >= 0;
}

/* 127.NET.15.x is a network of its own for each lab, without anybody's leave. */
static int cluster_choose_net(struct lab *lab, struct error *err)
{
	unsigned int first = (unsigned int)getpid() % 250 + 2;

	for (unsigned int i = 0; i < CLUSTER_TRIES; i++) {
		unsigned int net = (first + i) % 250 + 2;
		unsigned int port = CLUSTER_PORT + (i >= CLUSTER_TRIES / 2 ? i : 0);

		if (!cluster_is_free(net, 254, port) || !cluster_is_free(net, 121, port))
			continue;
		/* kept, for labs that open later, or open and close */
		lab->claim = cluster_try(net, 253, port);
		if (lab->claim >= 0) {
			lab->net = net;
			lab->port = (uint16_t)port;
			lab->endpoint = alloc_format("127.%u.15.254", net);
			return 0;
		}
	}
	return error_set(err, ERROR_IO, "no loopback address is free to listen on");
}

/* --- parts ------------------------------------------------------------------------------------ */

static void cluster_changed(void *data, const struct store_event *event)
{
	struct lab *lab = data;

	if (strcmp(event->type->plural, "services") == 0 ||
	    strcmp(event->type->plural, "endpointslices") == 0)
		proxy_changed(lab);
	endpoints_changed(lab, event);
	if (strcmp(event->type->plural, "pods") == 0)
		pod_changed(lab, event);
	workload_changed(lab, event);
	for (size_t i = 0; i < lab->server_count; i++)
		if (lab->servers[i].http)
			http_wake(lab->servers[i].http);
}

static void cluster_make_node(struct lab *lab, size_t i)
{
	struct lab_node *node = &lab->nodes[i];
	size_t planes = (size_t)lab->options.control_planes;
	size_t worker = i - planes;

	node->lab = lab;
	node->index = i;
	node->control_plane = i < planes;
	node->name = node->control_plane ? alloc_format("cp%zu", i + 1)
					 : alloc_format("worker%zu", worker + 1);
	node->address = node->control_plane ? alloc_format("127.%u.15.%zu", lab->net, 121 + i)
					    : alloc_format("127.%u.%zu.%zu", lab->net,
							   16 + worker / 250, 1 + worker % 250);
	node->folder = alloc_format("%s/nodes/%s", lab->folder, node->name);
	node->next_pid = 1000;
	node->dns = alloc_text("10.96.0.10");
	node->cni_host = alloc_text("10.96.0.1");
	node->cni_port = 443;
	node->tokens = 1;
	for (size_t k = 0; k < LAB_PROGRAMS; k++)
		node->statics[k] = (struct lab_static){.name = node_programs[k], .node = node};
	if (node->control_plane) {
		lab->servers[i] = (struct lab_server){.lab = lab, .node = node};
		node->server = &lab->servers[i];
	}
}

static int cluster_write_plane(struct lab *lab, struct keys *keys, struct lab_node *node,
			       struct error *err)
{
	if (keys_write(keys, node, "10.96.0.1", err) < 0)
		return -1;
	for (size_t k = 0; k < LAB_PROGRAMS; k++) {
		auto_free char *path =
			alloc_format("/etc/kubernetes/manifests/%s.yaml", node_programs[k]);
		auto_free char *text = node_manifest(node, node_programs[k], LAB_OLD_RANGE);

		if (node_put(node, path, text, 0600, err) < 0)
			return -1;
	}
	(void)lab;
	return 0;
}

static int cluster_make(struct lab *lab, struct error *err)
{
	struct keys *keys;
	int result = 0;

	lab->node_count = (size_t)lab->options.control_planes + (size_t)lab->options.workers;
	lab->server_count = (size_t)lab->options.control_planes;
	lab->nodes = alloc_array(lab->node_count, sizeof(*lab->nodes));
	lab->servers = alloc_array(lab->server_count, sizeof(*lab->servers));
	if (cluster_choose_net(lab, err) < 0)
		return -1;
	for (size_t i = 0; i < lab->node_count; i++)
		cluster_make_node(lab, i);
	keys = keys_new(lab, err);
	if (!keys)
		return -1;
	lab->ca = alloc_text(keys_ca(keys));
	for (size_t i = 0; i < lab->server_count && result == 0; i++)
		result = cluster_write_plane(lab, keys, &lab->nodes[i], err);
	keys_free(keys);
	if (result < 0)
		return -1;
	store_listen(lab->store, cluster_changed, lab);
	for (size_t i = 0; i < lab->node_count; i++)
		node_restart_kubelet(&lab->nodes[i]);
	objects_make(lab);
	return 0;
}

struct lab *cluster_new(const struct lab_options *options, const char *folder, const char *program,
			const char *agent, struct error *err)
{
	struct lab *lab = ALLOC_NEW(struct lab);

	lab->options = *options;
	lab->random = options->seed;
	lab->loop = loop_new(options->pace);
	lab->store = store_new();
	lab->folder = alloc_text(folder);
	lab->program = alloc_text(program);
	lab->claim = -1;
	lab->agent = alloc_text(agent);
	lab->bitmap_range = alloc_text(LAB_OLD_RANGE);
	lab->bitmap = json_object();
	lab->node_ports = json_object();
	lab->ends = json_object();
	lab->stale = json_object();
	lab->logs = json_object();
	if (cluster_make(lab, err) < 0) {
		cluster_free(lab);
		return NULL;
	}
	return lab;
}

int cluster_move(struct lab *lab, const char *folder, uint64_t seed, struct error *err)
{
	if (folder_copy(lab->folder, folder, err) < 0)
		return -1;
	free(lab->folder);
	lab->folder = alloc_text(folder);
	for (size_t i = 0; i < lab->node_count; i++) {
		struct lab_node *node = &lab->nodes[i];

		free(node->folder);
		node->folder = alloc_format("%s/nodes/%s", lab->folder, node->name);
	}
	lab->options.seed = lab->random = seed;
	loop_leave_parent(lab->loop);
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static char *cluster_base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	auto_buffer struct buffer out = {0};
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		unsigned int group = (unsigned int)(unsigned char)text[i] << 16;

		if (i + 1 < len)
			group |= (unsigned int)(unsigned char)text[i + 1] << 8;
		if (i + 2 < len)
			group |= (unsigned char)text[i + 2];
		buffer_char(&out, digits[group >> 18]);
		buffer_char(&out, digits[group >> 12 & 63]);
		buffer_char(&out, i + 1 < len ? digits[group >> 6 & 63] : '=');
		buffer_char(&out, i + 2 < len ? digits[group & 63] : '=');
	}
	return buffer_detach(&out);
}

static int cluster_write_kubeconfig(const struct lab *lab, struct error *err)
{
	auto_free char *path = alloc_format("%s/kubeconfig", lab->folder);
	auto_free char *ca = cluster_base64(lab->ca);
	auto_free char *text = alloc_format(
		"apiVersion: v1\nkind: Config\ncurrent-context: lab\nclusters:\n- name: lab\n"
		"  cluster:\n    server: https://%s:%u\n    certificate-authority-data: %s\n"
		"contexts:\n- name: lab\n  context:\n    cluster: lab\n    user: lab\nusers:\n"
		"- name: lab\n  user:\n    token: lab\n",
		lab->endpoint, lab->port, ca);

	return folder_write(path, slice_of(text), 0600, err);
}

static int cluster_show_nodes(struct lab *lab, struct error *err)
{
	for (size_t i = 0; i < lab->node_count && i < 16; i++)
		if (node_show(&lab->nodes[i], err) < 0)
			return -1;
	return 0;
}

static void cluster_notice(struct lab *lab)
{
	lab->notice = notice_new();
	for (size_t i = 0; i < lab->server_count; i++) {
		auto_free char *manifests =
			alloc_format("%s/etc/kubernetes/manifests", lab->nodes[i].folder);
		auto_free char *pki = alloc_format("%s/etc/kubernetes/pki", lab->nodes[i].folder);

		notice_add(lab->notice, manifests);
		notice_add(lab->notice, pki);
	}
	lab->looked = lab->reloaded = 0;
}

int cluster_open(struct lab *lab, struct error *err)
{
	lab->open = true;
	for (size_t i = 0; i < lab->server_count; i++)
		if (server_listen(&lab->servers[i], err) < 0)
			return -1;
	lab->balancer = relay_balance(lab, err);
	if (!lab->balancer)
		return -1;
	lab->control = control_open(lab, err);
	if (!lab->control)
		return -1;
	loop_prepare(lab->loop, http_before, NULL);
	if (cluster_show_nodes(lab, err) < 0)
		return -1;
	cluster_notice(lab);
	loop_start(lab->loop);
	return cluster_write_kubeconfig(lab, err);
}

void cluster_free(struct lab *lab)
{
	if (!lab)
		return;
	relay_free(lab->balancer);
	dns_free(lab->dns);
	control_free(lab->control);
	for (size_t i = 0; i < lab->server_count; i++) {
		http_close(lab->servers[i].http);
		pki_cert_release(&lab->servers[i].cert);
		free(lab->servers[i].pem);
		free(lab->servers[i].range);
	}
	for (size_t i = 0; i < lab->node_count; i++)
		node_release(&lab->nodes[i]);
	free(lab->nodes);
	free(lab->servers);
	store_free(lab->store);
	json_decref(lab->bitmap);
	json_decref(lab->node_ports);
	json_decref(lab->ends);
	json_decref(lab->table);
	json_decref(lab->stale);
	json_decref(lab->logs);
	json_decref(lab->deeds);
	guard_free(lab->guard);
	notice_free(lab->notice);
	if (lab->claim >= 0)
		close(lab->claim);
	free(lab->bitmap_range);
	free(lab->folder);
	free(lab->program);
	free(lab->agent);
	free(lab->endpoint);
	free(lab->ca);
	loop_free(lab->loop);
	free(lab);
}
