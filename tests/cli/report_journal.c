/* SPDX-License-Identifier: MIT */
/*
 * report_journal FOLDER [drained|finished]: writes the journal of a small migration into FOLDER, as
 * apply would have left it: probes over two sittings, failed requests, names that a careless page
 * would run as a script. It stopped at a failed step, stands before finalize, or is over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "plan/plan.h"
#include "run/journal_probe.h"
#include "text/json.h"

#define BEGUN INT64_C(1764000000) /* 2025-11-24T16:00:00Z */

static void must(int result, const struct error *err)
{
	if (result == 0)
		return;
	fprintf(stderr, "report_journal: %s\n", error_text(err));
	exit(1);
}

static void add_move(struct plan *plan, const char *space, const char *name, const char *host)
{
	auto_free char *from = alloc_format("10.96.%s", host);
	auto_free char *to = alloc_format("10.17.%s", host);
	auto_free char *subject = alloc_format("Service/%s/%s", space, name);

	json_array_append_new(plan->map, json_pack("{s:s, s:s, s:s, s:s}", "namespace", space,
						   "name", name, "from", from, "to", to));
	plan_add(plan, PLAN_STAGE_SERVICES, "flip", subject,
		 json_pack("{s:s, s:s, s:[s], s:[s]}", "namespace", space, "name", name, "from",
			   from, "to", to));
}

static char *plan_text(struct plan *plan)
{
	auto_json json_t *json = NULL;

	plan->run = alloc_text("r-report");
	plan->mode = PLAN_MIGRATE;
	plan->created_at = clock_format(BEGUN);
	plan->server = alloc_text("https://10.1.15.254:6443");
	plan->cluster_uid = alloc_text("11111111-2222-3333-4444-555555555555");
	plan->regime = alloc_text("servicecidr");
	plan->to = alloc_text("10.17.0.0/16");
	plan->from = json_pack("[s]", "10.96.0.0/16");
	plan->map = json_array();
	plan->digest = json_object();
	plan->notes =
		json_pack("[s, s]", "firewalls that name 10.96.0.0/16 are <b>yours</b> to change",
			  "a hostile\x1b]0;title\a \xc2\x9b"
			  "31mnote");
	plan_add(plan, PLAN_STAGE_CERTIFICATES, "certificate",
		 "cp1:/etc/kubernetes/pki/apiserver.crt", json_pack("{s:s}", "node", "cp1"));
	add_move(plan, "default", "kubernetes", "0.1");
	add_move(plan, "kube-system", "kube-dns", "0.10");
	add_move(plan, "shop", "<script>alert(1)</script>", "3.7");
	plan_add(plan, PLAN_STAGE_DRAIN, "drain", "old addresses", json_object());
	plan_add(plan, PLAN_STAGE_FINALIZE, "forget", "cp1", json_pack("{s:s}", "node", "cp1"));
	json = plan_to_json(plan);
	return json_dumps(json, JSON_INDENT(1));
}

static void add_target(struct journal *journal, enum probe_role role, const char *kind,
		       const char *service, const char *address, int port, struct error *err)
{
	auto_free char *name =
		alloc_format("%s %s %s:%d", probe_role_name(role), kind, address, port);
	struct journal_target target = {.name = name,
					.role = role,
					.kind = (char *)(uintptr_t)kind,
					.service = (char *)(uintptr_t)service,
					.address = (char *)(uintptr_t)address,
					.port = port};

	must(journal_probe_target(journal, "r-report", &target, err), err);
}

/* From second `from` to `until` of the run, in spans of five. */
static void watch(struct journal *journal, const char *target, int from, int until, int failed_at,
		  const char *why, bool explained, struct error *err)
{
	for (int at = from; at < until; at += 5) {
		bool bad = failed_at >= at && failed_at < at + 5;
		struct journal_sample sample = {.target = target,
						.begin_ms = (BEGUN + at) * 1000,
						.end_ms = (BEGUN + at + 5) * 1000,
						.ok = 100,
						.failed = bad ? 2 : 0,
						.explained = bad && explained ? 2 : 0,
						.max_ms = 12,
						.sum_ms = 300,
						.gap_ms = bad ? 700 : 0,
						.step = "s03"};
		struct journal_failure failures[2] = {
			{.target = target,
			 .node = "cp2",
			 .at_ms = (BEGUN + failed_at) * 1000 + 120,
			 .took_ms = 500,
			 .why = why,
			 .step = "s03",
			 .explained = explained},
			{.target = target,
			 .node = "w<1>",
			 .at_ms = (BEGUN + failed_at) * 1000 + 320,
			 .took_ms = 500,
			 .why = why,
			 .step = "s03",
			 .explained = explained},
		};

		must(journal_probe_add(journal, "r-report", &sample, 1, failures, bad ? 2 : 0, err),
		     err);
	}
}

