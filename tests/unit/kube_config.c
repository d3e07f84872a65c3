/* SPDX-License-Identifier: MIT */
#include "kube/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "kube/client.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* --- data cases: tests/data/kubeconfig/CASE/{config,expect,error} ------------------------------ */

static void show(struct buffer *out, const char *name, const char *value)
{
	if (value && *value)
		buffer_format(out, "%s=%s\n", name, value);
}

static void show_list(struct buffer *out, const char *name, char **list)
{
	if (!list || !list[0])
		return;
	buffer_format(out, "%s=%s", name, list[0]);
	for (size_t i = 1; list[i]; i++)
		buffer_format(out, " %s", list[i]);
	buffer_char(out, '\n');
}

static void show_exec(struct buffer *out, const struct kube_exec *exec)
{
	buffer_format(out, "exec=%s %s", exec->api_version, exec->command);
	for (size_t i = 0; exec->args && exec->args[i]; i++)
		buffer_format(out, " %s", exec->args[i]);
	buffer_char(out, '\n');
	show_list(out, "exec-env", exec->env);
	show(out, "exec-hint", exec->install_hint);
	show(out, "exec-cluster-info", exec->provide_cluster_info ? exec->cluster_extra : "");
	show(out, "exec-prompts", exec->may_prompt ? "yes" : "");
}

static void show_config(struct buffer *out, const struct kube_config *config)
{
	show(out, "context", config->context);
	show(out, "cluster", config->cluster);
	show(out, "user", config->user);
	show(out, "namespace", config->space);
	show(out, "server", config->server);
	show(out, "tls-server-name", config->tls_server_name);
	show(out, "proxy-url", config->proxy_url);
	show(out, "insecure", config->insecure ? "yes" : "");
	show(out, "compression", config->compression ? "yes" : "");
	show(out, "token", config->token.ptr);
	show(out, "token-file", config->token_file);
	show(out, "username", config->username);
	show(out, "password", config->password.ptr);
	if (config->exec)
		show_exec(out, config->exec);
	show(out, "as", config->as_user);
	show(out, "as-uid", config->as_uid);
	show_list(out, "as-groups", config->as_groups);
}

/* Replaces the case's folder by DIR, as the expectations have it. */
static char *generic(const char *text, const char *dir)
{
	auto_buffer struct buffer out = {0};
	const char *at;

	while ((at = strstr(text, dir))) {
		buffer_append(&out, text, (size_t)(at - text));
		buffer_text(&out, "DIR");
		text = at + strlen(dir);
	}
	buffer_text(&out, text);
	return buffer_detach(&out);
}

static void check_error(int result, struct error *err, const char *dir, char *want)
{
	auto_free char *message = generic(error_text(err), dir);
	const char *text = strstr(want, ": ");

	want[strcspn(want, "\n")] = '\0';
	if (strncmp(want, "usage: ", 7) == 0)
		CHECK_INT(err->kind, ERROR_USAGE);
	else if (strncmp(want, "parse: ", 7) == 0)
		CHECK_INT(err->kind, ERROR_PARSE);
	else
		text = NULL;
	text = text ? text + 2 : want;
	CHECK_INT(result, -1);
	if (!strstr(message, text))
		CHECK_STR(message, text);
	error_release(err);
}

static void test_case(const char *dir)
{
	auto_free char *relative = alloc_format("%s/config", dir);
	auto_free char *expect = alloc_format("%s/expect", dir);
	auto_free char *error = alloc_format("%s/error", dir);
	auto_free char *folder = alloc_text(test_path(dir));
	auto_free char *path = alloc_text(test_path(relative));
	auto_kube_config struct kube_config config = {0};
	struct kube_config_options options = {.path = path};
	struct error err = {0};
	int result = kube_config_load(&config, &options, &err);
	auto_buffer struct buffer shown = {0};
	auto_free char *got = NULL;
	auto_free char *want = NULL;

	if (file_exists(test_path(error))) {
		want = test_file(error, NULL);
		check_error(result, &err, folder, want);
		return;
	}
	if (!CHECK_OK(result, &err))
		return;
	show_config(&shown, &config);
	got = generic(buffer_cstr(&shown), folder);
	want = test_file(expect, NULL);
	CHECK_STR(got, want);
}

