/* SPDX-License-Identifier: MIT */
#include "agent/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "net/cidr.h"

/* Connections that are remembered from one look to the next, clients that are named, and rules. What
 * is beyond is counted and said. */
#define CONNTRACK_MARKS_MAX ((size_t)65536)
#define CONNTRACK_USERS_MAX ((size_t)1000)
#define CONNTRACK_RULES_MAX ((size_t)16384)
#define CONNTRACK_TEXT_MAX ((size_t)64 * 1024 * 1024)
#define CONNTRACK_SAVE_MS 20000

struct conntrack_mark {
	uint64_t id;
	uint32_t expires_s;
};

struct conntrack_rule {
	struct net_address address;
	uint64_t packets;
};

/* The look that later ones are compared with. */
static struct {
	struct conntrack_mark *marks; /* owned, sorted by id once the look is over */
	size_t count;
	size_t capacity;
	bool set;
	bool cut; /* there were more */
	int64_t at_ms;
	struct conntrack_rule *rules; /* owned */
	size_t rule_count;
	bool rules_known;
} conntrack_before;

/* One client of one address. */
struct conntrack_user {
	struct net_address source;
	struct net_address destination;
	uint16_t port;
	uint8_t protocol;
	uint64_t count;
	uint64_t fresh; /* begun, open, or used since the mark */
};

struct conntrack {
	struct net_cidr *cidrs; /* owned */
	size_t cidr_count;
	bool mark;
	uint64_t entries;	      /* to the ranges */
	struct conntrack_user *users; /* owned */
	size_t user_count;
	size_t user_capacity;
	bool truncated;
	struct conntrack_mark *marks; /* owned: of this look, when it is to be the mark */
	size_t mark_count;
	size_t mark_capacity;
	bool marks_cut;
};

static void conntrack_release(struct conntrack *c)
{
	free(c->cidrs);
	free(c->users);
	free(c->marks);
}

static bool conntrack_is_wanted(const struct conntrack *c, struct net_address address)
{
	for (size_t i = 0; i < c->cidr_count; i++)
		if (net_cidr_contains(c->cidrs[i], address))
			return true;
	return false;
}

static int conntrack_compare(const void *a, const void *b)
{
	const struct conntrack_mark *x = a;
	const struct conntrack_mark *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Open, new since the mark, or with a packet since. Without a mark only TCP tells what is over. */
static bool conntrack_is_fresh(const struct conntrack_entry *entry)
{
	const struct conntrack_mark key = {.id = entry->id};
	const struct conntrack_mark *found;

	if (entry->established)
		return true;
	if (!conntrack_before.set)
		return entry->protocol != IPPROTO_TCP;
	if (conntrack_before.cut)
		return true;
	found = conntrack_before.count
			? bsearch(&key, conntrack_before.marks, conntrack_before.count, sizeof(key),
				  conntrack_compare)
			: NULL;
	return !found || conntrack_was_used(found->expires_s, entry->expires_s,
					    clock_monotonic_ms() - conntrack_before.at_ms);
}

static struct conntrack_user *conntrack_user(struct conntrack *c,
					     const struct conntrack_entry *entry)
{
	for (size_t i = 0; i < c->user_count; i++) {
		struct conntrack_user *user = &c->users[i];

		if (user->port == entry->port && user->protocol == entry->protocol &&
		    net_address_equal(user->source, entry->source) &&
		    net_address_equal(user->destination, entry->destination))
			return user;
	}
	if (c->user_count == CONNTRACK_USERS_MAX) {
		c->truncated = true;
		return NULL;
	}
	ALLOC_GROW(c->users, c->user_count, c->user_capacity);
	c->users[c->user_count] = (struct conntrack_user){
		.source = entry->source,
		.destination = entry->destination,
		.port = entry->port,
		.protocol = entry->protocol,
	};
	return &c->users[c->user_count++];
}

static void conntrack_take(struct conntrack *c, const struct conntrack_entry *entry)
{
	struct conntrack_user *user;

	if (!conntrack_is_wanted(c, entry->destination))
		return;
	c->entries++;
	user = conntrack_user(c, entry);
	if (user) {
		user->count++;
		user->fresh += !c->mark && conntrack_is_fresh(entry);
	}
	if (!c->mark)
		return;
	if (c->mark_count == CONNTRACK_MARKS_MAX) {
		c->marks_cut = true;
		return;
	}
	ALLOC_GROW(c->marks, c->mark_count, c->mark_capacity);
	c->marks[c->mark_count++] = (struct conntrack_mark){entry->id, entry->expires_s};
}

/* ---- where it comes from ---- */

static int conntrack_ask(int fd, struct error *err)
{
	struct {
		struct nlmsghdr head;
		struct nfgenmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = 1},
		.body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	const struct timeval patience = {.tv_sec = 10};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return error_errno(err, "cannot ask for the table of connections");
	return 0;
}

/* 1: the dump is over. */
static int conntrack_take_messages(struct conntrack *c, const char *bytes, size_t len,
				   struct error *err)
{
	while (len >= sizeof(struct nlmsghdr)) {
		struct conntrack_entry entry;
		struct nlmsghdr head;
		size_t step;

		memcpy(&head, bytes, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len)
			return error_set(err, ERROR_IO, "the table of connections is malformed");
		if (head.nlmsg_type == NLMSG_DONE)
			return 1;
		if (head.nlmsg_type == NLMSG_ERROR) {
			int number = 0;

			if (head.nlmsg_len >= NLMSG_HDRLEN + sizeof(number))
				memcpy(&number, bytes + NLMSG_HDRLEN, sizeof(number));
			errno = number < 0 ? -number : EIO;
			return error_errno(err, "the kernel does not show its connections");
		}
		if (conntrack_parse_message(bytes, head.nlmsg_len, &entry))
			conntrack_take(c, &entry);
		step = ((size_t)head.nlmsg_len + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO;
		if (step > len)
			step = len;
		bytes += step;
		len -= step;
	}
	return 0;
}

static int conntrack_dump(struct conntrack *c, struct error *err)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	static char bytes[65536];
	int result = 0;

	if (fd < 0)
		return error_errno(err, "cannot open a netlink socket");
	if (conntrack_ask(fd, err) < 0)
		return -1;
	while (result == 0) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_errno(err, "cannot read the table of connections");
		result = conntrack_take_messages(c, bytes, (size_t)got, err);
	}
	return result < 0 ? -1 : 0;
}

