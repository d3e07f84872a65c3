/* SPDX-License-Identifier: MIT */
#include "net/map.h"

#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/test.h"

static struct net_address address(const char *text)
{
	struct net_address a = {0};

	if (*text)
		CHECK(net_address_read(slice_of(text), &a));
	return a;
}

#define LIST_MOST 8

/* Words to addresses; the number of them. */
static size_t addresses(const char *text, struct net_address ret[LIST_MOST])
{
	struct slice rest = slice_of(text), part;
	size_t count = 0;

	while (slice_next(&rest, ' ', &part))
		if (part.len > 0 && count < LIST_MOST)
			CHECK(net_address_read(part, &ret[count++]));
	return count;
}

static size_t ranges(const char *text, struct net_cidr ret[LIST_MOST])
{
	struct slice rest = slice_of(text), part;
	size_t count = 0;
	auto_error struct error err = {0};

	while (slice_next(&rest, ' ', &part))
		if (part.len > 0 && count < LIST_MOST)
			CHECK_OK(net_cidr_parse(part, &ret[count++], &err), &err);
	return count;
}

struct row {
	const char *name;
	const char *from, *to, *old, *taken, *kubernetes, *dns, *own;
	const char *want;  /* "old=new …", sorted */
	const char *error; /* or a part of the message */
	enum error_kind kind;
};

static const struct row rows[] = {
	{.name = "the same host part",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.5.6 10.96.0.1 10.96.0.10 10.96.5.6",
	 .kubernetes = "10.96.0.1",
	 .dns = "10.96.0.10",
	 .want = "10.96.0.1=10.17.0.1 10.96.0.10=10.17.0.10 10.96.5.6=10.17.5.6"},
	{.name = "a smaller range: what fits keeps its host part",
	 .from = "10.96.0.0/12",
	 .to = "10.17.0.0/24",
	 .old = "10.96.0.77 10.97.0.77 10.96.1.0 10.111.255.254",
	 .want = "10.96.0.77=10.17.0.77 10.96.1.0=10.17.0.2 10.97.0.77=10.17.0.3 "
		 "10.111.255.254=10.17.0.4"},
	{.name = "an unusual DNS address goes to the tenth",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.53 10.96.0.10",
	 .dns = "10.96.0.53",
	 .want = "10.96.0.10=10.17.0.2 10.96.0.53=10.17.0.10"},
	{.name = "reserved addresses are given to nobody",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/28",
	 .old = "10.96.0.0 10.96.0.1 10.96.0.10 10.96.0.15",
	 .want = "10.96.0.0=10.17.0.2 10.96.0.1=10.17.0.3 10.96.0.10=10.17.0.4 "
		 "10.96.0.15=10.17.0.5"},
	{.name = "taken addresses are passed over",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20 10.96.0.21",
	 .taken = "10.17.0.20 10.17.0.2 10.17.0.3",
	 .want = "10.96.0.20=10.17.0.4 10.96.0.21=10.17.0.21"},
	{.name = "own pairs come first",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20 10.96.0.21",
	 .own = "10.96.0.20 10.17.0.21\n10.96.9.9=10.17.9.9\n",
	 .want = "10.96.0.20=10.17.0.21 10.96.0.21=10.17.0.2"},
	{.name = "two old ranges with one host part",
	 .from = "10.96.0.0/16 10.43.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20 10.43.0.20",
	 .want = "10.43.0.20=10.17.0.20 10.96.0.20=10.17.0.2"},
	{.name = "an old address outside of every old range",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "172.20.3.4",
	 .want = "172.20.3.4=10.17.3.4"},
	{.name = "dual stack",
	 .from = "10.96.0.0/16 fd00:96::/108",
	 .to = "fd00:17::/112 10.17.0.0/16",
	 .old = "fd00:96::1 10.96.0.1 fd00:96::a fd00:96::7:1234 fd00:96::abcd",
	 .kubernetes = "fd00:96::1 10.96.0.1",
	 .dns = "fd00:96::a",
	 .want = "10.96.0.1=10.17.0.1 fd00:96::1=fd00:17::1 fd00:96::a=fd00:17::a "
		 "fd00:96::abcd=fd00:17::abcd fd00:96::7:1234=fd00:17::2"},
	{.name = "back to the same range",
	 .from = "10.96.0.0/16",
	 .to = "10.96.0.0/16",
	 .old = "10.96.0.20",
	 .want = "10.96.0.20=10.96.0.20"},
	{.name = "a range without a tenth address",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/29",
	 .old = "10.96.0.10 10.96.0.1",
	 .kubernetes = "10.96.0.1",
	 .dns = "10.96.0.10",
	 .want = "10.96.0.1=10.17.0.1 10.96.0.10=10.17.0.2"},
	{.name = "nothing to map", .from = "10.96.0.0/16", .to = "10.17.0.0/16", .want = ""},
	{.name = "a range that is too small",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/29",
	 .old = "10.96.0.20 10.96.0.21 10.96.0.22 10.96.0.23 10.96.0.24 10.96.0.25",
	 .error = "range '10.17.0.0/29' is too small: no address is left for '10.96.0.25' (6 to "
		  "move, 0 taken)",
	 .kind = ERROR_REFUSED},
	{.name = "an address of a family without a new range",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "fd00::1",
	 .error = "address 'fd00::1' has no new range of its family",
	 .kind = ERROR_REFUSED},
	{.name = "an own address outside of the range",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20",
	 .own = "\n10.96.0.20 10.18.0.20\n",
	 .error = "own:2: new address '10.18.0.20' of '10.96.0.20' is outside of the new range",
	 .kind = ERROR_PARSE},
	{.name = "an own address that is reserved",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20",
	 .own = "10.96.0.20 10.17.0.10",
	 .error = "own:1: new address '10.17.0.10' of '10.96.0.20' is reserved",
	 .kind = ERROR_PARSE},
	{.name = "an own address that is taken",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.20",
	 .taken = "10.17.0.30",
	 .own = "10.96.0.20 10.17.0.30",
	 .error = "own:1: new address '10.17.0.30' of '10.96.0.20' is taken already",
	 .kind = ERROR_PARSE},
	{.name = "an own address for the first one",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.1",
	 .kubernetes = "10.96.0.1",
	 .own = "10.96.0.1 10.17.0.30",
	 .error = "own:1: new address '10.17.0.30' of '10.96.0.1' cannot be",
	 .kind = ERROR_PARSE},
	{.name = "an own pair that says what is fixed anyway",
	 .from = "10.96.0.0/16",
	 .to = "10.17.0.0/16",
	 .old = "10.96.0.1",
	 .kubernetes = "10.96.0.1",
	 .own = "10.96.0.1 10.17.0.1",
	 .want = "10.96.0.1=10.17.0.1"},
};