/* --- files, lists, certificates --------------------------------------------------------------- */

static const char *write_file(const char *folder, const char *name, const char *text)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];
	struct error err = {0};

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	CHECK_OK(file_replace(path, text, strlen(text), 0600, 0, &err), &err);
	return path;
}

static void test_merge(void)
{
	const char *folder = test_folder();
	const char *first = write_file(folder, "first",
				       "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
				       "users: [{name: u, user: {token: one}}]\n");
	const char *second = write_file(folder, "second",
					"current-context: a\n"
					"contexts: [{name: a, context: {cluster: wrong}}, {name: "
					"b, context: {cluster: d}}]\n"
					"clusters: [{name: c, cluster: {server: https://c}}, "
					"{name: d, cluster: {server: https://d}}]\n"
					"users: [{name: u, user: {token: two}}]\n");
	auto_free char *list = alloc_format("%s:%s/missing::%s", first, folder, second);
	auto_kube_config struct kube_config config = {0}, other = {0}, third = {0};
	struct kube_config_options options = {.context = "b"};
	struct error err = {0};

	TEST("KUBECONFIG: the first file that names a thing wins");
	setenv("KUBECONFIG", list, 1);
	CHECK_OK(kube_config_load(&config, NULL, &err), &err);
	CHECK_STR(config.server, "https://c");
	CHECK_STR(config.token.ptr, "one");
	CHECK_STR(config.source, first);

	TEST("--context chooses");
	CHECK_OK(kube_config_load(&other, &options, &err), &err);
	CHECK_STR(other.server, "https://d");
	CHECK(other.user == NULL);

	TEST("--kubeconfig goes before KUBECONFIG");
	options = (struct kube_config_options){.path = second, .context = "b"};
	CHECK_OK(kube_config_load(&third, &options, &err), &err);
	CHECK_STR(third.source, second);

	TEST("an unknown --context names those of all files");
	options = (struct kube_config_options){.context = "nope"};
	CHECK_ERROR(kube_config_load(&third, &options, &err), &err, ERROR_USAGE,
		    "there is no context 'nope' in");
	CHECK_ERROR(kube_config_load(&third, &options, &err), &err, ERROR_USAGE, "it has 'a', 'b'");
	unsetenv("KUBECONFIG");
}

static void test_nothing(void)
{
	const char *folder = test_folder();
	auto_free char *missing = file_join(folder, "nowhere");
	auto_free char *home_config = file_join(folder, ".kube/config");
	auto_free char *kube_folder = file_join(folder, ".kube");
	struct kube_config_options options = {.path = missing};
	auto_kube_config struct kube_config config = {0};
	struct error err = {0};

	TEST("a missing --kubeconfig");
	CHECK_ERROR(kube_config_load(&config, &options, &err), &err, ERROR_USAGE,
		    "/nowhere' does not exist: give another path with --kubeconfig");

	TEST("no kubeconfig at all");
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("HOME", folder, 1);
	CHECK_ERROR(kube_config_load(&config, NULL, &err), &err, ERROR_USAGE,
		    "/.kube/config' does not exist): name one with --kubeconfig or KUBECONFIG");

	TEST("~/.kube/config");
	CHECK_OK(file_make_folder(kube_folder, 0700, &err), &err);
	write_file(kube_folder, "config",
		   "current-context: h\ncontexts: [{name: h, context: {cluster: h}}]\n"
		   "clusters: [{name: h, cluster: {server: https://home}}]\n");
	CHECK_OK(kube_config_load(&config, NULL, &err), &err);
	CHECK_STR(config.server, "https://home");
	CHECK_STR(config.source, home_config);

	TEST("a kubeconfig that cannot be read");
	options.path = folder;
	CHECK_ERROR(kube_config_load(&config, &options, &err), &err, ERROR_IO,
		    "kubeconfig: cannot ");
}

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	auto_buffer struct buffer out = {0};
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		unsigned bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < len ? (unsigned char)text[i + j] : 0u);
		buffer_char(&out, digits[bits >> 18]);
		buffer_char(&out, digits[bits >> 12 & 63]);
		buffer_char(&out, i + 1 < len ? digits[bits >> 6 & 63] : '=');
		buffer_char(&out, i + 2 < len ? digits[bits & 63] : '=');
	}
	return buffer_detach(&out);
}

