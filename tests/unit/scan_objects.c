/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "scan/packed.h"
#include "text/json.h"

static struct scan_matcher matcher(void)
{
	struct net_cidr_list list = {0};
	struct scan_matcher m;
	auto_error struct error err = {0};

	CHECK_OK(net_cidr_list_parse(SLICE("10.96.0.0/16"), &list, &err), &err);
	scan_matcher_init(&m, &list);
	return m;
}

/* "CODE subject location match" a line. */
static void show(const struct scan_result *r, struct buffer *out)
{
	for (size_t i = 0; i < r->count; i++)
		buffer_format(out, "%s %s %s %s\n", r->hits[i].rule->code, r->hits[i].subject,
			      r->hits[i].location, r->hits[i].match);
}

static void test_list(void)
{
	static const char list[] =
		"{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
		"\"7\","
		"\"continue\":\"a\\\"b\"},\"items\":[{\"metadata\":{\"name\":\"a\",\"namespace\":"
		"\"x\"},"
		"\"spec\":{\"containers\":[{\"env\":[{\"name\":\"no_proxy\",\"value\":\"10.96.0."
		"1\"},"
		"{\"name\":\"B\",\"value\":\"http://10.96.0.2/\"}]}]},"
		"\"status\":{\"message\":\"dial 10.96.0.3\"}},"
		"{\"metadata\":{\"name\":\"b.c\",\"namespace\":\"x\",\"annotations\":{\"k.io/a\":"
		"\"10.96.0.4\"},\"managedFields\":[{\"m\":\"10.96.0.5\"}]}}]}";
	auto_scan_result struct scan_result result = {0};
	auto_buffer struct buffer text = {0};
	struct scan_matcher m;
	auto_free char *from = NULL;

	TEST("a list of the API: each reference with its object and field");
	m = matcher();
	scan_objects(&result, &m, slice_of(list));
	show(&result, &text);
	CHECK_STR(buffer_cstr(&text), "KR905 Pod/x/a spec.containers[0].env[0].value 10.96.0.1\n"
				      "KR903 Pod/x/a spec.containers[0].env[1].value 10.96.0.2\n"
				      "KR909 Pod/x/a status.message 10.96.0.3\n"
				      "KR903 Pod/x/b.c metadata.annotations[\"k.io/a\"] 10.96.0.4\n"
				      "KR909 Pod/x/b.c metadata.managedFields[0].m 10.96.0.5\n");
	CHECK_STR(result.hits[1].evidence, "\"http://10.96.0.2/\"");

	TEST("the mark of the next page");
	from = scan_list_continue(slice_of(list));
	CHECK_STR(from, "a\\\"b");
	CHECK(!scan_list_continue(SLICE("{\"metadata\":{\"continue\":\"\"},\"items\":[]}")));
	CHECK(!scan_list_continue(SLICE("{\"items\":[{\"metadata\":{\"continue\":\"x\"}}],"
					"\"metadata\":{\"a\":{\"continue\":\"y\"}}}")));
	CHECK(!scan_list_continue(SLICE("")));
	free(from);
	from = scan_list_continue(SLICE("{\"items\":[{\"a\":1}],\"kind\":\"X\",\"metadata\":{"
					"\"continue\":\"z\"}}"));
	CHECK_STR(from, "z");
}

