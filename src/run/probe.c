/* SPDX-License-Identifier: MIT */
#include "run/probe.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/condition.h"
#include "run/probe_targets.h"
#include "step/step.h"
#include "text/json.h"

#define PROBE_LOOK_MS 1000
#define PROBE_WRITE_MS 5000
/* How long a step may go on after the limit was passed, to come to its end. */
#define PROBE_PATIENCE_MS 30000
/* After a server is back, clients and proxies find it again. */
#define PROBE_GRACE_MS 20000
/* What did not answer for so long before anything was changed is left out. */
#define PROBE_BASELINE_MS 10000
#define PROBE_RETRY_MS 30000
#define PROBE_RETRY_MAX_MS 300000
#define PROBE_FAILURES_KEPT 10000
/* after a node has become Ready */
#define PROBE_RETURN_S 90

/* One target as one node sees it. */
struct probe_view {
	bool answered; /* ever */
	bool said;     /* that it does not */
	uint64_t recent;
	int64_t recent_ms; /* wall clock of the last failure */
};

struct probe_watch {
	const struct journal_target *target;
	bool active;
	bool recorded;
	struct judge judge;
	struct probe_view *views;     /* one a node */
	struct journal_sample sample; /* since the last write */
	struct run_probe_count count; /* of all the run */
	int64_t explained_from_ms;    /* wall clock; 0: never */
	int64_t explained_until_ms;   /* 0: still */
	char why[128];		      /* of the last failure */
};

struct probe_node {
	char *name;
	char *address;
	bool runs;
	bool said;
	int64_t counted_ms; /* wall clock: what fails there before is not the run's doing */
	int64_t retry_ms;   /* monotonic: not asked before */
	int64_t backoff_ms;
};

struct run_probe {
	struct run_probe_options options;
	struct probe_targets targets;
	struct probe_watch *watches; /* one a target */
	struct probe_node *nodes;
	size_t node_count;
	size_t control_planes;
	bool prepared;
	bool useless; /* nothing to probe, or nobody to do it */
	bool started;
	int64_t started_ms; /* monotonic, here and below */
	int64_t looked_ms;
	int64_t written_ms;
	const struct plan_step *step; /* in hand */
	struct journal_failure *failures;
	size_t failure_count;
	size_t failure_capacity;
	size_t failures_written;
	char *verdict; /* owned; NULL: all is well */
	int64_t verdict_ms;
	int64_t judged_ms; /* wall clock: what was before is forgiven */
	bool write_failed;
};

/* ---- who asks, and what ---- */

static const char *probe_internal_address(const json_t *node)
{
	const json_t *address;
	size_t i;

	json_array_foreach(json_path(node, "status.addresses"), i, address)
		if (json_path_is(address, "type", "InternalIP"))
			return json_path_text(address, "address");
	return NULL;
}

/* A node that has just come back asks proxies and Pods that have not caught up: seen for half a minute
 * with kube-proxy, whose watch has to notice first that it is cut off. */
static int64_t probe_counted(const json_t *node)
{
	const char *since = json_path_text(kube_condition(node, "Ready"), "lastTransitionTime");
	int64_t since_s = 0;
	int64_t counted_ms;

	if (!since || !clock_parse(since, &since_s))
		return 0;
	counted_ms = (since_s + PROBE_RETURN_S) * 1000;
	if (counted_ms > clock_wall_ms())
		log_info("probes: node '%s' has only just become Ready; what fails there within "
			 "%d s of it is not counted",
			 json_path_text(node, "metadata.name"), PROBE_RETURN_S);
	return counted_ms;
}

