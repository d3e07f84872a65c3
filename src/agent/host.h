/* SPDX-License-Identifier: MIT */
#ifndef AGENT_HOST_H
#define AGENT_HOST_H

#include "agent/agent.h"

/* info, sysfacts, restart-kubelet, kubelet-status. */
agent_operation host_info, host_sysfacts, host_restart_kubelet, host_kubelet_status;

#endif
