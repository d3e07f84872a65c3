/* SPDX-License-Identifier: MIT */
#include "agent/dial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/dns.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "lib/test.h"
#include "text/json.h"

static char *folder;
static struct agent agent;

static int listen_on(int type, int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	if (type == SOCK_STREAM)
		CHECK(listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int free_port(void)
{
	int port;
	int fd = listen_on(SOCK_STREAM, &port);

	close(fd);
	return port;
}

static json_t *dial(const char *kind, int port, const char *server_name)
{
	auto_json json_t *request =
		json_pack("{s:s, s:i, s:s, s:s*, s:i}", "address", "127.0.0.1", "port", port,
			  "kind", kind, "serverName", server_name, "timeoutMs", 3000);
	auto_error struct error err = {0};
	json_t *reply = json_object();

	CHECK_OK(dial_look(&agent, request, reply, &err), &err);
	return reply;
}

static void check_dial(const char *what, const char *kind, int port, const char *server_name,
		       const char *problem)
{
	auto_json json_t *reply = NULL;
	const char *error;

	TEST("%s", what);
	reply = dial(kind, port, server_name);
	error = json_path_text(reply, "error");
	CHECK_INT(json_path_bool(reply, "reached", !problem), !problem);
	CHECK(json_path_int(reply, "latencyMs", -1) >= 0);
	if (problem && !(error && strstr(error, problem)))
		CHECK_STR(error, problem);
	if (!problem)
		CHECK_STR(error, NULL);
}

static void run(const char *const argv[])
{
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error err = {0};
	int status = -1;

	CHECK_OK(process_run(argv, NULL, (struct slice){0}, 30000, &output, &errors, &status, &err),
		 &err);
	CHECK_INT(status, 0);
}

/* A self-signed certificate is its own CA; `name` is the file's. */
static void make_certificate(const char *name, const char *san)
{
	auto_free char *crt = alloc_format("%s/%s.crt", folder, name);
	auto_free char *key = alloc_format("%s/%s.key", folder, name);
	auto_free char *extension = alloc_format("subjectAltName=%s", san);
	const char *argv[] = {"openssl",
			      "req",
			      "-x509",
			      "-newkey",
			      "ec",
			      "-pkeyopt",
			      "ec_paramgen_curve:P-256",
			      "-nodes",
			      "-keyout",
			      key,
			      "-out",
			      crt,
			      "-days",
			      "2",
			      "-subj",
			      "/CN=test",
			      "-addext",
			      extension,
			      NULL};

	run(argv);
}

static void start_server(struct process *server, const char *name, int port)
{
	auto_free char *crt = alloc_format("%s/%s.crt", folder, name);
	auto_free char *key = alloc_format("%s/%s.key", folder, name);
	auto_free char *at = alloc_format("127.0.0.1:%d", port);
	const char *argv[] = {"openssl", "s_server", "-quiet", "-accept", at,  "-cert",
			      crt,	 "-key",     key,      "-www",	  NULL};
	auto_error struct error err = {0};

	CHECK_OK(process_start(server, argv, NULL, &err), &err);
	for (int i = 0; i < 1500; i++) {
		auto_json json_t *reply = dial("tcp", port, NULL);

		if (json_path_bool(reply, "reached", false))
			return;
		CHECK_OK(clock_sleep_ms(20, &err), &err);
	}
	CHECK(false);
}

static void test_tcp(void)
{
	auto_close int fd = -1;
	int open_port;

	TEST("a port is opened");
	fd = listen_on(SOCK_STREAM, &open_port);
	check_dial("a port that is open", "tcp", open_port, NULL, NULL);
	check_dial("a port that is closed", "tcp", free_port(), NULL, "Connection refused");
}

static void test_tls(void)
{
	auto_free char *pki = file_join(folder, "etc/kubernetes/pki");
	auto_free char *ca = file_join(pki, "ca.crt");
	auto_free char *good = file_join(folder, "good.crt");
	auto_buffer struct buffer pem = {0};
	auto_process struct process trusted = {0};
	auto_process struct process stranger = {0};
	auto_json json_t *reply = NULL;
	auto_error struct error err = {0};
	int port = free_port();
	int other;
	auto_close int silent = listen_on(SOCK_STREAM, &other);
	auto_json json_t *request = NULL;
	auto_json json_t *late = json_object();

	TEST("servers with certificates are started");
	make_certificate("good", "IP:127.0.0.1,DNS:kubernetes");
	make_certificate("bad", "IP:127.0.0.1");
	CHECK_OK(file_make_folder(pki, 0755, &err), &err);
	CHECK_OK(file_read(good, 65536, &pem, &err), &err);
	CHECK_OK(file_replace(ca, pem.ptr, pem.len, 0644, 0, &err), &err);
	start_server(&trusted, "good", port);
	check_dial("TLS to an address that the certificate names", "tls", port, NULL, NULL);
	check_dial("TLS by a name that the certificate has", "tls", port, "kubernetes", NULL);
	check_dial("TLS by an address that it has not", "tls", port, "10.17.0.1",
		   "the certificate is not valid for '10.17.0.1'");
	check_dial("livez", "livez", port, NULL, NULL);

	TEST("what was served comes along, also when it is not valid for the name");
	reply = dial("livez", port, "10.17.0.1");
	CHECK_STR(json_path_text(reply, "certificate.addresses.0"), "127.0.0.1");
	CHECK_STR(json_path_text(reply, "certificate.dnsNames.0"), "kubernetes");
	CHECK_INT(json_path_count(reply, "chain"), 1);
	CHECK(!json_path(reply, "httpStatus"));
	json_decref(reply);
	reply = dial("livez", port, NULL);
	CHECK_INT(json_path_int(reply, "httpStatus", 0), 200);
	process_release(&trusted);

	TEST("a server that the node's CA did not sign is started");
	port = free_port();
	start_server(&stranger, "bad", port);
	check_dial("TLS to a server of another CA", "tls", port, NULL, "not trusted");

	TEST("a server that is silent ends with the time");
	request = json_pack("{s:s, s:i, s:s, s:i}", "address", "127.0.0.1", "port", other, "kind",
			    "tls", "timeoutMs", 200);
	CHECK_OK(dial_look(&agent, request, late, &err), &err);
	CHECK_STR(json_path_text(late, "error"), "no answer in time");
	CHECK(silent >= 0);
}

static void test_bad_requests(void)
{
	static const char *const requests[] = {
		"{}",
		"{\"address\":\"localhost\",\"port\":1,\"kind\":\"tcp\"}",
		"{\"address\":\"127.0.0.1\",\"port\":0,\"kind\":\"tcp\"}",
		"{\"address\":\"127.0.0.1\",\"port\":70000,\"kind\":\"tcp\"}",
		"{\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"gopher\"}",
		"{\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"tcp\",\"timeoutMs\":99999999}",
		("{\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"tcp\",\"serverName\":"
		 "\"a\\r\\nb\"}"),
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		auto_json json_t *request = json_loads(requests[i], 0, NULL);
		auto_json json_t *reply = json_object();
		auto_error struct error err = {0};

		TEST("request %s", requests[i]);
		CHECK_ERROR(dial_look(&agent, request, reply, &err), &err, ERROR_PARSE, "");
	}
}

static void test_dns_packets(void)
{
	/* id 0x1234, one question a.b A, one answer by pointer: 10.17.0.1 */
	static const char answer[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1a\1b\0\0\1\0\1"
				     "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x11\0\1";
	size_t len = sizeof(answer) - 1;
	auto_json json_t *addresses = json_array();
	auto_error struct error err = {0};
	int rcode = -1;

	TEST("an answer with an address");
	CHECK_OK(dns_parse((struct slice){answer, len}, 0x1234, addresses, &rcode, &err), &err);
	CHECK_INT(rcode, 0);
	CHECK_STR(json_string_value(json_array_get(addresses, 0)), "10.17.0.1");

	TEST("an answer to another question");
	CHECK_ERROR(dns_parse((struct slice){answer, len}, 0x1235, addresses, &rcode, &err), &err,
		    ERROR_PARSE, "no answer");

	TEST("an answer that is cut off anywhere");
	for (size_t cut = 0; cut < len; cut++) {
		/* a copy of its own, so that reading too far is seen */
		auto_free char *copy = alloc_text_n(answer, cut);

		CHECK_ERROR(dns_parse((struct slice){copy, cut}, 0x1234, addresses, &rcode, &err),
			    &err, ERROR_PARSE, "");
	}
}

/* A DNS server for one question. */
static pid_t serve_dns(int fd)
{
	pid_t pid = fork();
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	char packet[512];
	ssize_t len;

	if (pid != 0)
		return pid;
	len = recvfrom(fd, packet, sizeof(packet) - 16, 0, (struct sockaddr *)&from, &from_len);
	if (len > 0) {
		packet[2] = (char)0x81;
		packet[3] = (char)0x80;
		packet[7] = 1;
		memcpy(packet + len, "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x11\0\1", 16);
		sendto(fd, packet, (size_t)len + 16, 0, (struct sockaddr *)&from, from_len);
	}
	_exit(0);
}

static json_t *ask_dns(int port, const char *name, int timeout_ms)
{
	auto_json json_t *request = json_pack("{s:s, s:i, s:s, s:i}", "server", "127.0.0.1", "port",
					      port, "name", name, "timeoutMs", timeout_ms);
	auto_error struct error err = {0};
	json_t *reply = json_object();

	CHECK_OK(dns_look(&agent, request, reply, &err), &err);
	return reply;
}

static void test_dns(void)
{
	auto_json json_t *answered = NULL;
	auto_json json_t *silent = NULL;
	auto_json json_t *bad = json_pack("{s:s, s:s}", "server", "127.0.0.1", "name", "a..b");
	auto_json json_t *reply = json_object();
	auto_error struct error err = {0};
	int port;
	auto_close int fd = listen_on(SOCK_DGRAM, &port);
	pid_t pid;

	TEST("a server that answers");
	pid = serve_dns(fd);
	answered = ask_dns(port, "kubernetes.default.svc.cluster.local.", 5000);
	CHECK(json_path_bool(answered, "answered", false));
	CHECK_STR(json_path_text(answered, "addresses.0"), "10.17.0.1");
	CHECK_INT(json_path_int(answered, "rcode", -1), 0);
	waitpid(pid, NULL, 0);

	TEST("a server that does not");
	silent = ask_dns(port, "kubernetes.default.svc.cluster.local", 100);
	CHECK(!json_path_bool(silent, "answered", true));
	CHECK_STR(json_path_text(silent, "error"), "no answer in time");

	TEST("a name that is none");
	CHECK_ERROR(dns_look(&agent, bad, reply, &err), &err, ERROR_PARSE, "no DNS name");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	folder = realpath(test_folder(), NULL);
	agent = (struct agent){.root = folder, .proc = "/proc"};
	test_tcp();
	test_tls();
	test_bad_requests();
	test_dns_packets();
	test_dns();
	free(folder);
	return test_done();
}
