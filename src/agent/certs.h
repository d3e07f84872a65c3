/* SPDX-License-Identifier: MIT */
#ifndef AGENT_CERTS_H
#define AGENT_CERTS_H

#include "agent/agent.h"

/* certs-audit, -names, -issue, -csr, -import, -restore: pki/op.h within the agent's closed list.
 * Backups and waiting keys go to the folder of the run. */
agent_operation certs_audit, certs_names, certs_issue, certs_csr, certs_import, certs_restore;

#endif