static int parse_identity(const char *certificate, const char *key, const char *cluster,
			  struct kube_config *ret, struct error *err)
{
	auto_free char *certificate64 = base64(certificate);
	auto_free char *key64 = base64(key);
	auto_free char *text = alloc_format(
		"current-context: x\n"
		"contexts: [{name: x, context: {cluster: x, user: u}}]\n"
		"clusters: [{name: x, cluster: {server: https://x%s}}]\n"
		"users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]\n",
		cluster, certificate64, key64);

	return kube_config_parse(ret, slice_of(text), "inline", NULL, err);
}

static void test_identity(void)
{
	struct fake_tls tls = {0}, other = {0};
	auto_kube_config struct kube_config config = {0}, by_file = {0};
	const char *folder = test_folder();
	auto_free char *ca64 = NULL;
	auto_free char *with_ca = NULL;
	struct kube_config_options options = {0};
	struct error err = {0};

	fake_tls_make(&tls, "DNS:x", 60, 60);
	fake_tls_make(&other, "DNS:x", 60, 60);
	ca64 = base64(tls.ca);

	TEST("certificate, key and CA inline");
	with_ca = alloc_format(", certificate-authority-data: %s", ca64);
	CHECK_OK(parse_identity(tls.certificate, tls.key, with_ca, &config, &err), &err);
	CHECK_STR(config.certificate.ptr, tls.certificate);
	CHECK_STR(config.key.ptr, tls.key);
	CHECK_STR(config.ca, tls.ca);

	TEST("certificate, key and CA in files beside the kubeconfig");
	write_file(folder, "c.pem", tls.certificate);
	write_file(folder, "k.pem", tls.key);
	write_file(folder, "ca.pem", tls.ca);
	options.path = write_file(
		folder, "config",
		"current-context: x\n"
		"contexts: [{name: x, context: {cluster: x, user: u}}]\n"
		"clusters: [{name: x, cluster: {server: https://x, certificate-authority: "
		"ca.pem}}]\n"
		"users: [{name: u, user: {client-certificate: ./c.pem, client-key: k.pem}}]\n");
	CHECK_OK(kube_config_load(&by_file, &options, &err), &err);
	CHECK_STR(by_file.key.ptr, tls.key);
	CHECK_STR(by_file.ca, tls.ca);

	TEST("a key of another certificate");
	CHECK_ERROR(
		parse_identity(tls.certificate, other.key, "", &config, &err), &err, ERROR_PARSE,
		"user 'u' in 'inline': the client key does not belong to the client certificate");

	TEST("a certificate that is none");
	CHECK_ERROR(parse_identity("hello", tls.key, "", &config, &err), &err, ERROR_PARSE,
		    "user 'u' in 'inline': client-certificate");

	TEST("a key that is none");
	CHECK_ERROR(parse_identity(tls.certificate, "hello", "", &config, &err), &err, ERROR_PARSE,
		    "user 'u' in 'inline': client-key");

	TEST("a CA and no verification contradict each other");
	free(with_ca);
	with_ca = alloc_format(", certificate-authority-data: %s, insecure-skip-tls-verify: true",
			       ca64);
	CHECK_ERROR(parse_identity(tls.certificate, tls.key, with_ca, &config, &err), &err,
		    ERROR_USAGE, "has both a certificate authority and insecure-skip-tls-verify");
	fake_tls_release(&tls);
	fake_tls_release(&other);
}

static void test_bytes(void)
{
	auto_kube_config struct kube_config config = {0};
	struct error err = {0};

	TEST("a NUL byte");
	CHECK_ERROR(kube_config_parse(&config, (struct slice){"a: b\0c", 6}, "f", NULL, &err), &err,
		    ERROR_PARSE, "f:1:5: not a text: a NUL byte");
	TEST("bytes that are no UTF-8");
	CHECK_ERROR(kube_config_parse(&config, SLICE("a: b\n%\xff\xff"), "f", NULL, &err), &err,
		    ERROR_PARSE, "f:2:2: not a text: not UTF-8");
	TEST("a NUL byte by escape");
	CHECK_ERROR(
		kube_config_parse(&config, SLICE("current-context: \"a\\0b\"\n"), "f", NULL, &err),
		&err, ERROR_PARSE, "'current-context' has a NUL byte");
}

