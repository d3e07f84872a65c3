/* SPDX-License-Identifier: MIT */
#include "step/step.h"

#include <string.h>

#include "base/clock.h"
#include "lib/step_case.h"
#include "lib/test.h"

/* What the lab cannot show of node-local DNS: a node that is down, and a writer in between. */

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SET "/apis/apps/v1/namespaces/kube-system/daemonsets/node-local-dns"
#define MAPS "/api/v1/namespaces/kube-system/configmaps"
#define MAP MAPS "/node-local-dns"
#define COPY MAP "-renumber"
#define PODS "/api/v1/namespaces/kube-system/pods"
#define MANAGER "?fieldManager=kubectl-renumber"
#define NODES "/api/v1/nodes?limit=500"

#define DAEMON_SET(version, args, map, updated)                                                   \
	"{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"node-local-dns\",\"uid\":\"u\"," \
	"\"generation\":1,\"resourceVersion\":\"" version                                         \
	"\"},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"image\":\"x\",\"args\":["       \
	"\"-localip\",\"" args "\"]}],\"volumes\":[{\"configMap\":{\"name\":\"" map               \
	"\"}}]}}},\"status\":{\"observedGeneration\":1,\"desiredNumberScheduled\":2,"             \
	"\"updatedNumberScheduled\":" updated ",\"numberAvailable\":1}}"
#define BEFORE(version) DAEMON_SET(version, "169.254.20.10,10.96.0.10", "node-local-dns", "0")
#define BOTH(updated) \
	DAEMON_SET("9", "169.254.20.10,10.96.0.10,10.17.0.10", "node-local-dns-renumber", updated)
#define COREFILE(binds) "{\"data\":{\"Corefile\":\"bind " binds "\"}}"
#define OURS                                                             \
	"{\"metadata\":{\"labels\":{\"kubectl-renumber/run\":\"r-1\"}}," \
	"\"data\":{\"Corefile\":\"bind 10.96.0.10 10.17.0.10\"}}"
#define MISSING "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"NotFound\",\"code\":404}"
#define CONFLICT "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"Conflict\",\"code\":409}"
#define NODE(name, ready)                                                                        \
	"{\"metadata\":{\"name\":\"" name "\"},\"status\":{\"conditions\":[{\"type\":\"Ready\"," \
	"\"status\":\"" ready "\"}]}}"
#define ONE_DOWN "{\"items\":[" NODE("n1", "True") "," NODE("n2", "Unknown") "]}"
#define POD(name, uid, node, map)                                                                \
	"{\"metadata\":{\"name\":\"" name "\",\"ownerReferences\":[{\"uid\":\"" uid              \
	"\"}]},\"spec\":{\"nodeName\":\"" node "\",\"volumes\":[{\"configMap\":{\"name\":\"" map \
	"\"}}]}}"

static json_t *kept;

static int play(const struct fake_step *script, size_t count, bool back, struct error *err)
{
	auto_json json_t *parameters = json_pack(
		"{s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}", "namespace", "kube-system", "name",
		"node-local-dns", "configMap", "node-local-dns", "copy", "node-local-dns-renumber",
		"moves", "from", "10.96.0.10", "to", "10.17.0.10");
	struct plan_step step = {.id = (char *)(uintptr_t) "s01",
				 .kind = (char *)(uintptr_t) "local-dns",
				 .subject = (char *)(uintptr_t) "DaemonSet",
				 .parameters = parameters};
	const struct step_kind *kind = step_kind_find("local-dns");
	struct step_case c;
	const struct plan plan = {.mode = PLAN_REPAIR, .run = (char *)(uintptr_t) "r-1"};
	int result;

	step_case_open(&c, script, count, &plan, kept);
	result = (back ? kind->undo : kind->apply)(&c.context, &step, err);
	step_case_close(&c);
	return result;
}

