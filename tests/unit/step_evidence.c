/* SPDX-License-Identifier: MIT */
#include "step/evidence.h"

#include <string.h>

#include "lib/test.h"
#include "text/json.h"

/* default/kubernetes moved at second 1000; an alias keeps its old address, another that of DNS. */
static const char observation[] =
	"{\"version\":{\"gitVersion\":\"v1.36.3\",\"major\":\"1\",\"minor\":\"36\"},\"observedAt\":"
	"2000,"
	"\"nodes\":[{\"metadata\":{\"name\":\"cp1\"},\"status\":{\"addresses\":[{\"type\":"
	"\"InternalIP\","
	"\"address\":\"10.1.15.121\"}]}},{\"metadata\":{\"name\":\"w1\"},\"status\":{\"addresses\":"
	"["
	"{\"type\":\"InternalIP\",\"address\":\"10.1.15.131\"}]}}],"
	"\"services\":["
	"{\"metadata\":{\"namespace\":\"default\",\"name\":\"kubernetes\"},\"spec\":{\"type\":"
	"\"ClusterIP\","
	"\"clusterIP\":\"10.17.0.1\",\"clusterIPs\":[\"10.17.0.1\"]}},"
	"{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"kube-dns\"},\"spec\":{\"type\":"
	"\"ClusterIP\","
	"\"clusterIP\":\"10.17.0.10\",\"clusterIPs\":[\"10.17.0.10\"]}},"
	"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"again\"},\"spec\":{\"type\":"
	"\"ClusterIP\","
	"\"clusterIP\":\"10.96.0.99\",\"clusterIPs\":[\"10.96.0.99\"]}},"
	"{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"api-alias\",\"labels\":{"
	"\"kubectl-renumber/"
	"run\":\"r1\"}},\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.1\","
	"\"clusterIPs\":[\"10.96.0.1\"]}},"
	"{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"dns-alias\",\"labels\":{"
	"\"kubectl-renumber/"
	"run\":\"r1\"}},\"spec\":{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.17.9.9\","
	"\"clusterIPs\":[\"10.17.9.9\"]},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"10."
	"96.0.10\"}]}}}],"
	"\"pods\":["
	"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"old\",\"uid\":\"u-old\"},\"spec\":{"
	"\"nodeName\":\"w1\"},"
	"\"status\":{\"podIP\":\"10.244.2.5\"}},"
	"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"fresh\",\"uid\":\"u-fresh\"},\"spec\":{"
	"\"nodeName\":\"w1\"},"
	"\"status\":{\"podIP\":\"10.244.2.6\"}}],"
	"\"hosts\":{\"w1\":{\"containers\":["
	"{\"podUID\":\"u-old\",\"containerID\":\"c1\",\"startedAt\":500,\"env\":{\"KUBERNETES_"
	"SERVICE_HOST\":"
	"\"10.96.0.1\"},\"nameservers\":[\"10.96.0.10\"]},"
	"{\"podUID\":\"u-old\",\"containerID\":\"c2\",\"startedAt\":1500,\"env\":{\"KUBERNETES_"
	"SERVICE_HOST\":"
	"\"10.17.0.1\"},\"nameservers\":[\"10.96.0.10\"]},"
	"{\"podUID\":\"u-fresh\",\"containerID\":\"c3\",\"startedAt\":1500,\"env\":{\"KUBERNETES_"
	"SERVICE_HOST\":"
	"\"10.17.0.1\"},\"nameservers\":[\"10.17.0.10\"]}]},"
	"\"cp1\":{\"problem\":\"asleep\"}},"
	"\"serviceCIDRs\":[{\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":[\"10.17.0."
	"0/16\"]}},"
	"{\"metadata\":{\"name\":\"renumber-old\"},\"spec\":{\"cidrs\":[\"10.96.0.0/16\"]}}]}";

static struct plan plan;

static struct cluster *build(void)
{
	auto_error struct error err = {0};
	auto_json json_t *document = json_loads(observation, 0, NULL);
	struct cluster *cluster = NULL;

	CHECK(document);
	CHECK_OK(cluster_build(document, &cluster, &err), &err);
	return cluster;
}

static void make_plan(void)
{
	static char to[] = "10.17.0.0/16";

	plan = (struct plan){.mode = PLAN_MIGRATE,
			     .to = to,
			     .from = json_pack("[s]", "10.96.0.0/16"),
			     .map = json_pack("[{s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:s}]", "namespace",
					      "default", "name", "kubernetes", "from", "10.96.0.1",
					      "to", "10.17.0.1", "namespace", "kube-system", "name",
					      "kube-dns", "from", "10.96.0.10", "to",
					      "10.17.0.10")};
}

static const struct evidence_use *find(const struct evidence *e, const char *who,
				       enum evidence_how how)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->uses[i].who, who) == 0 && e->uses[i].how == how)
			return &e->uses[i];
	return NULL;
}

