/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "plan/estimate.h"
#include "plan/make.h"
#include "plan/sweep.h"
#include "text/json.h"

/*
 * tests/data/plan/CASE: an observation (as in tests/data/doctor), request.json where it differs
 * from "--to 10.17.0.0/16", and what `plan --to` makes of it: plan, the steps in order as "STAGE
 * KIND SUBJECT" with what tells of their parameters; moves, the flips alone; texts, the consents
 * and the notes.
 */
struct migrate_case {
	json_t *request; /* owned, may be NULL */
	json_t *observation;
	struct cluster *cluster;
	struct plan plan;
};

static void migrate_release(struct migrate_case *c)
{
	json_decref(c->request);
	json_decref(c->observation);
	cluster_free(c->cluster);
	plan_release(&c->plan);
}

static json_t *migrate_request(const char *dir)
{
	auto_free char *path = alloc_format("%s/request.json", dir);
	auto_free char *text = NULL;

	if (access(test_path(path), R_OK) != 0)
		return NULL;
	text = test_file(path, NULL);
	return json_loads(text, 0, NULL);
}

static int migrate_make(struct migrate_case *c, struct error *err)
{
	const char *restart = json_path_text(c->request, "restart");
	const char *to = json_path_text(c->request, "to");
	struct plan_request request = {
		.mode = PLAN_MIGRATE,
		.to = to ? to : "10.17.0.0/16",
		.run = "r-20261122-230000-abcdef",
		.created_at = "2026-11-22T23:00:00Z",
		.restart = restart ? restart : "none",
		.nodes_reached = true,
	};
	const char *map = json_path_text(c->request, "map");

	if (map) {
		request.map_file = "own.map";
		request.map_text = slice_of(map);
	}

	if (!json_object_get(c->observation, "surroundings"))
		json_object_set_new(c->observation, "surroundings", json_object());
	if (cluster_build(c->observation, &c->cluster, err) < 0)
		return -1;
	return plan_make(c->cluster, &request, &c->plan, err);
}

static void outline_list(struct buffer *out, const json_t *parameters, const char *name)
{
	const json_t *list = json_object_get(parameters, name);
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return;
	buffer_format(out, " %s=", name);
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (!text)
			text = json_path_text(item, "value");
		if (!text)
			text = json_path_text(item, "subject");
		if (!text)
			text = json_path_text(item, "name");
		buffer_format(out, "%s%s", i ? "," : "", text ? text : "?");
	}
}

static void outline_step(struct buffer *out, const struct plan_step *step)
{
	static const char *const texts[] = {"mechanism", "clusterIP", "range", "featureGates",
					    "keepOut",	 "configMap", "copy"};
	static const char *const lists[] = {"addresses", "from",   "to",      "flags",
					    "cidrs",	 "add",	   "new",     "dns",
					    "workloads", "remove", "services"};
	const json_t *move;
	size_t k;

	buffer_format(out, "%s %s %s", plan_stage_name(step->stage), step->kind, step->subject);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = json_path_text(step->parameters, texts[i]);

		if (text)
			buffer_format(out, " %s=%s", texts[i], text);
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		outline_list(out, step->parameters, lists[i]);
	json_array_foreach(json_object_get(step->parameters, "moves"), k, move)
		buffer_format(out, " %s>%s", json_path_text(move, "from"),
			      json_path_text(move, "to"));
	buffer_char(out, '\n');
}

static void outline_move(struct buffer *out, const json_t *flip)
{
	const char *external = json_path_text(flip, "externalName");

	buffer_format(out, "%s/%s %s %s%s%s\n", json_path_text(flip, "namespace"),
		      json_path_text(flip, "name"), json_path_text(flip, "from.0"),
		      json_path_text(flip, "to.0"), external ? " by " : "",
		      external ? external : "");
}

/* Each group of flips behind a line of its own. */
static void outline_moves(struct buffer *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const json_t *flip;
		size_t k;

		if (strcmp(plan->steps[i].kind, "flip-group") != 0)
			continue;
		buffer_text(out, "group\n");
		json_array_foreach(json_path(plan->steps[i].parameters, "services"), k, flip)
			outline_move(out, flip);
	}
}

static void outline_texts(struct buffer *out, const struct plan *plan)
{
	const json_t *item;
	const json_t *subject;
	size_t i;
	size_t k;

	json_array_foreach(plan->consents, i, item) {
		buffer_format(out, "consent %s:", json_path_text(item, "code"));
		json_array_foreach(json_path(item, "subjects"), k, subject)
			buffer_format(out, " %s", json_string_value(subject));
		buffer_format(out, ": %s\n", json_path_text(item, "message"));
	}
	json_array_foreach(plan->notes, i, item)
		buffer_format(out, "note %s\n", json_string_value(item));
}