/* Node-local DNS that a run handles, and what follows from it; not its kin elsewhere. */
static void test_local_dns(void)
{
	static const struct {
		const char *list;
		const char *want;
	} rows[] = {
		{"{\"kind\":\"ConfigMapList\",\"items\":[{\"metadata\":{\"name\":\"node-local-"
		 "dns\","
		 "\"namespace\":\"kube-system\",\"uid\":\"u\"},\"data\":{\"Corefile\":\"bind "
		 "10.96.0.10\"}}]}",
		 "KR901 ConfigMap/kube-system/node-local-dns data.Corefile 10.96.0.10\n"},
		{"{\"kind\":\"ConfigMapList\",\"items\":[{\"metadata\":{\"name\":\"nodelocaldns\","
		 "\"namespace\":\"other\",\"uid\":\"u\"},\"data\":{\"Corefile\":\"bind "
		 "10.96.0.10\"}}]}",
		 "KR904 ConfigMap/other/nodelocaldns data.Corefile 10.96.0.10\n"},
		{"{\"kind\":\"DaemonSetList\",\"items\":[{\"metadata\":{\"name\":\"nodelocaldns\","
		 "\"namespace\":\"kube-system\",\"uid\":\"u\",\"annotations\":{\"kubectl."
		 "kubernetes.io/"
		 "last-applied-configuration\":\"10.96.0.10\"}},\"spec\":{\"template\":{\"spec\":"
		 "{\"containers\":[{\"args\":[\"-localip\",\"169.254.20.10,10.96.0.10\"]}]}}}}]}",
		 "KR902 DaemonSet/kube-system/nodelocaldns "
		 "metadata.annotations[\"kubectl.kubernetes."
		 "io/last-applied-configuration\"] 10.96.0.10\n"
		 "KR901 DaemonSet/kube-system/nodelocaldns "
		 "spec.template.spec.containers[0].args[1] 10.96.0.10\n"},
		{"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"node-local-dns-x\","
		 "\"namespace\":\"kube-system\",\"uid\":\"u\"},\"spec\":{\"containers\":[{\"args\":"
		 "[\"10.96.0.10\"]}]}}]}",
		 "KR901 Pod/kube-system/node-local-dns-x spec.containers[0].args[0] 10.96.0.10\n"},
		{"{\"kind\":\"ControllerRevisionList\",\"items\":[{\"metadata\":{\"name\":\"x-1\","
		 "\"namespace\":\"kube-system\",\"uid\":\"u\"},\"data\":{\"spec\":\"10.96.0.10\"}}]"
		 "}",
		 "KR909 ControllerRevision/kube-system/x-1 data.spec 10.96.0.10\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_scan_result struct scan_result result = {0};
		auto_buffer struct buffer text = {0};
		struct scan_matcher m = matcher();

		TEST("node-local DNS %zu", i);
		scan_objects(&result, &m, slice_of(rows[i].list));
		show(&result, &text);
		CHECK_STR(buffer_cstr(&text), rows[i].want);
	}
}

static char *base64(const void *bytes, size_t len)
{
	char *text = alloc_bytes(len * 2 + 4);

	text[EVP_EncodeBlock((unsigned char *)text, bytes, (int)len)] = '\0';
	return text;
}

/* base64 of gzip, as Helm has it before Kubernetes encodes it once more */
static char *packed(const char *text)
{
	unsigned char bytes[1024];
	z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
		      .avail_in = (uInt)strlen(text),
		      .next_out = bytes,
		      .avail_out = sizeof(bytes)};

	CHECK(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&z);
	return base64(bytes, sizeof(bytes) - z.avail_out);
}

static void test_secrets(void)
{
	static const char config[] = "kind: Config\nclusters:\n- cluster:\n"
				     "    server: https://10.96.0.1:443\n";
	auto_free char *release = packed("{\"manifest\":\"spec:\\n  clusterIP: 10.96.0.50\\n\"}");
	auto_free char *twice = base64(release, strlen(release));
	auto_free char *kubeconfig = base64(config, sizeof(config) - 1);
	auto_free char *cut = base64("\x1f\x8b\x08\x00 broken", 11);
	auto_json json_t *list = json_pack(
		"{s:s,s:[{s:s,s:{s:s,s:s},s:{s:s}},{s:{s:s,s:s},s:{s:s,s:s,s:s}}]}", "kind",
		"SecretList", "items", "type", "helm.sh/release.v1", "metadata", "name", "r",
		"namespace", "n", "data", "release", twice, "metadata", "name", "k", "namespace",
		"n", "data", "config", kubeconfig, "cut", cut, "none", "not base64!");
	auto_scan_result struct scan_result result = {0};
	auto_buffer struct buffer text = {0};
	struct scan_matcher m;

	TEST("values of Secrets and a release of Helm");
	m = matcher();
	if (!CHECK(list != NULL))
		return;
	scan_packed_objects(&result, &m, list);
	show(&result, &text);
	CHECK_STR(buffer_cstr(&text), "KR902 Secret/n/r data.release 10.96.0.50\n"
				      "KR907 Secret/n/k data.config 10.96.0.1\n");
	for (size_t i = 0; i < result.count; i++)
		CHECK_STR(result.hits[i].evidence, "");
	CHECK_INT(result.gap_count, 1);
	CHECK_STR(result.gaps[0].reason, "data.cut cannot be unpacked");
}

int main(void)
{
	test_local_dns();
	test_list();
	test_secrets();
	return test_done();
}
