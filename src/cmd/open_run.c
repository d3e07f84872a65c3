/* SPDX-License-Identifier: MIT */
#include "cmd/open_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "cmd/print.h"
#include "model/observe.h"
#include "plan/make.h"
#include "run/lock.h"
#include "run/mirror.h"
#include "report/run_report.h"
#include "run/probe.h"
#include "version.h"

int open_run_journal(struct session *session, struct open_run *ret, struct error *err)
{
	auto_free char *folder = session_state_folder(session, err);

	if (!folder)
		return -1;
	ret->journal = journal_open(folder, err);
	if (!ret->journal)
		return -1;
	ret->folder = steal(folder);
	return 0;
}

int open_run_current(struct session *session, bool any, struct open_run *ret, struct error *err)
{
	auto_free char *name = NULL;

	if (open_run_journal(session, ret, err) < 0 ||
	    journal_current(ret->journal, any, &ret->run, err) < 0)
		return -1;
	name = alloc_format("journal's plan of run %s", ret->run.id);
	return plan_parse(&ret->plan, name, slice_of(ret->run.plan), err);
}

static int open_run_import(struct session *session, struct open_run *open, struct error *err)
{
	auto_mirror_found struct mirror_found found = {0};
	auto_free char *holder = run_lock_holder(open->folder);
	auto_journal_run struct journal_run known = {0};
	auto_error struct error ignored = {0};

	if (mirror_find(session->kube, NULL, &found, err) < 0)
		return -1;
	if (strcmp(found.holder, holder) == 0 &&
	    journal_current(open->journal, /* any= */ true, &known, &ignored) == 0 &&
	    strcmp(known.id, found.run) == 0)
		return 0;
	log_info("taking run %s over from '%s'", found.run, found.holder);
	return journal_import(open->journal, found.progress, found.plan, err);
}

int open_run_adopt(struct session *session, struct open_run *ret, struct error *err)
{
	if (open_run_journal(session, ret, err) < 0)
		return -1;
	if (open_run_import(session, ret, err) < 0) {
		if (err->kind == ERROR_NOT_FOUND)
			return error_set(err, ERROR_USAGE,
					 "no run stands in this cluster that could be taken over");
		return -1;
	}
	journal_free(ret->journal);
	free(ret->folder);
	ret->journal = NULL;
	ret->folder = NULL;
	ret->adopt = true;
	return open_run_current(session, /* any= */ false, ret, err);
}

int open_run_is_ending(const struct open_run *open, bool *ret, struct error *err)
{
	*ret = false;
	for (size_t i = 0; i < open->plan.count && !*ret; i++) {
		enum journal_state state;

		if (open->plan.steps[i].stage != PLAN_STAGE_FINALIZE)
			continue;
		if (journal_get(open->journal, open->run.id, open->plan.steps[i].id, &state, NULL,
				err) < 0)
			return -1;
		*ret = state != JOURNAL_PENDING;
	}
	return 0;
}

int open_run_end(const struct session *session, const struct open_run *open, struct error *err)
{
	auto_error struct error problem = {0};

	if (open->waiting) {
		print_text("%zu step%s for nodes that are down; when they are back:\n  %s resume\n",
			   open->waiting, open->waiting == 1 ? " waits" : "s wait",
			   session->program);
		return 0;
	}
	if (journal_end(open->journal, open->run.id, err) < 0)
		return -1;
	if (mirror_remove(session->kube, open->run.id, &problem) < 0)
		log_warning("the run's ConfigMaps stay in kube-system: %s", error_text(&problem));
	print_text("Prove it with:\n  %s verify\n", session->program);
	return 0;
}

int open_run_check_cluster(const struct session *session, const struct plan *plan,
			   struct error *err)
{
	if (strcmp(plan->cluster_uid, session->cluster_uid) == 0)
		return 0;
	return error_set(err, ERROR_REFUSED,
			 "the plan is for the cluster at %s (identity %s), but '%s' is another one "
			 "(%s); check "
			 "--context",
			 plan->server, plan->cluster_uid, kube_client_server(session->kube),
			 session->cluster_uid);
}

struct open_run_gate {
	struct session *session;
	const struct plan *plan;
};

/* Between apply and finalize nobody holds the lock, and what the plan rests on may be as it was. */
static int open_run_alone(const struct open_run_gate *gate, struct error *err)
{
	auto_free char *other = NULL;

	if (mirror_other(gate->session->kube, gate->plan->run, &other, err) < 0)
		return -1;
	if (!other)
		return 0;
	return error_set(
		err, ERROR_REFUSED,
		"run %s is not ended in this cluster: 'finalize' or 'rollback' it where it was "
		"begun (elsewhere 'resume --adopt' takes it over), then make the plan anew",
		other);
}

/* Compares what the plan rests on with the cluster now. A few requests: the tourniquet waits. */
static int open_run_gate(void *data, struct error *err)
{
	const struct open_run_gate *gate = data;
	auto_json json_t *observation = NULL;
	auto_cluster struct cluster *cluster = NULL;
	auto_json json_t *digest = NULL;
	auto_free char *difference = NULL;

	if (open_run_alone(gate, err) < 0 ||
	    observe_cluster(gate->session->kube, NULL, OBSERVE_BASIS, &observation, err) < 0 ||
	    cluster_build(observation, &cluster, err) < 0)
		return -1;
	digest = plan_digest(cluster);
	difference = plan_digest_difference(gate->plan->digest, gate->plan->digest_after, digest);
	if (!difference)
		return 0;
	return error_set(err, ERROR_REFUSED,
			 "the cluster has changed since the plan was made (%s); make the plan anew",
			 difference);
}