static void probe_take_node(struct run_probe *p, const json_t *node, size_t *left_out)
{
	const char *name = json_path_text(node, "metadata.name");
	const char *address = probe_internal_address(node);
	const json_t *labels = json_path(node, "metadata.labels");

	if (json_object_get(labels, "node-role.kubernetes.io/control-plane") ||
	    json_object_get(labels, "node-role.kubernetes.io/master"))
		p->control_planes++;
	if (!name)
		return;
	if (!kube_condition_is(node, "Ready", "True") ||
	    !node_pool_may_reach(p->options.pool, name)) {
		(*left_out)++;
		return;
	}
	p->nodes[p->node_count++] = (struct probe_node){
		.name = alloc_text(name),
		.address = address ? alloc_text(address) : NULL,
		.counted_ms = probe_counted(node),
		.backoff_ms = PROBE_RETRY_MS,
	};
}

static int probe_take_nodes(struct run_probe *p, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	auto_json json_t *nodes = NULL;
	const json_t *node;
	size_t left_out = 0;
	size_t i;

	if (kube_client_list(p->options.kube, &target, NULL, &nodes, NULL, err) < 0)
		return -1;
	p->nodes = alloc_array(json_array_size(nodes) + 1, sizeof(*p->nodes));
	json_array_foreach(nodes, i, node)
		probe_take_node(p, node, &left_out);
	if (left_out)
		log_info("probes: %zu node%s not ready or not reached from here; nothing is probed "
			 "there",
			 left_out, left_out == 1 ? " is" : "s are");
	return 0;
}

static int probe_take_targets(struct run_probe *p, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services"};
	auto_json json_t *services = NULL;

	if (kube_client_list(p->options.kube, &target, NULL, &services, NULL, err) < 0)
		return -1;
	probe_targets_of(p->options.plan, services, &p->targets);
	p->watches = alloc_array(p->targets.count + 1, sizeof(*p->watches));
	for (size_t i = 0; i < p->targets.count; i++) {
		p->watches[i].target = &p->targets.items[i];
		p->watches[i].views = alloc_array(p->node_count + 1, sizeof(struct probe_view));
	}
	return 0;
}

struct run_probe *run_probe_new(const struct run_probe_options *options)
{
	struct run_probe *p;

	if (options->plan->mode != PLAN_MIGRATE)
		return NULL;
	if (!options->pool) {
		log_info("nodes are not reached: no probes watch the addresses during this run");
		return NULL;
	}
	p = ALLOC_NEW(struct run_probe);
	p->options = *options;
	return p;
}

/* Asks for nodes and Services at the first step that has something to do; false when there will be
 * no probes. */
static bool probe_prepare(struct run_probe *p)
{
	auto_error struct error err = {0};

	if (p->prepared)
		return !p->useless;
	p->prepared = true;
	p->useless = true;
	if (probe_take_nodes(p, &err) < 0 || probe_take_targets(p, &err) < 0)
		log_warning("no probes watch the addresses during this run: %s", error_text(&err));
	else
		p->useless = !p->node_count || !p->targets.count;
	return !p->useless;
}

/* ---- the set on the nodes ---- */

static json_t *probe_request(const struct run_probe *p, const struct probe_node *node)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->targets.count; i++) {
		const struct journal_target *t = p->watches[i].target;
		const char *address = t->role == PROBE_NODE_PORT ? node->address : t->address;
		json_t *item;

		if (!p->watches[i].active || !address)
			continue;
		item = json_pack("{s:s, s:s, s:I, s:s, s:I}", "name", t->name, "address", address,
				 "port", (json_int_t)t->port, "kind", t->kind, "everyMs",
				 (json_int_t)probe_pace_ms(t->kind, p->node_count));
		if (strcmp(t->kind, "dns") == 0) {
			auto_free char *name =
				alloc_format("kubernetes.default.svc.%s", p->targets.domain);

			json_object_set_new(item, "serverName", json_string(name));
		}
		json_array_append_new(list, item);
	}
	return json_pack("{s:s, s:o}", "op", "probe-start", "targets", list);
}

static void probe_node_failed(struct probe_node *node, const struct error *why)
{
	if (!node->said)
		log_info("probes: nothing is seen from there for now: %s", error_text(why));
	node->said = true;
	node->runs = false;
	node->retry_ms = clock_monotonic_ms() + node->backoff_ms;
	node->backoff_ms = node->backoff_ms * 2 > PROBE_RETRY_MAX_MS ? PROBE_RETRY_MAX_MS
								     : node->backoff_ms * 2;
}

