/* SPDX-License-Identifier: MIT */
/*
 * renumber-lab: a Kubernetes cluster that is simulated, for trying kubectl-renumber and for testing
 * it. It listens on loopback addresses of its own, needs no root, and is gone without a trace when
 * it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "lab/beat.h"
#include "lab/cluster.h"
#include "lab/fault.h"
#include "lab/folder.h"
#include "lab/scenario.h"
#include "lab/shim.h"
#include "version.h"

enum { MAIN_SPARING = 1000, MAIN_PACE = 10, MAIN_PLANES = 3, MAIN_WORKERS = 2 };

struct main_options {
	const char *scenario;
	const char *folder;
	const char *requests;
	const char *denied;
	struct lab_options lab;
	struct fault_options fault;
	uint64_t hurry;
	bool shared;	/* the clock */
	bool copies;	/* of the cluster are what is wanted */
	char **command; /* NULL: until it is interrupted */
};

struct main_run {
	struct lab *lab;
	pid_t child;
	int status;
};

static void main_help(void)
{
	fputs("renumber-lab: a simulated Kubernetes cluster\n\n"
	      "usage: renumber-lab [--scenario NAME] [OPTION…] [-- COMMAND…]\n\n"
	      "Runs COMMAND (a shell, a script) with KUBECONFIG and PATH set, so that\n"
	      "'kubectl-renumber' in it works on the cluster; without COMMAND it waits for ^C.\n\n"
	      "  --scenario NAME     where the cluster is found (healthy); NAME-1.32, NAME-1.33,\n"
	      "                      NAME-1.20 for other versions of Kubernetes than 1.36\n"
	      "  --list              names the scenarios\n"
	      "  --services N        so many Services more\n"
	      "  --nodes N           so many workers (2)\n"
	      "  --control-planes N  (3)\n"
	      "  --hurry N           the tool sleeps a N-th of what it means to, and does not "
	      "notice\n"
	      "  --clock shared      instead: it stands still until the tool sleeps, and then "
	      "passes at once\n"
	      "  --pace N            the cluster's clock runs so many times as fast (10)\n"
	      "  --sparing N         probes ask so many times less often (4 with less than 4 "
	      "processors,\n"
	      "                      1000 with a shared clock)\n"
	      "  --seed N            of everything random (1)\n"
	      "  --folder PATH       keeps its files there, an empty or new folder\n"
	      "  --copies            for each line 'SEED FOLDER' on its input, opens a copy of "
	      "the\n"
	      "                      cluster there\n"
	      "  --requests FILE     writes each request to the API there, a line each\n"
	      "  --deny VERB/RESOURCE  nobody has this right: create/servicecidrs\n"
	      "  --kill-at N         kills COMMAND when it has made its N-th change\n"
	      "  --kill-before N     the same, before the change happens\n"
	      "  --fault-every N     one of N requests fails\n"
	      "  --help, --version\n",
	      stdout);
}

static void main_list(void)
{
	for (size_t i = 0; scenario_name(i); i++)
		printf("%-20s %s\n", scenario_name(i), scenario_summary(i));
}

/* --- options ---------------------------------------------------------------------------------- */

static int main_number(const char *option, const char *text, uint64_t max, uint64_t *ret,
		       struct error *err)
{
	if (!text || !slice_to_u64(slice_of(text), max, ret))
		return error_set(err, ERROR_USAGE, "%s wants a number up to %llu", option,
				 (unsigned long long)max);
	return 0;
}

static int main_option(struct main_options *o, const char *name, const char *value,
		       struct error *err)
{
	static const struct {
		const char *name;
		uint64_t max;
	} numbers[] = {
		{"--services", 100000},
		{"--nodes", 10000},
		{"--control-planes", 9},
		{"--pace", 1000},
		{"--seed", UINT64_MAX},
		{"--kill-at", UINT32_MAX},
		{"--kill-before", UINT32_MAX},
		{"--fault-every", UINT32_MAX},
		{"--hurry", 1000},
		{"--sparing", 1000},
	};
	uint64_t number = 0;
	size_t i = 0;

