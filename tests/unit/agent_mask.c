/* SPDX-License-Identifier: MIT */
#include "agent/mask.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"

static const struct {
	const char *what;
	const char *text;
	const char *masked; /* NULL: as it is */
} rows[] = {
	{"plain", "a: b\nserver: https://10.96.0.1:443\n", NULL},
	{"certificate stays", "certificate-authority-data: LS0tLS1=\n", NULL},
	{"path to a key stays", "client-key: /var/lib/kubelet/pki/x.pem\n", NULL},
	{"anonymous-auth stays", "- --anonymous-auth=false\n- --client-cert-auth=true\n", NULL},
	{"flag with a file stays", "- --token-auth-file=/etc/t.csv\n", NULL},
	{"key file stays", "- --service-account-signing-key-file=/a/sa.key\n", NULL},
	{"token", "    token: abc.def\n", "    token: xxxxxxx\n"},
	{"double quotes", "token: \"a\\\"b\" # c\n", "token: \"xxxx\" # c\n"},
	{"single quotes", "token: 'it''s''' # c\n", "token: 'xxxxxxx' # c\n"},
	{"json", "{\"token\":\"abc\",\"a\":\"b\"}", "{\"token\":\"xxx\",\"a\":\"b\"}"},
	{"json with blanks", "{ \"password\" : \"abc\" }", "{ \"password\" : \"xxx\" }"},
	{"json, value on the next line", "{\"token\":\n  \"abc\",\n\"b\":1}",
	 "{\"token\":\n  \"xxx\",\n\"b\":1}"},
	{"flow mapping", "user: {token: abc, name: n}\n", "user: {token: xxx, name: n}\n"},
	{"key data", "    client-key-data: QUJD\n    x: y\n",
	 "    client-key-data: xxxx\n    x: y\n"},
	{"block scalar", "- name: u\n  token: |\n    one\n    two\n  next: a\n",
	 "- name: u\n  token: |\n    xxx\n    xxx\n  next: a\n"},
	{"folded with indicators", "token: >-\n  one\n\n  two\nnext: a\n",
	 "token: >-\n  xxx\n\n  xxx\nnext: a\n"},
	{"plain over lines", "token: one\n  two\nnext: a\n", "token: xxx\n  xxx\nnext: a\n"},
	{"encryption configuration", "keys:\n- name: key1\n  secret: QUJD\n",
	 "keys:\n- name: key1\n  secret: xxxx\n"},
	{"docker auth", "{\"auths\":{\"r\":{\"auth\":\"QUJD\"}}}",
	 "{\"auths\":{\"r\":{\"auth\":\"xxxx\"}}}"},
	{"environment file", "DB_PASSWORD=abc def\nNO_PROXY=10.96.0.0/12\n",
	 "DB_PASSWORD=xxxxxxx\nNO_PROXY=10.96.0.0/12\n"},
	{"password of a proxy", "HTTP_PROXY=http://u:pw@proxy:3128\n",
	 "HTTP_PROXY=http://u:xx@proxy:3128\n"},
	{"url without password", "server: https://10.96.0.1:443/a@b\n", NULL},
	{"variable in a manifest", "- name: DB_PASSWORD\n  value: \"abc\"\n- name: A\n  value: b\n",
	 "- name: DB_PASSWORD\n  value: \"xxx\"\n- name: A\n  value: b\n"},
	{"variable in json", "{\"name\":\"X_TOKEN\",\"value\":\"abc\"}",
	 "{\"name\":\"X_TOKEN\",\"value\":\"xxx\"}"},
	{"web token anywhere", "a: eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJpc3MiOiJrdW.c2ln\n",
	 "a: xxxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxx.xxxx\n"},
	{"open quote", "token: \"abc", "token: \"xxx"},
	{"crlf", "token: abc\r\nb: c\r\n", "token: xxx\r\nb: c\r\n"},
	{"upper case", "TOKEN: abc\n", "TOKEN: xxx\n"},
};

static void test_text(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_free char *text = alloc_text(rows[i].text);
		bool changed = mask_text(text, strlen(text));

		TEST("%s", rows[i].what);
		/* The dots of a web token go too; the rows show them for the eye. */
		for (size_t k = 0; rows[i].masked && rows[i].masked[k]; k++)
			if (rows[i].masked[k] == '.' && text[k] == 'x')
				text[k] = '.';
		CHECK_STR(text, rows[i].masked ? rows[i].masked : rows[i].text);
		CHECK_INT(changed, rows[i].masked != NULL);
	}
}

/* No secret survives, wherever the text is cut off; nothing but bytes of the text is touched. */
static void test_every_prefix(void)
{
	static const char text[] = "users:\n- name: a\n  user: {token: SECRET, x: \"y\"}\n"
				   "- user:\n    client-key-data: SECRET\n    password: 'SECRET'\n"
				   "    token: |\n      SECRET\n      SECRET\n";

	TEST("every prefix of a kubeconfig is masked");
	for (size_t len = 0; len < sizeof(text); len++) {
		auto_free char *copy = alloc_text_n(text, len);

		mask_text(copy, len);
		CHECK_INT(strlen(copy), len);
		CHECK(!strstr(copy, "SECRET"));
	}
}

static void test_argument(void)
{
	static const struct {
		const char *argument;
		const char *masked;
	} arguments[] = {
		{"--token=abc", "--token=xxx"},
		{"--etcd-servers=https://127.0.0.1:2379", "--etcd-servers=https://127.0.0.1:2379"},
		{"--service-cluster-ip-range=10.96.0.0/16",
		 "--service-cluster-ip-range=10.96.0.0/16"},
		{"--anonymous-auth=false", "--anonymous-auth=false"},
		{"--oidc-client-secret=abc", "--oidc-client-secret=xxx"},
		{"--proxy=http://a:bc@h", "--proxy=http://a:xx@h"},
	};

	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		auto_free char *text = alloc_text(arguments[i].argument);

		TEST("argument '%s'", text);
		mask_argument(text);
		CHECK_STR(text, arguments[i].masked);
	}
}

static void test_private_key(void)
{
	static const struct {
		const char *text;
		bool found;
	} keys[] = {
		{"-----BEGIN CERTIFICATE-----\n", false},
		{"-----BEGIN PUBLIC KEY-----\n", false},
		{"-----BEGIN PRIVATE KEY-----\n", true},
		{"x\n-----BEGIN RSA PRIVATE KEY-----\n", true},
		{"-----BEGIN EC PRIVATE KEY-----\n", true},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", true},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\n", true},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		TEST("private key in '%s'", keys[i].text);
		CHECK_INT(mask_has_private_key(keys[i].text, strlen(keys[i].text)), keys[i].found);
	}
}

int main(void)
{
	test_text();
	test_every_prefix();
	test_argument();
	test_private_key();
	return test_done();
}