static void open_run_say(const struct session *session, const struct open_run *open,
			 const struct executor_result *result, enum plan_stage until, bool dry_run)
{
	if (dry_run) {
		print_text("dry run: %zu step%s would be done, %zu %s so already; nothing was "
			   "changed\n",
			   result->changed, result->changed == 1 ? "" : "s", result->already,
			   result->already == 1 ? "is" : "are");
		return;
	}
	print_text("run %s: %zu step%s done now, %zu before", open->plan.run, result->changed,
		   result->changed == 1 ? "" : "s", result->already);
	if (until == PLAN_STAGE_FINALIZE) {
		puts(result->waiting ? "" : "; finished");
		return;
	}
	print_text("\n");
	if (result->waiting) {
		print_text("%zu step%s pending until nodes are back that cannot be reached now; "
			   "then:\n  %s resume\n",
			   result->waiting, result->waiting == 1 ? " is" : "s are",
			   session->program);
		return;
	}
	if (result->pending > plan_count_stage(&open->plan, PLAN_STAGE_FINALIZE))
		print_text("stages after '%s' remain; go on with:\n  %s resume\n",
			   plan_stage_name(until), session->program);
	else if (result->pending)
		print_text("Old addresses keep answering until nobody uses them. When you are "
			   "content:\n"
			   "  %s finalize\n",
			   session->program);
}

/* Who carries the run out, for its report; the first one stays. */
static void open_run_sign(const struct session *session, const struct open_run *open)
{
	char host[256] = "";
	const char *user = getenv("USER");
	auto_error struct error err = {0};
	auto_json json_t *operator_ = NULL;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	operator_ =
		json_pack("{s:s, s:s, s:s, s:s?}", "host", host, "user", user ? user : "",
			  "version", KUBECTL_RENUMBER_VERSION, "context", session->config.context);
	if (operator_ && journal_keep(open->journal, open->plan.run, RUN_REPORT_STEP,
				      RUN_REPORT_OPERATOR, operator_, &err) < 0)
		log_debug("%s", error_text(&err));
}

#define OPEN_RUN_WINDOW_MAX_MS INT64_C(3600000)

int open_run_window(const char *text, int64_t missing_ms, int64_t *ret_ms, struct error *err)
{
	*ret_ms = missing_ms;
	if (!text)
		return 0;
	if (!option_duration(text, ret_ms) || *ret_ms > OPEN_RUN_WINDOW_MAX_MS)
		return error_set(err, ERROR_USAGE, "--window: '%s' is no time up to 1h (30s, 5m)",
				 text);
	return 0;
}

int open_run_execute(struct session *session, struct open_run *open, enum plan_stage from,
		     enum plan_stage until, bool dry_run, struct error *err)
{
	struct open_run_gate gate = {session, &open->plan};
	struct executor_options options = {
		.kube = session->kube,
		.pool = node_pool_reaches_nodes(session->pool) ? session->pool : NULL,
		.journal = open->journal,
		.plan = &open->plan,
		.folder = open->folder,
		.from = from,
		.until = until,
		.dry_run = dry_run,
		.max_failed = open->limit_set ? open->limit : JUDGE_LIMIT_DEFAULT,
		.live = session->live,
		.colour = session->live_colour,
		.adopt = open->adopt,
		.gate = open_run_gate,
		.gate_data = &gate,
	};
	struct executor_result result;

	if (open_run_window(open->window, EVIDENCE_WINDOW_MS, &options.window_ms, err) < 0)
		return -1;
	if (!dry_run)
		open_run_sign(session, open);
	if (executor_run(&options, &result, err) < 0)
		return -1;
	open->waiting = result.waiting;
	open_run_say(session, open, &result, until, dry_run);
	return 0;
}

int open_run_rollback(struct session *session, struct open_run *open, enum plan_stage from,
		      struct executor_result *ret, struct error *err)
{
	const struct executor_options options = {
		.kube = session->kube,
		.pool = node_pool_reaches_nodes(session->pool) ? session->pool : NULL,
		.journal = open->journal,
		.plan = &open->plan,
		.folder = open->folder,
		.from = from,
		.until = PLAN_STAGE_DRAIN,
		/* what is lost on the way back is counted; stopping there would help nobody */
		.max_failed = {.failed = 100, .percent = true},
		.live = session->live,
		.colour = session->live_colour,
		.adopt = open->adopt,
	};

	return executor_rollback(&options, ret, err);
}

static int open_run_pause(void *data, int64_t ms, struct error *err)
{
	(void)data;
	return clock_sleep_ms(ms, err);
}

int open_run_evidence(struct session *session, struct open_run *open, int64_t window_ms,
		      struct evidence *ret, struct error *err)
{
	auto_cluster struct cluster *cluster = NULL;
	struct evidence_request request = {
		.plan = &open->plan,
		.moved_s = run_moved_at(open->journal, &open->plan),
		.window_ms = window_ms,
		.pause = open_run_pause,
	};

	if (session_observe(session, &cluster, err) < 0)
		return -1;
	if (window_ms) {
		auto_free char *window = clock_duration(window_ms);

		log_info("watching for %s who connects to old addresses", window);
	}
	request.cluster = cluster;
	request.pool = node_pool_reaches_nodes(session->pool) ? session->pool : NULL;
	return evidence_collect(&request, ret, err);
}

void open_run_release(struct open_run *open)
{
	plan_release(&open->plan);
	journal_run_release(&open->run);
	journal_free(open->journal);
	free(open->folder);
	*open = (struct open_run){0};
}
