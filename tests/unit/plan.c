/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "plan/make.h"
#include "text/json.h"

/*
 * tests/data/doctor/CASE/plan: what `plan --repair` makes of that state, in order: "STAGE KIND
 * SUBJECT" of each step (and what a restart restarts), or one line "refused MESSAGE". A case
 * without the file has no such expectation; that the same input gives the same plan is checked of
 * all.
 */
static struct plan_request usual_request(const struct cluster *cluster)
{
	struct plan_request request = {
		.run = "r-20261122-230000-abcdef",
		.created_at = "2026-11-22T23:00:00Z",
		.restart = "needed",
	};

	for (size_t i = 0; i < cluster->node_count; i++)
		request.nodes_reached = request.nodes_reached || cluster->nodes[i].host.asked;
	return request;
}

static char *plan_text(const struct plan *plan)
{
	auto_json json_t *document = plan_to_json(plan);

	return json_dumps(document, JSON_INDENT(1));
}

static void outline(const struct plan *plan, struct buffer *out)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *step = &plan->steps[i];
		const json_t *workload;
		size_t k;

		buffer_format(out, "%s %s %s", plan_stage_name(step->stage), step->kind,
			      step->subject);
		json_array_foreach(json_path(step->parameters, "workloads"), k, workload)
			buffer_format(out, " %s", json_path_text(workload, "subject"));
		buffer_char(out, '\n');
	}
}

/* The steps are numbered without a gap, and no stage comes after one that it precedes. */
static void check_order(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		auto_free char *id = alloc_format("s%02zu", i + 1);

		CHECK_STR(plan->steps[i].id, id);
		CHECK(json_is_object(plan->steps[i].parameters));
		CHECK(i == 0 || plan->steps[i].stage >= plan->steps[i - 1].stage);
	}
}

/* What is written is read back as the same. */
static void check_round_trip(const struct plan *plan)
{
	auto_error struct error err = {0};
	auto_plan struct plan again = {0};
	auto_free char *text = plan_text(plan);
	auto_free char *second = NULL;

	if (!CHECK_OK(plan_parse(&again, "repair.plan", slice_of(text), &err), &err))
		return;
	second = plan_text(&again);
	CHECK_STR(second, text);
}

static void check_same_again(const char *dir, const struct plan *plan)
{
	auto_json json_t *observation = observation_case_read(dir);
	auto_error struct error err = {0};
	auto_cluster struct cluster *cluster = NULL;
	auto_plan struct plan again = {0};
	auto_free char *first = plan_text(plan);
	auto_free char *second = NULL;
	struct plan_request request;

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	request = usual_request(cluster);
	if (!CHECK_OK(plan_make(cluster, &request, &again, &err), &err))
		return;
	second = plan_text(&again);
	CHECK_STR(second, first);
}

static void plan_case(const char *dir)
{
	auto_free char *path = alloc_format("%s/plan", dir);
	auto_json json_t *observation = observation_case_read(dir);
	auto_error struct error err = {0};
	auto_cluster struct cluster *cluster = NULL;
	auto_plan struct plan plan = {0};
	auto_buffer struct buffer got = {0};
	struct plan_request request;

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	request = usual_request(cluster);
	if (plan_make(cluster, &request, &plan, &err) < 0) {
		CHECK_INT(err.kind, ERROR_REFUSED);
		buffer_format(&got, "refused %s\n", error_text(&err));
	} else {
		outline(&plan, &got);
		check_order(&plan);
		check_round_trip(&plan);
		check_same_again(dir, &plan);
	}
	if (access(test_path(path), R_OK) == 0) {
		auto_free char *expected = test_file(path, NULL);

		CHECK_STR(buffer_cstr(&got), expected);
	}
}

/* ---- what must not be tried ---- */