static void test_observed(const struct evidence_request *request)
{
	auto_evidence struct evidence e = {0};
	auto_free char *who = NULL;
	auto_free char *dns = NULL;
	const struct evidence_use *use;

	TEST("what containers hold is used, though an alias answers");
	evidence_from_cluster(request, &e);
	use = find(&e, "shop/old", EVIDENCE_ENVIRONMENT);
	if (CHECK(use))
		CHECK_STR(use->address, "10.96.0.1");
	use = find(&e, "shop/old", EVIDENCE_RESOLV_CONF);
	if (CHECK(use))
		CHECK_STR(use->address, "10.96.0.10");
	CHECK(!find(&e, "shop/fresh", EVIDENCE_ENVIRONMENT));
	CHECK_INT(evidence_used(&e, true), 2);

	TEST("containers by their start, Pods by their DNS address");
	CHECK_INT(e.containers_before, 1);
	CHECK_INT(e.containers_after, 2);
	CHECK_INT(e.pods_old_dns, 1);
	CHECK_INT(e.pods_new_dns, 1);
	CHECK_INT(e.nodes_seen, 1);
	if (CHECK_INT(e.blind_count, 1))
		CHECK(strstr(e.blind[0], "'cp1'"));

	TEST("who it is and who loses DNS is said");
	who = evidence_who(&e, true, 1);
	CHECK_STR(who, "shop/old uses 10.96.0.1 (environment), and 1 more");
	dns = evidence_loses_dns(&e, 5);
	CHECK_STR(dns, "shop/old");
}

static void test_connections(const struct evidence_request *request)
{
	auto_json json_t *reply = json_pack(
		"{s:b, s:b, "
		"s:[{s:s,s:s,s:i,s:s,s:i,s:i},{s:s,s:s,s:i,s:s,s:i,s:i},{s:s,s:s,s:i,s:s,s:i,s:i},"
		"{s:s,s:s,s:i,s:s,s:i,s:i},{s:s,s:s,s:i,s:s,s:i,s:i},{s:s,s:s,s:i,s:s,s:i,s:i}]}",
		"known", 1, "truncated", 0, "users",
		/* a Pod that keeps a connection open */
		"source", "10.244.2.6", "address", "10.96.0.1", "port", 443, "protocol", "tcp",
		"connections", 3, "fresh", 2,
		/* a process of a node */
		"source", "10.1.15.121", "address", "10.96.0.10", "port", 53, "protocol", "udp",
		"connections", 1, "fresh", 1,
		/* over since before */
		"source", "10.244.2.5", "address", "10.96.0.1", "port", 443, "protocol", "tcp",
		"connections", 9, "fresh", 0,
		/* a stranger */
		"source", "192.168.7.7", "address", "10.96.0.1", "port", 443, "protocol", "tcp",
		"connections", 1, "fresh", 1,
		/* an address that a Service has by right */
		"source", "10.244.2.6", "address", "10.96.0.99", "port", 80, "protocol", "tcp",
		"connections", 1, "fresh", 1,
		/* an address that was nobody's */
		"source", "10.244.2.6", "address", "10.96.7.7", "port", 80, "protocol", "tcp",
		"connections", 1, "fresh", 1);
	auto_json json_t *blind = json_pack("{s:b, s:s}", "known", 0, "problem", "no such table");
	auto_evidence struct evidence e = {0};
	auto_buffer struct buffer text = {0};
	const struct evidence_use *use;
	auto_json json_t *json = NULL;

	TEST("connections are their clients'");
	evidence_from_cluster(request, &e);
	CHECK(reply);
	evidence_add_connections(request, "w1", reply, &e);
	use = find(&e, "shop/fresh", EVIDENCE_CONNECTION);
	if (CHECK(use)) {
		CHECK_STR(use->what, "tcp/443");
		CHECK_INT(use->connections, 2);
	}
	CHECK(find(&e, "node cp1", EVIDENCE_CONNECTION));
	CHECK(find(&e, "192.168.7.7 (seen on w1)", EVIDENCE_CONNECTION));
	CHECK(!find(&e, "shop/old", EVIDENCE_CONNECTION));
	CHECK_INT(evidence_used(&e, true), 5);
	CHECK_INT(evidence_used(&e, false), 2);

	TEST("seen again they are counted once, from another node too");
	evidence_add_connections(request, "cp1", reply, &e);
	CHECK_INT(evidence_used(&e, true), 6); /* the stranger stands on both nodes */

	TEST("a node that shows no table is said");
	evidence_add_connections(request, "cp1", blind, &e);
	CHECK_INT(e.blind_count, 2);

	TEST("as text and as JSON");
	evidence_print(&e, 2, &text);
	CHECK(strstr(buffer_cstr(&text),
		     "  10.96.0.1 (default/kubernetes), kept by kube-system/api-alias: 4 users\n"
		     "      shop/old (environment)\n"
		     "      shop/fresh (connections tcp/443)\n"
		     "      and 2 more (-o wide)\n"));
	json = evidence_json(&e);
	CHECK_STR(json_path_text(json, "addresses.0.alias"), "kube-system/api-alias");
	CHECK_STR(json_path_text(json, "addresses.0.users.0.how"), "environment");
	CHECK_INT(json_path_int(json, "podsOldDNS", -1), 1);
}

int main(void)
{
	struct cluster *cluster;
	struct evidence_request request;

	TEST("the observation");
	make_plan();
	cluster = build();
	request = (struct evidence_request){.cluster = cluster, .plan = &plan, .moved_s = 1000};
	test_observed(&request);
	test_connections(&request);
	json_decref(plan.from);
	json_decref(plan.map);
	cluster_free(cluster);
	return test_done();
}
