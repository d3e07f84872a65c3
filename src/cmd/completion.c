/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "cmd/commands.h"

/*
 * Completion scripts written from the tables. bash and zsh share one function; fish takes a line
 * for each command and option.
 */
static void completion_words(const struct option *options, struct buffer *out)
{
	for (const struct option *o = options; o && o->name; o++)
		buffer_format(out, " --%s", o->name);
}

static void completion_bash(struct buffer *out)
{
	const struct command *command;

	buffer_text(
		out,
		"_kubectl_renumber()\n{\n"
		"\tlocal word=${COMP_WORDS[COMP_CWORD]} command= common= options= i\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n"
		"\tdone\n\tcommon='");
	completion_words(session_options, out);
	buffer_text(out, "'\n\tcase $command in\n\t'') options='");
	for (size_t i = 0; (command = command_at(i)); i++)
		buffer_format(out, "%s%s", i ? " " : "", command->name);
	buffer_text(out, "' ;;\n");
	for (size_t i = 0; (command = command_at(i)); i++) {
		buffer_format(out, "\t%s) options='", command->name);
		completion_words(command->options, out);
		buffer_text(out, "' ;;\n");
	}
	buffer_text(out, "\tesac\n"
			 "\tcase $word in\n"
			 "\t-*) COMPREPLY=($(compgen -W \"$options $common\" -- \"$word\")) ;;\n"
			 "\t*) if [ -z \"$command\" ]; then COMPREPLY=($(compgen -W \"$options\" "
			 "-- \"$word\"))\n"
			 "\t   else COMPREPLY=($(compgen -f -- \"$word\")); fi ;;\n"
			 "\tesac\n}\n"
			 "complete -F _kubectl_renumber kubectl-renumber\n");
}

static void completion_fish_options(const struct option *options, const char *condition,
				    struct buffer *out)
{
	for (const struct option *o = options; o && o->name; o++) {
		buffer_format(out, "complete -c kubectl-renumber %s -l %s", condition, o->name);
		if (o->letter)
			buffer_format(out, " -s %c", o->letter);
		if (o->argument)
			buffer_text(out, " -r");
		if (o->choices)
			buffer_format(out, " -f -a '%s'", o->choices);
		buffer_text(out, " -d '");
		for (const char *c = o->help; *c; c++)
			buffer_format(out, *c == '\'' ? "\\%c" : "%c", *c);
		buffer_text(out, "'\n");
	}
}

static void completion_fish(struct buffer *out)
{
	const struct command *command;

	completion_fish_options(session_options, "", out);
	for (size_t i = 0; (command = command_at(i)); i++) {
		auto_buffer struct buffer condition = {0};

		buffer_format(
			out,
			"complete -c kubectl-renumber -n __fish_use_subcommand -f -a %s -d '%s'\n",
			command->name, command->summary);
		buffer_format(&condition, "-n '__fish_seen_subcommand_from %s'", command->name);
		completion_fish_options(command->options, buffer_cstr(&condition), out);
	}
}

static int completion_run(struct session *session, const struct command_input *input,
			  struct error *err)
{
	const char *shell = input->words[0];
	auto_buffer struct buffer script = {0};

	(void)session;
	if (strcmp(shell, "bash") == 0) {
		completion_bash(&script);
	} else if (strcmp(shell, "zsh") == 0) {
		buffer_text(
			&script,
			"#compdef kubectl-renumber\nautoload -U +X bashcompinit && bashcompinit\n");
		completion_bash(&script);
	} else if (strcmp(shell, "fish") == 0) {
		completion_fish(&script);
	} else {
		return error_set(err, ERROR_USAGE,
				 "no completion for '%s'; there is one for bash, zsh and fish",
				 shell);
	}
	fputs(buffer_cstr(&script), stdout);
	return 0;
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "a completion script for your shell",
	.details = "Prints the script; for bash:\n\n  source <(kubectl-renumber completion bash)",
	.min_words = 1,
	.max_words = 1,
	.run = completion_run,
};
