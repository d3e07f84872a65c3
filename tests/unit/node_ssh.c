/* SPDX-License-Identifier: MIT */
#include "node/ssh.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"

static void test_split(void)
{
	static const struct {
		const char *text;
		const char *words; /* joined by '|'; NULL: an error */
	} rows[] = {
		{"ssh", "ssh"},
		{"  ssh  -F\t/a/b  ", "ssh|-F|/a/b"},
		{"ssh -F '/a b/c'", "ssh|-F|/a b/c"},
		{"ssh -o \"ProxyCommand nc %h %p\"", "ssh|-o|ProxyCommand nc %h %p"},
		{"ssh -F /a\\ b", "ssh|-F|/a b"},
		{"ssh ''", "ssh|"},
		{"ssh a'b'\"c\"d", "ssh|abcd"},
		{"ssh \"a\\\"b\"", "ssh|a\"b"},
		{"ssh 'a\\b'", "ssh|a\\b"},
		{"ssh $HOME `id` ; rm", "ssh|$HOME|`id`|;|rm"},
		{"", NULL},
		{"   ", NULL},
		{"ssh 'a", NULL},
		{"ssh \"a", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_ssh_words struct ssh_words words = {0};
		auto_buffer struct buffer joined = {0};
		auto_error struct error err = {0};

		TEST("ssh command '%s'", rows[i].text);
		if (!rows[i].words) {
			CHECK_ERROR(ssh_split(rows[i].text, &words, &err), &err, ERROR_USAGE, "");
			continue;
		}
		CHECK_OK(ssh_split(rows[i].text, &words, &err), &err);
		for (size_t k = 0; k < words.count; k++)
			buffer_format(&joined, "%s%s", k ? "|" : "", words.items[k]);
		CHECK_STR(buffer_cstr(&joined), rows[i].words);
		CHECK(words.items[words.count] == NULL);
	}
}

static void test_map(void)
{
	static const struct {
		const char *text;
		const char *problem;
	} rows[] = {
		{"cp1 10.0.0.1\n", "map:1:1"},
		{"# c\n\ncp1=\n", "map:3:1"},
		{"=h\n", "map:1:1"},
		{"cp1=-oProxyCommand=x\n", "map:1:1"},
		{"cp1=a b\n", "map:1:1"},
		{"cp1=$(id)\n", "map:1:1"},
		{"cp1=a\ncp1=b\n", "map:2:1: node 'cp1' is named twice"},
	};
	__attribute__((cleanup(ssh_map_release))) struct ssh_map map = {0};
	auto_error struct error err = {0};

	TEST("a map of hosts");
	CHECK_OK(ssh_map_parse(SLICE("# comment\ncp1 = 10.0.0.1\r\n\ncp2=ssh://a@b:22"), "map",
			       &map, &err),
		 &err);
	CHECK_STR(ssh_map_find(&map, "cp1"), "10.0.0.1");
	CHECK_STR(ssh_map_find(&map, "cp2"), "ssh://a@b:22");
	CHECK_STR(ssh_map_find(&map, "cp3"), NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ssh_map none = {0};

		TEST("map '%s'", rows[i].text);
		CHECK_ERROR(ssh_map_parse(slice_of(rows[i].text), "map", &none, &err), &err,
			    ERROR_PARSE, rows[i].problem);
	}
}

static void test_explain(void)
{
	static const struct {
		const char *said;
		enum error_kind kind;
		const char *text;
	} rows[] = {
		{"ssh: connect to host 10.1.15.121 port 22: Connection refused\r\n", ERROR_NETWORK,
		 "--ssh-map"},
		{"ssh: connect to host cp1 port 22: Connection timed out\r\n", ERROR_NETWORK,
		 "cannot be reached"},
		{"ssh: Could not resolve hostname cp1: Name or service not known\r\n",
		 ERROR_NETWORK, "--ssh-map"},
		{"ops@cp1: Permission denied (publickey,password).\r\n", ERROR_API, "--ssh-user"},
		{"Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures\n",
		 ERROR_API, "IdentitiesOnly"},
		{"Host key verification failed.\r\n", ERROR_API, "connect once by hand"},
		{"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification "
		 "failed.\n",
		 ERROR_API, "ssh-keygen -R"},
		{"sudo: a password is required\n", ERROR_API, "NOPASSWD"},
		{"sudo: sorry, you must have a tty to run sudo\n", ERROR_API, "requiretty"},
		{"ops is not in the sudoers file.\n", ERROR_API, "may not use sudo"},
		{"env: 'sudo': No such file or directory\n", ERROR_API, "no sudo"},
		{"banner\nrenumber: user ops\n", ERROR_API,
		 "user 'ops' is not root; use --ssh-user"},
		{"renumber: machine aarch64\n", ERROR_API, "'aarch64'"},
		{"renumber: nowhere\n", ERROR_API, "noexec"},
		{"head: No space left on device\nrenumber: copy\n", ERROR_NETWORK, "disk full"},
		{"Warning: Permanently added 'x'\nodd thing\n\n", ERROR_NETWORK,
		 "ssh ended with status 255: odd thing"},
		{"", ERROR_NETWORK, "said nothing"},
	};
	auto_ssh_words struct ssh_words command = {0};
	struct ssh_target target = {.command = &command, .node = "cp1"};

	ssh_words_add(&command, "ssh");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_error struct error err = {0};

		TEST("ssh says '%s'", rows[i].said);
		CHECK_ERROR(ssh_explain(&target, slice_of(rows[i].said), 255, &err), &err,
			    rows[i].kind, rows[i].text);
	}
}

