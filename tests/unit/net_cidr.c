/* SPDX-License-Identifier: MIT */
#include "net/cidr.h"

#include "lib/test.h"

static struct net_cidr cidr(const char *text)
{
	struct net_cidr c = {0};
	auto_error struct error err = {0};

	CHECK_OK(net_cidr_parse(slice_of(text), &c, &err), &err);
	return c;
}

static struct net_address address(const char *text)
{
	struct net_address a = {0};

	CHECK(net_address_read(slice_of(text), &a));
	return a;
}

static void test_parse(void)
{
	static const struct {
		const char *text;
		const char *error;  /* of the strict form, or NULL */
		const char *sloppy; /* what the sloppy form takes it for, or NULL */
	} rows[] = {
		{"10.96.0.0/12", NULL, "10.96.0.0/12"},
		{"0.0.0.0/0", NULL, "0.0.0.0/0"},
		{"10.17.0.1/32", NULL, "10.17.0.1/32"},
		{"fd00:10:96::/112", NULL, "fd00:10:96::/112"},
		{"::/0", NULL, "::/0"},
		{"10.96.10.10/20",
		 "'10.96.10.10/20' has host bits set; did you mean '10.96.0.0/20'?",
		 "10.96.0.0/20"},
		{"10.17.0.0/12", "did you mean '10.16.0.0/12'?", "10.16.0.0/12"},
		{"fd00::1/112", "did you mean 'fd00::/112'?", "fd00::/112"},
		{"10.96.0.0", "'10.96.0.0' is not a CIDR: it has no '/' and prefix length", NULL},
		{"", "'' is not a CIDR", NULL},
		{"/", "'' is not an IP address", NULL},
		{"10.96.0.0/", "'' is not a prefix length", NULL},
		{"10.96.0.0/33", "the prefix length is at most 32", NULL},
		{"fd00::/129", "the prefix length is at most 128", NULL},
		{"10.96.0.0/99999999999999999999", "is not a prefix length", NULL},
		{"10.96.0.0/016", "'016' is not a prefix length", "10.96.0.0/16"},
		{"010.096.0.0/16", "'010.096.0.0' is not an IP address", "10.96.0.0/16"},
		{"10.96.0.0/16/16", "is not a prefix length", NULL},
		{"10.96.0.0/-1", "is not a prefix length", NULL},
		{"10.96.0.0/ 16", "is not a prefix length", NULL},
		{"10.96.0.0/16 ", "is not a prefix length", NULL},
		{"10.96.0/16", "'10.96.0' is not an IP address", NULL},
		{"10.96.0.0/255.255.0.0", "is not a prefix length", NULL},
		{"kubernetes", "'kubernetes' is not a CIDR", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_cidr c = {0};
		auto_error struct error err = {0};
		struct slice text = slice_of(rows[i].text);

		TEST("range '%s'", rows[i].text);
		if (!rows[i].error) {
			CHECK_OK(net_cidr_parse(text, &c, &err), &err);
			CHECK_STR(net_cidr_text(c).text, rows[i].text);
		} else {
			CHECK_ERROR(net_cidr_parse(text, &c, &err), &err, ERROR_PARSE,
				    rows[i].error);
		}
		c = (struct net_cidr){0};
		CHECK_INT(net_cidr_parse_sloppy(text, &c, &err), rows[i].sloppy ? 0 : -1);
		CHECK_STR(net_cidr_text(c).text, rows[i].sloppy ? rows[i].sloppy : "");
	}
}

static void test_list(void)
{
	static const struct {
		const char *text, *error, *canonical;
	} rows[] = {
		{"10.96.0.0/16", NULL, "10.96.0.0/16"},
		{"10.96.0.0/16,fd00::/112", NULL, "10.96.0.0/16,fd00::/112"},
		{"fd00::/112, 10.96.0.0/16", NULL, "fd00::/112,10.96.0.0/16"},
		{"", "it is empty", NULL},
		{",", "'' is not a CIDR", NULL},
		{"10.96.0.0/16,", "'' is not a CIDR", NULL},
		{"10.96.0.0/16,10.17.0.0/16", "two ranges of one family", NULL},
		{"fd00::/112,fd01::/112", "two ranges of one family", NULL},
		{"10.96.0.0/16,fd00::/112,10.17.0.0/16", "more than two ranges", NULL},
		{"10.96.0.0/16,fd00::1/112", "'fd00::1/112' has host bits set", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_cidr_list list = {0};
		auto_error struct error err = {0};

		TEST("list '%s'", rows[i].text);
		if (rows[i].error) {
			CHECK_ERROR(net_cidr_list_parse(slice_of(rows[i].text), &list, &err), &err,
				    ERROR_PARSE, rows[i].error);
			CHECK_INT(list.count, 0);
		} else {
			CHECK_OK(net_cidr_list_parse(slice_of(rows[i].text), &list, &err), &err);
			CHECK_STR(net_cidr_list_text(&list).text, rows[i].canonical);
		}
	}
}

static void test_list_questions(void)
{
	struct net_cidr_list both = {0}, one = {0}, longest = {0};
	auto_error struct error err = {0};

	TEST("questions to a list");
	CHECK_OK(net_cidr_list_parse(SLICE("10.96.0.0/16,fd00::/112"), &both, &err), &err);
	CHECK_OK(net_cidr_list_parse(SLICE("10.96.0.0/16"), &one, &err), &err);
	CHECK(net_cidr_list_equal(&both, &both) && !net_cidr_list_equal(&both, &one));
	CHECK(net_cidr_list_contains(&both, address("fd00::5")));
	CHECK(!net_cidr_list_contains(&one, address("fd00::5")));
	CHECK_STR(net_cidr_text(*net_cidr_list_family(&both, NET_IPV6)).text, "fd00::/112");
	CHECK(net_cidr_list_family(&one, NET_IPV6) == NULL);

	TEST("the longest list has room in its text");
	CHECK_OK(net_cidr_list_parse(SLICE("fd00:1111:2222:3333:4444:5555:6666:7777/128,"
					   "255.255.255.255/32"),
				     &longest, &err),
		 &err);
	CHECK_STR(net_cidr_list_text(&longest).text,
		  "fd00:1111:2222:3333:4444:5555:6666:7777/128,255.255.255.255/32");
}

static void test_relations(void)
{
	static const struct {
		const char *a, *b;
		bool covers, overlaps;
	} rows[] = {
		{"10.96.0.0/12", "10.96.0.0/16", true, true},
		{"10.96.0.0/16", "10.96.0.0/12", false, true},
		{"10.96.0.0/16", "10.96.0.0/16", true, true},
		{"10.96.0.0/16", "10.97.0.0/16", false, false},
		{"10.96.0.0/17", "10.96.128.0/17", false, false},
		{"0.0.0.0/0", "255.255.255.255/32", true, true},
		{"0.0.0.0/0", "::/0", false, false},
		{"fd00::/108", "fd00::f:0/112", true, true},
		{"fd00::/108", "fd00::10:0/112", false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("%s and %s", rows[i].a, rows[i].b);
		CHECK_INT(net_cidr_covers(cidr(rows[i].a), cidr(rows[i].b)), rows[i].covers);
		CHECK_INT(net_cidr_overlaps(cidr(rows[i].a), cidr(rows[i].b)), rows[i].overlaps);
		CHECK_INT(net_cidr_overlaps(cidr(rows[i].b), cidr(rows[i].a)), rows[i].overlaps);
	}
	TEST("no range overlaps nothing");
	CHECK(!net_cidr_contains(cidr("0.0.0.0/0"), (struct net_address){0}));
	CHECK(!net_cidr_contains((struct net_cidr){0}, (struct net_address){0}));
}

static void test_members(void)
{
	static const struct {
		const char *cidr, *first, *dns, *last;
		uint64_t size, usable;
	} rows[] = {
		{"10.96.0.0/12", "10.96.0.1", "10.96.0.10", "10.111.255.255", 1048576, 1048574},
		{"10.17.0.0/16", "10.17.0.1", "10.17.0.10", "10.17.255.255", 65536, 65534},
		{"10.17.0.8/29", "10.17.0.9", "", "10.17.0.15", 8, 6},
		{"10.17.0.8/31", "10.17.0.9", "", "10.17.0.9", 2, 0},
		{"10.17.0.8/32", "", "", "10.17.0.8", 1, 0},
		{"255.255.255.0/24", "255.255.255.1", "255.255.255.10", "255.255.255.255", 256,
		 254},
		{"fd00::/112", "fd00::1", "fd00::a", "fd00::ffff", 65536, 65535},
		{"fd00::/64", "fd00::1", "fd00::a", "fd00::ffff:ffff:ffff:ffff", UINT64_MAX,
		 UINT64_MAX},
		{"0.0.0.0/0", "0.0.0.1", "0.0.0.10", "255.255.255.255", 4294967296, 4294967294},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_cidr c = cidr(rows[i].cidr);

		TEST("members of %s", rows[i].cidr);
		CHECK_STR(net_address_text(net_cidr_nth(c, 1)).text, rows[i].first);
		CHECK_STR(net_address_text(net_cidr_nth(c, 10)).text, rows[i].dns);
		CHECK_STR(net_address_text(net_cidr_last(c)).text, rows[i].last);
		CHECK(net_cidr_size(c) == rows[i].size);
		CHECK(net_cidr_usable(c) == rows[i].usable);
	}
	TEST("host parts");
	CHECK_INT(net_cidr_host(cidr("10.96.0.0/12"), address("10.97.1.2")), 65536 + 258);
	CHECK_INT(net_cidr_host(cidr("10.96.0.0/12"), address("10.96.0.0")), 0);
	CHECK(net_cidr_host(cidr("10.96.0.0/16"), address("10.97.0.0")) == UINT64_MAX);
	CHECK_INT(net_cidr_host(cidr("fd00::/64"), address("fd00::1:0:0")), 4294967296);
	CHECK(net_cidr_host(cidr("::/0"), address("fd00::1")) == UINT64_MAX);
	CHECK_INT(net_cidr_host(cidr("::/0"), address("::1")), 1);
}

static void test_service(void)
{
	static const struct {
		const char *cidr, *error, *large_error;
	} rows[] = {
		{"10.17.0.0/16", NULL, NULL},
		{"10.96.0.0/12", NULL, NULL},
		{"10.0.0.0/11", "is too large: this cluster's API servers take at most /12", NULL},
		{"10.17.0.0/29", NULL, NULL},
		{"10.17.0.0/30",
		 "range '10.17.0.0/30' is too small: it has 4 addresses, and an API server wants "
		 "at "
		 "least 8 (/29)",
		 "is too small"},
		{"fd00::/108", NULL, NULL},
		{"fd00::/107", "at most /108", NULL},
		{"fd00::/126", "at least 8 (/125)", "is too small"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int large = 0; large < 2; large++) {
			auto_error struct error err = {0};
			const char *want = large ? rows[i].large_error : rows[i].error;
			int got = net_cidr_check_service(cidr(rows[i].cidr), large, &err);

			TEST("Service range %s, large ones %s", rows[i].cidr,
			     large ? "too" : "not");
			if (want)
				CHECK_ERROR(got, &err, ERROR_REFUSED, want);
			else
				CHECK_OK(got, &err);
		}
	}
}

int main(void)
{
	test_parse();
	test_list();
	test_list_questions();
	test_relations();
	test_members();
	test_service();
	return test_done();
}