static int conntrack_read_proc(const struct agent *agent, struct conntrack *c, struct error *err)
{
	auto_free char *path = file_join(agent->proc, "net/nf_conntrack");
	auto_buffer struct buffer text = {.max = CONNTRACK_TEXT_MAX};
	struct slice rest;
	struct slice line;

	if (file_read(path, CONNTRACK_TEXT_MAX, &text, err) < 0)
		return -1;
	rest = buffer_as_slice(&text);
	while (slice_next(&rest, '\n', &line)) {
		struct conntrack_entry entry;

		if (conntrack_parse_line(line, &entry))
			conntrack_take(c, &entry);
	}
	return 0;
}

/* In tests (another /proc) the kernel of this machine is not asked. */
static int conntrack_read(const struct agent *agent, struct conntrack *c, struct error *err)
{
	auto_error struct error first = {0};

	if (strcmp(agent->proc, "/proc") != 0)
		return conntrack_read_proc(agent, c, err);
	if (conntrack_dump(c, &first) == 0)
		return 0;
	c->user_count = c->mark_count = 0;
	c->entries = 0;
	if (conntrack_read_proc(agent, c, err) == 0)
		return 0;
	return error_move(err, &first);
}

/* ---- kube-proxy's counters ---- */

/* False when there is no room. */
static bool conntrack_add_rule(struct conntrack_rule *rules, size_t *count,
			       struct net_address address, uint64_t packets)
{
	for (size_t i = 0; i < *count; i++)
		if (net_address_equal(rules[i].address, address)) {
			rules[i].packets += packets;
			return true;
		}
	if (*count == CONNTRACK_RULES_MAX)
		return false;
	rules[(*count)++] = (struct conntrack_rule){address, packets};
	return true;
}

/* False where there are no such rules: kube-proxy works by other means, or has none for these. */
static bool conntrack_read_rules(struct conntrack *c, struct conntrack_rule *rules, size_t *count)
{
	static const char *const argv[] = {"iptables-save", "-c", "-t", "nat", NULL};
	auto_buffer struct buffer output = {.max = CONNTRACK_TEXT_MAX};
	auto_buffer struct buffer errors = {.max = 4096};
	auto_error struct error err = {0};
	struct slice rest;
	struct slice line;
	int status = 1;

	*count = 0;
	if (process_run(argv, NULL, (struct slice){0}, CONNTRACK_SAVE_MS, &output, &errors, &status,
			&err) < 0 ||
	    status != 0)
		return false;
	rest = buffer_as_slice(&output);
	while (slice_next(&rest, '\n', &line)) {
		struct net_address address;
		uint64_t packets;

		if (conntrack_parse_rule(line, &address, &packets) &&
		    conntrack_is_wanted(c, address) &&
		    !conntrack_add_rule(rules, count, address, packets))
			c->truncated = true;
	}
	return *count > 0;
}

