/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cmd/commands.h"
#include "version.h"

static int version_run(struct session *session, const struct command_input *input,
		       struct error *err)
{
	(void)input;
	(void)err;
	if (session->output == SESSION_JSON)
		printf("{\"schemaVersion\":1,\"version\":\"%s\"}\n", KUBECTL_RENUMBER_VERSION);
	else
		printf("kubectl-renumber %s\n", KUBECTL_RENUMBER_VERSION);
	return 0;
}

const struct command command_version = {
	.name = "version",
	.arguments = "",
	.summary = "the version of this program",
	.run = version_run,
};