/* --- the service account of a Pod --------------------------------------------------------------- */

static void test_pod_names(const char *folder)
{
	static const struct {
		const char *host, *context, *server, *error;
	} rows[] = {
		{"10.96.0.1", NULL, "https://10.96.0.1:443", NULL},
		{"10.96.0.1", "in-cluster", "https://10.96.0.1:443", NULL},
		{"fd00::1", NULL, "https://[fd00::1]:443", NULL},
		{"10.96.0.1", "prod", NULL, "there is no kubeconfig"},
		{NULL, NULL, NULL, "there is no kubeconfig"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kube_config_options options = {.context = rows[i].context,
						      .pod_folder = folder};
		auto_kube_config struct kube_config config = {0};
		auto_free char *token = file_join(folder, "token");
		struct error err = {0};

		TEST("in a Pod: host %s, context %s", rows[i].host ? rows[i].host : "none",
		     rows[i].context ? rows[i].context : "none");
		setenv("KUBERNETES_SERVICE_PORT", "443", 1);
		if (rows[i].host)
			setenv("KUBERNETES_SERVICE_HOST", rows[i].host, 1);
		else
			unsetenv("KUBERNETES_SERVICE_HOST");
		if (rows[i].error) {
			CHECK_ERROR(kube_config_load(&config, &options, &err), &err, ERROR_USAGE,
				    rows[i].error);
			continue;
		}
		CHECK_OK(kube_config_load(&config, &options, &err), &err);
		CHECK_STR(config.server, rows[i].server);
		CHECK_STR(config.context, "in-cluster");
		CHECK_STR(config.space, "tools");
		CHECK_STR(config.token_file, token);
	}
}

/* Its token and CA serve for a request. */
static void test_pod_request(const char *folder, const struct fake_tls *tls)
{
	static const struct fake_step steps[] = {
		{"GET", "/version", "Authorization: Bearer first\r\n", 200, NULL, "{}",
		 FAKE_ANSWER},
	};
	struct fake_api *api = fake_api_start(steps, COUNT(steps), tls, NULL);
	struct kube_config_options options = {.pod_folder = folder};
	auto_free char *port = alloc_format("%u", fake_api_port(api));
	auto_kube_config struct kube_config config = {0};
	auto_kube_reply struct kube_reply reply = {0};
	struct kube_client *kube = NULL;
	struct error err = {0};

	TEST("in a Pod: a request");
	setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", port, 1);
	if (CHECK_OK(kube_config_load(&config, &options, &err), &err))
		kube = kube_client_open(&config, NULL, &err);
	if (CHECK(kube != NULL))
		CHECK_OK(kube_client_get_raw(kube, "/version", &reply, &err), &err);
	kube_client_free(kube);
	fake_api_stop(api);
}

static void test_pod(void)
{
	const char *folder = test_folder();
	auto_free char *ca = file_join(folder, "ca.crt");
	auto_kube_config struct kube_config config = {0};
	struct kube_config_options options = {.pod_folder = folder};
	struct fake_tls tls = {0};
	struct error err = {0};

	fake_tls_make(&tls, "IP:127.0.0.1", 60, 3600);
	unsetenv("KUBECONFIG");
	setenv("HOME", "/nonexistent", 1);
	write_file(folder, "ca.crt", tls.ca);
	write_file(folder, "token", "first\n");
	write_file(folder, "namespace", "tools");
	test_pod_names(folder);
	test_pod_request(folder, &tls);
	TEST("in a Pod: without a CA");
	CHECK(unlink(ca) == 0);
	CHECK_ERROR(kube_config_load(&config, &options, &err), &err, ERROR_NOT_FOUND,
		    "service account of this Pod: ");
	fake_tls_release(&tls);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
}

int main(void)
{
	test_each_case("kubeconfig", test_case);
	test_merge();
	test_nothing();
	test_identity();
	test_bytes();
	test_pod();
	return test_done();
}
