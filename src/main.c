/* SPDX-License-Identifier: MIT */
/*
 * Reads the command line, finds the command, prepares what its flags ask for, prints the error and
 * chooses the exit status. Nothing else in the program prints an error or ends the process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/commands.h"

static int main_status(enum error_kind kind)
{
	switch (kind) {
	case ERROR_REFUSED:
		return EXIT_REFUSED;
	case ERROR_STOPPED:
	case ERROR_INTERRUPTED:
		return EXIT_STOPPED;
	default:
		return EXIT_FAILURE;
	}
}

/* kubectl runs a plugin by its path, `kubectl-renumber`, and says "kubectl renumber" itself. */
static const char *main_program(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strncmp(name, "kubectl-", 8) == 0 ? "kubectl renumber" : "kubectl-renumber";
}

static int main_prepare(struct session *session, const struct command *command, struct error *err)
{
	if (command->flags & COMMAND_NEEDS_NODES)
		return session_open_nodes(session, err);
	if (command->flags & COMMAND_NEEDS_CLUSTER)
		return session_connect(session, err);
	return 0;
}

static int main_check_words(const struct command *command, const struct command_input *input,
			    const char *program, struct error *err)
{
	if (input->word_count < command->min_words)
		return error_set(err, ERROR_USAGE, "'%s' lacks its %s; '%s %s --help' says more",
				 command->name, command->arguments, program, command->name);
	if (input->word_count > command->max_words)
		return error_set(err, ERROR_USAGE,
				 "'%s' does not take '%s'; '%s %s --help' says more", command->name,
				 input->words[command->max_words], program, command->name);
	return 0;
}

/* The command is the first word that is no option; options may stand before it. Their own
 * arguments are told from words by the common table. */
static const char *main_command_name(int argc, const char *const argv[])
{
	for (int i = 1; i < argc; i++) {
		const struct option *o;

		if (argv[i][0] != '-')
			return argv[i];
		if (strchr(argv[i], '='))
			continue;
		for (o = session_options; o->name; o++) {
			if (o->argument &&
			    ((argv[i][1] == '-' && strcmp(argv[i] + 2, o->name) == 0) ||
			     (o->letter && argv[i][1] == o->letter && !argv[i][2])))
				i++;
		}
	}
	return NULL;
}

static int main_run(struct session *session, const struct command *command,
		    const struct command_input *input, struct error *err)
{
	int status;

	if (main_check_words(command, input, session->program, err) < 0)
		return -1;
	if (main_prepare(session, command, err) < 0)
		return -1;
	status = command->run(session, input, err);
	/* A full disk behind stdout is an error of the command. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		int saved = errno;

		if (status < 0)
			return -1;
		return error_set(err, ERROR_IO, "cannot write the result: %s", strerror(saved));
	}
	return status;
}

static int main_dispatch(int argc, const char *const argv[], const char *program, struct error *err)
{
	const char *name = main_command_name(argc, argv);
	const struct command *command = name ? command_find(name) : NULL;
	struct session_settings common = {0};
	auto_free void *own =
		alloc_bytes(command && command->settings_size ? command->settings_size : 1);
	auto_free const char **words = alloc_array((size_t)argc + 1, sizeof(*words));
	struct option_table tables[2] = {{command ? command->options : NULL, own},
					 {session_options, &common}};
	struct command_input input = {.settings = own};
	struct session session;
	size_t count;
	int status;

	memset(own, 0, command && command->settings_size ? command->settings_size : 1);
	if (name && command_require(name, program, &command, err) < 0)
		return -1;
	if (option_parse(argc, argv, tables, 2, words, &count, err) < 0)
		return -1;
	session_init(&session, &common, program);
	if (common.help || !command) {
		auto_buffer struct buffer page = {0};

		command_help(command, program, &page);
		return fputs(buffer_cstr(&page), stdout) < 0 || fflush(stdout) != 0
			       ? error_errno(err, "cannot write the help page")
			       : 0;
	}
	input.words = words + 1;
	input.word_count = count - 1;
	status = main_run(&session, command, &input, err);
	session_release(&session);
	return status;
}

/* "--version" is the command of that name to everybody. */
static void main_take_version(int argc, char *argv[])
{
	static char version[] = "version";

	if (main_command_name(argc, (const char *const *)argv))
		return;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--version") == 0)
			argv[i] = version;
}

int main(int argc, char *argv[])
{
	const char *program = main_program(argc > 0 ? argv[0] : "kubectl-renumber");
	auto_error struct error err = {0};
	int status;

	umask(077);
	secret_protect_process();
	interrupt_install();
	main_take_version(argc, argv);
	status = main_dispatch(argc, (const char *const *)argv, program, &err);
	if (status >= 0)
		return status;
	log_error("%s", error_text(&err));
	return main_status(err.kind);
}
