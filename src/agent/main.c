/* SPDX-License-Identifier: MIT */
/*
 * renumber-agent: what kubectl-renumber runs on a node, as root, for as long as it works there. It
 * speaks the protocol of agent/protocol.h on stdin and stdout and does nothing else; it listens
 * nowhere and leaves nothing behind but the backups of a run.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/serve.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "text/json.h"
#include "version.h"

#define MAIN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct main_options {
	const char *root;
	const char *proc;
	bool unlink_self;
};

/* The streamed file and the folder made for it go as soon as we run. */
static void main_unlink_self(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len < 0)
		return;
	path[len] = '\0';
	unlink(path);
	slash = strrchr(path, '/');
	if (slash && slash != path) {
		*slash = '\0';
		rmdir(path);
	}
}

/* 0, or the exit status. */
static int main_parse(int argc, char **argv, struct main_options *options)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--version") == 0) {
			printf("renumber-agent %s\n", KUBECTL_RENUMBER_VERSION);
			return -1;
		}
		if (strcmp(argv[i], "--unlink") == 0) {
			options->unlink_self = true;
		} else if (strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
			options->root = argv[++i];
		} else if (strcmp(argv[i], "--proc") == 0 && i + 1 < argc) {
			options->proc = argv[++i];
		} else {
			fprintf(stderr,
				"renumber-agent: it is started by kubectl-renumber and "
				"knows no argument '%s'\n",
				argv[i]);
			return 1;
		}
	}
	return 0;
}

/* Nothing of what the caller's environment says is believed. */
static int main_environment(const char *root)
{
	auto_free char *path =
		root[0] ? alloc_format("%s/usr/bin:%s/bin", root, root) : alloc_text(MAIN_PATH);

	if (clearenv() != 0 || setenv("PATH", path, 1) < 0 || setenv("LC_ALL", "C", 1) < 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct main_options options = {.root = "", .proc = "/proc"};
	auto_error struct error err = {0};
	auto_free char *root = NULL;
	struct agent agent;
	int status;

	secret_protect_process();
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	json_set_alloc_funcs(alloc_bytes, free);
	status = main_parse(argc, argv, &options);
	if (status != 0)
		return status < 0 ? 0 : status;
	if (options.unlink_self)
		main_unlink_self();
	if (options.root[0] && strcmp(options.root, "/") != 0)
		root = realpath(options.root, NULL);
	if (options.root[0] && strcmp(options.root, "/") != 0 && !root) {
		fprintf(stderr, "renumber-agent: no folder '%s'\n", options.root);
		return 1;
	}
	agent = (struct agent){.root = root ? root : "", .proc = options.proc};
	if (chdir("/") < 0 || main_environment(agent.root) < 0) {
		fprintf(stderr, "renumber-agent: cannot set up its environment\n");
		return 1;
	}
	if (serve(&agent, STDIN_FILENO, STDOUT_FILENO, &err) < 0) {
		fprintf(stderr, "renumber-agent: %s\n", error_text(&err));
		return 1;
	}
	return 0;
}
