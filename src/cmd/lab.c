/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/commands.h"

/* The lab is a program of its own, so that this one links no server: its options are passed on. */
struct lab_settings {
	const char *scenario;
	const char *services;
	const char *nodes;
	const char *control_planes;
	const char *pace;
	const char *hurry;
	bool list;
};

static const struct option lab_options[] = {
	{"scenario", 0, "NAME", OPTION_TEXT, offsetof(struct lab_settings, scenario), NULL,
	 "where the cluster is found (default healthy)"},
	{"list", 0, NULL, OPTION_FLAG, offsetof(struct lab_settings, list), NULL,
	 "name the scenarios"},
	{"services", 0, "N", OPTION_TEXT, offsetof(struct lab_settings, services), NULL,
	 "so many Services more"},
	{"nodes", 0, "N", OPTION_TEXT, offsetof(struct lab_settings, nodes), NULL,
	 "so many workers (default 2)"},
	{"control-planes", 0, "N", OPTION_TEXT, offsetof(struct lab_settings, control_planes), NULL,
	 "so many control planes (default 3)"},
	{"pace", 0, "N", OPTION_TEXT, offsetof(struct lab_settings, pace), NULL,
	 "the cluster's clock runs so many times as fast (default 10)"},
	{"hurry", 0, "N", OPTION_TEXT, offsetof(struct lab_settings, hurry), NULL,
	 "the tool sleeps an N-th of what it means to"},
	{0},
};

enum { LAB_ARGUMENTS = 20 };

/* Beside this program, or in PATH. */
static char *lab_program(void)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	auto_free char *beside = NULL;

	if (len < 0)
		return alloc_text("renumber-lab");
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	beside = alloc_format("%s/renumber-lab", self);
	return access(beside, X_OK) == 0 ? steal(beside) : alloc_text("renumber-lab");
}

static int lab_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct lab_settings *s = input->settings;
	const char *const values[][2] = {
		{"--scenario", s->scenario}, {"--services", s->services},
		{"--nodes", s->nodes},	     {"--control-planes", s->control_planes},
		{"--pace", s->pace},	     {"--hurry", s->hurry},
	};
	auto_free const char **argv = alloc_array(input->word_count + LAB_ARGUMENTS, sizeof(*argv));
	auto_free char *program = lab_program();
	size_t count = 0;

	(void)session;
	argv[count++] = program;
	if (s->list)
		argv[count++] = "--list";
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (!values[i][1])
			continue;
		argv[count++] = values[i][0];
		argv[count++] = values[i][1];
	}
	if (input->word_count)
		argv[count++] = "--";
	for (size_t i = 0; i < input->word_count; i++)
		argv[count++] = input->words[i];
	execvp(program, (char *const *)(uintptr_t)argv);
	return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, "cannot start '%s': %s",
			 program, strerror(errno));
}

const struct command command_lab = {
	.name = "lab",
	.arguments = "[-- COMMAND…]",
	.summary = "a simulated cluster to try all of this on",
	.details = "Runs COMMAND (say, a shell) beside a simulated cluster that kubectl-renumber "
		   "finds by\n"
		   "itself; without COMMAND the cluster stands until ^C and says how to reach it. "
		   "Nothing\n"
		   "outside a folder in /tmp is touched, and nothing is left behind. Example:\n\n"
		   "  kubectl renumber lab --scenario incident-delete -- sh",
	.options = lab_options,
	.settings_size = sizeof(struct lab_settings),
	.max_words = 1000,
	.run = lab_run,
};
