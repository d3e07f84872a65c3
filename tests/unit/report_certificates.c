/* SPDX-License-Identifier: MIT */
#include "report/certificates.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "text/json.h"

static struct cluster *cluster_of(json_t *observation)
{
	struct cluster *cluster = NULL;
	auto_error struct error err = {0};

	CHECK_OK(cluster_build(observation, &cluster, &err), &err);
	return cluster;
}

/* "node place:missing " of the API servers' certificates. */
static char *gaps_of(const struct certificates_view *view)
{
	auto_buffer struct buffer text = {0};

	for (size_t i = 0; i < view->count; i++) {
		if (!view->rows[i].missing.count)
			continue;
		buffer_format(&text, "%s %s:", view->rows[i].node, view->rows[i].place);
		for (size_t k = 0; k < view->rows[i].missing.count; k++)
			buffer_format(&text, "%s ", view->rows[i].missing.items[k]);
	}
	return buffer_detach(&text);
}

static void test_view(void)
{
	static const struct {
		const char *name, *expected, *gaps;
	} rows[] = {
		{"healthy-1.36", "10.96.0.1", ""},
		/* flags changed, default/kubernetes still where it was */
		{"incident-flag-1.36", "10.96.0.1 10.17.0.1",
		 "cp1 pki/apiserver.crt:10.17.0.1 cp1 served on 10.1.15.121:6443:10.17.0.1 "
		 "cp2 pki/apiserver.crt:10.17.0.1 cp2 served on 10.1.15.122:6443:10.17.0.1 "
		 "cp3 pki/apiserver.crt:10.17.0.1 cp3 served on 10.1.15.123:6443:10.17.0.1 "},
		{"incident-certs-1of3-1.36", "10.17.0.1",
		 "cp2 pki/apiserver.crt:10.17.0.1 cp2 served on 10.1.15.122:6443:10.17.0.1 "
		 "cp3 pki/apiserver.crt:10.17.0.1 cp3 served on 10.1.15.123:6443:10.17.0.1 "},
		{"incident-certs-2of3-1.36", "10.17.0.1",
		 "cp3 pki/apiserver.crt:10.17.0.1 cp3 served on 10.1.15.123:6443:10.17.0.1 "},
		{"incident-certs-all-1.36", "10.17.0.1", ""},
		/* default/kubernetes is gone: the flags still say where it belongs */
		{"incident-gone-1.36", "10.17.0.1",
		 "cp1 pki/apiserver.crt:10.17.0.1 cp1 served on 10.1.15.121:6443:10.17.0.1 "
		 "cp2 pki/apiserver.crt:10.17.0.1 cp2 served on 10.1.15.122:6443:10.17.0.1 "
		 "cp3 pki/apiserver.crt:10.17.0.1 cp3 served on 10.1.15.123:6443:10.17.0.1 "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_free char *dir = alloc_format("tests/data/doctor/%s", rows[i].name);
		auto_json json_t *observation = observation_case_read(dir);
		auto_cluster struct cluster *cluster = cluster_of(observation);
		auto_certificates struct certificates_view view = {0};
		auto_error struct error err = {0};
		auto_buffer struct buffer expected = {0};
		auto_free char *gaps = NULL;

		TEST("gaps of %s", rows[i].name);
		if (!cluster || !CHECK_OK(certificates_view(cluster, &view, &err), &err))
			continue;
		for (size_t k = 0; k < view.expected.count; k++)
			buffer_format(&expected, "%s%s", k ? " " : "", view.expected.items[k]);
		gaps = gaps_of(&view);
		CHECK_STR(buffer_cstr(&expected), rows[i].expected);
		CHECK_STR(gaps, rows[i].gaps);
	}
}

static void test_output(void)
{
	auto_json json_t *observation =
		observation_case_read("tests/data/doctor/incident-certs-1of3-1.36");
	auto_cluster struct cluster *cluster = cluster_of(observation);
	auto_certificates struct certificates_view view = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer text = {0};
	auto_buffer struct buffer markdown = {0};
	auto_json json_t *json = NULL;
	size_t missing = 0;
	const json_t *item;
	size_t i;

	TEST("the table and the document say the same");
	if (!cluster || !CHECK_OK(certificates_view(cluster, &view, &err), &err))
		return;
	certificates_print(&view, TABLE_TEXT, CERTIFICATES_WIDE, &text);
	certificates_print(&view, TABLE_MARKDOWN, CERTIFICATES_TEXT, &markdown);
	CHECK(strstr(buffer_cstr(&text), "SHA-256"));
	CHECK(strstr(buffer_cstr(&text), "served on 10.1.15.122:6443"));
	CHECK(strstr(buffer_cstr(&markdown), "| cp2 "));
	json = certificates_json(&view);
	CHECK_INT(json_array_size(json), view.count);
	json_array_foreach(json, i, item)
		missing += json_path_count(item, "missing");
	CHECK_INT(missing, 4);
	CHECK_STR(json_path_text(json_array_get(json, 0), "node"), "cp1");
}

static void test_terms(void)
{
	static const struct {
		int64_t left_s;
		const char *text;
	} rows[] = {
		{365 * 86400, "365 d"},
		{86400, "1 d"},
		{86399, "23 h"},
		{0, "0 h"},
		{-7200, "expired 2 h ago"},
		{-3 * 86400, "expired 3 d ago"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_free char *text = certificates_term(1800000000 + rows[i].left_s, 1800000000);

		TEST("%lld s left", (long long)rows[i].left_s);
		CHECK_STR(text, rows[i].text);
	}
}

/* What a certificate needs when the old one is gone. */
static void test_names(void)
{
	auto_json json_t *observation = observation_case_read("tests/data/doctor/healthy-1.36");
	auto_cluster struct cluster *cluster = cluster_of(observation);
	static const struct {
		const char *endpoint, *host;
	} rows[] = {
		{"api.example:6443", "api.example"},
		{"api.example", "api.example"},
		{"10.0.0.1:6443", "10.0.0.1"},
		{"[fd00::1]:6443", "fd00::1"},
		{"fd00::1", "fd00::1"},
	};

	if (!cluster)
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *names = NULL;
		bool found = false;
		const json_t *name;
		size_t k;

		TEST("the host of '%s' is a name", rows[i].endpoint);
		cluster->kubeadm_control_plane_endpoint = rows[i].endpoint;
		names = cluster_certificate_names(cluster, &cluster->nodes[0]);
		json_array_foreach(names, k, name)
			found |= strcmp(json_string_value(name), rows[i].host) == 0;
		CHECK(found);
		CHECK(json_array_size(names) > cluster->kubeadm_cert_sans.count);
	}
	TEST("what the server shows counts when the file is gone");
	cluster->nodes[0].host.api_server_certificate.known = false;
	{
		auto_json json_t *names = cluster_certificate_names(cluster, &cluster->nodes[0]);
		auto_free char *text = json_print(names);

		CHECK(strstr(text, "\"kubernetes.default.svc\""));
	}
}

int main(void)
{
	test_view();
	test_output();
	test_terms();
	test_names();
	return test_done();
}
