/* SPDX-License-Identifier: MIT */
#include "lab/proc.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "lab/folder.h"
#include "lab/hurry/page.h"
#include "text/json.h"

enum { PROC_HZ = 100 };

char *proc_container_id(struct lab *lab)
{
	return alloc_format("%016llx%016llx%016llx%016llx", (unsigned long long)lab_random(lab, 0),
			    (unsigned long long)lab_random(lab, 0),
			    (unsigned long long)lab_random(lab, 0),
			    (unsigned long long)lab_random(lab, 0));
}

/* When the machine was started, in ms since 1970: the agent reckons by that of the real one. */
static int64_t proc_boot_ms(struct loop *loop)
{
	struct timespec wall;
	struct timespec up;

	if (loop_is_shared(loop))
		return loop_wall_ms(loop, 0) - HURRY_UPTIME_S * 1000LL;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return ((int64_t)wall.tv_sec - up.tv_sec) * 1000 + (wall.tv_nsec - up.tv_nsec) / 1000000;
}

static int proc_put(const struct lab_node *node, const struct lab_process *process,
		    const char *name, struct slice text, struct error *err)
{
	auto_free char *path =
		alloc_format("%s/proc/%lld/%s", node->folder, (long long)process->pid, name);

	return folder_write(path, text, 0644, err);
}

static int proc_put_stat(const struct lab_node *node, const struct lab_process *process,
			 struct error *err)
{
	const char *program = json_string_value(json_array_get(process->args, 0));
	const char *slash = program ? strrchr(program, '/') : NULL;
	int64_t since =
		loop_wall_ms(node->lab->loop, process->started) - proc_boot_ms(node->lab->loop);
	auto_free char *text =
		alloc_format("%lld (%.15s) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %lld 0 0 0\n",
			     (long long)process->pid,
			     slash     ? slash + 1
			     : program ? program
				       : "pause",
			     (long long)(since > 0 ? since * PROC_HZ / 1000 : 0));

	return proc_put(node, process, "stat", slice_of(text), err);
}

static int proc_put_words(const struct lab_node *node, const struct lab_process *process,
			  struct error *err)
{
	auto_buffer struct buffer line = {0};
	auto_buffer struct buffer environment = {0};
	const char *name;
	json_t *value;
	size_t i;

	json_array_foreach(process->args, i, value)
		buffer_append(&line, json_string_value(value), json_string_length(value) + 1);
	json_object_foreach(process->env, name, value) {
		buffer_format(&environment, "%s=%s", name, json_string_value(value));
		buffer_char(&environment, '\0');
	}
	if (proc_put(node, process, "cmdline", buffer_as_slice(&line), err) < 0)
		return -1;
	return proc_put(node, process, "environ", buffer_as_slice(&environment), err);
}

static int proc_put_links(const struct lab_node *node, const struct lab_process *process,
			  struct error *err)
{
	auto_free char *path =
		alloc_format("%s/proc/%lld/ns/net", node->folder, (long long)process->pid);
	auto_free char *net = process->host_network
				      ? alloc_text("net:[1]")
				      : alloc_format("net:[%lld]", (long long)process->pid);

	return folder_link(path, net, err);
}

static int proc_write(const struct lab_node *node, const struct lab_process *process,
		      struct error *err)
{
	auto_free char *cgroup = process->pod_uid
					 ? alloc_format("0::/kubepods/burstable/pod%s/%s\n",
							process->pod_uid, process->container_id)
					 : alloc_text("0::/system.slice\n");
	auto_free char *resolv = alloc_format(
		"search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver "
		"%s\noptions ndots:5\n",
		process->dns ? process->dns : "192.0.2.53");

	if (proc_put(node, process, "cgroup", slice_of(cgroup), err) < 0 ||
	    proc_put_words(node, process, err) < 0 || proc_put_links(node, process, err) < 0)
		return -1;
	if (process->pod_uid &&
	    proc_put(node, process, "root/etc/resolv.conf", slice_of(resolv), err) < 0)
		return -1;
	/* without it the process is not there yet */
	return proc_put_stat(node, process, err);
}

static int proc_show_node(const struct lab_node *node, struct error *err)
{
	auto_free char *uptime = alloc_format("%s/proc/uptime", node->folder);
	auto_free char *self = alloc_format("%s/proc/self/ns/net", node->folder);
	auto_free char *boot = alloc_format("%s/proc/sys/kernel/random/boot_id", node->folder);
	auto_free char *route = alloc_format("%s/proc/net/route", node->folder);
	auto_free char *flows = alloc_format("%s/proc/net/nf_conntrack", node->folder);
	auto_free char *id = alloc_format("5d2f7a30-0000-4000-8000-%012zx\n", node->index);
	static const char routes[] = "Iface\tDestination\tGateway "
				     "\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
				     "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";

	if (folder_link(uptime, "/proc/uptime", err) < 0 || folder_link(self, "net:[1]", err) < 0 ||
	    folder_write(boot, slice_of(id), 0444, err) < 0 ||
	    folder_write(flows, (struct slice){0}, 0444, err) < 0)
		return -1;
	return folder_write(route, slice_of(routes), 0444, err);
}

int proc_show(struct lab_node *node, struct error *err)
{
	if (proc_show_node(node, err) < 0)
		return -1;
	for (const struct lab_process *p = node->processes; p; p = p->next)
		if (proc_write(node, p, err) < 0)
			return -1;
	return 0;
}

struct lab_process *proc_start(struct lab_node *node, struct lab_process *made)
{
	auto_error struct error err = {0};
	struct lab_process *process = ALLOC_NEW(struct lab_process);

	*process = *made;
	process->pid = node->next_pid += 7;
	if (!process->started)
		process->started = loop_now(node->lab->loop);
	process->next = node->processes;
	node->processes = process;
	if (node->shown && proc_write(node, process, &err) < 0)
		log_warning("%s", error_text(&err));
	return process;
}

void proc_end(struct lab_node *node, struct lab_process *process)
{
	auto_free char *folder = NULL;

	if (!process)
		return;
	for (struct lab_process **at = &node->processes; *at; at = &(*at)->next) {
		if (*at == process) {
			*at = process->next;
			break;
		}
	}
	if (node->shown) {
		folder = alloc_format("%s/proc/%lld", node->folder, (long long)process->pid);
		folder_remove(folder);
	}
	json_decref(process->args);
	json_decref(process->env);
	free(process->pod_uid);
	free(process->container_id);
	free(process->dns);
	free(process);
}