	if (!value)
		return error_set(err, ERROR_USAGE, "%s wants a value", name);
	if (strcmp(name, "--scenario") == 0) {
		o->scenario = value;
		return 0;
	}
	if (strcmp(name, "--folder") == 0) {
		o->folder = value;
		return 0;
	}
	if (strcmp(name, "--deny") == 0) {
		o->denied = value;
		return 0;
	}
	if (strcmp(name, "--requests") == 0) {
		o->requests = value;
		return 0;
	}
	if (strcmp(name, "--clock") == 0 && strcmp(value, "shared") == 0) {
		o->shared = true;
		return 0;
	}
	while (i < sizeof(numbers) / sizeof(numbers[0]) && strcmp(name, numbers[i].name) != 0)
		i++;
	if (i == sizeof(numbers) / sizeof(numbers[0]))
		return error_set(err, ERROR_USAGE, "there is no option '%s'; see --help", name);
	if (main_number(name, value, numbers[i].max, &number, err) < 0)
		return -1;
	switch (i) {
	case 0:
		o->lab.services = (int)number;
		break;
	case 1:
		o->lab.workers = (int)number;
		break;
	case 2:
		o->lab.control_planes = number ? (int)number : 1;
		break;
	case 3:
		o->lab.pace = number ? (int)number : 1;
		break;
	case 4:
		o->lab.seed = o->fault.seed = number;
		break;
	case 7:
		o->fault.every = (unsigned int)number;
		break;
	case 8:
		o->hurry = number;
		break;
	case 9:
		o->lab.sparing = number ? (int)number : 1;
		break;
	default:
		o->fault.kill_at = number;
		o->fault.kill_before = i == 6;
	}
	return 0;
}

/* 0, 1 when everything is said and done, -1. */
static int main_parse(int argc, char **argv, struct main_options *o, struct error *err)
{
	for (int i = 1; i < argc; i++) {
		char *equal = strchr(argv[i], '=');
		auto_free char *name = NULL;

		if (strcmp(argv[i], "--") == 0) {
			o->command = argv[i + 1] ? &argv[i + 1] : NULL;
			return 0;
		}
		if (strcmp(argv[i], "--help") == 0) {
			main_help();
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("renumber-lab %s\n", KUBECTL_RENUMBER_VERSION);
			return 1;
		}
		if (strcmp(argv[i], "--list") == 0) {
			main_list();
			return 1;
		}
		if (strcmp(argv[i], "--copies") == 0) {
			o->copies = true;
			continue;
		}
		name = equal ? alloc_text_n(argv[i], (size_t)(equal - argv[i]))
			     : alloc_text(argv[i]);
		if (main_option(o, name, equal ? equal + 1 : argv[i + 1], err) < 0)
			return -1;
		i += !equal;
	}
	return 0;
}

/* --- the command ------------------------------------------------------------------------------ */

/* What the command finds in its PATH: the tool, told how to get to the nodes. */
static int main_put_wrapper(const struct main_options *o, const struct lab *lab, const char *beside,
			    struct error *err)
{
	auto_free char *path = alloc_format("%s/bin/kubectl-renumber", lab->folder);
	auto_free char *hurry = alloc_text("");
	auto_free char *text = NULL;

	if (o->shared || o->hurry) {
		free(hurry);
		hurry = alloc_format("LD_PRELOAD='%s/renumber-lab-hurry.so' %s%llu%s\n"
				     "export LD_PRELOAD RENUMBER_LAB_HURRY RENUMBER_LAB_CLOCK\n",
				     beside, "RENUMBER_LAB_HURRY=",
				     (unsigned long long)(o->hurry ? o->hurry : 1),
				     o->shared ? " RENUMBER_LAB_CLOCK=\"$RENUMBER_LAB\"" : "");
	}
	text = alloc_format(
		"#!/bin/sh\n[ -z \"$RENUMBER_LAB_CLIENT\" ] || '%s' as-control '%s' "
		"'{\"do\":\"client\",\"pid\":'$$'}' >/dev/null\n%sexec '%s/kubectl-renumber' "
		"--ssh-command \"'%s' as-ssh '%s'\" --state-dir '%s/state' \"$@\"\n",
		lab->program, lab->folder, hurry, beside, lab->program, lab->folder, lab->folder);
	return folder_write(path, slice_of(text), 0755, err);
}

enum { MAIN_AGENT_HEAD = 4096 };

/* What is streamed to a node is thrown away there: the real agent is at hand. Its head will do. */
static int main_put_agent(const struct lab *lab, struct error *err)
{
	auto_free char *path = alloc_format("%s/renumber-agent", lab->folder);
	auto_close int fd = open(lab->agent, O_RDONLY | O_CLOEXEC);
	char head[MAIN_AGENT_HEAD];
	ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof(head));

	if (len < 0)
		return error_errno(err, "cannot read '%s'", lab->agent);
	return folder_write(path, (struct slice){head, (size_t)len}, 0755, err);
}

