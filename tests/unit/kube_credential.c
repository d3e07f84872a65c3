/* SPDX-License-Identifier: MIT */
#include "kube/credential.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "kube/client.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define V1 "client.authentication.k8s.io/v1"
#define KEPT "\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\""

static const char *folder;

static void write_file(const char *name, const char *text, unsigned mode)
{
	auto_free char *path = file_join(folder, name);
	struct error err = {0};

	CHECK_OK(file_replace(path, text, strlen(text), mode, 0, &err), &err);
}

static char *read_text(const char *name)
{
	auto_free char *path = file_join(folder, name);
	auto_buffer struct buffer text = {0};
	struct error err = {0};

	CHECK_OK(file_read(path, 1 << 20, &text, &err), &err);
	return buffer_detach(&text);
}

/* A kubeconfig whose user is a plugin: the shell script `body`. */
static void make_config(struct kube_config *config, const char *server, const char *body,
			const char *more)
{
	auto_free char *script = alloc_format("#!/bin/sh\n%s\n", body);
	auto_free char *text = alloc_format(
		"current-context: x\n"
		"contexts: [{name: x, context: {cluster: x, user: jane}}]\n"
		"clusters:\n- name: x\n  cluster: {server: \"%s\", tls-server-name: n, extensions: "
		"[{name: client.authentication.k8s.io/exec, extension: {k: v}}]}\n"
		"users:\n- name: jane\n  user: {exec: {apiVersion: " V1
		", command: ./plugin, args: [a, "
		"\"b c\"], env: [{name: MINE, value: \"1=2\"}], installHint: ask the admins%s}}\n",
		server, more);
	auto_free char *path = file_join(folder, "config");
	struct error err = {0};

	write_file("plugin", script, 0700);
	CHECK_OK(kube_config_parse(config, slice_of(text), path, NULL, &err), &err);
}

static void test_plugin(void)
{
	auto_kube_config struct kube_config config = {0};
	struct kube_credential credential = {0};
	auto_free char *log = NULL;
	auto_free char *body = alloc_format(
		"echo \"$1|$2|$MINE\" >>%s/log\necho \"$KUBERNETES_EXEC_INFO\" >>%s/log\n"
		"echo '{" KEPT ",\"status\":{\"token\":\"t1\",\"expirationTimestamp\":"
		"\"2026-11-22T12:00:00Z\"}}'",
		folder, folder);
	struct error err = {0};

	TEST("plugin: arguments, environment, what it is told");
	make_config(&config, "https://h", body, ", provideClusterInfo: true");
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "t1");
	CHECK(credential.expires);
	log = read_text("log");
	CHECK_STR(
		log,
		"a|b c|1=2\n{\"apiVersion\":\"" V1
		"\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false,\"cluster\":{"
		"\"server\":\"https://h\",\"tls-server-name\":\"n\",\"config\":{\"k\":\"v\"}}}}\n");
	kube_credential_release(&credential);
}

static void test_caching(void)
{
	auto_kube_config struct kube_config config = {0};
	struct kube_credential credential = {0};
	auto_free char *body = alloc_format(
		"echo x >>%s/count\nn=$(wc -l <%s/count)\n"
		"[ $n -lt 3 ] && when=2100-01-01T00:00:00Z || when=2000-01-01T00:00:00Z\n"
		"echo \"{\\\"apiVersion\\\":\\\"" V1 "\\\",\\\"kind\\\":\\\"ExecCredential\\\","
		"\\\"status\\\":{\\\"token\\\":\\\"t$((n))\\\",\\\"expirationTimestamp\\\":\\\"$"
		"when\\\"}}\"",
		folder, folder);
	struct error err = {0};

	make_config(&config, "https://h", body, "");
	TEST("plugin: asked once while what it gave is valid");
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "t1");
	TEST("plugin: asked again when the server rejects it");
	CHECK_OK(kube_credential_refresh(&credential, &config, true, &err), &err);
	CHECK_STR(credential.token.ptr, "t2");
	TEST("plugin: asked again each time when it gives what has expired");
	CHECK_OK(kube_credential_refresh(&credential, &config, true, &err), &err);
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "t4");
	kube_credential_release(&credential);
}

