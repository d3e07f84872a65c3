/* SPDX-License-Identifier: MIT */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "cmd/option.h"
#include "cmd/session.h"

/*
 * A command is one file with one const struct; cmd/table.c is an array of pointers to them. What
 * every command of a kind needs (a connection, nodes) is a flag, so that none forgets it.
 */
enum command_flags {
	COMMAND_NEEDS_CLUSTER = 1 << 0, /* session->kube is open when run() is called */
	COMMAND_NEEDS_NODES = 1 << 1,	/* session->pool knows the cluster's nodes, too */
	COMMAND_MUTATES = 1 << 2,	/* changes the cluster: said in --help */
};

/* Exit statuses besides 0 that a command gives itself; the others come from errors (main.c). */
enum { EXIT_FINDINGS = 2, EXIT_REFUSED = 3, EXIT_STOPPED = 4 };

struct command_input {
	const void *settings; /* filled by the command's own options; zeroed memory before */
	const char *const
		*words; /* what was no option, NULL-terminated, without the command's name */
	size_t word_count;
};

struct command {
	const char *name;
	const char *arguments;	      /* "FILE", "[PATH… or -]"; "" for none */
	const char *summary;	      /* one line for the list of commands */
	const char *details;	      /* paragraphs for its --help: what, then an example */
	const struct option *options; /* NULL: only the common ones */
	size_t settings_size;
	size_t min_words;
	size_t max_words;
	unsigned int flags;

	/* The exit status, or -1 with *err set. The result goes to stdout. */
	int (*run)(struct session *session, const struct command_input *input, struct error *err);
};

/* NULL behind the last one. */
const struct command *command_at(size_t i);
const struct command *command_find(const char *name);
/* The same; ERROR_USAGE says which one was meant where a name is near. */
must_check int command_require(const char *name, const char *program, const struct command **ret,
			       struct error *err);

/* The help page of one command, or of the program (command NULL). `program` is how the user calls
 * it: "kubectl renumber" or "kubectl-renumber". */
void command_help(const struct command *command, const char *program, struct buffer *out);

#endif
