/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include "lib/test.h"

static void test_text(void)
{
	static const struct {
		const char *text, *canonical; /* NULL: no address */
	} rows[] = {
		{"10.96.0.1", "10.96.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"FD00:0010:0096::0001", "fd00:10:96::1"},
		/* RFC 5952, 4.2.2 and 4.2.3: one zero group stays, the longest and first run goes */
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
		{"fd00:1:2:3:4:5:6:7", "fd00:1:2:3:4:5:6:7"},
		{"", NULL},
		{"10.96.0", NULL},
		{"10.96.0.1.2", NULL},
		{"10.96.0.", NULL},
		{".10.96.0", NULL},
		{"10..0.1", NULL},
		{"10.96.0.256", NULL},
		{"10.96.0.01", NULL},
		{"010.96.0.1", NULL},
		{"10.96.0.1 ", NULL},
		{" 10.96.0.1", NULL},
		{"+10.96.0.1", NULL},
		{"10.96.0.0x1", NULL},
		{"10.96.0.1/32", NULL},
		{"10.96.0.1:443", NULL},
		{"fd00::1%eth0", NULL},
		{"[fd00::1]", NULL},
		{"fd00:::1", NULL},
		{"fd00::1::2", NULL},
		{"1:2:3:4:5:6:7", NULL},
		{"1:2:3:4:5:6:7:8:9", NULL},
		{"12345::", NULL},
		{"kubernetes", NULL},
		{"fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_address a = {0};
		auto_error struct error err = {0};

		TEST("address '%s'", rows[i].text);
		if (rows[i].canonical) {
			CHECK_OK(net_address_parse(slice_of(rows[i].text), &a, &err), &err);
			CHECK_STR(net_address_text(a).text, rows[i].canonical);
		} else {
			CHECK_ERROR(net_address_parse(slice_of(rows[i].text), &a, &err), &err,
				    ERROR_PARSE, "is not an IP address");
			CHECK(!net_address_is_set(a));
		}
	}
	TEST("an embedded NUL is no end");
	CHECK(!net_address_read((struct slice){"10.0.0.1\0x", 10}, &(struct net_address){0}));
	CHECK(!net_address_read((struct slice){"fd00::1\0x", 9}, &(struct net_address){0}));
	CHECK_STR(net_address_text((struct net_address){0}).text, "");
}

static struct net_address address(const char *text)
{
	struct net_address a = {0};

	CHECK(net_address_read(slice_of(text), &a));
	return a;
}

static void test_add(void)
{
	static const struct {
		const char *base;
		uint64_t n;
		const char *sum; /* NULL: out of the address space */
	} rows[] = {
		{"10.96.0.0", 1, "10.96.0.1"},
		{"10.96.0.255", 1, "10.96.1.0"},
		{"10.255.255.255", 2, "11.0.0.1"},
		{"255.255.255.255", 0, "255.255.255.255"},
		{"255.255.255.255", 1, NULL},
		{"0.0.0.0", UINT64_MAX, NULL},
		{"fd00::ffff", 1, "fd00::1:0"},
		{"fd00::1", UINT64_MAX, "fd00:0:0:1::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_address sum = {0};

		TEST("%s + %llu", rows[i].base, (unsigned long long)rows[i].n);
		CHECK(net_address_add(address(rows[i].base), rows[i].n, &sum) ==
		      (rows[i].sum != NULL));
		CHECK_STR(net_address_text(sum).text, rows[i].sum ? rows[i].sum : "");
	}
}

static void test_order(void)
{
	static const char *const sorted[] = {"0.0.0.0",	  "9.255.0.0", "10.0.0.1", "10.0.0.2",
					     "200.0.0.0", "::",	       "::1",	   "fd00::"};
	size_t count = sizeof(sorted) / sizeof(sorted[0]);

	TEST("order");
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			int order = net_address_compare(address(sorted[i]), address(sorted[j]));

			CHECK((order < 0) == (i < j) && (order > 0) == (i > j));
			CHECK(net_address_equal(address(sorted[i]), address(sorted[j])) ==
			      (i == j));
		}
	}
}

static void test_bytes(void)
{
	static const unsigned char bytes[16] = {10, 96, 0, 1};
	struct net_address a = {0};

	TEST("bytes as in certificates");
	CHECK(net_address_from_bytes(bytes, 4, &a));
	CHECK_STR(net_address_text(a).text, "10.96.0.1");
	CHECK_INT(net_address_size(a), 4);
	CHECK(net_address_from_bytes(bytes, 16, &a));
	CHECK_STR(net_address_text(a).text, "a60:1::");
	CHECK_INT(net_address_size(a), 16);
	CHECK(!net_address_from_bytes(bytes, 5, &a));
	CHECK(!net_address_from_bytes(bytes, 0, &a));
	CHECK_INT(net_address_size((struct net_address){0}), 0);
}

int main(void)
{
	test_text();
	test_add();
	test_order();
	test_bytes();
	return test_done();
}