/* Gives the set to the nodes: to all, or to those where none runs and that may be asked again. */
static void probe_spread(struct run_probe *p, bool all)
{
	struct node_call *calls = alloc_array(p->node_count + 1, sizeof(*calls));
	json_t **requests = alloc_array(p->node_count + 1, sizeof(json_t *));
	size_t *which = alloc_array(p->node_count + 1, sizeof(*which));
	size_t count = 0;

	for (size_t i = 0; i < p->node_count; i++) {
		if ((p->nodes[i].runs && !all) || clock_monotonic_ms() < p->nodes[i].retry_ms)
			continue;
		requests[count] = probe_request(p, &p->nodes[i]);
		calls[count] =
			(struct node_call){.node = p->nodes[i].name, .request = requests[count]};
		which[count++] = i;
	}
	if (count)
		node_pool_run(p->options.pool, calls, count);
	for (size_t i = 0; i < count; i++) {
		struct probe_node *node = &p->nodes[which[i]];

		if (calls[i].reply) {
			node->runs = true;
			node->backoff_ms = PROBE_RETRY_MS;
		} else {
			probe_node_failed(node, &calls[i].error);
		}
		json_decref(requests[i]);
	}
	node_calls_release(calls, count);
	free(calls);
	free(requests);
	free(which);
}

static bool probe_is_moved(const struct run_probe *p, const char *address)
{
	for (size_t i = 0; i < p->options.plan->count; i++) {
		const struct plan_step *step = &p->options.plan->steps[i];
		auto_error struct error ignored = {0};
		enum journal_state state;

		if (probe_step_moves_to(step, address) &&
		    journal_get(p->options.journal, p->options.plan->run, step->id, &state, NULL,
				&ignored) == 0)
			return state == JOURNAL_DONE;
	}
	return false;
}

static void probe_activate(struct run_probe *p, struct probe_watch *watch)
{
	auto_error struct error err = {0};

	watch->active = true;
	watch->count.watched = true;
	watch->sample = (struct journal_sample){.begin_ms = clock_wall_ms()};
	if (watch->recorded)
		return;
	watch->recorded = true;
	if (journal_probe_target(p->options.journal, p->options.plan->run, watch->target, &err) < 0)
		log_warning("what the probes see is not recorded: %s", error_text(&err));
}

/* True when the set is another one than before. */
static bool probe_choose(struct run_probe *p, enum plan_stage stage)
{
	bool changed = false;

	for (size_t i = 0; i < p->targets.count; i++) {
		struct probe_watch *watch = &p->watches[i];
		bool wanted = true;

		if (watch->target->role == PROBE_OLD)
			wanted = stage < PLAN_STAGE_DRAIN;
		else if (watch->target->role == PROBE_NEW)
			wanted = watch->active || probe_is_moved(p, watch->target->address);
		if (wanted == watch->active)
			continue;
		changed = true;
		if (wanted)
			probe_activate(p, watch);
		watch->active = wanted;
	}
	return changed;
}

/* ---- numbers ---- */

static bool probe_is_explained(const struct run_probe *p, const struct probe_watch *watch, size_t n,
			       int64_t at_ms)
{
	if (at_ms < p->nodes[n].counted_ms)
		return true;
	return watch->explained_from_ms && at_ms >= watch->explained_from_ms &&
	       (!watch->explained_until_ms || at_ms <= watch->explained_until_ms);
}

static void probe_keep_failure(struct run_probe *p, const struct probe_watch *watch,
			       const struct probe_node *node, const json_t *item, bool explained)
{
	const char *why = json_path_text(item, "why");

	if (p->failures_written + p->failure_count >= PROBE_FAILURES_KEPT)
		return;
	ALLOC_GROW(p->failures, p->failure_count, p->failure_capacity);
	p->failures[p->failure_count++] = (struct journal_failure){
		.target = watch->target->name,
		.node = node->name,
		.at_ms = json_path_int(item, "at", 0),
		.took_ms = json_path_int(item, "tookMs", 0),
		.why = alloc_text(why ? why : "no valid answer"),
		.step = p->step ? p->step->id : "",
		.explained = explained,
	};
}

