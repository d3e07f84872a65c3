/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "model/cluster.h"
#include "text/json.h"

static struct cluster *build(const char *extra)
{
	auto_error struct error err = {0};
	auto_free char *text = alloc_format(
		"{\"version\":{\"gitVersion\":\"v1.36.3\",\"major\":\"1\",\"minor\":\"36+\"},"
		"\"nodes\":[],\"pods\":[]%s}",
		extra);
	auto_json json_t *document = json_parse(slice_of(text), "test", &err);
	struct cluster *cluster = NULL;

	if (!document || cluster_build(document, &cluster, &err) < 0) {
		test_begin("observation: %s", error_text(&err));
		CHECK(false);
		exit(test_done());
	}
	return cluster;
}

static void test_malformed(void)
{
	static const struct {
		const char *document;
		const char *message;
	} rows[] = {
		{"[]", "not a JSON object"},
		{"{}", "'version'"},
		{"{\"version\":{\"gitVersion\":\"v1.36.3\",\"major\":\"x\",\"minor\":\"1\"}}",
		 "'version'"},
		{"{\"version\":{\"gitVersion\":\"v1\",\"major\":\"1\",\"minor\":\"1\"},"
		 "\"services\":{}}",
		 "'services'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_json json_t *document = json_parse(slice_of(rows[i].document), "test", &err);
		auto_cluster struct cluster *cluster = NULL;

		TEST("no observation: %s", rows[i].document);
		CHECK_ERROR(cluster_build(document, &cluster, &err), &err, ERROR_PARSE,
			    rows[i].message);
	}
}

static void test_services(void)
{
	auto_cluster struct cluster *c = build(
		",\"services\":["
		"{\"metadata\":{\"namespace\":\"a\",\"name\":\"headless\"},\"spec\":{\"clusterIP\":"
		"\"None\",\"clusterIPs\":[\"None\"]}},"
		"{\"metadata\":{\"namespace\":\"a\",\"name\":\"old\"},\"spec\":{\"clusterIP\":"
		"\"10.96.0.5\"}},"
		"{\"metadata\":{\"namespace\":\"a\",\"name\":\"dual\"},\"spec\":{\"clusterIP\":"
		"\"10.96.0.6\",\"clusterIPs\":[\"10.96.0.6\",\"FD00:0::6\"]}},"
		"{\"metadata\":{\"namespace\":\"a\",\"name\":\"parked\"},\"spec\":{\"type\":"
		"\"ExternalName\",\"externalName\":\"x\",\"clusterIP\":\"10.96.0.7\"}},"
		"{\"metadata\":{\"namespace\":\"a\",\"name\":\"alias\",\"labels\":{"
		"\"" CLUSTER_RUN_LABEL
		"\":\"r1\"}},\"spec\":{\"clusterIP\":\"10.96.0.8\"},\"status\":{\"loadBalancer\":"
		"{\"ingress\":[{\"ip\":\"10.96.0.9\"},{\"hostname\":\"h\"}]}}}]");
	const struct cluster_service *dual = cluster_find_service(c, "a", "dual");

	TEST("cluster IPs: none for headless, one without the list, canonical texts");
	CHECK(cluster_find_service(c, "a", "headless")->headless);
	CHECK_INT(cluster_find_service(c, "a", "headless")->cluster_ips.count, 0);
	CHECK_STR(cluster_find_service(c, "a", "old")->cluster_ips.items[0], "10.96.0.5");
	CHECK_INT(dual->cluster_ips.count, 2);
	CHECK_STR(dual->cluster_ips.items[1], "fd00::6");
	CHECK_INT(cluster_find_service(c, "a", "parked")->cluster_ips.count, 0);
	CHECK(cluster_find_service(c, "b", "dual") == NULL);

	TEST("the holder of an address is never an alias");
	CHECK(cluster_find_holder(c, "10.96.0.6") == dual);
	CHECK(cluster_find_holder(c, "10.96.0.8") == NULL);
	CHECK(cluster_find_holder(c, "10.96.0.9") == NULL);
	CHECK(cluster_find_holder(c, "10.96.0.1") == NULL);
	CHECK_STR(cluster_find_service(c, "a", "alias")->alias_run, "r1");
	CHECK_STR(cluster_find_service(c, "a", "alias")->ingress_ips.items[0], "10.96.0.9");
	CHECK_INT(c->minor, 36);
}

static void test_ranges(void)
{
	auto_cluster struct cluster *c = build(",\"services\":[]");

	TEST("questions about ranges");
	CHECK(cluster_range_contains("10.96.0.0/16,fd00::/112", "fd00::9"));
	CHECK(!cluster_range_contains("10.96.0.0/16", "10.97.0.0"));
	CHECK(!cluster_range_contains(NULL, "10.97.0.0"));
	CHECK(!cluster_range_contains("10.96.0.0/16", NULL));
	CHECK(cluster_range_equal("10.96.5.5/16", "10.96.0.0/16"));
	CHECK(!cluster_range_equal("10.96.0.0/17", "10.96.0.0/16"));
	CHECK(!cluster_range_equal(NULL, NULL));
	CHECK_STR(cluster_nth_address(c, "10.17.0.0/16", 1), "10.17.0.1");
	CHECK_STR(cluster_nth_address(c, "fd00::/112,10.0.0.0/24", 10), "fd00::a");
	CHECK(cluster_nth_address(c, "nonsense", 1) == NULL);
}

static void test_former(void)
{
	auto_cluster struct cluster *c = build(
		",\"services\":[],\"serviceCIDRAPI\":\"networking.k8s.io/v1\",\"serviceCIDRs\":["
		"{\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":[\"10.96.0.0/16\"]}},"
		"{\"metadata\":{\"name\":\"extra\"},\"spec\":{\"cidrs\":[\"10.40.0.0/24\"]}},"
		"{\"metadata\":{\"name\":\"gone\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"
		"\"spec\":{\"cidrs\":[\"10.50.0.0/24\"]}}],\"configMaps\":{"
		"\"kube-system/kubeadm-config\":{\"data\":{\"ClusterConfiguration\":"
		"\"apiVersion: kubeadm.k8s.io/v1beta3\\nkind: ClusterConfiguration\\nnetworking:\\n"
		"  serviceSubnet: 10.96.0.0/16\\n\"}}}");
	struct cluster_texts former = cluster_former_ranges(c, "10.17.0.0/16");

	TEST("former ranges: most sources first, not what an operator added");
	if (CHECK_INT(former.count, 2)) {
		CHECK_STR(former.items[0], "10.96.0.0/16");
		CHECK_STR(former.items[1], "10.50.0.0/24");
	}
	CHECK_INT(cluster_former_ranges(c, "10.96.0.0/16").count, 1);

	TEST("a cover is ready and stays");
	CHECK_STR(cluster_find_cover(c, "10.40.0.7")->name, "extra");
	CHECK(cluster_find_cover(c, "10.50.0.7") == NULL);
}

static void test_local_dns(void)
{
	auto_cluster struct cluster *c = build(
		",\"services\":[],\"localDNS\":[{\"namespace\":\"kube-system\",\"name\":\"node-"
		"local-dns\","
		"\"addresses\":\"169.254.20.10, 10.96.0.10,,010.96.0.10\",\"configMap\":\"m\","
		"\"corefile\":\"bind\",\"managers\":[\"kubectl-edit\",\"helm\",\"flux\"]},"
		"{\"name\":\"without a namespace\"},"
		"{\"namespace\":\"kube-system\",\"name\":\"bare\",\"addresses\":7,\"managers\":{}}"
		"]");

	TEST("node-local DNS");
	if (!CHECK_INT(c->local_dns_count, 2))
		return;
	CHECK_INT(c->local_dns[0].addresses.count, 3);
	CHECK_STR(c->local_dns[0].addresses.items[1], "10.96.0.10");
	CHECK_STR(c->local_dns[0].config_map, "m");
	CHECK_STR(c->local_dns[0].pinned_by, "helm");
	CHECK_INT(c->local_dns[1].addresses.count, 0);
	CHECK_STR(c->local_dns[1].pinned_by, NULL);
}

int main(void)
{
	test_local_dns();
	test_malformed();
	test_services();
	test_ranges();
	test_former();
	return test_done();
}
