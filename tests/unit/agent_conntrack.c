/* SPDX-License-Identifier: MIT */
#include "agent/conntrack.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "lib/test.h"
#include "text/json.h"

/* As Linux 6.1 sent it in a dump: TCP 10.244.1.7:50152 to 10.96.0.1:443, answered by 10.1.15.121:6443,
 * open, 86391 s to live. */
static const unsigned char message[] = {
	0xac, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x02, 0x00, 0x00, 0x00,
	/* CTA_TUPLE_ORIG */
	0x34, 0x00, 0x01, 0x80, 0x14, 0x00, 0x01, 0x80, 0x08, 0x00, 0x01, 0x00, 10, 244, 1, 7, 0x08,
	0x00, 0x02, 0x00, 10, 96, 0, 1, 0x1c, 0x00, 0x02, 0x80, 0x05, 0x00, 0x01, 0x00, 6, 0, 0, 0,
	0x06, 0x00, 0x02, 0x00, 0xc3, 0xe8, 0, 0, 0x06, 0x00, 0x03, 0x00, 0x01, 0xbb, 0, 0,
	/* CTA_TUPLE_REPLY */
	0x34, 0x00, 0x02, 0x80, 0x14, 0x00, 0x01, 0x80, 0x08, 0x00, 0x01, 0x00, 10, 1, 15, 121,
	0x08, 0x00, 0x02, 0x00, 10, 1, 15, 121, 0x1c, 0x00, 0x02, 0x80, 0x05, 0x00, 0x01, 0x00, 6,
	0, 0, 0, 0x06, 0x00, 0x02, 0x00, 0x19, 0x2b, 0, 0, 0x06, 0x00, 0x03, 0x00, 0xc3, 0xe8, 0, 0,
	/* CTA_ID, CTA_STATUS, CTA_TIMEOUT */
	0x08, 0x00, 0x0c, 0x00, 0x12, 0x34, 0x56, 0x78, 0x08, 0x00, 0x03, 0x00, 0, 0, 0x01, 0xae,
	0x08, 0x00, 0x07, 0x00, 0x00, 0x01, 0x51, 0x77,
	/* CTA_PROTOINFO { CTA_PROTOINFO_TCP { state } } */
	0x10, 0x00, 0x04, 0x80, 0x0c, 0x00, 0x01, 0x80, 0x05, 0x00, 0x01, 0x00, 3, 0, 0, 0,
	/* CTA_USE */
	0x08, 0x00, 0x0b, 0x00, 0, 0, 0, 1};

static void test_message(void)
{
	struct conntrack_entry entry;
	unsigned char copy[sizeof(message)];
	size_t taken = 0;

	TEST("a message of the kernel");
	if (CHECK(conntrack_parse_message(message, sizeof(message), &entry))) {
		CHECK_STR(net_address_text(entry.source).text, "10.244.1.7");
		CHECK_STR(net_address_text(entry.destination).text, "10.96.0.1");
		CHECK_INT(entry.port, 443);
		CHECK_INT(entry.protocol, IPPROTO_TCP);
		CHECK_INT(entry.expires_s, 86391);
		CHECK_INT(entry.id, 0x12345678);
		CHECK(entry.established);
	}

	TEST("cut anywhere it is nothing, or the same connection");
	for (size_t len = 0; len < sizeof(message); len++)
		taken += conntrack_parse_message(message, len, &entry);
	CHECK_INT(taken, 0); /* its own length is larger */

	TEST("lengths that lie");
	for (size_t i = 20; i < sizeof(message); i++) {
		memcpy(copy, message, sizeof(copy));
		copy[i] ^= 0xff;
		taken += conntrack_parse_message(copy, sizeof(copy), &entry);
	}
	CHECK(taken > 0 && taken < sizeof(message));

	TEST("a message of another kind");
	memcpy(copy, message, sizeof(copy));
	copy[5] = 2;
	CHECK(!conntrack_parse_message(copy, sizeof(copy), &entry));
}

