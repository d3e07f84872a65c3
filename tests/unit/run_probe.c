/* SPDX-License-Identifier: MIT */
#include "run/probe_judge.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "run/journal_probe.h"
#include "run/probe_targets.h"
#include "text/json.h"

static void test_limit(void)
{
	static const struct {
		const char *text;
		bool fine;
		unsigned int failed;
		bool percent;
	} rows[] = {
		{"5", true, 5, false},	   {"0", true, 0, false},     {"2%", true, 2, true},
		{"100%", true, 100, true}, {"101%", false, 0, false}, {"", false, 0, false},
		{"-1", false, 0, false},   {"5.5", false, 0, false},  {"%", false, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		struct judge_limit limit = {0};

		TEST("limit '%s'", rows[i].text);
		if (!rows[i].fine) {
			CHECK_ERROR(judge_limit_parse(rows[i].text, &limit, &err), &err,
				    ERROR_USAGE, rows[i].text);
			continue;
		}
		CHECK_OK(judge_limit_parse(rows[i].text, &limit, &err), &err);
		CHECK_INT(limit.failed, rows[i].failed);
		CHECK_INT(limit.percent, rows[i].percent);
	}
}

#define T INT64_C(1700000000000)

static bool exceeds(const struct judge *judge, const char *limit, int64_t since, uint64_t *failed,
		    uint64_t *all)
{
	auto_error struct error err = {0};
	struct judge_limit parsed = {0};

	CHECK_OK(judge_limit_parse(limit, &parsed, &err), &err);
	return judge_exceeds(judge, parsed, since, failed, all);
}

static void test_judge(void)
{
	struct judge judge = {0};
	uint64_t failed = 0;
	uint64_t all = 0;

	TEST("five in ten seconds are borne, six are not");
	judge_add_ok(&judge, T, T + 9000, 100);
	judge_add_failed(&judge, T + 1000, 3);
	judge_add_failed(&judge, T + 8000, 2);
	CHECK(!exceeds(&judge, "5", T, &failed, &all));
	judge_add_failed(&judge, T + 9500, 1);
	CHECK(exceeds(&judge, "5", T, &failed, &all));
	CHECK_INT(failed, 6);
	CHECK_INT(all, 106);

	TEST("the same six over eleven seconds are borne");
	judge = (struct judge){0};
	judge_add_failed(&judge, T, 3);
	judge_add_failed(&judge, T + 10500, 3);
	CHECK(!exceeds(&judge, "5", T, &failed, &all));

	TEST("what was judged once is not judged again");
	judge = (struct judge){0};
	judge_add_failed(&judge, T, 30);
	CHECK(exceeds(&judge, "5", T, &failed, &all));
	CHECK(!exceeds(&judge, "5", T + 1000, &failed, &all));

	TEST("what comes late is seen, what is older than the memory is not");
	judge = (struct judge){0};
	judge_add_ok(&judge, T, T + 60000, 600);
	judge_add_failed(&judge, T + 20000, 9);
	CHECK(exceeds(&judge, "5", T, &failed, &all));
	CHECK_INT(failed, 9);
	judge_add_ok(&judge, T + 400000, T + 400000, 1);
	judge_add_failed(&judge, T + 400000 - 1000 * (JUDGE_MEMORY_S + 1), 50);
	CHECK(!exceeds(&judge, "5", T + 100000, &failed, &all));

	TEST("a node's time becomes ours, and never lies ahead");
	CHECK_INT(judge_time(T + 5000, T + 7000, T), T - 2000);
	CHECK_INT(judge_time(T + 3600000, T, T + 1), T + 1);
	CHECK_INT(judge_time(INT64_MAX, INT64_MIN, T), T);
	CHECK_INT(judge_time(INT64_MIN, INT64_MAX, T), 0);

	TEST("a node whose clock was set back does not blind the judge");
	judge = (struct judge){0};
	judge_add_failed(&judge, judge_time(T + 3600000, T, T), 1);
	judge_add_failed(&judge, T + 2000, 9);
	CHECK(exceeds(&judge, "5", T, &failed, &all));

	TEST("a share needs a number of requests to be one");
	judge = (struct judge){0};
	judge_add_failed(&judge, T, 2);
	CHECK(!exceeds(&judge, "10%", T, &failed, &all));
	judge_add_ok(&judge, T, T + 500, 18);
	CHECK(!exceeds(&judge, "10%", T, &failed, &all));
	judge_add_failed(&judge, T + 500, 1);
	CHECK(exceeds(&judge, "10%", T, &failed, &all));
	CHECK(exceeds(&judge, "0", T, &failed, &all));

	TEST("answers are spread over their span, none is lost");
	judge = (struct judge){0};
	judge_add_ok(&judge, T, T + 9999, 7);
	judge_add_failed(&judge, T + 9000, 1);
	CHECK(exceeds(&judge, "0", T, &failed, &all));
	CHECK_INT(all, 8);
}

/* ---- what is watched ---- */

static void make_plan(struct plan *plan)
{
	*plan = (struct plan){.mode = PLAN_MIGRATE, .map = json_array()};
	json_array_append_new(plan->map,
			      json_pack("{s:s, s:s, s:s, s:s}", "namespace", "default", "name",
					"kubernetes", "from", "10.96.0.1", "to", "10.17.0.1"));
	json_array_append_new(plan->map,
			      json_pack("{s:s, s:s, s:s, s:s}", "namespace", "kube-system", "name",
					"kube-dns", "from", "10.96.0.10", "to", "10.17.0.10"));
	for (int i = 0; i < 12; i++) {
		auto_free char *name = alloc_format("web%d", i);
		auto_free char *from = alloc_format("10.96.1.%d", i);
		auto_free char *to = alloc_format("10.17.1.%d", i);

		json_array_append_new(plan->map,
				      json_pack("{s:s, s:s, s:s, s:s}", "namespace", "shop", "name",
						name, "from", from, "to", to));
	}
	plan_add(plan, PLAN_STAGE_SERVICES, "flip", "Service/shop/web3",
		 json_pack("{s:[s], s:[s], s:s}", "from", "10.96.1.3", "to", "10.17.1.3", "domain",
			   "example.internal"));
}

static json_t *make_services(void)
{
	json_t *services = json_array();

	for (int i = 0; i < 12; i++) {
		auto_free char *name = alloc_format("web%d", i);
		json_t *port =
			json_pack("{s:i, s:s}", "port", 80 + i, "protocol", i == 2 ? "UDP" : "TCP");

		if (i % 2)
			json_object_set_new(port, "nodePort", json_integer(30000 + i));
		json_array_append_new(services, json_pack("{s:{s:s, s:s}, s:{s:[o]}}", "metadata",
							  "namespace", "shop", "name", name, "spec",
							  "ports", port));
	}
	return services;
}

static size_t count_role(const struct probe_targets *t, enum probe_role role, const char *kind)
{
	size_t count = 0;

	for (size_t i = 0; i < t->count; i++)
		count += t->items[i].role == role && strcmp(t->items[i].kind, kind) == 0;
	return count;
}

static void test_targets(void)
{
	auto_json json_t *services = make_services();
	struct probe_targets t;
	auto_plan struct plan plan;

	make_plan(&plan);
	TEST("API, DNS and a sample are watched, node ports among it");
	probe_targets_of(&plan, services, &t);
	CHECK_INT(count_role(&t, PROBE_OLD, "tls"), 1);
	CHECK_INT(count_role(&t, PROBE_NEW, "dns"), 1);
	CHECK_INT(count_role(&t, PROBE_OLD, "tcp"), PROBE_SAMPLE_SERVICES);
	CHECK_INT(count_role(&t, PROBE_NEW, "tcp"), PROBE_SAMPLE_SERVICES);
	CHECK_INT(count_role(&t, PROBE_NODE_PORT, "tcp"), PROBE_SAMPLE_SERVICES / 2);
	CHECK_STR(t.domain, "example.internal");
	CHECK_STR(t.items[0].name, "old tls 10.96.0.1:443");
	CHECK_STR(t.items[0].service, "default/kubernetes");
	for (size_t i = 0; i < t.count; i++)
		CHECK(strcmp(t.items[i].service, "shop/web2") != 0); /* UDP only */

	TEST("a flip activates what it moves to, and not what it moves from");
	CHECK(probe_step_moves_to(&plan.steps[0], "10.17.1.3"));
	CHECK(!probe_step_moves_to(&plan.steps[0], "10.96.1.3"));
	CHECK(!probe_step_moves_to(&plan.steps[0], "10.17.1.4"));
	probe_targets_release(&t);
}

static void test_explains(void)
{
	auto_plan struct plan plan = {.mode = PLAN_MIGRATE};
	const struct plan_step *bare;
	const struct plan_step *kept_out;
	const struct plan_step *flip;
	const struct journal_target api = {.kind = (char[]){"tls"},
					   .service = (char[]){"default/kubernetes"}};
	const struct journal_target dns = {.kind = (char[]){"dns"},
					   .service = (char[]){"kube-system/kube-dns"}};
	const struct journal_target web = {.kind = (char[]){"tcp"},
					   .service = (char[]){"shop/web"}};

	plan_add(&plan, PLAN_STAGE_DEFAULTS, "roll", "cp1", json_object());
	plan_add(&plan, PLAN_STAGE_DEFAULTS, "roll", "cp1",
		 json_pack("{s:s}", "keepOut", "policy"));
	plan_add(&plan, PLAN_STAGE_SERVICES, "flip", "x", json_object());
	plan_add(&plan, PLAN_STAGE_WORKLOADS, "restart", "y",
		 json_pack("{s:[{s:s, s:s},{s:s, s:s}]}", "workloads", "namespace", "shop", "name",
			   "echo", "namespace", "kube-system", "name", "calico-node"));
	plan_add(&plan, PLAN_STAGE_WORKLOADS, "restart", "z",
		 json_pack("{s:[{s:s, s:s}]}", "workloads", "namespace", "kube-system", "name",
			   "coredns-5d7"));
	plan_add(&plan, PLAN_STAGE_DEFAULTS, "roll", "cp1",
		 json_pack("{s:s}", "program", "kube-controller-manager"));
	plan_add(&plan, PLAN_STAGE_NODES, "local-dns", "d", json_object());
	plan_add(&plan, PLAN_STAGE_FINALIZE, "local-dns-end", "d", json_object());
	bare = &plan.steps[0];
	kept_out = &plan.steps[1];
	flip = &plan.steps[2];
	TEST("the restart of an API server explains failures of the API, a flip none");
	CHECK(probe_step_explains(bare, &api, 1));
	CHECK(probe_step_explains(kept_out, &api, 1));
	CHECK(!probe_step_explains(kept_out, &api, 3));
	CHECK(probe_step_explains(bare, &api, 3));
	CHECK(!probe_step_explains(bare, &web, 1));
	CHECK(!probe_step_explains(&plan.steps[5], &api, 1));
	CHECK(!probe_step_explains(flip, &api, 1));

	TEST("the restart of Pods explains failures of what they answer");
	CHECK(probe_step_explains(&plan.steps[3], &web, 3));
	CHECK(!probe_step_explains(&plan.steps[3], &dns, 3));
	CHECK(!probe_step_explains(&plan.steps[3], &api, 1));
	CHECK(!probe_step_explains(&plan.steps[4], &web, 3));
	CHECK(probe_step_explains(&plan.steps[4], &dns, 3));

	TEST("node-local DNS answers at the addresses of cluster DNS");
	CHECK(probe_step_explains(&plan.steps[6], &dns, 3));
	CHECK(probe_step_explains(&plan.steps[7], &dns, 3));
	CHECK(!probe_step_explains(&plan.steps[6], &web, 3));
	CHECK(!probe_step_explains(&plan.steps[6], &api, 3));

	TEST("many nodes ask less often");
	CHECK_INT(probe_pace_ms("tls", 3), 500);
	CHECK_INT(probe_pace_ms("tls", 50), 5000);
	CHECK_INT(probe_pace_ms("dns", 5000), 5000);
}

/* ---- kept in the journal ---- */

static void test_journal(void)
{
	const char *folder = test_folder();
	struct journal_target target = {.name = (char[]){"old tls a"},
					.role = PROBE_OLD,
					.kind = (char[]){"tls"},
					.service = (char[]){"default/kubernetes"},
					.address = (char[]){"10.96.0.1"},
					.port = 443};
	const struct journal_sample samples[] = {
		{.target = "old tls a",
		 .begin_ms = T + 5000,
		 .end_ms = T + 10000,
		 .ok = 10,
		 .step = "s02"},
		{.target = "old tls a",
		 .begin_ms = T,
		 .end_ms = T + 5000,
		 .ok = 20,
		 .failed = 2,
		 .explained = 1,
		 .max_ms = 30,
		 .sum_ms = 100,
		 .gap_ms = 700,
		 .step = "s01"},
	};
	const struct journal_failure failures[] = {
		{.target = "old tls a",
		 .node = "cp1",
		 .at_ms = T + 1,
		 .took_ms = 500,
		 .why = "no answer after 500 ms",
		 .step = "s01"},
		{.target = "old tls a",
		 .node = "cp2",
		 .at_ms = T,
		 .took_ms = 1,
		 .why = "connection refused",
		 .step = "s01",
		 .explained = true},
	};
	auto_error struct error err = {0};
	auto_journal_history struct journal_history history = {0};
	auto_journal_history struct journal_history other = {0};
	auto_journal struct journal *journal = journal_open(folder, &err);

	TEST("a journal without probes has an empty history");
	if (!CHECK(journal))
		return;
	CHECK_OK(journal_begin(journal, "r1", "migrate", "10.17.0.0/16", "{}", &err), &err);
	CHECK_OK(journal_history(journal, "r1", &history, &err), &err);
	CHECK_INT(history.target_count + history.sample_count + history.failure_count, 0);
	journal_history_release(&history);

	TEST("what was seen comes back by time");
	CHECK_OK(journal_set(journal, "r1", "s01", JOURNAL_INTENT, NULL, &err), &err);
	CHECK_OK(journal_set(journal, "r1", "s01", JOURNAL_DONE, NULL, &err), &err);
	CHECK_OK(journal_probe_target(journal, "r1", &target, &err), &err);
	CHECK_OK(journal_probe_target(journal, "r1", &target, &err), &err);
	CHECK_OK(journal_probe_add(journal, "r1", samples, 2, failures, 2, &err), &err);
	CHECK_OK(journal_history(journal, "r1", &history, &err), &err);
	CHECK_INT(history.event_count, 2);
	CHECK_INT(history.events[1].state, JOURNAL_DONE);
	CHECK_INT(history.target_count, 1);
	CHECK_STR(history.targets[0].service, "default/kubernetes");
	if (CHECK_INT(history.sample_count, 2)) {
		CHECK_INT(history.samples[0].ok, 20);
		CHECK_INT(history.samples[0].gap_ms, 700);
		CHECK_STR(history.samples[1].step, "s02");
	}
	if (CHECK_INT(history.failure_count, 2)) {
		CHECK_STR(history.failures[0].node, "cp2");
		CHECK(history.failures[0].explained);
		CHECK_STR(history.failures[1].why, "no answer after 500 ms");
	}

	TEST("another run has nothing of it");
	CHECK_OK(journal_history(journal, "r2", &other, &err), &err);
	CHECK_INT(other.event_count + other.target_count + other.sample_count, 0);
}

int main(void)
{
	test_limit();
	test_judge();
	test_targets();
	test_explains();
	test_journal();
	return test_done();
}