/* The steps are numbered without a gap, and no stage comes after one that it precedes. */
static void check_order(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		auto_free char *id = alloc_format("s%02zu", i + 1);

		CHECK_STR(plan->steps[i].id, id);
		CHECK(i == 0 || plan->steps[i].stage >= plan->steps[i - 1].stage);
	}
}

static void check_round_trip(const struct plan *plan)
{
	auto_json json_t *document = plan_to_json(plan);
	auto_buffer struct buffer text = {0};
	auto_error struct error err = {0};
	auto_plan struct plan again = {0};
	auto_json json_t *second = NULL;

	plan_to_text(plan, &text);
	if (!CHECK_OK(plan_parse(&again, "move.plan", buffer_as_slice(&text), &err), &err))
		return;
	CHECK_INT(again.mode, PLAN_MIGRATE);
	second = plan_to_json(&again);
	CHECK(json_equal(document, second));
}

/* Compares with the file of that name, where the case has it. */
static void expect(const char *dir, const char *name, const char *got)
{
	auto_free char *path = alloc_format("%s/%s", dir, name);
	auto_free char *expected = NULL;

	if (access(test_path(path), R_OK) != 0)
		return;
	expected = test_file(path, NULL);
	CHECK_STR(got, expected);
}

static void migrate(const char *dir)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer steps = {0};
	auto_buffer struct buffer moves = {0};
	auto_buffer struct buffer texts = {0};

	c.request = migrate_request(dir);
	c.observation = observation_case_read(dir);
	if (!CHECK_OK(migrate_make(&c, &err), &err))
		return;
	for (size_t i = 0; i < c.plan.count; i++)
		outline_step(&steps, &c.plan.steps[i]);
	outline_texts(&texts, &c.plan);
	check_order(&c.plan);
	check_round_trip(&c.plan);
	outline_moves(&moves, &c.plan);
	expect(dir, "plan", buffer_cstr(&steps));
	expect(dir, "moves", buffer_cstr(&moves));
	expect(dir, "texts", buffer_cstr(&texts));
}

/* ---- what must not be tried ---- */

#define RAW(...) #__VA_ARGS__