static void main_environment(const struct lab *lab)
{
	const char *old = getenv("PATH");
	auto_free char *path = alloc_format("%s/bin:%s", lab->folder, old ? old : "/usr/bin:/bin");
	auto_free char *config = alloc_format("%s/kubeconfig", lab->folder);
	auto_free char *agent = alloc_format("%s/renumber-agent", lab->folder);

	setenv("PATH", path, 1);
	setenv("KUBECONFIG", config, 1);
	setenv("KUBECTL_RENUMBER_AGENT", agent, 1);
	setenv("RENUMBER_LAB", lab->folder, 1);
}

static pid_t main_start(const struct main_options *o, const struct lab *lab, struct error *err)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, "cannot start '%s'", o->command[0]);
	if (pid > 0)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	main_environment(lab);
	execvp(o->command[0], o->command);
	fprintf(stderr, "renumber-lab: cannot start '%s': %s\n", o->command[0], strerror(errno));
	_exit(127);
}

static void main_signal(void *data, uint32_t events)
{
	struct main_run *run = data;
	struct signalfd_siginfo info;
	int status;

	(void)events;
	while (read(run->status, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGCHLD) {
			/* the command gets ^C itself; it is waited for */
			if (!run->child || info.ssi_signo == SIGTERM)
				loop_stop(run->lab->loop);
			continue;
		}
		if (run->child && waitpid(run->child, &status, WNOHANG) == run->child) {
			run->child = 0;
			run->lab->status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			loop_stop(run->lab->loop);
		}
	}
}

static void main_say(const struct main_options *o, const struct lab *lab)
{
	if (o->copies) {
		printf("open %d\n", (int)getpid());
		fflush(stdout);
		return;
	}
	printf("export KUBECONFIG=%s/kubeconfig PATH=%s/bin:$PATH\n", lab->folder, lab->folder);
	fflush(stdout);
	fprintf(stderr, "renumber-lab: Kubernetes 1.%u.%u, %zu nodes, https://%s:%u; ^C ends it\n",
		lab->options.minor, lab->options.patch, lab->node_count, lab->endpoint, lab->port);
}

static int main_live(const struct main_options *o, struct lab *lab, struct error *err)
{
	struct main_run run = {.lab = lab};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	run.status = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run.status < 0)
		return error_errno(err, "cannot wait for signals");
	loop_watch(lab->loop, run.status, EPOLLIN, main_signal, &run);
	if (o->command) {
		run.child = main_start(o, lab, err);
		if (run.child < 0)
			return -1;
		fault_client(lab->fault, run.child);
	} else {
		main_say(o, lab);
	}
	loop_run(lab->loop);
	if (run.child)
		kill(run.child, SIGTERM);
	loop_forget(lab->loop, run.status);
	close(run.status);
	return 0;
}

/* --- copies of it ----------------------------------------------------------------------------- */

/* What happened before it was copied lies in the past: Leases are renewed first. */
enum { MAIN_FRESH_MS = 12000 };

static int main_split(char *line, uint64_t *ret_seed, const char **ret_folder, struct error *err)
{
	char *space = strchr(line, ' ');
	char *end = strchr(line, '\n');

	if (end)
		*end = '\0';
	if (!space || space[1] != '/' ||
	    !slice_to_u64((struct slice){line, (size_t)(space - line)}, UINT64_MAX, ret_seed))
		return error_set(err, ERROR_USAGE, "'%s' is no 'SEED FOLDER'", line);
	*ret_folder = space + 1;
	return 0;
}

/*
 * A child for each line, one after the other: "open PID" when it is there, "end STATUS" when it is
 * over. To make a cluster and to play a scenario takes as long as many a run in it. In a child
 * *ret_child is true; in the parent it is not, when there are no more lines.
 */
