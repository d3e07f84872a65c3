/* SPDX-License-Identifier: MIT */
#include "agent/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probe_stats.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "lib/test.h"
#include "text/json.h"

static const struct agent agent = {.root = "", .proc = "/proc"};

/* ---- numbers ---- */

static void test_stats(void)
{
	struct probe_stats stats = {0};

	TEST("what is answered is counted with its latency");
	probe_stats_add(&stats, 1000, 3, NULL);
	probe_stats_add(&stats, 1050, 9, NULL);
	CHECK_INT(stats.ok, 2);
	CHECK_INT(stats.max_ms, 9);
	CHECK_INT(stats.sum_ms, 12);
	CHECK_INT(stats.gap_ms, 0);

	TEST("a gap lasts from the first failed request to the next answer");
	probe_stats_add(&stats, 1100, 500, "no answer after 500 ms");
	probe_stats_add(&stats, 1150, 0, "connection refused");
	CHECK_INT(stats.gap_ms, 50);
	probe_stats_add(&stats, 1200, 2, NULL);
	CHECK_INT(stats.gap_ms, 100);
	CHECK_INT(stats.failing_since_ms, 0);
	CHECK_INT(stats.failed, 2);
	CHECK_INT(stats.failures[0].at_ms, 1100);
	CHECK_STR(stats.failures[1].why, "connection refused");

	TEST("the greatest gap stays, the latency of failures does not count");
	probe_stats_add(&stats, 1250, 700, "x");
	probe_stats_add(&stats, 1300, 1, NULL);
	CHECK_INT(stats.gap_ms, 100);
	CHECK_INT(stats.max_ms, 9);

	TEST("a gap goes on over a look");
	probe_stats_add(&stats, 2000, 500, "x");
	probe_stats_reset(&stats);
	CHECK_INT(stats.ok + stats.failed, 0);
	CHECK_INT(stats.failing_since_ms, 2000);
	probe_stats_add(&stats, 5000, 1, NULL);
	CHECK_INT(stats.gap_ms, 3000);

	TEST("failures beyond the ceiling are counted only");
	probe_stats_reset(&stats);
	for (int i = 0; i < PROBE_FAILURES_MAX + 7; i++)
		probe_stats_add(&stats, 6000 + i, 1,
				"a reason that is longer than what has room in "
				"the entry of one failure is cut off here");
	CHECK_INT(stats.failed, PROBE_FAILURES_MAX + 7);
	CHECK_INT(stats.failures_dropped, 7);
	CHECK_INT(strlen(stats.failures[0].why), PROBE_WHY_MAX - 1);
}

/* ---- a running set ---- */

static int listen_on(int type, int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	if (type == SOCK_STREAM)
		CHECK(listen(fd, 512) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* Answers every query by its own bytes with the answer bit set; the code is the last label's first
 * letter: 'n' is NXDOMAIN. Ends when the socket is shut down. */
static void *serve_dns(void *data)
{
	int fd = *(int *)data;
	unsigned char packet[512];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t got;

	while ((got = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len)) >
	       12) {
		packet[2] |= 0x80;
		packet[3] = packet[13] == 'n' ? 3 : 0;
		(void)!sendto(fd, packet, (size_t)got, 0, (struct sockaddr *)&from, len);
		len = sizeof(from);
	}
	return NULL;
}

static json_t *target(const char *name, const char *kind, int port, int every)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:i, s:i}", "name", name, "address", "127.0.0.1",
			 "port", port, "kind", kind, "everyMs", every, "timeoutMs", 5000);
}

static int start(json_t *targets, struct error *err)
{
	auto_json json_t *request = json_pack("{s:o}", "targets", targets);
	auto_json json_t *reply = json_object();

	return probe_start(&agent, request, reply, err);
}

static json_t *look(void)
{
	auto_json json_t *request = json_object();
	auto_error struct error err = {0};
	json_t *reply = json_object();

	CHECK_OK(probe_read(&agent, request, reply, &err), &err);
	return reply;
}

static const json_t *found(const json_t *reply, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(reply, "targets"), i, item)
		if (json_path_is(item, "name", name))
			return item;
	return NULL;
}

static void wait_ms(int64_t ms)
{
	auto_error struct error err = {0};

	CHECK_OK(clock_sleep_ms(ms, &err), &err);
}

