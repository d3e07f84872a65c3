/* SPDX-License-Identifier: MIT */
/* A plan by somebody else: whatever its steps' parameters are, no kind of step ends the program. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/config.h"
#include "lib/test.h"
#include "step/step.h"
#include "text/json.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Every parameter that some kind has, for the rows below. */
static const char *const names[] = {
	"namespace",	"name",	       "uid",
	"from",		"to",	       "alias",
	"externalName", "domain",      "services",
	"servers",	"node",	       "path",
	"edits",	"flag",	       "flags",
	"keepOut",	"endpoint",    "address",
	"port",		"workloads",   "at",
	"mechanism",	"of",	       "ports",
	"addresses",	"range",       "cidr",
	"cidrs",	"digest",      "profile",
	"names",	"how",	       "nodes",
	"kind",		"certificate", "values",
	"gates",	"api",	       "key",
	"old",		"new",	       "first",
	"dns",		"pulse",       "regime",
	"run",		"manifest",    "parameters",
	"files",	"resolvConf",  "serviceSubnet",
	"component",	"targets",     "watch",
	"keep",		"aliases",
};

static const char *const values[] = {
	NULL, /* no parameters at all */
	"null",
	"1",
	"-9223372036854775808",
	"1e308",
	"true",
	"\"\"",
	"\"../../../etc/shadow\"",
	"\"\\u001b[31m\"",
	"\"10.17.0.0/16\"",
	"[]",
	"[null]",
	"[1,2]",
	"[\"\"]",
	"[[]]",
	"[{}]",
	"[{\"namespace\":\"a\",\"name\":\"b\"}]",
	"[{\"namespace\":\"a\",\"name\":\"b\",\"from\":1,\"to\":[1],\"of\":{},\"ports\":[1]}]",
	"{}",
	"{\"a\":1}",
};

static int tick(struct step_context *context, struct error *err)
{
	(void)context;
	return error_set(err, ERROR_INTERRUPTED, "enough");
}

__attribute__((format(printf, 2, 3))) static void say(struct step_context *context, const char *fmt,
						      ...)
{
	(void)context;
	(void)fmt;
}

static int keep(struct step_context *context, const struct plan_step *step, const char *name,
		const json_t *document, struct error *err)
{
	(void)context;
	(void)step;
	(void)name;
	(void)document;
	(void)err;
	return 0;
}

static json_t *kept(struct step_context *context, const struct plan_step *step, const char *name)
{
	(void)context;
	(void)step;
	(void)name;
	return NULL;
}

static json_t *parameters_of(const char *value)
{
	json_t *parameters = json_object();

	for (size_t i = 0; value && i < COUNT(names); i++) {
		struct error err = {0};

		json_object_set_new(parameters, names[i],
				    json_parse(slice_of(value), "value", &err));
	}
	return parameters;
}

/* In a process of its own, which may hang (it is ended) but not crash. */
static void misuse(const struct step_kind *kind, const char *value)
{
	struct kube_config config = {.context = alloc_text("test"),
				     .server = alloc_text("http://127.0.0.1:1")};
	const struct kube_client_options once = {.retry_ms = -1, .request_timeout_ms = 500};
	struct error err = {0};
	struct plan plan = {.run = alloc_text("r-1"),
			    .to = alloc_text("10.17.0.0/16"),
			    .regime = alloc_text(""),
			    .server = alloc_text(""),
			    .cluster_uid = alloc_text("")};
	struct plan_step *step =
		plan_add(&plan, PLAN_STAGE_SERVICES, kind->name, "subject", parameters_of(value));
	struct step_context context = {
		.kube = kube_client_open(&config, &once, &err),
		.plan = &plan,
		.backup_folder = test_folder(),
		.tick = tick,
		.say = say,
		.keep = keep,
		.kept = kept,
	};
	struct buffer line = {0};
	bool done = false;
	int ignored = 0;

	kind->describe(step, &line);
	if (kind->check)
		ignored |= kind->check(&context, step, &done, &err);
	error_release(&err);
	ignored |= kind->apply(&context, step, &err);
	error_release(&err);
	if (kind->undo)
		ignored |= kind->undo(&context, step, &err);
	_exit(ignored ? 0 : 0);
}

static void check_kind(const struct step_kind *kind)
{
	for (size_t i = 0; i < COUNT(values); i++) {
		int status = 0;
		pid_t pid;

		TEST("step '%s' with parameters that are %s", kind->name,
		     values[i] ? values[i] : "missing");
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			/* what it complains of is not looked at */
			close(STDERR_FILENO);
			alarm(5);
			misuse(kind, values[i]);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
	}
}

int main(void)
{
	const struct step_kind *kind;

	clock_set_virtual(1000, 1764000000);
	for (size_t i = 0; (kind = step_kind_at(i)); i++)
		check_kind(kind);
	return test_done();
}
