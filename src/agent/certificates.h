/* SPDX-License-Identifier: MIT */
#ifndef AGENT_CERTIFICATES_H
#define AGENT_CERTIFICATES_H

#include "agent/agent.h"

/* certs-audit, -names, -issue, -csr, -import, -restore: pki/op.h within the agent's closed list.
 * Backups and waiting keys go to the folder of the run. */
agent_operation certificates_audit, certificates_names, certificates_issue, certificates_csr, certificates_import, certificates_restore;

#endif