/* The whole vector, with a stand-in for ssh that has no configuration. */
static void test_arguments(void)
{
	auto_ssh_words struct ssh_words command = {0};
	auto_ssh_words struct ssh_words plain = {0};
	auto_ssh_words struct ssh_words mapped = {0};
	struct ssh_target target = {.command = &command,
				    .node = "cp1",
				    .address = "10.0.0.1",
				    .user = "ops",
				    .sudo = true,
				    .connect_ms = 1500};

	ssh_words_add(&command, "false");
	TEST("a node without ssh configuration is dialled by its address");
	ssh_arguments(&target, 1234, "x86_64", &plain);
	CHECK_STR(plain.items[0], "false");
	CHECK_STR(plain.items[plain.count - 2], "cp1");
	CHECK_STR(plain.items[plain.count - 3], "--");
	CHECK_STR(plain.items[plain.count - 4], "HostName=10.0.0.1");
	CHECK_STR(plain.items[plain.count - 6], "ops");
	CHECK_STR(plain.items[plain.count - 8], "ConnectTimeout=2");
	{
		static const char *const wanted[] = {"ForwardAgent=no", "ForwardX11=no",
						     "ClearAllForwardings=yes", "BatchMode=yes"};

		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			bool found = false;

			for (size_t k = 1; k < plain.count; k++)
				found = found || (strcmp(plain.items[k], wanted[i]) == 0 &&
						  strcmp(plain.items[k - 1], "-o") == 0);
			CHECK(found);
		}
	}
	CHECK(strstr(plain.items[plain.count - 1], "exec env LC_ALL=C sudo -n sh -c '"));
	CHECK(strstr(plain.items[plain.count - 1], "head -c 1234 "));

	TEST("a node in the map is dialled by what the map says");
	target.host = "root@jump";
	target.sudo = false;
	ssh_arguments(&target, 1234, "x86_64", &mapped);
	CHECK_STR(mapped.items[mapped.count - 2], "root@jump");
	CHECK_STR(mapped.items[mapped.count - 4], "ops");
	CHECK(strncmp(mapped.items[mapped.count - 1], "exec sh -c '", 12) == 0);

	TEST("the script is one line without what login shells expand");
	CHECK(!strpbrk(mapped.items[mapped.count - 1], "\n!"));
	{
		const char *script = strchr(mapped.items[mapped.count - 1], '\'') + 1;

		CHECK_INT(strchr(script, '\'') - script, (intmax_t)strlen(script) - 1);
	}
}

/* Names of nodes come from the server, hosts from the operator's map. */
static void test_hosts(void)
{
	static const struct {
		const char *host;
		bool fine;
	} rows[] = {
		{"cp1", true},
		{"CP1.example.com", true},
		{"ops@10.1.15.121", true},
		{"ssh://ops@cp1:2222", true},
		{"fe80::1%eth0", true},
		{"[fd00::1]", true},
		{"", false},
		{"-oProxyCommand=id", false},
		{"-", false},
		{"a b", false},
		{"a\tb", false},
		{"a\nb", false},
		{"$(id)", false},
		{"`id`", false},
		{"a;id", false},
		{"a|id", false},
		{"a&id", false},
		{"a>b", false},
		{"a'b", false},
		{"a\"b", false},
		{"a\\b", false},
		{"a*", false},
		{"a\033[31m", false},
		{"gr\303\266n", false},
	};
	static const char *const addresses[] = {
		"10.0.0.1 -oProxyCommand=id",
		"10.0.0.1\nProxyCommand id",
		"$(id)",
		"-oX",
		"",
		"cp1",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("'%s' is %s of ssh", rows[i].host, rows[i].fine ? "a host" : "no host");
		CHECK_INT(ssh_is_host(slice_of(rows[i].host)), rows[i].fine);
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		auto_ssh_words struct ssh_words command = {0};
		auto_ssh_words struct ssh_words words = {0};
		struct ssh_target target = {
			.command = &command, .node = "cp1", .address = addresses[i]};

		TEST("the address '%s' of a node is not given to ssh", addresses[i]);
		ssh_words_add(&command, "false");
		ssh_arguments(&target, 1, "x86_64", &words);
		for (size_t k = 0; k < words.count; k++)
			CHECK(strncmp(words.items[k], "HostName", 8) != 0);
		CHECK_STR(words.items[words.count - 2], "cp1");
		CHECK_STR(words.items[words.count - 3], "--");
	}
}

int main(void)
{
	test_hosts();
	test_split();
	test_map();
	test_explain();
	test_arguments();
	return test_done();
}