static const struct {
	const char *name;
	const char *to;
	const char *edits; /* of healthy-1.36 */
	const char *error;
	bool nodes_unreached;
} refusals[] = {
	{.name = "IPv6 on an IPv4 cluster",
	 .to = "fd00:10::/112",
	 .error = "range 'fd00:10::/112' is of another address family than this cluster's Services "
		  "(10.96.0.1)"},
	{.name = "too small", .to = "10.17.0.0/30", .error = "range '10.17.0.0/30' is too small"},
	{.name = "too large for a bitmap",
	 .to = "10.0.0.0/8",
	 .edits = "[[\"remove\", \"serviceCIDRs\"], [\"remove\", \"serviceCIDRAPI\"]]",
	 .error = "range '10.0.0.0/8' is too large"},
	{.name = "a node's Pod range",
	 .to = "10.55.0.0/16",
	 .edits = "[[\"set\", \"nodes/cp2/spec/podCIDRs\", [\"10.55.3.0/24\"]]]",
	 .error = "range '10.55.0.0/16' overlaps with the Pod range '10.55.3.0/24' of cp2"},
	{.name = "a node's route",
	 .to = "10.55.0.0/16",
	 .edits = "[[\"set\", \"hosts/cp1/routes\", [\"0.0.0.0/0\", \"10.55.7.0/24\"]]]",
	 .error = "range '10.55.0.0/16' overlaps with the route '10.55.7.0/24' of cp1"},
	{.name = "a node's address",
	 .to = "10.55.0.0/16",
	 .edits = "[[\"set\", \"nodes/cp3/status/addresses\", [{\"type\": \"InternalIP\", "
		  "\"address\": \"10.55.0.9\"}]]]",
	 .error = "range '10.55.0.0/16' contains the address 10.55.0.9 of node 'cp3'"},
	{.name = "a control plane that does not answer",
	 .edits = "[[\"set\", \"hosts/cp2\", {\"problem\": \"node 'cp2': no answer from ssh\"}]]",
	 .error = "control plane 'cp2' cannot be reached (node 'cp2': no answer from ssh)"},
	{.name = "manifests elsewhere",
	 .edits = "[[\"replace-in\", \"hosts/cp2/kubelet\", \"/etc/kubernetes/manifests\", "
		  "\"/etc/kubelet.d\"]]",
	 .error = "kubelet on 'cp2' reads manifests from '/etc/kubelet.d' (staticPodPath)"},
	{.name = "nodes that are not reached",
	 .nodes_unreached = true,
	 .error = "nodes are not reached; use --nodes-via ssh or local"},
	{.name = "a managed cluster",
	 .edits = "[[\"set\", \"nodes\", []]]",
	 .to = "10.17.0.0/16",
	 .error = "no node is a control plane"},
	{.name = "the first address of the range is another Service's",
	 .to = "10.17.0.0/16",
	 .edits = "[[\"append\", \"services\", {\"metadata\": {\"name\": \"thief\", \"namespace\": "
		  "\"shop\", \"uid\": \"u-thief\"}, \"spec\": {\"type\": \"ClusterIP\", "
		  "\"clusterIP\": \"10.17.0.1\", \"clusterIPs\": [\"10.17.0.1\"]}}]]",
	 .error = "Service 'shop/thief' has 10.17.0.1, which default/kubernetes needs"},
	{.name = "the tenth address of the range is another Service's",
	 .to = "10.17.0.0/16",
	 .edits = "[[\"append\", \"services\", {\"metadata\": {\"name\": \"thief\", \"namespace\": "
		  "\"shop\", \"uid\": \"u-thief\"}, \"spec\": {\"type\": \"ClusterIP\", "
		  "\"clusterIP\": \"10.17.0.10\", \"clusterIPs\": [\"10.17.0.10\"]}}]]",
	 .error = "Service 'shop/thief' has 10.17.0.10, which cluster DNS needs"},
	{.name = "dual stack",
	 .to = "10.17.0.0/16,fd00:10::/112",
	 .error = "dual-stack clusters ('10.17.0.0/16,fd00:10::/112') cannot be handled"},
};

static void refusal(size_t row)
{
	auto_json json_t *observation = observation_case_read("tests/data/doctor/healthy-1.36");
	const char *text = refusals[row].edits ? refusals[row].edits : "[]";
	auto_json json_t *edits = json_loads(text, 0, NULL);
	auto_error struct error err = {0};
	auto_cluster struct cluster *cluster = NULL;
	auto_plan struct plan plan = {0};
	struct plan_request request;
	json_t *edit;
	size_t i;

	TEST("refused: %s", refusals[row].name);
	CHECK(edits != NULL);
	json_array_foreach(edits, i, edit)
		CHECK(observation_case_edit(observation, edit));
	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	request = usual_request(cluster);
	request.to = refusals[row].to;
	if (refusals[row].nodes_unreached)
		request.nodes_reached = false;
	CHECK_ERROR(plan_make(cluster, &request, &plan, &err), &err, ERROR_REFUSED,
		    refusals[row].error);
	CHECK_INT(plan.count, 0);
}

int main(void)
{
	test_each_case("doctor", plan_case);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		refusal(i);
	return test_done();
}