static void show(const struct net_map *map, struct buffer *ret)
{
	for (size_t i = 0; i < map->count; i++)
		buffer_format(ret, "%s%s=%s", i > 0 ? " " : "",
			      net_address_text(map->pairs[i].from).text,
			      net_address_text(map->pairs[i].to).text);
}

static void reverse(struct net_address *list, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct net_address kept = list[i];

		list[i] = list[count - 1 - i];
		list[count - 1 - i] = kept;
	}
}

static void run_row(const struct row *row)
{
	struct net_cidr from[LIST_MOST], to[LIST_MOST];
	struct net_address old[LIST_MOST], taken[LIST_MOST], kubernetes[LIST_MOST], dns[LIST_MOST];
	auto_net_map struct net_map own = {0}, map = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer first = {0}, second = {0};
	struct net_map_request request = {.from = from,
					  .to = to,
					  .addresses = old,
					  .taken = taken,
					  .kubernetes = kubernetes,
					  .dns = dns};

	TEST("map: %s", row->name);
	request.from_count = ranges(row->from, from);
	request.to_count = ranges(row->to, to);
	request.address_count = addresses(row->old ? row->old : "", old);
	request.taken_count = addresses(row->taken ? row->taken : "", taken);
	request.kubernetes_count = addresses(row->kubernetes ? row->kubernetes : "", kubernetes);
	request.dns_count = addresses(row->dns ? row->dns : "", dns);
	if (row->own) {
		CHECK_OK(net_map_read(&own, "own", slice_of(row->own), &err), &err);
		request.own = &own;
	}
	if (row->error) {
		CHECK_ERROR(net_map_build(&map, &request, &err), &err, row->kind, row->error);
		CHECK_INT(map.count, 0);
		return;
	}
	CHECK_OK(net_map_build(&map, &request, &err), &err);
	show(&map, &first);
	CHECK_STR(buffer_cstr(&first), row->want);
	reverse(old, request.address_count);
	reverse(taken, request.taken_count);
	CHECK_OK(net_map_build(&map, &request, &err), &err);
	show(&map, &second);
	CHECK_STR(buffer_cstr(&second), row->want);
}