static void test_down(void)
{
	static const struct fake_step script[] = {
		{"GET", SET, NULL, 200, NULL, BEFORE("7"), 0},
		{"GET", MAP, NULL, 200, NULL, COREFILE("10.96.0.10"), 0},
		{"GET", COPY, NULL, 404, NULL, MISSING, 0},
		{"POST", MAPS MANAGER, "bind 10.96.0.10 10.17.0.10", 201, NULL, OURS, 0},
		{"PATCH", SET MANAGER, "\"resourceVersion\":\"7\"", 200, NULL, "{}", 0},
		{"GET", SET, NULL, 200, NULL, BOTH("0"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
		{"GET", PODS "?limit=500", NULL, 200, NULL,
		 "{\"items\":[" POD("up", "u", "n1", "node-local-dns") "," POD(
			 "down", "u", "n2",
			 "node-local-dns") "," POD("fresh", "u", "n1",
						   "node-local-dns-renumber") "," POD("other", "v",
										      "n1",
										      "node-local-"
										      "dns") "]}",
		 0},
		{"DELETE", PODS "/up", NULL, 200, NULL, "{}", 0},
		{"GET", SET, NULL, 200, NULL, BOTH("0"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
		{"GET", SET, NULL, 200, NULL, BOTH("1"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
	};
	auto_error struct error err = {0};

	TEST("a node is down: the Pods of the others are replaced, and its own is not waited for");
	CHECK_OK(play(script, COUNT(script), false, &err), &err);
}

static void test_conflict(void)
{
	static const struct fake_step script[] = {
		{"GET", SET, NULL, 200, NULL, BEFORE("7"), 0},
		{"GET", MAP, NULL, 200, NULL, COREFILE("10.96.0.10"), 0},
		{"GET", COPY, NULL, 200, NULL, OURS, 0},
		{"PATCH", SET MANAGER, "\"resourceVersion\":\"7\"", 409, NULL, CONFLICT, 0},
		{"GET", SET, NULL, 200, NULL, BEFORE("8"), 0},
		{"GET", MAP, NULL, 200, NULL, COREFILE("10.96.0.10"), 0},
		{"GET", COPY, NULL, 200, NULL, OURS, 0},
		{"PATCH", SET MANAGER, "\"resourceVersion\":\"8\"", 200, NULL, "{}", 0},
		{"GET", SET, NULL, 200, NULL, BOTH("2"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
	};
	auto_error struct error err = {0};

	TEST("somebody wrote it meanwhile: read again, and written on what is there now");
	CHECK_OK(play(script, COUNT(script), false, &err), &err);
}

static void test_changed(void)
{
	static const struct fake_step script[] = {
		{"GET", SET, NULL, 200, NULL,
		 DAEMON_SET("7", "169.254.20.10,10.96.0.10", "theirs", "0"), 0},
		{"GET", MAP, NULL, 200, NULL, COREFILE("10.96.0.10"), 0},
	};
	static const struct fake_step gone[] = {
		{"GET", SET, NULL, 404, NULL, MISSING, 0},
		{"GET", MAP, NULL, 404, NULL, MISSING, 0},
	};
	auto_error struct error err = {0};

	TEST("its Corefile comes from elsewhere now: refused, and nothing is written");
	CHECK_ERROR(play(script, COUNT(script), false, &err), &err, ERROR_REFUSED,
		    "DaemonSet has no Corefile in ConfigMap 'kube-system/node-local-dns' any more");
	TEST("there is none any more");
	CHECK_OK(play(gone, COUNT(gone), false, &err), &err);
}

static void test_undo(void)
{
	static const struct fake_step script[] = {
		{"GET", SET, NULL, 200, NULL, BOTH("2"), 0},
		{"PATCH", SET MANAGER,
		 "\"args\":[\"-localip\",\"169.254.20.10,10.96.0.10\"]}],\"volumes\":[{"
		 "\"configMap\":{\"name\":\"node-local-dns\"}}]",
		 200, NULL, "{}", 0},
		{"GET", SET, NULL, 200, NULL,
		 DAEMON_SET("9", "169.254.20.10,10.96.0.10", "node-local-dns", "2"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
		{"GET", COPY, NULL, 200, NULL, OURS, 0},
		{"DELETE", COPY, NULL, 200, NULL, "{}", 0},
	};
	static const struct fake_step again[] = {
		{"GET", SET, NULL, 200, NULL,
		 DAEMON_SET("9", "169.254.20.10,10.96.0.10", "node-local-dns", "2"), 0},
		{"GET", SET, NULL, 200, NULL,
		 DAEMON_SET("9", "169.254.20.10,10.96.0.10", "node-local-dns", "2"), 0},
		{"GET", NODES, NULL, 200, NULL, ONE_DOWN, 0},
		{"GET", COPY, NULL, 404, NULL, MISSING, 0},
	};
	auto_error struct error err = {0};

	TEST("the way back, and what ours was is gone behind it");
	CHECK_OK(play(script, COUNT(script), true, &err), &err);
	TEST("and once more");
	CHECK_OK(play(again, COUNT(again), true, &err), &err);
}

int main(void)
{
	kept = json_object();
	clock_set_virtual(1000, 1764000000);
	test_down();
	test_undo();
	json_object_clear(kept);
	test_conflict();
	json_object_clear(kept);
	test_changed();
	json_decref(kept);
	return test_done();
}
