/* SPDX-License-Identifier: MIT */
#include "step/rollout.h"

#include <string.h>

#include "base/clock.h"
#include "lib/test.h"
#include "text/json.h"

/* What becomes of a rollout while a node is down: now is 16:00:00, old Pods are of the hour before. */

#define POD(name, node, created, ready, since)                                                     \
	"{\"metadata\":{\"name\":\"" name                                                          \
	"\",\"labels\":{\"app\":\"web\"},\"creationTimestamp\":\""                                 \
	"2025-11-24T" created "Z\"},\"spec\":{\"nodeName\":\"" node                                \
	"\"},\"status\":{\"conditions\":"                                                          \
	"[{\"type\":\"Ready\",\"status\":\"" ready "\",\"lastTransitionTime\":\"2025-11-24T" since \
	"Z"                                                                                        \
	"\"}]}}"
#define LONG_AGO "15:30:00"
#define JUST_NOW "15:59:55"

static bool is_stale(const json_t *pod, const void *data)
{
	return strcmp(json_path_text(pod, "metadata.creationTimestamp"), data) < 0;
}

static const struct {
	const char *what;
	const char *pods;
	enum step_rollout_here here;
	const char *stale;
} cases[] = {
	{"none of its Pods is on that node: its controller goes on",
	 "[" POD("a", "up", LONG_AGO, "True", LONG_AGO) "]", ROLLOUT_GOES_ON, NULL},
	{"a Pod on another node is not ready: it may become so",
	 "[" POD("a", "down", JUST_NOW, "False", JUST_NOW) "," POD("b", "up", JUST_NOW, "False",
								   LONG_AGO) "]",
	 ROLLOUT_GOES_ON, NULL},
	{"one has just become ready: the controller has its turn",
	 "[" POD("a", "down", JUST_NOW, "False",
		 JUST_NOW) "," POD("b", "up", JUST_NOW, "True",
				   JUST_NOW) "," POD("c", "up", LONG_AGO, "True", LONG_AGO) "]",
	 ROLLOUT_GOES_ON, NULL},
	{"all stand still, and one is stale",
	 "[" POD("a", "down", JUST_NOW, "False", LONG_AGO) "," POD("b", "up", LONG_AGO, "True",
								   LONG_AGO) "]",
	 ROLLOUT_WAITS, "b"},
	{"what is stale on the node that is down is not waited for",
	 "[" POD("a", "down", LONG_AGO, "Unknown", LONG_AGO) "," POD("b", "up", JUST_NOW, "True",
								     JUST_NOW) "]",
	 ROLLOUT_OVER_HERE, NULL},
};

int main(void)
{
	auto_json json_t *workload = json_loads(
		"{\"spec\":{\"selector\":{\"matchLabels\":{\"app\":\"web\"}}}}", 0, NULL);
	auto_json json_t *down = json_pack("{s:b}", "down", 1);

	clock_set_virtual(1000, 1764000000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_json json_t *pods = json_loads(cases[i].pods, 0, NULL);
		const char *stale = NULL;

		TEST("%s", cases[i].what);
		CHECK_INT((int)step_rollout_judge(pods, workload, down, is_stale,
						  "2025-11-24T15:50:00Z", &stale),
			  (int)cases[i].here);
		CHECK_STR(stale ? stale : "", cases[i].stale ? cases[i].stale : "");
	}
	return test_done();
}
