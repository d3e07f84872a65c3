/* SPDX-License-Identifier: MIT */
#include "agent/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/serve.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/test.h"
#include "text/json.h"

#define SYNC "kubeproxy_sync_proxy_rules_"

static void test_parse(void)
{
	static const char old_text[] =
		"# HELP " SYNC "duration_seconds [ALPHA] SyncProxyRules latency in seconds\n"
		"# TYPE " SYNC "duration_seconds histogram\n" SYNC
		"duration_seconds_bucket{le=\"0.001\"} 0\n" SYNC
		"duration_seconds_bucket{le=\"+Inf\"} 9\n" SYNC
		"duration_seconds_sum 0.46410912\n" SYNC "duration_seconds_count 9\n" SYNC
		"last_queued_timestamp_seconds 1.7638920017581189e+09\n" SYNC
		"last_timestamp_seconds 1.7638920018101535e+09\n" SYNC
		"no_endpoints_total{traffic_policy=\"internal\"} 0\n"
		"go_goroutines 41\n";
	static const char new_text[] =
		SYNC "duration_seconds_count{ip_family=\"IPv4\"} 12\n" SYNC
		     "duration_seconds_count{ip_family=\"IPv6\"} 3\n" SYNC
		     "last_timestamp_seconds{ip_family=\"IPv6\"} NaN\n" SYNC
		     "last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1.5e+09\n"
		     "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} 7\n";
	auto_json json_t *one = json_object();
	auto_json json_t *two = json_object();
	auto_json json_t *none = json_object();
	auto_error struct error err = {0};
	const json_t *row;

	TEST("metrics without families");
	CHECK_OK(proxy_metrics_parse(slice_of(old_text), one, &err), &err);
	row = json_array_get(json_object_get(one, "families"), 0);
	CHECK_INT(json_array_size(json_object_get(one, "families")), 1);
	CHECK_STR(json_path_text(row, "family"), "");
	CHECK(json_real_value(json_object_get(row, "syncs")) == 9.0);
	CHECK(json_real_value(json_object_get(row, "syncSeconds")) == 0.46410912);
	CHECK(json_real_value(json_object_get(row, "lastQueued")) == 1.7638920017581189e+09);
	CHECK(json_real_value(json_object_get(row, "lastSync")) == 1.7638920018101535e+09);

	TEST("metrics of two families");
	CHECK_OK(proxy_metrics_parse(slice_of(new_text), two, &err), &err);
	CHECK_INT(json_array_size(json_object_get(two, "families")), 2);
	row = json_array_get(json_object_get(two, "families"), 0);
	CHECK_STR(json_path_text(row, "family"), "IPv4");
	CHECK(json_real_value(json_object_get(row, "syncs")) == 12.0);
	CHECK(json_real_value(json_object_get(row, "lastQueued")) == 1.5e+09);
	CHECK(json_real_value(json_object_get(row, "programmed")) == 7.0);
	row = json_array_get(json_object_get(two, "families"), 1);
	CHECK(json_real_value(json_object_get(row, "syncs")) == 3.0);
	CHECK(!json_object_get(row, "lastSync")); /* NaN */

	TEST("metrics of something else");
	CHECK_ERROR(proxy_metrics_parse(slice_of("go_goroutines 41\n"), none, &err), &err,
		    ERROR_PARSE, "not kube-proxy");
}

static int listen_on(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* A server that answers one request with these bytes. */
static pid_t answer_once(int fd, const char *text)
{
	pid_t pid = fork();

	if (pid == 0) {
		char request[512];
		int peer = accept(fd, NULL, NULL);

		if (peer >= 0 && read(peer, request, sizeof(request)) > 0 &&
		    write(peer, text, strlen(text)) == (ssize_t)strlen(text))
			_exit(0);
		_exit(1);
	}
	return pid;
}

static void check_ask(const char *what, const char *answer, enum error_kind kind)
{
	auto_error struct error err = {0};
	auto_json json_t *request = NULL;
	auto_json json_t *reply = json_object();
	struct agent agent = {.root = "", .proc = "/proc"};
	int status = 1;
	int port = 0;
	int fd = listen_on(&port);
	pid_t pid = answer_once(fd, answer);

	TEST("%s", what);
	request = json_pack("{s:i}", "port", port);
	if (kind == ERROR_NONE) {
		CHECK_OK(proxy_metrics(&agent, request, reply, &err), &err);
		CHECK_INT(json_array_size(json_object_get(reply, "families")), 1);
		CHECK(json_real_value(json_object_get(reply, "now")) > 1.7e9);
	} else {
		CHECK_ERROR(proxy_metrics(&agent, request, reply, &err), &err, kind, "kube-proxy");
	}
	close(fd);
	waitpid(pid, &status, 0);
	CHECK_INT(status, 0);
}

static void test_ask(void)
{
	auto_error struct error err = {0};
	auto_json json_t *request = json_pack("{s:s}", "address", "192.0.2.1");
	auto_json json_t *reply = json_object();
	struct agent agent = {.root = "", .proc = "/proc"};
	int port = 0;

	check_ask("kube-proxy answers",
		  "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" SYNC
		  "duration_seconds_count 9\n",
		  ERROR_NONE);
	check_ask("it refuses", "HTTP/1.0 403 Forbidden\r\n\r\n", ERROR_API);
	check_ask("no HTTP", "220 mail\r\n", ERROR_PARSE);
	check_ask("another exporter", "HTTP/1.0 200 OK\r\n\r\ngo_goroutines 41\n", ERROR_PARSE);

	TEST("an address of somebody else");
	CHECK_ERROR(proxy_metrics(&agent, request, reply, &err), &err, ERROR_REFUSED,
		    "no address of this node");
	error_release(&err);

	TEST("nobody listens");
	close(listen_on(&port));
	json_object_set_new(request, "address", json_string("127.0.0.1"));
	json_object_set_new(request, "port", json_integer(port));
	CHECK_ERROR(proxy_metrics(&agent, request, reply, &err), &err, ERROR_NETWORK, "refused");
}

int main(void)
{
	test_parse();
	test_ask();
	return test_done();
}
