/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cmd/command.h"
#include "cmd/commands.h"

/* In the order of --help: looking, planning, doing, proving. */
static const struct command *const command_table[] = {
	&command_doctor,     &command_certs,   &command_scan,	   &command_plan,
	&command_apply,	     &command_status,  &command_resume,	   &command_rollback,
	&command_finalize,   &command_verify,  &command_report,	   &command_lab,
	&command_completion, &command_version, &command_help_page,
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

int command_require(const char *name, const char *program, const struct command **ret,
		    struct error *err)
{
	const struct command *found = command_find(name);
	const struct command *command;
	const char *near = NULL;
	size_t best = 3;

	if (found) {
		*ret = found;
		return 0;
	}
	for (size_t i = 0; (command = command_at(i)); i++) {
		size_t distance = option_distance(slice_of(name), command->name);

		if (distance < best) {
			best = distance;
			near = command->name;
		}
	}
	if (near)
		return error_set(err, ERROR_USAGE, "there is no command '%s'; did you mean '%s'?",
				 name, near);
	return error_set(err, ERROR_USAGE, "there is no command '%s'; '%s --help' lists them", name,
			 program);
}