static void test_plugin_failures(void)
{
	static const struct {
		const char *body;
		const char *more;
		enum error_kind kind;
		const char *says;
	} rows[] = {
		{"echo first >&2; echo 'not logged in' >&2; exit 7", "", ERROR_API,
		 "of user 'jane' failed with status 7: not logged in"},
		{"exit 1", "", ERROR_API, "failed with status 1"},
		{"echo '{'", "", ERROR_PARSE, "credential plugin: "},
		{"echo '{\"kind\":\"ExecCredential\"}'", "", ERROR_PARSE,
		 "did not answer with an ExecCredential of " V1},
		{"echo '{" KEPT ",\"status\":{}}'", "", ERROR_PARSE,
		 "gave neither a token nor a certificate with its key"},
		{"echo '{" KEPT ",\"status\":{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}'",
		 "", ERROR_PARSE, "malformed expirationTimestamp"},
		{"echo '{" KEPT
		 ",\"status\":{\"clientCertificateData\":\"x\",\"clientKeyData\":\"y\"}}'",
		 "", ERROR_PARSE, "client-certificate"},
		{"exit 0", ", interactiveMode: Always", ERROR_USAGE, "reads from a terminal"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_kube_config struct kube_config config = {0};
		struct kube_credential credential = {0};
		struct error err = {0};

		TEST("plugin fails: %s", rows[i].says);
		make_config(&config, "https://h", rows[i].body, rows[i].more);
		CHECK_ERROR(kube_credential_refresh(&credential, &config, false, &err), &err,
			    rows[i].kind, rows[i].says);
		kube_credential_release(&credential);
	}
}

static void test_plugin_missing(void)
{
	auto_kube_config struct kube_config config = {0};
	struct kube_credential credential = {0};
	struct error err = {0};

	TEST("plugin: not installed, with its hint");
	if (test_skipped_in_valgrind())
		return;
	make_config(&config, "https://h", "", "");
	free(config.exec->command);
	config.exec->command = alloc_text("no-such-plugin");
	CHECK_ERROR(
		kube_credential_refresh(&credential, &config, false, &err), &err, ERROR_USAGE,
		"the credential plugin 'no-such-plugin' of user 'jane' is not installed: ask the "
		"admins");
	kube_credential_release(&credential);
}

static void test_renewal(void)
{
	static const struct fake_step steps[] = {
		{"GET", "/x", "Bearer old\r\n", 401, NULL, "", 0},
		{"GET", "/x", "Bearer new\r\n", 200, NULL, "ok", 0},
		{"GET", "/x", "Bearer new\r\n", 401, NULL, "", 0},
		{"GET", "/x", "Bearer new\r\n", 401, NULL, "", 0},
	};
	struct fake_api *api = fake_api_start(steps, 4, NULL, NULL);
	auto_free char *server = alloc_format("http://127.0.0.1:%u", fake_api_port(api));
	auto_kube_reply struct kube_reply reply = {0};
	auto_kube_config struct kube_config config = {0};
	struct kube_client *kube;
	struct error err = {0};
	auto_free char *body = alloc_format("t=new; [ -e %s/asked ] || t=old; : >%s/asked\n"
					    "echo \"{\\\"apiVersion\\\":\\\"" V1
					    "\\\",\\\"kind\\\":\\\"ExecCredential\\\","
					    "\\\"status\\\":{\\\"token\\\":\\\"$t\\\"}}\"",
					    folder, folder);

	TEST("a rejected credential is renewed once per request");
	make_config(&config, server, body, "");
	kube = kube_client_open(&config, NULL, &err);
	CHECK_OK(kube_client_get_raw(kube, "/x", &reply, &err), &err);
	CHECK_STR(buffer_cstr(&reply.body), "ok");
	CHECK_ERROR(kube_client_get_raw(kube, "/x", &reply, &err), &err, ERROR_API,
		    "the credential that its plugin gave is wrong or has expired");
	kube_client_free(kube);
	fake_api_stop(api);
}

static void test_token_file(void)
{
	auto_free char *path = file_join(folder, "token");
	struct kube_config config = {.token_file = path, .user = path};
	struct kube_credential credential = {0};
	struct error err = {0};

	TEST("token file: read, kept for a minute, read again");
	write_file("token", "one\n", 0600);
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "one");
	write_file("token", "  two", 0600);
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "one");
	clock_set_virtual(clock_monotonic_ms() + 60001, clock_wall_s());
	CHECK_OK(kube_credential_refresh(&credential, &config, false, &err), &err);
	CHECK_STR(credential.token.ptr, "two");
	TEST("token file: read again at once when rejected");
	write_file("token", "three", 0600);
	CHECK_OK(kube_credential_refresh(&credential, &config, true, &err), &err);
	CHECK_STR(credential.token.ptr, "three");
	TEST("token file: empty");
	write_file("token", " \n", 0600);
	CHECK_ERROR(kube_credential_refresh(&credential, &config, true, &err), &err, ERROR_PARSE,
		    "is empty");
	kube_credential_release(&credential);
}

int main(void)
{
	interrupt_install();
	folder = test_folder();
	test_plugin();
	test_caching();
	test_plugin_failures();
	test_plugin_missing();
	test_renewal();
	/* last: it stops the clock, and plugins need a running one */
	test_token_file();
	return test_done();
}
