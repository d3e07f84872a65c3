/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROCESSES_H
#define AGENT_PROCESSES_H

#include "agent/agent.h"
#include "base/slice.h"

/* processes: servers of the control plane and containers, as /proc shows them. */
agent_operation processes_look;

/* What a line of /proc/PID/cgroup says. */
struct processes_cgroup {
	char pod_uid[37];      /* with dashes; 32 hex digits without for a static Pod */
	char container_id[65]; /* 64 hex digits */
};

/*
 * Finds both in the text of /proc/PID/cgroup, of either cgroup version and either driver:
 *	…/kubepods/burstable/podUID/CONTAINER
 *	…/kubepods-burstable-podUID_WITH_UNDERSCORES.slice/cri-containerd-CONTAINER.scope
 *	…/kubepods-burstable-podUID_WITH_UNDERSCORES.slice:cri-containerd:CONTAINER
 * False for a process of no container.
 */
bool processes_cgroup_parse(struct slice text, struct processes_cgroup *ret);

/* When the node was started, in milliseconds since 1970. */
must_check int processes_boot(const char *proc, int64_t *ret_boot_ms, struct error *err);

/* The oldest process of that name among the servers of this network namespace. ERROR_NOT_FOUND. */
must_check int processes_find(const struct agent *agent, const char *name, int64_t *ret_pid,
			      int64_t *ret_started_at, struct error *err);

/* The nameservers ("search": false) or search domains of a resolv.conf's text, as JSON texts. */
json_t *processes_resolv_conf(struct slice text, bool search);

#endif
