/* SPDX-License-Identifier: MIT */
#include "agent/keyring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/process.h"
#include "lib/test.h"
#include "text/json.h"

/* pki/ has its own tests; here it is what the agent adds: the closed list, the folders of the run. */
static struct agent agent;

static char *full_path(const char *path)
{
	return alloc_format("%s%s", agent.root, path);
}

static void run(const char *const argv[])
{
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error err = {0};
	int status = -1;

	CHECK_OK(process_run(argv, NULL, (struct slice){0}, 30000, &output, &errors, &status, &err),
		 &err);
	if (!CHECK_INT(status, 0))
		CHECK_STR(buffer_cstr(&errors), "");
}

static void make_pki(void)
{
	auto_free char *pki = full_path("/etc/kubernetes/ssl");
	auto_free char *link = full_path("/etc/kubernetes/pki");
	auto_free char *crt = full_path("/etc/kubernetes/ssl/ca.crt");
	auto_free char *key = full_path("/etc/kubernetes/ssl/ca.key");
	auto_free char *server_crt = full_path("/etc/kubernetes/ssl/apiserver.crt");
	auto_free char *server_key = full_path("/etc/kubernetes/ssl/apiserver.key");
	auto_error struct error err = {0};
	const char *ca[] = {"openssl", "req",	  "-x509", "-newkey",	     "rsa:2048",
			    "-nodes",  "-keyout", key,	   "-out",	     crt,
			    "-days",   "3650",	  "-subj", "/CN=kubernetes", NULL};
	const char *server[] = {
		"openssl",  "req",
		"-x509",    "-newkey",
		"rsa:2048", "-nodes",
		"-keyout",  server_key,
		"-out",	    server_crt,
		"-days",    "365",
		"-subj",    "/CN=kube-apiserver",
		"-CA",	    crt,
		"-CAkey",   key,
		"-addext",  "subjectAltName=DNS:cp1,DNS:kubernetes,IP:10.96.0.1,IP:10.1.15.121",
		NULL};

	CHECK_OK(file_make_folder(pki, 0755, &err), &err);
	/* as kubespray has it */
	CHECK_INT(symlink("ssl", link), 0);
	run(ca);
	run(server);
	CHECK_INT(chmod(server_key, 0600), 0);
}

static json_t *call(agent_operation *operation, json_t *request, struct error *err)
{
	json_t *reply = json_object();
	int result = operation(&agent, request, reply, err);

	json_decref(request);
	if (result == 0)
		return reply;
	json_decref(reply);
	return NULL;
}

static void test_audit(void)
{
	auto_error struct error err = {0};
	auto_json json_t *reply = NULL;
	auto_free char *text = NULL;

	TEST("the audit names the node's paths and what is missing");
	reply = call(keyring_audit, json_pack("{s:[s]}", "expected", "10.17.0.1"), &err);
	if (!CHECK_OK(reply ? 0 : -1, &err))
		return;
	text = json_print(reply);
	CHECK_STR(json_path_text(reply, "root"), "/etc/kubernetes");
	CHECK(strstr(text, "\"san-missing\""));
	CHECK(strstr(text, "\"/etc/kubernetes/pki/apiserver.crt\""));
	CHECK(!strstr(text, agent.root));
	CHECK(!strstr(text, "PRIVATE KEY"));
}

static json_t *issue_request(void)
{
	return json_pack("{s:s, s:s, s:[s], s:s, s:s}", "run", "run1", "names", "apiserver", "add",
			 "10.17.0.1", "version", "v1.32.2", "backup", "/tmp/not-the-agents-choice");
}

static char *read_text(const char *path)
{
	auto_buffer struct buffer text = {0};
	auto_free char *full = full_path(path);
	auto_error struct error err = {0};

	CHECK_OK(file_read(full, LIMIT_CONFIG_FILE, &text, &err), &err);
	return buffer_detach(&text);
}