static void probe_add_failed(const struct run_probe *p, struct probe_watch *watch, size_t n,
			     int64_t at_ms, uint64_t failed)
{
	struct probe_view *view = &watch->views[n];
	bool explained = probe_is_explained(p, watch, n, at_ms);

	watch->sample.failed += (int64_t)failed;
	watch->count.last_failed_ms = at_ms;
	if (explained) {
		watch->sample.explained += (int64_t)failed;
		watch->count.explained += failed;
		return;
	}
	watch->count.failed += failed;
	if (at_ms - view->recent_ms > (int64_t)JUDGE_WINDOW_S * 1000)
		view->recent = 0;
	view->recent += failed;
	view->recent_ms = at_ms;
	judge_add_failed(&watch->judge, at_ms, failed);
}

static void probe_say_silent(struct run_probe *p, struct probe_watch *watch, size_t n)
{
	if (watch->views[n].said || clock_monotonic_ms() - p->started_ms < PROBE_BASELINE_MS)
		return;
	watch->views[n].said = true;
	log_info("probes: %s:%lld (%s) does not answer node '%s', and did not before; that is not "
		 "counted",
		 watch->target->address, (long long)watch->target->port, watch->target->service,
		 p->nodes[n].name);
}

static void probe_take_failures(struct run_probe *p, struct probe_watch *watch, size_t n,
				const json_t *item, int64_t now)
{
	int64_t dropped = json_path_int(item, "dropped", 0);
	const json_t *failure;
	size_t i;

	json_array_foreach(json_path(item, "failures"), i, failure) {
		int64_t at = json_path_int(failure, "at", now);
		const char *why = json_path_text(failure, "why");

		probe_add_failed(p, watch, n, at, 1);
		probe_keep_failure(p, watch, &p->nodes[n], failure,
				   probe_is_explained(p, watch, n, at));
		if (why) {
			size_t len = strnlen(why, sizeof(watch->why) - 1);

			memcpy(watch->why, why, len);
			watch->why[len] = '\0';
		}
	}
	if (dropped > 0)
		probe_add_failed(p, watch, n, now, (uint64_t)dropped);
}

static void probe_take_item(struct run_probe *p, struct probe_watch *watch, size_t n,
			    const json_t *item, int64_t since, int64_t now)
{
	struct probe_view *view = &watch->views[n];
	struct journal_sample *sample = &watch->sample;
	int64_t ok = json_path_int(item, "ok", 0);
	int64_t gap = json_path_int(item, "gapMs", 0);

	if (ok == 0 && !view->answered && watch->target->role != PROBE_NEW) {
		if (json_path_int(item, "failed", 0) > 0)
			probe_say_silent(p, watch, n);
		return;
	}
	if (ok > 0) {
		view->answered = true;
		watch->count.ok += (uint64_t)ok;
		sample->ok += ok;
		sample->sum_ms += json_path_int(item, "sumMs", 0);
		if (json_path_int(item, "maxMs", 0) > sample->max_ms)
			sample->max_ms = json_path_int(item, "maxMs", 0);
		judge_add_ok(&watch->judge, since, now, (uint64_t)ok);
	}
	if (gap > 0)
		watch->count.last_gap_ms = gap;
	if (gap > sample->gap_ms)
		sample->gap_ms = gap;
	probe_take_failures(p, watch, n, item, now);
}