/* What was counted since the mark; kube-proxy sets its rules anew now and then, and they begin at
 * nought. */
static uint64_t conntrack_packets(const struct conntrack_rule *rule)
{
	for (size_t i = 0; i < conntrack_before.rule_count; i++) {
		const struct conntrack_rule *before = &conntrack_before.rules[i];

		if (!net_address_equal(before->address, rule->address))
			continue;
		return rule->packets >= before->packets ? rule->packets - before->packets
							: rule->packets;
	}
	return rule->packets;
}

static json_t *conntrack_counters(const struct conntrack_rule *rules, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:I}", "address",
						net_address_text(rules[i].address).text, "packets",
						(json_int_t)conntrack_packets(&rules[i])));
	return list;
}

/* ---- the operation ---- */

static int conntrack_parse_cidrs(const json_t *request, struct conntrack *c, struct error *err)
{
	const json_t *item;
	json_t *list;
	size_t i;

	if (protocol_list(request, "cidrs", &list, err) < 0)
		return -1;
	if (json_array_size(list) > 64)
		return error_set(err, ERROR_PARSE, "more than 64 ranges");
	c->cidrs = alloc_array(json_array_size(list) + 1, sizeof(*c->cidrs));
	json_array_foreach(list, i, item)
		if (net_cidr_parse_sloppy(slice_of(json_string_value(item)),
					  &c->cidrs[c->cidr_count++], err) < 0)
			return -1;
	return 0;
}

static const char *conntrack_protocol(uint8_t number)
{
	return number == IPPROTO_TCP ? "tcp" : number == IPPROTO_UDP ? "udp" : "other";
}

static json_t *conntrack_users(const struct conntrack *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->user_count; i++) {
		const struct conntrack_user *u = &c->users[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:s, s:I, s:I}", "source",
					net_address_text(u->source).text, "address",
					net_address_text(u->destination).text, "port", (int)u->port,
					"protocol", conntrack_protocol(u->protocol), "connections",
					(json_int_t)u->count, "fresh", (json_int_t)u->fresh));
	}
	return list;
}

static void conntrack_remember(struct conntrack *c, const struct conntrack_rule *rules,
			       size_t rule_count, bool rules_known)
{
	free(conntrack_before.marks);
	free(conntrack_before.rules);
	if (c->mark_count)
		qsort(c->marks, c->mark_count, sizeof(*c->marks), conntrack_compare);
	conntrack_before.marks = steal(c->marks);
	conntrack_before.count = c->mark_count;
	conntrack_before.cut = c->marks_cut;
	conntrack_before.set = true;
	conntrack_before.at_ms = clock_monotonic_ms();
	conntrack_before.rules = alloc_array(rule_count + 1, sizeof(*rules));
	for (size_t i = 0; i < rule_count; i++)
		conntrack_before.rules[i] = rules[i];
	conntrack_before.rule_count = rule_count;
	conntrack_before.rules_known = rules_known;
}

int conntrack_look(const struct agent *agent, const json_t *request, json_t *reply,
		   struct error *err)
{
	__attribute__((cleanup(conntrack_release))) struct conntrack c = {0};
	auto_free struct conntrack_rule *rules = NULL;
	auto_error struct error problem = {0};
	size_t rule_count = 0;
	bool rules_known;
	bool known;

	if (conntrack_parse_cidrs(request, &c, err) < 0)
		return -1;
	c.mark = json_is_true(json_object_get(request, "mark"));
	known = conntrack_read(agent, &c, &problem) == 0;
	rules = alloc_array(CONNTRACK_RULES_MAX, sizeof(*rules));
	rules_known = conntrack_read_rules(&c, rules, &rule_count);
	json_object_set_new(reply, "known", json_boolean(known));
	if (!known)
		protocol_set_text(reply, "problem", error_text(&problem));
	json_object_set_new(reply, "marked", json_boolean(conntrack_before.set));
	json_object_set_new(reply, "entries", json_integer((json_int_t)c.entries));
	json_object_set_new(reply, "truncated", json_boolean(c.truncated));
	json_object_set_new(reply, "users", conntrack_users(&c));
	json_object_set_new(reply, "countersKnown",
			    json_boolean(rules_known && (c.mark || conntrack_before.rules_known)));
	json_object_set_new(reply, "counters", conntrack_counters(rules, rule_count));
	if (c.mark)
		conntrack_remember(&c, rules, rule_count, rules_known);
	return 0;
}
