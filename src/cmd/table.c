/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cmd/command.h"
#include "cmd/commands.h"

/* In the order of --help: looking, planning, doing, proving. */
static const struct command *const command_table[] = {
	&command_doctor, &command_certs,      &command_scan,	&command_plan,
	&command_apply,	 &command_status,     &command_resume,	&command_finalize,
	&command_verify, &command_completion, &command_version, &command_help_page,
};

const struct command *command_at(size_t i)
{
	return i < sizeof(command_table) / sizeof(command_table[0]) ? command_table[i] : NULL;
}

const struct command *command_find(const char *name)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}
