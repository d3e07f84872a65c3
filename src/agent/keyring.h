/* SPDX-License-Identifier: MIT */
#ifndef AGENT_KEYRING_H
#define AGENT_KEYRING_H

#include "agent/agent.h"

/* certs-audit, -names, -issue, -csr, -import, -restore: pki/op.h within the agent's closed list.
 * Backups and waiting keys go to the folder of the run. */
agent_operation keyring_audit, keyring_names, keyring_issue, keyring_csr, keyring_import,
	keyring_restore;

#endif