static void test_issue(void)
{
	auto_free char *old = read_text("/etc/kubernetes/ssl/apiserver.crt");
	auto_free char *old_key = read_text("/etc/kubernetes/ssl/apiserver.key");
	auto_free char *ca = full_path("/etc/kubernetes/ssl/ca.crt");
	auto_free char *crt = full_path("/etc/kubernetes/ssl/apiserver.crt");
	const char *verify[] = {"openssl",    "verify",	   "-CAfile", ca,
				"-verify_ip", "10.17.0.1", crt,	      NULL};
	auto_free char *kept = NULL;
	auto_free char *kept_key = NULL;
	auto_free char *back = NULL;
	auto_free char *back_key = NULL;
	auto_error struct error err = {0};
	auto_json json_t *reply = NULL;
	auto_json json_t *again = NULL;
	auto_json json_t *restored = NULL;

	TEST("a certificate is issued, the old pair is kept in the folder of the run");
	reply = call(keyring_issue, issue_request(), &err);
	if (!CHECK_OK(reply ? 0 : -1, &err))
		return;
	CHECK(json_path_bool(reply, "certificates.0.changed", false));
	run(verify);
	kept = read_text("/var/lib/kubectl-renumber/run1/pki/apiserver.crt");
	CHECK_STR(kept, old);
	kept_key = read_text("/var/lib/kubectl-renumber/run1/pki/apiserver.key");
	CHECK_STR(kept_key, old_key);
	CHECK(!file_exists("/tmp/not-the-agents-choice"));

	TEST("asked again it is left alone");
	again = call(keyring_issue, issue_request(), &err);
	CHECK_OK(again ? 0 : -1, &err);
	CHECK(!json_path_bool(again, "certificates.0.changed", true));

	TEST("the old pair comes back");
	restored = call(keyring_restore,
			json_pack("{s:s, s:s}", "run", "run1", "names", "apiserver"), &err);
	CHECK_OK(restored ? 0 : -1, &err);
	back = read_text("/etc/kubernetes/ssl/apiserver.crt");
	back_key = read_text("/etc/kubernetes/ssl/apiserver.key");
	CHECK_STR(back, old);
	CHECK_STR(back_key, old_key);
}

static void test_refusals(void)
{
	static const struct {
		agent_operation *operation;
		const char *request;
		enum error_kind kind;
		const char *text;
	} rows[] = {
		{keyring_audit, "{\"root\":\"/etc\"}", ERROR_REFUSED, "certificates"},
		{keyring_audit, "{\"root\":\"/etc/kubernetes/../..\"}", ERROR_REFUSED, "plain"},
		{keyring_audit, "{\"root\":7}", ERROR_PARSE, "'root'"},
		{keyring_issue, "{\"names\":\"apiserver\"}", ERROR_PARSE, "'run'"},
		{keyring_issue, "{\"names\":\"apiserver\",\"run\":\"../x\"}", ERROR_REFUSED,
		 "not the name of a run"},
		{keyring_issue, "{\"names\":\"apiserver\",\"run\":\"r\",\"folder\":\"/root\"}",
		 ERROR_REFUSED, "certificates"},
		{keyring_csr, "{\"names\":\"apiserver\",\"folder\":\"/etc/kubernetes/pki/x\"}",
		 ERROR_REFUSED, "certificates"},
		{keyring_import, "{\"names\":\"apiserver\"}", ERROR_PARSE, "'run'"},
		{keyring_restore, "{\"names\":\"apiserver\"}", ERROR_PARSE, "'run'"},
		{keyring_names, "{\"names\":\"nothing-like-that\"}", ERROR_USAGE, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};
		auto_json json_t *reply = NULL;

		TEST("request %s", rows[i].request);
		reply = call(rows[i].operation, json_loads(rows[i].request, 0, NULL), &err);
		CHECK_ERROR(reply ? 0 : -1, &err, rows[i].kind, rows[i].text);
	}
}

int main(void)
{
	auto_free char *root = realpath(test_folder(), NULL);

	agent = (struct agent){.root = root, .proc = "/proc"};
	TEST("a node with certificates is made");
	make_pki();
	test_audit();
	test_issue();
	test_refusals();
	return test_done();
}