static void test_line(void)
{
	static const struct {
		const char *what;
		const char *line;
		const char *destination; /* NULL: none */
		int port;
		int protocol;
		bool established;
	} rows[] = {
		{"TCP",
		 "ipv4     2 tcp      6 86390 ESTABLISHED src=10.244.1.7 dst=10.96.0.1 sport=50152 "
		 "dport=443 src=10.1.15.121 dst=10.1.15.121 sport=6443 dport=50152 [ASSURED] "
		 "mark=0 "
		 "zone=0 use=2",
		 "10.96.0.1", 443, IPPROTO_TCP, true},
		{"TCP that waits",
		 "ipv4     2 tcp      6 119 TIME_WAIT src=10.1.15.121 dst=10.96.0.1 sport=1 "
		 "dport=443 "
		 "src=10.1.15.121 dst=10.1.15.121 sport=6443 dport=1 use=1",
		 "10.96.0.1", 443, IPPROTO_TCP, false},
		{"UDP without an answer",
		 "ipv4     2 udp      17 29 src=10.244.1.7 dst=10.96.0.10 sport=40000 dport=53 "
		 "[UNREPLIED] src=10.244.0.3 dst=10.244.1.7 sport=53 dport=40000 use=1",
		 "10.96.0.10", 53, IPPROTO_UDP, false},
		{"IPv6",
		 "ipv6     10 tcp      6 5 CLOSE src=fd00:0000:0000:0000:0000:0000:0000:0007 "
		 "dst=fd00:1::1 sport=5 dport=443 src=fd00:1::1 dst=fd00::7 sport=443 dport=5 "
		 "use=1",
		 "fd00:1::1", 443, IPPROTO_TCP, false},
		{"ICMP has no ports",
		 "ipv4     2 icmp     1 29 src=10.1.1.1 dst=10.96.0.1 type=8 code=0 id=5 "
		 "src=10.96.0.1 dst=10.1.1.1 type=0 code=0 id=5 use=1",
		 "10.96.0.1", 0, IPPROTO_ICMP, false},
		{"nothing", "", NULL, 0, 0, false},
		{"an address that is none",
		 "ipv4 2 tcp 6 5 CLOSE src=10.244.1.7 dst=10.96.0.256 sport=1 dport=2", NULL, 0, 0,
		 false},
		{"a port that is none",
		 "ipv4 2 tcp 6 5 CLOSE src=10.244.1.7 dst=10.96.0.1 sport=1 dport=70000", NULL, 0,
		 0, false},
		{"half a line", "ipv4     2 tcp      6 86390 ESTABLISHED src=10.244.1.7", NULL, 0,
		 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conntrack_entry entry;
		bool found = conntrack_parse_line(slice_of(rows[i].line), &entry);

		TEST("a line: %s", rows[i].what);
		if (!CHECK(found == (rows[i].destination != NULL)) || !found)
			continue;
		CHECK_STR(net_address_text(entry.destination).text, rows[i].destination);
		CHECK_INT(entry.port, rows[i].port);
		CHECK_INT(entry.protocol, rows[i].protocol);
		CHECK_INT(entry.established, rows[i].established);
		CHECK(entry.id != 0);
	}
}

static void test_rule(void)
{
	static const struct {
		const char *line;
		const char *destination;
		uint64_t packets;
	} rows[] = {
		{"[12:720] -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "
		 "\"default/kubernetes:https cluster IP\" -m tcp --dport 443 -j "
		 "KUBE-SVC-NPX46M4PTMTKRN6Y",
		 "10.96.0.1", 12},
		{"[0:0] -A KUBE-SVC-X ! -s 10.244.0.0/16 -d 10.96.0.10/32 -p udp -j KUBE-MARK-MASQ",
		 "10.96.0.10", 0},
		{"[5:300] -A POSTROUTING -d 10.96.0.0/16 -j RETURN", NULL, 0},
		{"[5:300] -A POSTROUTING -j KUBE-POSTROUTING", NULL, 0},
		{"-A KUBE-SERVICES -d 10.96.0.1/32 -j X", NULL, 0},
		{":KUBE-SERVICES - [0:0]", NULL, 0},
		{"[x:1] -A K -d 10.96.0.1/32", NULL, 0},
		{"[1:1] -A K -d", NULL, 0},
		{"", NULL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_address address;
		uint64_t packets = 99;
		bool found = conntrack_parse_rule(slice_of(rows[i].line), &address, &packets);

		TEST("a rule: %.40s", rows[i].line);
		if (!CHECK(found == (rows[i].destination != NULL)) || !found)
			continue;
		CHECK_STR(net_address_text(address).text, rows[i].destination);
		CHECK_INT(packets, rows[i].packets);
	}
}

static void test_used(void)
{
	TEST("a connection whose clock ran on was not used");
	CHECK(!conntrack_was_used(120, 60, 60000));
	CHECK(!conntrack_was_used(120, 61, 60000));
	CHECK(!conntrack_was_used(120, 120, 500));
	CHECK(conntrack_was_used(120, 118, 60000));
	CHECK(conntrack_was_used(30, 180, 1000)); /* UDP that got its first answer */
}

/* ---- the operation, with a table in a file ---- */

static char *proc;

static void table(const char *text)
{
	auto_free char *folder = file_join(proc, "net");
	auto_free char *path = file_join(folder, "nf_conntrack");
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(folder, 0755, &err), &err);
	CHECK_OK(file_replace(path, text, strlen(text), 0644, 0, &err), &err);
}

static json_t *look(bool mark)
{
	const struct agent agent = {.root = "", .proc = proc};
	auto_json json_t *request =
		json_pack("{s:[s], s:b}", "cidrs", "10.96.0.0/16", "mark", (int)mark);
	auto_error struct error err = {0};
	json_t *reply = json_object();

	CHECK_OK(conntrack_look(&agent, request, reply, &err), &err);
	return reply;
}

#define OPEN "ipv4 2 tcp 6 86390 ESTABLISHED src=10.244.1.7 dst=10.96.0.1 sport=1 dport=443 use=1\n"
#define WAITS "ipv4 2 tcp 6 119 TIME_WAIT src=10.1.15.121 dst=10.96.0.1 sport=2 dport=443 use=1\n"
#define WAITED "ipv4 2 tcp 6 60 TIME_WAIT src=10.1.15.121 dst=10.96.0.1 sport=2 dport=443 use=1\n"
#define ASKED "ipv4 2 udp 17 29 src=10.244.1.8 dst=10.96.0.10 sport=3 dport=53 use=1\n"
#define NEW "ipv4 2 tcp 6 119 TIME_WAIT src=10.244.1.9 dst=10.96.0.1 sport=4 dport=443 use=1\n"
#define ELSEWHERE \
	"ipv4 2 tcp 6 9 ESTABLISHED src=10.244.1.7 dst=10.17.0.1 sport=5 dport=443 use=1\n"

static int64_t fresh(const json_t *reply, const char *source)
{
	const json_t *user;
	size_t i;

	json_array_foreach(json_path(reply, "users"), i, user)
		if (json_path_is(user, "source", source))
			return json_path_int(user, "fresh", -1);
	return -1;
}

static void test_look(void)
{
	auto_json json_t *first = NULL;
	auto_json json_t *second = NULL;

	TEST("the first look remembers");
	clock_set_virtual(1000, 1700000000);
	proc = file_join(test_folder(), "proc");
	table(OPEN WAITS ASKED ELSEWHERE);
	first = look(true);
	CHECK(json_path_bool(first, "known", false));
	CHECK_INT(json_path_int(first, "entries", -1), 3);
	CHECK_INT(fresh(first, "10.244.1.8"), 0);

	TEST("the second tells who used an old address in between");
	clock_set_virtual(61000, 1700000060);
	table(OPEN WAITED ASKED NEW ELSEWHERE);
	second = look(false);
	CHECK_INT(fresh(second, "10.244.1.7"), 1);  /* open */
	CHECK_INT(fresh(second, "10.1.15.121"), 0); /* only waits for its end */
	CHECK_INT(fresh(second, "10.244.1.8"), 1);  /* asked again */
	CHECK_INT(fresh(second, "10.244.1.9"), 1);  /* new */
	CHECK_INT(json_array_size(json_path(second, "users")), 4);
}

/* More counters than are looked at: that nobody used the rest is not known. */
static void test_many_rules(void)
{
	static const char script[] =
		"#!/bin/sh\n"
		"exec /usr/bin/awk 'BEGIN { for (i = 0; i < 16400; i++) printf \"[1:60] -A "
		"KUBE-SERVICES -d 10.96.%d.%d/32 -j X\\n\", i / 250, i % 250 }'\n";
	auto_free char *folder = file_join(test_folder(), "bin");
	auto_free char *path = file_join(folder, "iptables-save");
	auto_free char *before = alloc_text(getenv("PATH"));
	auto_error struct error err = {0};
	auto_json json_t *reply = NULL;

	TEST("rules beyond the limit are said");
	CHECK_OK(file_make_folder(folder, 0755, &err), &err);
	CHECK_OK(file_replace(path, script, strlen(script), 0755, 0, &err), &err);
	table(OPEN);
	setenv("PATH", folder, 1);
	reply = look(true);
	setenv("PATH", before, 1);
	CHECK(json_path_bool(reply, "countersKnown", false));
	CHECK(json_path_count(reply, "counters") == 16400 ||
	      json_path_bool(reply, "truncated", false));
}

static void test_unknown(void)
{
	const struct agent agent = {.root = "", .proc = "/nonexistent"};
	auto_json json_t *request = json_pack("{s:[s]}", "cidrs", "10.96.0.0/16");
	auto_json json_t *wrong = json_pack("{s:[i]}", "cidrs", 5);
	auto_json json_t *reply = json_object();
	auto_error struct error err = {0};

	TEST("a node that shows no table says so");
	CHECK_OK(conntrack_look(&agent, request, reply, &err), &err);
	CHECK(!json_path_bool(reply, "known", true));
	CHECK(json_path_text(reply, "problem") != NULL);
	TEST("a range that is none");
	CHECK_ERROR(conntrack_look(&agent, wrong, reply, &err), &err, ERROR_PARSE, "");
}

int main(void)
{
	test_message();
	test_line();
	test_rule();
	test_used();
	test_look();
	test_many_rules();
	test_unknown();
	free(proc);
	return test_done();
}