static const struct {
	const char *name;
	const char *to;
	const char *edits; /* of healthy-1.36 */
	const char *error;
} refusals[] = {
	{.name = "Amazon's",
	 .edits = RAW([[ "set", "version/gitVersion", "v1.33.1-eks-1552ad0" ]]),
	 .error = "this is a cluster of Amazon EKS: its Service range is its provider's"},
	{.name = "Google's",
	 .edits = RAW([[ "set", "nodes/cp1/metadata/labels/cloud.google.com~1gke-nodepool", "a" ]]),
	 .error = "this is a cluster of Google GKE"},
	{.name = "k3s",
	 .edits = RAW([[ "set", "version/gitVersion", "v1.33.1+k3s1" ]]),
	 .error = "this is a cluster of k3s, whose servers take the Service range from its own "
		  "configuration"},
	{.name = "servers that are no static Pods",
	 .edits = RAW([[ "set", "hosts/cp2/manifests", [] ]]),
	 .error = "control plane 'cp2' has no static-Pod manifest of kube-apiserver"},
	{.name = "a target within the present range",
	 .to = "10.96.128.0/17",
	 .error = "range '10.96.128.0/17' overlaps with the present range '10.96.0.0/16' of this "
		  "cluster"},
	{.name = "a target in podSubnet",
	 .to = "10.244.128.0/17",
	 .error = "range '10.244.128.0/17' overlaps with"},
	{.name = "a Pod's address",
	 .to = "10.17.0.0/16",
	 .edits = RAW([[
		 "append", "pods", {
			 "metadata" : {"name" : "a", "namespace" : "b"},
			 "spec" : {},
			 "status" : {"podIP" : "10.17.4.4"}
		 }
	 ]]),
	 .error = "range '10.17.0.0/16' contains the address 10.17.4.4 of Pod 'b/a'"},
	{.name = "another ServiceCIDR",
	 .edits = RAW([[
		 "append", "serviceCIDRs",
		 {"metadata" : {"name" : "more"}, "spec" : {"cidrs" : ["10.17.8.0/24"]}}
	 ]]),
	 .error = "range '10.17.0.0/16' overlaps with the range '10.17.8.0/24' of more"},
	{.name = "a ServiceCIDR that is being deleted",
	 .edits = RAW([[
		 "append", "serviceCIDRs", {
			 "metadata" :
				 {"name" : "more", "deletionTimestamp" : "2026-11-22T22:00:00Z"},
			 "spec" : {"cidrs" : ["10.99.8.0/24"]}
		 }
	 ]]),
	 .error = "ServiceCIDR 'more' is being deleted and waits for the Services in it"},
	{.name = "dual stack",
	 .edits = RAW([[ "replace-text", "10.96.0.0/16", "10.96.0.0/16,fd00:10::/112" ]]),
	 .error = "the cluster is dual-stack ('10.96.0.0/16,fd00:10::/112')"},
	{.name = "flags that differ",
	 .edits = RAW([[ "replace-in", "hosts/cp2", "10.96.0.0/16", "10.97.0.0/16" ]]),
	 .error = "the API servers' flags do not agree on the present Service range"},
	{.name = "a run under way",
	 .edits = RAW([[
		 "append", "services", {
			 "metadata" : {
				 "name" : "kubernetes-renumber-bridge",
				 "namespace" : "default",
				 "labels" : {"kubectl-renumber/run" : "r-1"}
			 },
			 "spec" : {"type" : "ClusterIP", "clusterIP" : "10.96.7.7"}
		 }
	 ]]),
	 .error = "an alias of run r-1 is in the cluster: a run is under way"},
	{.name = "a run at work",
	 .edits = RAW([[
		 "append", "leftovers", {
			 "kind" : "Lease",
			 "metadata" : {"name" : "kubectl-renumber", "namespace" : "kube-system"},
			 "spec" : {
				 "holderIdentity" : "somebody@host",
				 "renewTime" : "2099-01-01T00:00:00.000000Z",
				 "leaseDurationSeconds" : 60
			 }
		 }
	 ]]),
	 .error = "'somebody@host' holds the lock of a run just now"},
	{.name = "an API server that is not well",
	 .edits = RAW([[
		 "set", "health",
		 {"cp1" : {"ready" : true},
		  "cp3" : {"problem" : "[-]etcd failed: reason withheld"}}
	 ]]),
	 .error = "the API server of 'cp3' is not well ([-]etcd failed: reason withheld)"},
	{.name = "an endpoint that is missing",
	 .edits = RAW([[ "remove", "endpointSlices/0/endpoints/0" ]]),
	 .error = "the cluster is not well: KR207"},
	{.name = "an expired CA",
	 .edits = RAW([[
		 "set", "hosts/cp1/audit/records/ca/problems",
		 [ {"code" : "expired", "message" : "expired"} ]
	 ]]),
	 .error = "the cluster is not well: KR307"},
	{.name = "too small for Services and aliases",
	 .to = "10.17.0.0/29",
	 .edits = RAW([
		 [
			 "append", "services", {
				 "metadata" : {"name" : "a", "namespace" : "a"},
				 "spec" : {"clusterIP" : "10.96.1.1"}
			 }
		 ],
		 [
			 "append", "services", {
				 "metadata" : {"name" : "b", "namespace" : "a"},
				 "spec" : {"clusterIP" : "10.96.1.2"}
			 }
		 ]
	 ]),
	 .error = "range '10.17.0.0/29' is too small: it gives out 6 addresses, and 12 are needed "
		  "(4 Services, as many aliases that keep the old addresses answering, and 4 to "
		  "prove things with); a /28 or larger would do"},
	{.name = "a quota",
	 .edits = RAW([
		 [
			 "append", "services", {
				 "metadata" : {"name" : "a", "namespace" : "shop"},
				 "spec" : {"clusterIP" : "10.96.1.1"}
			 }
		 ],
		 [
			 "set", "resourceQuotas", [ {
				 "metadata" : {"name" : "q", "namespace" : "shop"},
				 "status" :
					 {"hard" : {"services" : "2"}, "used" : {"services" : "1"}}
			 } ]
		 ]
	 ]),
	 .error =
		 "ResourceQuota 'shop/q' allows 2 services, 1 are there, and 2 aliases come beside "
		 "them while addresses move; raise it to 3"},
	{.name = "a quota of load balancers",
	 .edits = RAW([
		 [
			 "append", "services", {
				 "metadata" : {"name" : "a", "namespace" : "shop"},
				 "spec" : {"clusterIP" : "10.96.1.1"}
			 }
		 ],
		 [
			 "set", "resourceQuotas", [ {
				 "metadata" : {"name" : "q", "namespace" : "shop"},
				 "status" : {"hard" : {"services.loadbalancers" : "0"}}
			 } ]
		 ]
	 ]),
	 .error = "ResourceQuota 'shop/q' allows 0 services.loadbalancers"},
};

