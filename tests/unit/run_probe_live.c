/* SPDX-License-Identifier: MIT */
/*
 * The probes of a run from end to end: an API that lists nodes and Services, this host as the only
 * node with a real agent, two listeners on loopback as the old and the new address of a Service.
 */
#include "run/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "lib/fake_api.h"
#include "lib/test.h"
#include "text/json.h"

#define OLD "127.0.0.2"
#define NEW "127.0.0.3"

struct world {
	struct fake_api *api;
	struct kube_config config;
	struct kube_client *kube;
	struct node_pool *pool;
	struct journal *journal;
	struct plan plan;
	int old_fd;
	int new_fd;
	char *services;
	char *nodes;
	struct fake_step steps[2];
};

static int listen_at(const char *address, int *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, address, &at.sin_addr);
	CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	CHECK(listen(fd, 4096) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	*port = ntohs(at.sin_port);
	return fd;
}

/* `since`: the node is Ready from then on. */
static void open_api(struct world *w, int port, int64_t since_s)
{
	auto_free char *since = clock_format(since_s);
	struct error err = {0};

	w->nodes = alloc_format(
		"{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":["
		"{\"metadata\":{\"name\":\"here\",\"labels\":{\"node-role.kubernetes.io/"
		"control-plane\":\"\"}},"
		"\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"}],"
		"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"%"
		"s"
		"\"}]}},"
		"{\"metadata\":{\"name\":\"asleep\"},\"status\":{\"addresses\":[],\"conditions\":["
		"{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}]}",
		since);

	w->services = alloc_format(
		"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[{"
		"\"metadata\":{"
		"\"namespace\":\"shop\",\"name\":\"web\"},\"spec\":{\"ports\":[{\"port\":%d,"
		"\"protocol\":\"TCP\"}]}}]}",
		port);
	w->steps[0] =
		(struct fake_step){"GET", "/api/v1/nodes?limit=500", NULL, 200, NULL, w->nodes, 0};
	w->steps[1] = (struct fake_step){
		"GET", "/api/v1/services?limit=500", NULL, 200, NULL, w->services, 0};
	w->api = fake_api_start(w->steps, 2, NULL, NULL);
	w->config.server = alloc_format("http://127.0.0.1:%d", fake_api_port(w->api));
	w->kube = kube_client_open(&w->config, NULL, &err);
	CHECK(w->kube);
}

static void open_pool(struct world *w)
{
	const char *build = getenv("KR_BUILD");
	auto_free char *agent =
		alloc_format("%s/renumber-agent", build ? build : KR_SRCDIR "/build");
	auto_free char *script = file_join(test_folder(), "agent");
	auto_free char *text = alloc_format("#!/bin/sh\nexec %s --root %s\n", agent, test_folder());
	struct node_options options = {.via = NODE_VIA_LOCAL, .agent = script};
	struct error err = {0};

	CHECK_OK(file_replace(script, text, strlen(text), 0755, 0, &err), &err);
	w->pool = node_pool_new(&options, &err);
	node_pool_add(w->pool, "here", "127.0.0.1");
	node_pool_add(w->pool, "asleep", "192.0.2.7");
}

static void open_world(struct world *w, int64_t since_s)
{
	struct error err = {0};
	int port = 0;

	w->old_fd = listen_at(OLD, &port);
	w->new_fd = listen_at(NEW, &port);
	w->plan = (struct plan){.mode = PLAN_MIGRATE, .run = alloc_text("r1"), .map = json_array()};
	json_array_append_new(w->plan.map, json_pack("{s:s, s:s, s:s, s:s}", "namespace", "shop",
						     "name", "web", "from", OLD, "to", NEW));
	plan_add(&w->plan, PLAN_STAGE_SERVICES, "flip", "Service/shop/web",
		 json_pack("{s:[s], s:[s]}", "from", OLD, "to", NEW));
	plan_add(&w->plan, PLAN_STAGE_DRAIN, "drain", "old addresses", json_object());
	open_api(w, port, since_s);
	open_pool(w);
	w->journal = journal_open(test_folder(), &err);
	CHECK(w->journal);
	CHECK_OK(journal_begin(w->journal, "r1", "migrate", "127.0.0.0/8", "{}", &err), &err);
}

static void close_world(struct world *w)
{
	kube_client_free(w->kube);
	kube_config_release(&w->config);
	fake_api_stop(w->api);
	node_pool_free(w->pool);
	journal_free(w->journal);
	plan_release(&w->plan);
	free(w->services);
	free(w->nodes);
	close(w->new_fd);
}

/* Ticks until *value is at least `wanted`, at most ten seconds; the last answer of tick. */
static int tick_until(struct run_probe *probe, const uint64_t *value, uint64_t wanted,
		      struct run_probe_summary *summary, struct error *err)
{
	for (int i = 0; i < 100; i++) {
		struct error ignored = {0};

		CHECK_OK(clock_sleep_ms(100, &ignored), &ignored);
		if (run_probe_tick(probe, err) < 0)
			return -1;
		CHECK(run_probe_summary(probe, summary));
		if (*value >= wanted)
			return 0;
	}
	CHECK(*value >= wanted);
	return 0;
}

