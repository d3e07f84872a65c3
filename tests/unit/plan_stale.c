/* SPDX-License-Identifier: MIT */
#include "plan/stale.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "text/json.h"

static const char unreached[] =
	"[[\"set\", \"hosts/cp1\", {\"problem\": \"node 'cp1': no answer from ssh\"}]]";

/* What keeps a look from telling who is stale; edits of the case; NULL: nothing. */
static const struct {
	const char *folder;
	const char *edits;
	const char *text;
} looks[] = {
	{"tests/data/doctor/healthy-1.36", "[]", NULL},
	{"tests/data/doctor/crash-loop-of-its-own", "[]", NULL},
	{"tests/data/doctor/healthy-1.36", unreached, "node 'cp1' could not be looked at"},
	{"tests/data/doctor/gone-1.36-real", "[]", "Pod 'shop/created' is being created"},
};

static json_t *edited(const char *folder, const char *text)
{
	json_t *observation = observation_case_read(folder);
	auto_json json_t *edits = json_loads(text, 0, NULL);
	const json_t *edit;
	size_t i;

	CHECK(edits != NULL);
	json_array_foreach(edits, i, edit)
		CHECK(observation_case_edit(observation, edit));
	return observation;
}

static void look(size_t row)
{
	auto_json json_t *observation = edited(looks[row].folder, looks[row].edits);
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};
	auto_free char *got = NULL;

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	got = plan_stale_unsettled(cluster);
	if (!looks[row].text)
		CHECK_STR(got, NULL);
	else if (CHECK(got != NULL))
		CHECK(strncmp(got, looks[row].text, strlen(looks[row].text)) == 0);
}

/* Pods of a node that was not seen: stale in a plan, left alone by the second look. */
static void unseen(bool seen_only)
{
	auto_json json_t *observation = edited("tests/data/doctor/healthy-1.36", unreached);
	auto_plan_workloads struct plan_workloads list = {0};
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};
	struct plan_stale query = {.to = "10.96.0.0/16", .seen_only = seen_only};

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	query.cluster = cluster;
	query.former = cluster_former_ranges(cluster, query.to);
	list = plan_stale_workloads(&query);
	CHECK((list.count == 0) == seen_only);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		TEST("%s %s: %s", looks[i].folder, looks[i].edits,
		     looks[i].text ? looks[i].text : "settled");
		look(i);
	}
	TEST("a node that was not seen");
	unseen(/* seen_only= */ false);
	unseen(/* seen_only= */ true);
	return test_done();
}