static int main_copies(struct lab *lab, bool *ret_child, struct error *err)
{
	char line[PATH_MAX + 32];
	uint64_t seed;
	const char *folder;
	int status;

	*ret_child = false;
	while (fgets(line, sizeof(line), stdin)) {
		pid_t pid;

		if (main_split(line, &seed, &folder, err) < 0)
			return -1;
		pid = fork();
		if (pid < 0)
			return error_errno(err, "cannot copy the cluster");
		if (pid == 0) {
			*ret_child = true;
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (!freopen("/dev/null", "r", stdin) ||
			    file_make_folder(folder, 0700, err) < 0)
				return -1;
			return cluster_move(lab, folder, seed, err);
		}
		if (waitpid(pid, &status, 0) != pid)
			return error_errno(err, "cannot wait for a copy");
		printf("end %d\n",
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		fflush(stdout);
	}
	return 0;
}

/* --- all -------------------------------------------------------------------------------------- */

/* The scenario was played: it is opened to whoever works in it. */
static int main_open(const struct main_options *o, struct lab *lab, const char *beside,
		     struct error *err)
{
	if (o->shared) {
		lab->beat = beat_open(lab, err);
		if (!lab->beat)
			return -1;
	}
	if (o->copies) {
		loop_jump(lab->loop, MAIN_FRESH_MS);
		loop_spend(lab->loop, 0);
	}
	if (main_put_wrapper(o, lab, beside, err) < 0 || main_put_agent(lab, err) < 0 ||
	    cluster_open(lab, err) < 0)
		return -1;
	return main_live(o, lab, err);
}

static int main_cluster(const struct main_options *o, const char *folder, int *ret_status,
			struct error *err)
{
	char program[PATH_MAX] = "";
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	auto_free char *beside = NULL;
	auto_free char *agent = NULL;
	auto_free char *shim = NULL;
	bool opens = true;
	struct lab *lab;
	int result;

	if (len < 0)
		return error_errno(err, "cannot tell where this program is");
	beside = alloc_text_n(program, (size_t)(strrchr(program, '/') - program));
	agent = file_join(beside, o->shared ? "renumber-lab-agent" : "renumber-agent");
	shim = file_join(beside, "renumber-lab-shim");
	lab = cluster_new(&o->lab, folder, shim, agent, err);
	if (!lab)
		return -1;
	lab->fault = fault_new(&o->fault);
	fault_bind(lab->fault, lab);
	lab->denied = o->denied;
	lab->requests = o->requests ? fopen(o->requests, "ae") : NULL;
	result = o->requests && !lab->requests ? error_errno(err, "cannot write '%s'", o->requests)
					       : scenario_play(lab, o->scenario, err);
	if (result == 0 && o->copies)
		result = main_copies(lab, &opens, err);
	if (result == 0 && opens)
		result = main_open(o, lab, beside, err);
	*ret_status = lab->status;
	fault_free(lab->fault);
	if (lab->requests)
		fclose(lab->requests);
	beat_free(lab->beat);
	cluster_free(lab);
	return result;
}

static int main_lab(struct main_options *o, struct error *err)
{
	char made[] = "/tmp/renumber-lab.XXXXXX";
	auto_free char *folder = NULL;
	int status = 0;
	int result;

	if (scenario_parse(o->scenario, &o->lab, err) < 0)
		return -1;
	/* where time passes at once, each of many probes costs as much as everything else */
	if (!o->lab.sparing)
		o->lab.sparing = o->shared			     ? MAIN_SPARING
				 : sysconf(_SC_NPROCESSORS_ONLN) < 4 ? 4
								     : 1;
	if (!o->folder && !mkdtemp(made))
		return error_errno(err, "cannot make a folder in /tmp");
	if (o->folder && file_make_folder(o->folder, 0700, err) < 0)
		return -1;
	folder = realpath(o->folder ? o->folder : made, NULL);
	result = main_cluster(o, folder, &status, err);
	if (!o->folder)
		folder_remove(folder);
	return result < 0 ? -1 : status;
}

int main(int argc, char **argv)
{
	struct main_options o = {
		.scenario = "healthy",
		.lab = {.pace = MAIN_PACE,
			.control_planes = MAIN_PLANES,
			.workers = MAIN_WORKERS,
			.seed = 1},
	};
	auto_error struct error err = {0};
	int result;

	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(alloc_bytes, free);
	if (argc > 1 && strcmp(argv[1], "as-control") == 0)
		return shim_control(argc, argv);
	umask(022);
	/* it ends with whoever started it */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	result = main_parse(argc, argv, &o, &err);
	if (result == 0)
		result = main_lab(&o, &err);
	else if (result > 0)
		return 0;
	if (result >= 0)
		return result;
	log_error("%s", error_text(&err));
	return 1;
}
