/* SPDX-License-Identifier: MIT */
#include "text/kubelet.h"

#include <stdlib.h>

#include "lib/edit_case.h"
#include "lib/test.h"

/* dns ADDRESS…, is dns|domain|cgroup|pods VALUE */
static int apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		 struct error *err)
{
	auto_kubelet_config struct kubelet_config c = {0};
	auto_buffer struct buffer dns = {0};
	const char *field = line->words[1], *want = line->words[2];

	if (strcmp(line->words[0], "dns") == 0)
		return kubelet_set_cluster_dns("input", text, (const char *const *)line->words + 1,
					       line->count - 1, ret, err);
	if (kubelet_config_read(&c, "input", text, err) < 0)
		return -1;
	for (size_t i = 0; i < c.cluster_dns_count; i++)
		buffer_format(&dns, "%s%s", i > 0 ? "," : "", c.cluster_dns[i]);
	if (strcmp(field, "dns") == 0)
		CHECK_STR(buffer_cstr(&dns), want);
	else if (strcmp(field, "domain") == 0)
		CHECK_STR(c.cluster_domain, want);
	else if (strcmp(field, "cgroup") == 0)
		CHECK_STR(c.cgroup_driver, want);
	else
		CHECK_STR(c.static_pod_path, want);
	buffer_slice(ret, text);
	return 0;
}

static void run_case(const char *dir)
{
	edit_case_run(dir, apply, true);
}

static void test_errors(void)
{
	auto_error struct error err = {0};
	auto_kubelet_config struct kubelet_config c = {0};
	auto_buffer struct buffer out = {0};
	const char *const dns[] = {"10.17.0.10"};

	TEST("a file of another kind");
	CHECK_ERROR(kubelet_config_read(&c, "k", SLICE("kind: Pod\n"), &err), &err, ERROR_NOT_FOUND,
		    "k: no KubeletConfiguration");
	CHECK_ERROR(kubelet_set_cluster_dns("k", SLICE("kind: Pod\n"), dns, 1, &out, &err), &err,
		    ERROR_NOT_FOUND, "k: no KubeletConfiguration");
	TEST("clusterDNS that is no list");
	CHECK_ERROR(kubelet_set_cluster_dns(
			    "k", SLICE("kind: KubeletConfiguration\nclusterDNS: 10.96.0.10\n"), dns,
			    1, &out, &err),
		    &err, ERROR_PARSE, "k:2:13: clusterDNS is not a list");
	CHECK_INT(out.len, 0);
}

int main(void)
{
	test_errors();
	test_each_case("kubelet", run_case);
	return test_done();
}