static void refusal(size_t row)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	const char *text = refusals[row].edits ? refusals[row].edits : "[]";
	auto_json json_t *edits = json_loads(text, 0, NULL);
	auto_error struct error err = {0};
	json_t *edit;
	size_t i;

	TEST("refused: %s", refusals[row].name);
	c.observation = observation_case_read("tests/data/doctor/healthy-1.36");
	if (refusals[row].to)
		c.request = json_pack("{s:s}", "to", refusals[row].to);
	CHECK(edits != NULL);
	json_array_foreach(edits, i, edit)
		CHECK(observation_case_edit(c.observation, edit));
	CHECK_ERROR(migrate_make(&c, &err), &err, ERROR_REFUSED, refusals[row].error);
	CHECK_INT(c.plan.count, 0);
}

/* "Nothing to do" would be a lie: the flags were changed, the rest was not. */
static void half_way_is_refused(void)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};

	TEST("refused: the flags say the target, the Services do not");
	c.observation = observation_case_read("tests/data/doctor/incident-half-1.36");
	CHECK_ERROR(migrate_make(&c, &err), &err, ERROR_REFUSED,
		    "'plan --repair' lists the steps that are missing");
}

/* ---- restarts ---- */

/* A proxy that has not caught up sends the next wave's requests to Pods that are gone. */
static void restarts_wait_for_proxies(void)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};
	size_t restarts = 0;

	TEST("a wave of restarts ends when every proxy has caught up");
	c.observation = observation_case_read("tests/data/doctor/healthy-1.36");
	c.request = json_pack("{s:s}", "restart", "all");
	if (!CHECK_OK(migrate_make(&c, &err), &err))
		return;
	for (size_t i = 0; i < c.plan.count; i++) {
		const struct plan_step *step = &c.plan.steps[i];

		if (strcmp(step->kind, "restart") != 0)
			continue;
		restarts++;
		CHECK_INT(json_array_size(json_object_get(step->parameters, "servers")), 3);
	}
	CHECK(restarts > 0);
}

/* ---- own addresses ---- */

static const struct {
	const char *text;
	const char *error;
} maps[] = {
	{"10.96.9.9 10.17.1.1\nshop/none 10.17.1.2\n",
	 "own.map:2:1: there is no Service 'shop/none'"},
	{"# mine\n  shop/quiet = 10.17.1.2\n", "own.map:2:3: Service 'shop/quiet' has no address"},
	{"shop/web 10.18.1.2",
	 "own.map:1: new address '10.18.1.2' of '10.96.3.7' is outside of the "
	 "new range"},
	{"shop/web 10.17.0.10", "own.map:1: new address '10.17.0.10' of '10.96.3.7' is reserved"},
	{"shop/web 10.17.0.300", "own.map:1:"},
	{"10.96.77.7 10.17.1.2", "own.map:1: no Service that moves has the address '10.96.77.7'"},
	{"shop/web 10.17.0.60\nshop/front 10.17.0.60",
	 "own.map:2: new address '10.17.0.60' is given twice, first in line 1"},
	{"shop/web 10.17.0.60\n\n10.96.3.7 10.17.0.61",
	 "own.map:3: old address '10.96.3.7' stands twice, first in line 1"},
	{"default/kubernetes 10.17.0.60",
	 "own.map:1: new address '10.17.0.60' of '10.96.0.1' cannot "
	 "be"},
};

static void map_refused(size_t row)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};

	TEST("map: %s", maps[row].text);
	c.observation = observation_case_read("tests/data/plan/around");
	c.request = json_pack("{s:s}", "map", maps[row].text);
	CHECK_ERROR(migrate_make(&c, &err), &err, ERROR_PARSE, maps[row].error);
}

/* ---- what comes while a plan is carried out ---- */