static void probe_take_reply(struct run_probe *p, size_t n, const json_t *reply)
{
	int64_t now = clock_wall_ms();
	/* a node's clock may differ: its times become ours */
	int64_t theirs = json_path_int(reply, "now", now);
	int64_t since = judge_time(json_path_int(reply, "since", theirs), theirs, now);
	const json_t *item;
	size_t i;

	json_array_foreach(json_path(reply, "targets"), i, item) {
		const char *name = json_path_text(item, "name");
		json_t *failure;
		size_t f;

		json_array_foreach(json_path(item, "failures"), f, failure)
			json_object_set_new(
				failure, "at",
				json_integer(judge_time(json_path_int(failure, "at", theirs),
							theirs, now)));
		for (size_t k = 0; name && k < p->targets.count; k++)
			if (strcmp(p->watches[k].target->name, name) == 0)
				probe_take_item(p, &p->watches[k], n, item, since, now);
	}
}

static void probe_look(struct run_probe *p)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "probe-read");
	struct node_call *calls = alloc_array(p->node_count + 1, sizeof(*calls));
	size_t *which = alloc_array(p->node_count + 1, sizeof(*which));
	size_t count = 0;

	for (size_t i = 0; i < p->node_count; i++) {
		if (!p->nodes[i].runs)
			continue;
		calls[count] = (struct node_call){.node = p->nodes[i].name, .request = request};
		which[count++] = i;
	}
	if (count)
		node_pool_run(p->options.pool, calls, count);
	for (size_t i = 0; i < count; i++) {
		struct probe_node *node = &p->nodes[which[i]];

		if (calls[i].reply)
			probe_take_reply(p, which[i], calls[i].reply);
		else if (calls[i].error.kind == ERROR_NOT_FOUND)
			node->runs = false; /* another agent answers there: it gets the set */
		else
			probe_node_failed(node, &calls[i].error);
	}
	node_calls_release(calls, count);
	free(calls);
	free(which);
	p->looked_ms = clock_monotonic_ms();
	probe_spread(p, /* all= */ false);
}

static void probe_forget_failures(struct run_probe *p)
{
	for (size_t i = 0; i < p->failure_count; i++)
		free((char *)(uintptr_t)p->failures[i].why);
	p->failures_written += p->failure_count;
	p->failure_count = 0;
}

static void probe_write(struct run_probe *p)
{
	struct journal_sample *samples = alloc_array(p->targets.count + 1, sizeof(*samples));
	auto_error struct error err = {0};
	int64_t now = clock_wall_ms();
	size_t count = 0;

	for (size_t i = 0; i < p->targets.count; i++) {
		struct journal_sample *sample = &p->watches[i].sample;

		sample->target = p->watches[i].target->name;
		sample->end_ms = now;
		sample->step = p->step ? p->step->id : "";
		if (sample->ok + sample->failed)
			samples[count++] = *sample;
		*sample = (struct journal_sample){.begin_ms = now};
	}
	if ((count || p->failure_count) &&
	    journal_probe_add(p->options.journal, p->options.plan->run, samples, count, p->failures,
			      p->failure_count, &err) < 0 &&
	    !p->write_failed) {
		p->write_failed = true;
		log_warning("what the probes see is not recorded: %s", error_text(&err));
	}
	free(samples);
	probe_forget_failures(p);
	p->written_ms = clock_monotonic_ms();
}

/* ---- judgement ---- */

/* The node that saw most of it. */
static const char *probe_worst_node(const struct run_probe *p, const struct probe_watch *watch)
{
	size_t worst = 0;

	for (size_t i = 1; i < p->node_count; i++)
		if (watch->views[i].recent > watch->views[worst].recent)
			worst = i;
	return p->nodes[worst].name;
}