static void test_run(struct world *w)
{
	struct run_probe_summary summary = {0};
	struct run_probe_count *old = &summary.old[RUN_PROBE_SERVICE];
	struct run_probe_count *new_ = &summary.new_[RUN_PROBE_SERVICE];
	auto_error struct error err = {0};
	struct run_probe *probe;

	TEST("the old address is watched from the beginning, the new one is not");
	probe = run_probe_new(&(struct run_probe_options){.kube = w->kube,
							  .pool = w->pool,
							  .journal = w->journal,
							  .plan = &w->plan,
							  .limit = JUDGE_LIMIT_DEFAULT});
	if (!CHECK(probe))
		return;
	CHECK(!run_probe_summary(probe, &summary));
	run_probe_begin(probe, &w->plan.steps[0]);
	CHECK_OK(tick_until(probe, &old->ok, 5, &summary, &err), &err);
	CHECK_INT(summary.nodes, 1);
	CHECK(!new_->watched);

	TEST("the new one from its flip on");
	CHECK_OK(journal_set(w->journal, "r1", "s01", JOURNAL_DONE, NULL, &err), &err);
	run_probe_end(probe, &w->plan.steps[0], /* done= */ true);
	CHECK_OK(tick_until(probe, &new_->ok, 5, &summary, &err), &err);
	CHECK_INT(old->failed + new_->failed, 0);
	CHECK_OK(run_probe_verdict(probe, &err), &err);
	CHECK(run_moved_at(w->journal, &w->plan) == 0); /* default/kubernetes is not in this plan */

	TEST("an address that ends to answer ends the run, and it is said which and where");
	close(w->old_fd);
	CHECK_OK(tick_until(probe, &old->failed, 6, &summary, &err), &err);
	CHECK_ERROR(run_probe_verdict(probe, &err), &err, ERROR_STOPPED, OLD);
	CHECK_OK(run_probe_verdict(probe, &err), &err); /* said once */
	CHECK_INT(new_->failed, 0);

	TEST("in the drain the old address is watched no more");
	run_probe_begin(probe, &w->plan.steps[1]);
	CHECK(run_probe_summary(probe, &summary));
	{
		uint64_t failed = old->failed;

		CHECK_OK(tick_until(probe, &new_->ok, new_->ok + 5, &summary, &err), &err);
		CHECK_INT(old->failed, failed);
	}
	run_probe_free(probe);
}

static void test_recorded(struct world *w)
{
	auto_journal_history struct journal_history history = {0};
	auto_error struct error err = {0};
	int64_t failed = 0;

	TEST("all of it is in the journal");
	CHECK_OK(journal_history(w->journal, "r1", &history, &err), &err);
	CHECK_INT(history.target_count, 2);
	for (size_t i = 0; i < history.sample_count; i++)
		failed += history.samples[i].failed;
	CHECK_INT(failed, history.failure_count);
	CHECK(failed >= 6);
	if (CHECK(history.failure_count)) {
		CHECK_STR(history.failures[0].node, "here");
		CHECK_STR(history.failures[0].why, "connection refused");
		CHECK_STR(history.failures[0].step, "s01");
		CHECK(!history.failures[0].explained);
	}
}

/* Proxies and Pods of a node that has just come back have not caught up. */
static void test_returned(void)
{
	struct run_probe_summary summary = {0};
	struct run_probe_count *old = &summary.old[RUN_PROBE_SERVICE];
	auto_error struct error err = {0};
	struct world w = {0};
	struct run_probe *probe;

	TEST("what fails on a node that has just become Ready is not counted");
	open_world(&w, clock_wall_s() - 5);
	probe = run_probe_new(&(struct run_probe_options){.kube = w.kube,
							  .pool = w.pool,
							  .journal = w.journal,
							  .plan = &w.plan,
							  .limit = JUDGE_LIMIT_DEFAULT});
	run_probe_begin(probe, &w.plan.steps[0]);
	CHECK_OK(tick_until(probe, &old->ok, 5, &summary, &err), &err);
	close(w.old_fd);
	CHECK_OK(tick_until(probe, &old->explained, 6, &summary, &err), &err);
	CHECK_INT(old->failed, 0);
	CHECK_OK(run_probe_verdict(probe, &err), &err);
	run_probe_free(probe);
	close_world(&w);
}

int main(void)
{
	struct world world = {0};

	TEST("a world to look at");
	open_world(&world, clock_wall_s() - 86400);
	test_run(&world);
	test_recorded(&world);
	TEST("it was asked for nodes and Services once");
	CHECK(fake_api_connections(world.api) >= 1);
	close_world(&world);
	test_returned();
	return test_done();
}