static void add_probes(struct journal *journal, struct error *err)
{
	add_target(journal, PROBE_OLD, "tls", "default/kubernetes", "10.96.0.1", 443, err);
	add_target(journal, PROBE_NEW, "tls", "default/kubernetes", "10.17.0.1", 443, err);
	add_target(journal, PROBE_OLD, "dns", "kube-system/kube-dns", "10.96.0.10", 53, err);
	add_target(journal, PROBE_NEW, "dns", "kube-system/kube-dns", "10.17.0.10", 53, err);
	add_target(journal, PROBE_OLD, "tcp", "shop/<script>alert(1)</script>", "10.96.3.7", 80,
		   err);
	add_target(journal, PROBE_NODE_PORT, "tcp", "shop/<script>alert(1)</script>", "each node",
		   30080, err);
	watch(journal, "old tls 10.96.0.1:443", 0, 240, 95, "connection refused", true, err);
	watch(journal, "old dns 10.96.0.10:53", 0, 240, -1, "", false, err);
	watch(journal, "old tcp 10.96.3.7:80", 0, 240, 150, "no answer after 500 ms & \"more\"",
	      false, err);
	watch(journal, "node-port tcp each node:30080", 0, 240, -1, "", false, err);
	watch(journal, "new tls 10.17.0.1:443", 60, 240, -1, "", false, err);
	/* the next day */
	watch(journal, "new tls 10.17.0.1:443", 86400, 86460, -1, "", false, err);
	watch(journal, "new dns 10.17.0.10:53", 86400, 86460, -1, "", false, err);
}

static void step(struct journal *journal, const char *id, int begun, int took,
		 enum journal_state state, const char *detail, struct error *err)
{
	clock_set_virtual(0, BEGUN + begun);
	must(journal_set(journal, "r-report", id, JOURNAL_INTENT, NULL, err), err);
	clock_set_virtual(0, BEGUN + begun + took);
	must(journal_set(journal, "r-report", id, state, detail, err), err);
}

int main(int argc, char **argv)
{
	auto_json json_t *operator_ = NULL;
	auto_json json_t *evidence = NULL;
	auto_journal struct journal *journal = NULL;
	auto_error struct error err = {0};
	auto_free char *text = NULL;
	auto_plan struct plan plan = {0};

	if (argc < 2)
		return 1;
	clock_set_virtual(0, BEGUN);
	must(file_make_folder(argv[1], 0700, &err), &err);
	journal = journal_open(argv[1], &err);
	must(journal ? 0 : -1, &err);
	text = plan_text(&plan);
	must(journal_begin(journal, "r-report", "migrate", "10.17.0.0/16", text, &err), &err);
	operator_ = json_pack("{s:s, s:s, s:s, s:n}", "host", "bastion & co", "user", "ops",
			      "version", "1.0", "context");
	must(journal_keep(journal, "r-report", "-", "operator", operator_, &err), &err);
	step(journal, "s01", 2, 38, JOURNAL_DONE, NULL, &err);
	step(journal, "s02", 41, 4, JOURNAL_DONE, NULL, &err);
	step(journal, "s03", 46, 130, JOURNAL_DONE, NULL, &err);
	step(journal, "s04", 177, 60, JOURNAL_FAILED, "the server said <no>", &err);
	add_probes(journal, &err);
	if (argc < 3)
		return 0;
	step(journal, "s04", 86400, 20, JOURNAL_DONE, NULL, &err);
	step(journal, "s05", 86421, 30, JOURNAL_DONE, NULL, &err);
	evidence = json_pack("{s:[{s:s, s:s, s:[{s:s, s:s, s:s}]}], s:i, s:i}", "addresses",
			     "address", "10.96.0.1", "service", "default/kubernetes", "users",
			     "who", "shop/<b>old</b>", "how", "connections", "what", "tcp/443",
			     "containersAfter", 7, "windowMs", 60000);
	must(journal_keep(journal, "r-report", "s05", "evidence", evidence, &err), &err);
	if (strcmp(argv[2], "finished") != 0)
		return 0;
	step(journal, "s06", 86455, 1, JOURNAL_DONE, NULL, &err);
	must(journal_end(journal, "r-report", &err), &err);
	return 0;
}
