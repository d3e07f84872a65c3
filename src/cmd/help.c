/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cmd/commands.h"

static void help_program(const char *program, struct buffer *out)
{
	const struct command *command;

	buffer_format(out,
		      "Move a cluster to another Service CIDR, and repair where that was tried by "
		      "hand.\n\n"
		      "Usage: %s COMMAND [OPTIONS]\n\nCommands (* changes the cluster):\n",
		      program);
	for (size_t i = 0; (command = command_at(i)); i++)
		buffer_format(out, " %c%-12s%s\n", command->flags & COMMAND_MUTATES ? '*' : ' ',
			      command->name, command->summary);
	buffer_text(out, "\nOptions of every command:\n");
	option_describe(session_options, out);
	buffer_format(out,
		      "\nExit status: 0 done or clean, 1 error, 2 findings, 3 refused and nothing "
		      "changed,\n"
		      "4 stopped part-way and safe to resume.\n\n"
		      "Begin with '%s doctor'; '%s COMMAND --help' says more.\n",
		      program, program);
}

void command_help(const struct command *command, const char *program, struct buffer *out)
{
	if (!command) {
		help_program(program, out);
		return;
	}
	buffer_format(out, "%s %s: %s\n\nUsage: %s %s%s%s [OPTIONS]\n", program, command->name,
		      command->summary, program, command->name, *command->arguments ? " " : "",
		      command->arguments);
	if (command->details)
		buffer_format(out, "\n%s\n", command->details);
	if (command->options) {
		buffer_text(out, "\nOptions:\n");
		option_describe(command->options, out);
	}
	buffer_text(out, "\nCommon options:\n");
	option_describe(session_options, out);
}

static int help_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct command *command = NULL;
	auto_buffer struct buffer page = {0};

	if (input->word_count == 1 &&
	    command_require(input->words[0], session->program, &command, err) < 0)
		return -1;
	command_help(command, session->program, &page);
	fputs(buffer_cstr(&page), stdout);
	return 0;
}

const struct command command_help_page = {
	.name = "help",
	.arguments = "[COMMAND]",
	.summary = "this page, or that of a command",
	.max_words = 1,
	.run = help_run,
};