static char *probe_sentence(const struct run_probe *p, const struct probe_watch *watch,
			    uint64_t failed, uint64_t all)
{
	static const char *const roles[] = {[PROBE_OLD] = "old address",
					    [PROBE_NEW] = "new address",
					    [PROBE_NODE_PORT] = "node port"};
	auto_buffer struct buffer step = {0};
	const struct step_kind *kind = p->step ? step_kind_find(p->step->kind) : NULL;

	if (kind)
		kind->describe(p->step, &step);
	return alloc_format(
		"%s:%lld (%s of %s, %s) did not answer %llu of %llu requests within %d s, "
		"most of them from node '%s' (last: %s), and step %s (%s) does not explain that",
		watch->target->address, (long long)watch->target->port, roles[watch->target->role],
		watch->target->service,
		strcmp(watch->target->kind, "tls") == 0	  ? "verified TLS"
		: strcmp(watch->target->kind, "dns") == 0 ? "DNS"
							  : "TCP",
		(unsigned long long)failed, (unsigned long long)all, JUDGE_WINDOW_S,
		probe_worst_node(p, watch), watch->why[0] ? watch->why : "no valid answer",
		p->step ? p->step->id : "-", buffer_cstr(&step));
}

static void probe_judge(struct run_probe *p)
{
	for (size_t i = 0; i < p->targets.count && !p->verdict; i++) {
		uint64_t failed;
		uint64_t all;

		if (!judge_exceeds(&p->watches[i].judge, p->options.limit, p->judged_ms, &failed,
				   &all))
			continue;
		p->verdict = probe_sentence(p, &p->watches[i], failed, all);
		p->verdict_ms = clock_monotonic_ms();
		log_warning("%s; the run stops as soon as it is safe", p->verdict);
	}
}

int run_probe_verdict(struct run_probe *p, struct error *err)
{
	auto_free char *verdict = NULL;

	if (!p || !p->verdict)
		return 0;
	verdict = steal(p->verdict);
	p->judged_ms = clock_wall_ms() + 1000;
	return error_set(
		err, ERROR_STOPPED,
		"%s; what is done stays. Look at 'report' and at these nodes, then 'resume' "
		"(--max-failed bears more) or 'rollback'",
		verdict);
}

int run_probe_tick(struct run_probe *p, struct error *err)
{
	if (!p || !p->started || clock_monotonic_ms() - p->looked_ms < PROBE_LOOK_MS)
		return 0;
	probe_look(p);
	probe_judge(p);
	if (clock_monotonic_ms() - p->written_ms >= PROBE_WRITE_MS)
		probe_write(p);
	if (p->verdict && clock_monotonic_ms() - p->verdict_ms > PROBE_PATIENCE_MS)
		return run_probe_verdict(p, err);
	return 0;
}

static void probe_explain(struct run_probe *p, const struct plan_step *step)
{
	int64_t now = clock_wall_ms();
	bool only_server = false;

	for (size_t i = 0; i < p->targets.count; i++) {
		struct probe_watch *watch = &p->watches[i];

		if (!probe_step_explains(step, watch->target, p->control_planes))
			continue;
		only_server |= strcmp(watch->target->kind, "tls") == 0 && p->control_planes < 2;
		/* what the step before explains goes on */
		if (watch->explained_until_ms < now)
			watch->explained_from_ms = now;
		watch->explained_until_ms = 0;
	}
	if (only_server)
		log_info("probes: the only API server restarts now; what fails at its addresses "
			 "until it is back is not counted");
}

void run_probe_begin(struct run_probe *p, const struct plan_step *step)
{
	bool changed;

	if (!p || !probe_prepare(p))
		return;
	p->step = step;
	probe_explain(p, step);
	changed = probe_choose(p, step->stage);
	if (p->started && !changed)
		return;
	if (!p->started) {
		p->started = true;
		p->started_ms = p->looked_ms = p->written_ms = clock_monotonic_ms();
		p->judged_ms = clock_wall_ms();
	} else {
		probe_look(p);
	}
	probe_spread(p, /* all= */ true);
}

void run_probe_undo(struct run_probe *p, const struct plan_step *step)
{
	bool changed = false;

	if (!p || !p->started)
		return;
	for (size_t i = 0; i < p->targets.count; i++) {
		struct probe_watch *watch = &p->watches[i];

		if (!watch->active || watch->target->role != PROBE_NEW ||
		    !probe_step_moves_to(step, watch->target->address))
			continue;
		watch->active = false;
		changed = true;
	}
	if (!changed)
		return;
	probe_look(p);
	probe_spread(p, /* all= */ true);
}