static void test_run(void)
{
	auto_json json_t *nothing = json_object();
	auto_json json_t *reply = NULL;
	auto_error struct error err = {0};
	const json_t *item;
	pthread_t server;
	int open_port;
	int closed_port;
	int dns_port;
	int open_fd;
	int dns_fd;

	TEST("a set runs by itself");
	/* too slow there for what is counted in time */
	if (test_skipped_in_valgrind())
		return;
	open_fd = listen_on(SOCK_STREAM, &open_port);
	close(listen_on(SOCK_STREAM, &closed_port));
	dns_fd = listen_on(SOCK_DGRAM, &dns_port);
	CHECK(pthread_create(&server, NULL, serve_dns, &dns_fd) == 0);
	CHECK_OK(start(json_pack("[o, o, o]", target("open", "tcp", open_port, 20),
				 target("closed", "tcp", closed_port, 20),
				 target("dns", "dns", dns_port, 20)),
		       &err),
		 &err);
	wait_ms(1500); /* under valgrind each request takes its time */
	reply = look();
	item = found(reply, "open");
	CHECK(json_path_int(item, "ok", 0) >= 5);
	CHECK_INT(json_path_int(item, "failed", -1), 0);
	item = found(reply, "dns");
	CHECK(json_path_int(item, "ok", 0) >= 5);
	CHECK_INT(json_path_int(item, "failed", -1), 0);
	item = found(reply, "closed");
	CHECK_INT(json_path_int(item, "ok", -1), 0);
	CHECK(json_path_int(item, "failed", 0) >= 5);
	CHECK(json_path_int(item, "gapMs", 0) >= 200);
	CHECK_STR(json_path_text(item, "failures.0.why"), "connection refused");
	CHECK(json_path_int(item, "failures.0.at", 0) > INT64_C(1500000000000));

	TEST("what was told is not told again, what is missing in a new set ends");
	CHECK_OK(start(json_pack("[o, o]", target("open", "tcp", open_port, 20),
				 json_pack("{s:s, s:s, s:i, s:s, s:i, s:s}", "name", "absent",
					   "address", "127.0.0.1", "port", dns_port, "kind", "dns",
					   "everyMs", 20, "serverName", "nobody.example")),
		       &err),
		 &err);
	json_decref(reply);
	reply = look();
	json_decref(reply);
	wait_ms(300);
	reply = look();
	CHECK(found(reply, "closed") == NULL);
	item = found(reply, "open");
	CHECK(json_path_int(item, "ok", 0) >= 1 && json_path_int(item, "ok", 0) <= 40);
	item = found(reply, "absent");
	CHECK(json_path_int(item, "failed", 0) >= 1);
	CHECK_STR(json_path_text(item, "failures.0.why"), "DNS error code 3");

	TEST("a server that falls silent is a gap");
	shutdown(dns_fd, SHUT_RDWR);
	pthread_join(server, NULL);
	wait_ms(900);
	json_decref(reply);
	reply = look();
	item = found(reply, "absent");
	CHECK_INT(json_path_int(item, "ok", -1), 0);
	CHECK(json_path_int(item, "gapMs", 0) >= 800);

	TEST("the set ends");
	json_decref(reply);
	reply = json_object();
	CHECK_OK(probe_stop(&agent, nothing, reply, &err), &err);
	CHECK(json_path_bool(reply, "changed", false));
	CHECK_ERROR(probe_read(&agent, nothing, reply, &err), &err, ERROR_NOT_FOUND,
		    "no probes run");
	CHECK_OK(probe_stop(&agent, nothing, reply, &err), &err);
	CHECK(!json_path_bool(reply, "changed", true));
	close(open_fd);
	close(dns_fd);
}

/* With an empty set the thread sleeps for two seconds. */
static void test_wakes(void)
{
	auto_json json_t *nothing = json_object();
	auto_json json_t *reply = json_object();
	auto_error struct error err = {0};
	int port = 0;
	int fd = listen_on(SOCK_STREAM, &port);
	int64_t begun_ms;

	TEST("a new set begins at once");
	CHECK_OK(start(json_array(), &err), &err);
	wait_ms(50);
	CHECK_OK(start(json_pack("[o]", target("open", "tcp", port, 50)), &err), &err);
	wait_ms(700);
	json_decref(reply);
	reply = look();
	CHECK(json_path_int(found(reply, "open"), "ok", 0) >= 1);

	TEST("and ends at once");
	CHECK_OK(start(json_array(), &err), &err);
	wait_ms(50);
	begun_ms = clock_monotonic_ms();
	CHECK_OK(probe_stop(&agent, nothing, reply, &err), &err);
	CHECK(clock_monotonic_ms() - begun_ms < 1000);
	close(fd);
}

static void test_refusals(void)
{
	static const struct {
		const char *what;
		const char *targets;
		enum error_kind kind;
		const char *problem;
	} rows[] = {
		{"no list", "{}", ERROR_PARSE, "targets"},
		{"a kind that is none",
		 "[{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"icmp\","
		 "\"everyMs\":50}]",
		 ERROR_PARSE, "kind"},
		{"no address",
		 "[{\"name\":\"a\",\"address\":\"localhost\",\"port\":1,\"kind\":\"tcp\","
		 "\"everyMs\":50}]",
		 ERROR_PARSE, "localhost"},
		{"a pace that floods",
		 "[{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"tcp\","
		 "\"everyMs\":1}]",
		 ERROR_PARSE, "everyMs"},
		{"two of a name",
		 "[{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"tcp\","
		 "\"everyMs\":50},"
		 "{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":2,\"kind\":\"tcp\","
		 "\"everyMs\":50}]",
		 ERROR_PARSE, "two targets"},
		{"a header in a name",
		 "[{\"name\":\"a\",\"address\":\"127.0.0.1\",\"port\":1,\"kind\":\"tls\","
		 "\"everyMs\":50,"
		 "\"serverName\":\"a\\r\\nX: b\"}]",
		 ERROR_PARSE, "serverName"},
	};
	auto_json json_t *many = json_array();
	auto_error struct error err = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("refused: %s", rows[i].what);
		CHECK_ERROR(start(json_loads(rows[i].targets, 0, NULL), &err), &err, rows[i].kind,
			    rows[i].problem);
	}
	TEST("refused: more requests than a node should see");
	for (int i = 0; i < 40; i++) {
		auto_free char *name = alloc_format("t%d", i);

		json_array_append_new(many, target(name, "tcp", 1, 10));
	}
	CHECK_ERROR(start(json_incref(many), &err), &err, ERROR_REFUSED, "requests a second");
	TEST("refused: more targets than there is room for");
	for (int i = 40; i < PROBE_TARGETS_MAX + 1; i++) {
		auto_free char *name = alloc_format("t%d", i);

		json_array_append_new(many, target(name, "tcp", 1, 1000));
	}
	CHECK_ERROR(start(json_incref(many), &err), &err, ERROR_REFUSED, "targets");
}

int main(void)
{
	test_stats();
	test_run();
	test_wakes();
	test_refusals();
	return test_done();
}