/* The plan of a cluster; then the cluster some steps later, with Services and a node that came. */
static void sweep(void)
{
	static const char later[] = RAW([
		[
			"append", "services", {
				"metadata" : {"name" : "web", "namespace" : "shop"},
				"spec" : {"clusterIP" : "10.17.3.7"}
			}
		],
		[
			"append", "services", {
				"metadata" : {
					"name" : "web-renumber-bridge",
					"namespace" : "shop",
					"labels" : {"kubectl-renumber/run" : "r-1"}
				},
				"spec" : {"clusterIP" : "10.17.255.254"},
				"status" : {"loadBalancer" :
						    {"ingress" : [ {"ip" : "10.96.3.7"} ]}}
			}
		],
		[
			"append", "services", {
				"metadata" :
					{"name" : "late", "namespace" : "shop", "uid" : "u-late"},
				"spec" : {"clusterIP" : "10.96.3.8", "selector" : {"a" : "b"}}
			}
		],
		[
			"append", "services", {
				"metadata" : {
					"name" : "same-host",
					"namespace" : "shop",
					"uid" : "u-same"
				},
				"spec" : {"clusterIP" : "10.96.3.7", "selector" : {"a" : "b"}}
			}
		],
		[
			"append", "services", {
				"metadata" : {"name" : "elsewhere", "namespace" : "shop"},
				"spec" : {"clusterIP" : "10.99.3.7", "selector" : {"a" : "b"}}
			}
		],
		[ "replace-in", "hosts/cp1/kubelet", "10.96.0.10", "10.17.0.10" ],
		[ "replace-in", "hosts/cp2/kubelet", "10.96.0.10", "10.17.0.10" ],
		[ "set", "services/kubernetes/spec/clusterIPs", ["10.17.0.1"] ],
		[ "set", "services/kube-dns/spec/clusterIPs", ["10.17.0.10"] ]
	]);
	static const char expected[] =
		"services aliases 2 Services services=late-renumber-bridge,"
		"same-host-renumber-bridge\n"
		"services flip-group 2 Services services=late,same-host\n"
		"services alias-trims 2 Services services=late-renumber-bridge,"
		"same-host-renumber-bridge\n"
		"nodes kubelet-dns cp3:/var/lib/kubelet/config.yaml dns=10.17.0.10\n"
		"group\nshop/late 10.96.3.8 10.17.3.8\nshop/same-host 10.96.3.7 10.17.0.2\n"
		"clusterIPs 10.17.255.253 10.17.255.252\n";
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_json json_t *edits = json_loads(later, 0, NULL);
	auto_json json_t *observation = observation_case_read("tests/data/plan/servicecidr");
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};
	auto_plan struct plan found = {0};
	auto_buffer struct buffer got = {0};
	json_t *edit;
	size_t i;

	TEST("what came meanwhile");
	c.observation = observation_case_read("tests/data/plan/servicecidr");
	if (!CHECK_OK(migrate_make(&c, &err), &err))
		return;
	json_array_foreach(edits, i, edit)
		CHECK(observation_case_edit(observation, edit));
	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err) ||
	    !CHECK_OK(plan_sweep(cluster, &c.plan, &found, &err), &err))
		return;
	for (i = 0; i < found.count; i++)
		outline_step(&got, &found.steps[i]);
	outline_moves(&got, &found);
	buffer_format(&got, "clusterIPs %s %s\n",
		      json_path_text(found.steps[0].parameters, "services.0.clusterIP"),
		      json_path_text(found.steps[0].parameters, "services.1.clusterIP"));
	CHECK_STR(buffer_cstr(&got), expected);
	check_round_trip(&found);
}

/* Three control planes took 449 s with six workloads, of which this one has one. */
static void sum(void)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};
	struct plan_sum got;

	TEST("what it comes to");
	c.observation = observation_case_read("tests/data/doctor/healthy-1.36");
	c.request = json_pack("{s:s}", "restart", "needed");
	if (!CHECK_OK(migrate_make(&c, &err), &err))
		return;
	got = plan_sum(&c.plan);
	CHECK_INT(got.services, 2);
	CHECK_INT(got.api_servers, 3);
	CHECK_INT(got.kubelets, 3);
	CHECK_INT(got.workloads, 1);
	CHECK(got.seconds > 380 && got.seconds < 460);
}

/* A cluster that is on the target already has nothing to do. */
static void nothing(void)
{
	__attribute__((cleanup(migrate_release))) struct migrate_case c = {0};
	auto_error struct error err = {0};

	TEST("nothing to do");
	c.observation = observation_case_read("tests/data/doctor/healthy-1.36");
	c.request = json_pack("{s:s}", "to", "10.96.0.0/16");
	CHECK_OK(migrate_make(&c, &err), &err);
	CHECK_INT(c.plan.count, 0);
}

int main(void)
{
	test_each_case("plan", migrate);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		refusal(i);
	half_way_is_refused();
	restarts_wait_for_proxies();
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		map_refused(i);
	sweep();
	sum();
	nothing();
	return test_done();
}