void run_probe_end(struct run_probe *p, const struct plan_step *step, bool done)
{
	bool changed = false;

	if (!p || !p->started)
		return;
	for (size_t i = 0; i < p->targets.count; i++)
		if (p->watches[i].explained_from_ms && !p->watches[i].explained_until_ms)
			p->watches[i].explained_until_ms = clock_wall_ms() + PROBE_GRACE_MS;
	for (size_t i = 0; done && i < p->targets.count; i++) {
		struct probe_watch *watch = &p->watches[i];

		if (watch->target->role != PROBE_NEW || watch->active ||
		    !probe_step_moves_to(step, watch->target->address))
			continue;
		probe_activate(p, watch);
		changed = true;
	}
	if (!changed)
		return;
	probe_look(p);
	probe_spread(p, /* all= */ true);
}

int64_t run_moved_at(struct journal *journal, const struct plan *plan)
{
	const char *to = NULL;
	const json_t *move;
	size_t i;

	json_array_foreach(plan->map, i, move)
		if (json_path_is(move, "namespace", "default") &&
		    json_path_is(move, "name", "kubernetes"))
			to = json_path_text(move, "to");
	for (size_t k = 0; to && k < plan->count; k++) {
		auto_error struct error ignored = {0};
		int64_t at_s = 0;

		if (probe_step_moves_to(&plan->steps[k], to) &&
		    journal_done_at(journal, plan->run, plan->steps[k].id, &at_s, &ignored) == 0)
			return at_s;
	}
	return 0;
}

/* ---- the end, and the screen ---- */

void run_probe_free(struct run_probe *p)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "probe-stop");

	if (!p)
		return;
	if (p->started) {
		probe_look(p);
		probe_write(p);
	}
	for (size_t i = 0; i < p->node_count; i++) {
		auto_error struct error ignored = {0};
		auto_json json_t *reply = NULL;

		if (p->nodes[i].runs &&
		    node_call(p->options.pool, p->nodes[i].name, request, &reply, &ignored) < 0)
			log_debug("probes: %s", error_text(&ignored));
		free(p->nodes[i].name);
		free(p->nodes[i].address);
	}
	for (size_t i = 0; p->watches && i < p->targets.count; i++)
		free(p->watches[i].views);
	probe_targets_release(&p->targets);
	free(p->watches);
	free(p->nodes);
	free(p->failures);
	free(p->verdict);
	free(p);
}

const char *run_probe_class_name(enum run_probe_class class_)
{
	static const char *const names[] = {"API", "DNS", "Services"};

	return names[class_];
}

static void probe_sum(struct run_probe_count *sum, const struct run_probe_count *count)
{
	sum->ok += count->ok;
	sum->failed += count->failed;
	sum->explained += count->explained;
	sum->watched |= count->watched;
	if (count->last_failed_ms > sum->last_failed_ms) {
		sum->last_failed_ms = count->last_failed_ms;
		sum->last_gap_ms = count->last_gap_ms;
	}
}

bool run_probe_summary(const struct run_probe *p, struct run_probe_summary *ret)
{
	if (!p || !p->started)
		return false;
	*ret = (struct run_probe_summary){0};
	for (size_t i = 0; i < p->node_count; i++)
		ret->nodes += p->nodes[i].runs;
	for (size_t i = 0; i < p->targets.count; i++) {
		const struct probe_watch *watch = &p->watches[i];
		enum run_probe_class class_ =
			strcmp(watch->target->kind, "tls") == 0	  ? RUN_PROBE_API
			: strcmp(watch->target->kind, "dns") == 0 ? RUN_PROBE_DNS
								  : RUN_PROBE_SERVICE;

		if (watch->target->role == PROBE_NODE_PORT)
			probe_sum(&ret->node_ports, &watch->count);
		else if (watch->target->role == PROBE_OLD)
			probe_sum(&ret->old[class_], &watch->count);
		else
			probe_sum(&ret->new_[class_], &watch->count);
	}
	return true;
}