static void test_read(void)
{
	static const struct {
		const char *text, *want, *error;
	} files[] = {
		{"", "", NULL},
		{"# nothing\n\n  \t\r\n", "", NULL},
		{"10.96.0.2 10.17.0.2\n10.96.0.1=10.17.0.1 # first\r\n\tfd00::1 = fd01::1",
		 "10.96.0.1=10.17.0.1 10.96.0.2=10.17.0.2 fd00::1=fd01::1", NULL},
		{"10.96.0.1 10.17.0.1\n  x 10.17.0.2\n", NULL, "own:2:3: not an IP address: 'x'"},
		{"10.96.0.1 10.17.0\n", NULL, "own:1:11: not an IP address: '10.17.0'"},
		{"10.96.0.1\n", NULL, "own:1:10: no new address for '10.96.0.1'"},
		{"10.96.0.1 # x\n", NULL, "own:1:11: no new address for '10.96.0.1'"},
		{"10.96.0.1 10.17.0.1 x\n", NULL, "own:1:21: unexpected text behind the pair: 'x'"},
		{"10.96.0.1 fd00::1\n", NULL,
		 "own:1:11: not of the old address's family: 'fd00::1'"},
		{"10.96.0.1 10.17.0.1\n\n10.96.0.1 10.17.0.2\n", NULL,
		 "own:3: old address '10.96.0.1' stands twice, first in line 1"},
		{"10.96.0.1 10.17.0.1\n10.96.0.2 10.17.0.1\n", NULL,
		 "own:2: new address '10.17.0.1' is given twice, first in line 1"},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		auto_net_map struct net_map map = {0};
		auto_error struct error err = {0};
		auto_buffer struct buffer text = {0};

		TEST("map file %zu", i);
		if (files[i].error) {
			CHECK_ERROR(net_map_read(&map, "own", slice_of(files[i].text), &err), &err,
				    ERROR_PARSE, files[i].error);
			continue;
		}
		CHECK_OK(net_map_read(&map, "own", slice_of(files[i].text), &err), &err);
		show(&map, &text);
		CHECK_STR(buffer_cstr(&text), files[i].want);
	}
}

static void test_nul(void)
{
	auto_net_map struct net_map map = {0};
	auto_error struct error err = {0};

	TEST("a map file with a NUL byte");
	CHECK_ERROR(net_map_read(&map, "own", (struct slice){"\0", 1}, &err), &err, ERROR_PARSE,
		    "own: holds a NUL byte");
}

static void test_origins(void)
{
	struct net_cidr from[LIST_MOST], to[LIST_MOST];
	struct net_address old[LIST_MOST], dns[LIST_MOST];
	auto_net_map struct net_map map = {0};
	auto_error struct error err = {0};
	struct net_map_request request = {
		.from = from, .to = to, .addresses = old, .dns = dns, .dns_count = 1};

	TEST("where a pair comes from, and finding it");
	request.from_count = ranges("10.96.0.0/16", from);
	request.to_count = ranges("10.17.0.0/24", to);
	request.address_count = addresses("10.96.0.10 10.96.0.20 10.96.7.7", old);
	addresses("10.96.0.10", dns);
	CHECK_OK(net_map_build(&map, &request, &err), &err);
	CHECK_INT(net_map_find(&map, address("10.96.0.10"))->origin, NET_MAP_FIXED);
	CHECK_INT(net_map_find(&map, address("10.96.0.20"))->origin, NET_MAP_SAME_HOST);
	CHECK_INT(net_map_find(&map, address("10.96.7.7"))->origin, NET_MAP_CHOSEN);
	CHECK(net_map_find(&map, address("10.96.0.21")) == NULL);
	CHECK(net_map_find(&(struct net_map){0}, address("10.96.0.21")) == NULL);
}

/* 60,000 addresses of a /12 into a /16: no new address twice, none reserved, and in time that the
 * quadratic way would not meet. */
static void test_many(void)
{
	enum { COUNT = 60000 };
	struct net_cidr from[LIST_MOST], to[LIST_MOST];
	auto_free struct net_address *old = alloc_array(COUNT, sizeof(*old));
	auto_free unsigned char *seen = alloc_array(65536, 1);
	auto_net_map struct net_map map = {0};
	auto_error struct error err = {0};
	struct net_map_request request = {.from = from, .to = to, .addresses = old};
	clock_t start = clock();
	size_t twice = 0;

	TEST("sixty thousand addresses");
	request.from_count = ranges("10.96.0.0/12", from);
	request.to_count = ranges("10.17.0.0/16", to);
	request.address_count = COUNT;
	for (uint64_t i = 0; i < COUNT; i++)
		old[i] = net_cidr_nth(from[0], 1 + i * 17);
	CHECK_OK(net_map_build(&map, &request, &err), &err);
	CHECK_INT(map.count, COUNT);
	for (size_t i = 0; i < map.count; i++)
		twice += seen[net_cidr_host(to[0], map.pairs[i].to)]++;
	CHECK_INT(twice, 0);
	CHECK(!seen[0] && !seen[1] && !seen[10] && !seen[65535]);
	CHECK(clock() - start < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i]);
	test_read();
	test_nul();
	test_origins();
	test_many();
	return test_done();
}
