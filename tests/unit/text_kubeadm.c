/* SPDX-License-Identifier: MIT */
#include "text/kubeadm.h"

#include <stdlib.h>

#include "lib/edit_case.h"
#include "lib/test.h"

/* subnet CIDR, range CIDR, san+ NAME…, san- NAME…, arg COMPONENT NAME [VALUE],
 * is FIELD VALUE */
static int check_field(const struct edit_line *line, struct slice text, struct buffer *ret,
		       struct error *err)
{
	auto_kubeadm_config struct kubeadm_config c = {0};
	auto_buffer struct buffer sans = {0};
	const char *field = line->words[1], *want = line->words[2];

	if (kubeadm_config_read(&c, "input", text, err) < 0)
		return -1;
	for (size_t i = 0; i < c.cert_san_count; i++)
		buffer_format(&sans, "%s%s", i > 0 ? "," : "", c.cert_sans[i]);
	if (strcmp(field, "range") == 0)
		CHECK_STR(kubeadm_config_service_range(&c), want);
	else if (strcmp(field, "subnet") == 0)
		CHECK_STR(c.service_subnet, want);
	else if (strcmp(field, "pods") == 0)
		CHECK_STR(c.pod_subnet, want);
	else if (strcmp(field, "domain") == 0)
		CHECK_STR(c.dns_domain, want);
	else if (strcmp(field, "endpoint") == 0)
		CHECK_STR(c.control_plane_endpoint, want);
	else if (strcmp(field, "version") == 0)
		CHECK_STR(c.kubernetes_version, want);
	else if (strcmp(field, "sans") == 0)
		CHECK_STR(buffer_cstr(&sans), want);
	else if (strcmp(field, "certs") == 0)
		CHECK_STR(c.certificates_dir, want);
	else if (strcmp(field, "algorithm") == 0)
		CHECK_STR(c.encryption_algorithm, want);
	else
		CHECK_STR(kubeadm_args_get(&c.api_server, field), want);
	buffer_slice(ret, text);
	return 0;
}

static int apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		 struct error *err)
{
	const char *verb = line->words[0], *first = line->words[1];
	const char *const *words = (const char *const *)line->words + 1;
	size_t count = line->count - 1;

	if (strcmp(verb, "subnet") == 0)
		return kubeadm_set_service_subnet("input", text, first, ret, err);
	if (strcmp(verb, "range") == 0)
		return kubeadm_set_service_range("input", text, first, ret, err);
	if (strcmp(verb, "san+") == 0)
		return kubeadm_add_cert_sans("input", text, words, count, ret, err);
	if (strcmp(verb, "san-") == 0)
		return kubeadm_remove_cert_sans("input", text, words, count, ret, err);
	if (strcmp(verb, "arg") == 0 && count >= 2)
		return kubeadm_set_arg("input", text,
				       strcmp(first, "apiServer") == 0 ? KUBEADM_API_SERVER
								       : KUBEADM_CONTROLLER_MANAGER,
				       words[1], words[2], false, ret, err);
	if (strcmp(verb, "is") == 0)
		return check_field(line, text, ret, err);
	return error_set(err, ERROR_USAGE, "no verb '%s'", verb);
}

static void run_case(const char *dir)
{
	edit_case_run(dir, apply, true);
}

static void test_errors(void)
{
	static const struct {
		const char *text, *message;
		enum error_kind kind;
	} rows[] = {
		{"kind: InitConfiguration\n", "c: no ClusterConfiguration", ERROR_NOT_FOUND},
		{"", "no ClusterConfiguration", ERROR_NOT_FOUND},
		{"apiVersion: kubeadm.k8s.io/v1alpha3\nkind: ClusterConfiguration\n",
		 "c:1:13: kubeadm API version 'kubeadm.k8s.io/v1alpha3' is not known", ERROR_PARSE},
		{"kind: ClusterConfiguration\n", "version '' is not known", ERROR_PARSE},
		{"kind: [\n", "c:", ERROR_PARSE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_kubeadm_config struct kubeadm_config c = {0};

		TEST("no usable kubeadm configuration %zu", i);
		CHECK_ERROR(kubeadm_config_read(&c, "c", slice_of(rows[i].text), &err), &err,
			    rows[i].kind, rows[i].message);
	}
}

int main(void)
{
	test_errors();
	test_each_case("kubeadm", run_case);
	return test_done();
}
