/* SPDX-License-Identifier: MIT */
#include "pki/audit.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "lib/authority.h"
#include "lib/test.h"
#include "pki/pem.h"
#include "pki/swap.h"
#include "text/json.h"

#define DAY ((int64_t)24 * 3600)
#define NOW ((int64_t)1800000000)

static char *root;

static struct pki_texts expected;
static int64_t audit_now = NOW;

static char *root_path(const char *relative)
{
	return file_join(root, relative);
}

static char *root_text(const char *relative)
{
	auto_free char *path = root_path(relative);
	struct buffer text = {0};
	auto_error struct error err = {0};

	CHECK_OK(file_read(path, 1 << 20, &text, &err), &err);
	return buffer_detach(&text);
}

static void look(struct pki_audit *audit)
{
	const struct pki_audit_options options = {.now_s = audit_now, .expected = &expected};
	auto_error struct error err = {0};

	CHECK_OK(pki_audit_folder(root, &options, audit, &err), &err);
}

/* "code:detail " of a record, in order. */
static char *problems_of(const struct pki_audit *audit, const char *path, const char *entry)
{
	auto_buffer struct buffer text = {0};
	auto_free char *full = root_path(path);

	for (size_t i = 0; i < audit->count; i++) {
		const struct pki_record *record = &audit->records[i];

		if (strcmp(record->path, full) != 0 ||
		    (entry && (!record->entry || strcmp(record->entry, entry) != 0)))
			continue;
		buffer_text(&text, "|");
		for (size_t k = 0; k < record->problem_count; k++)
			buffer_format(&text, "%s%s%s ", record->problems[k].code,
				      record->problems[k].detail ? ":" : "",
				      record->problems[k].detail ? record->problems[k].detail : "");
	}
	return buffer_detach(&text);
}

static void check_problems(const char *path, const char *entry, const char *want)
{
	auto_pki_audit struct pki_audit audit = {0};
	auto_free char *got = NULL;

	look(&audit);
	got = problems_of(&audit, path, entry);
	CHECK_STR(got, want);
}

static void test_sound(void)
{
	auto_pki_audit struct pki_audit audit = {0};
	size_t signed_by_ca = 0;

	TEST("ten sound certificates of a control plane");
	look(&audit);
	CHECK_INT(audit.count, 10);
	for (size_t i = 0; i < audit.count; i++) {
		const struct pki_record *record = &audit.records[i];

		CHECK_INT(record->problem_count, 0);
		CHECK(record->has_cert);
		CHECK(record->key_known && record->key_matches);
		CHECK_INT(record->key_mode, 0600);
		CHECK_INT(record->mode, 0644);
		CHECK_INT(record->self_signed, record->cert.is_ca);
		signed_by_ca += record->ca_path != NULL;
	}
	CHECK_INT(signed_by_ca, 7);

	TEST("each role is found");
	for (size_t i = 0; i < pki_profile_count; i++)
		CHECK(pki_audit_find(&audit, pki_profiles[i].name));
	CHECK(pki_audit_find(&audit, "ca"));
	CHECK(pki_audit_find(&audit, "front-proxy-ca"));
	CHECK(pki_audit_find(&audit, "etcd/ca"));
}

static void test_names(void)
{
	TEST("an address that the API server's certificate lacks");
	pki_texts_add(&expected, "10.96.0.1");
	pki_texts_add(&expected, "10.17.0.1");
	check_problems("pki/apiserver.crt", NULL, "|san-missing:10.17.0.1 ");
	check_problems("pki/etcd/server.crt", NULL, "|");
	pki_texts_release(&expected);
}

static void test_missing(void)
{
	auto_free char *cert = root_path("pki/apiserver.crt");
	auto_free char *peer = root_path("pki/etcd/peer.crt");
	auto_free char *away = root_path("away.crt");
	auto_free char *manifest = root_path("manifests/kube-apiserver.yaml");

	CHECK(rename(cert, away) == 0);
	TEST("a node that is no control plane needs no API server's certificate");
	check_problems("pki/apiserver.crt", NULL, "");
	TEST("a control plane does");
	authority_write(root, "manifests/kube-apiserver.yaml", "", 0600);
	check_problems("pki/apiserver.crt", NULL, "|missing ");
	CHECK(rename(away, cert) == 0);
	check_problems("pki/apiserver.crt", NULL, "|");
	TEST("with its etcd elsewhere it needs none of etcd's");
	CHECK(rename(peer, away) == 0);
	check_problems("pki/etcd/peer.crt", NULL, "");
	CHECK(rename(away, peer) == 0);
	CHECK(unlink(manifest) == 0);
}

static void test_time(void)
{
	static const struct {
		int64_t now_s;
		const char *leaf, *ca;
	} rows[] = {
		{NOW - 301, "|not-yet-valid ", "|not-yet-valid "},
		{NOW - 299, "|", "|"},
		{NOW + 334 * DAY, "|", "|"},
		{NOW + 336 * DAY, "|expires-soon ", "|"},
		{NOW + 365 * DAY, "|expires-soon ", "|"},
		{NOW + 365 * DAY + 1, "|expired ", "|"},
		{NOW + 3286 * DAY, "|expired ", "|expires-soon "},
		{NOW + 3650 * DAY + 1, "|expired ", "|expired "},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("terms %lld days on", (long long)((rows[i].now_s - NOW) / DAY));
		audit_now = rows[i].now_s;
		check_problems("pki/front-proxy-client.crt", NULL, rows[i].leaf);
		check_problems("pki/ca.crt", NULL, rows[i].ca);
	}
	audit_now = NOW;
}

/* Puts text in the place of a file, looks, and puts the file back. */
static void check_with(const char *file, const char *text, const char *path, const char *want)
{
	auto_free char *before = root_text(file);
	unsigned int mode = slice_ends(slice_of(file), ".key") ? 0600 : 0644;

	authority_write(root, file, text, mode);
	check_problems(path, NULL, want);
	authority_write(root, file, before, mode);
}

static void test_keys(void)
{
	auto_free char *other = root_text("pki/etcd/server.key");
	auto_free char *broken = root_text("pki/apiserver.key");
	auto_free char *key = root_path("pki/apiserver.key");
	auto_free char *away = root_path("away.key");
	auto_free char *ca_key = root_path("pki/ca.key");

	TEST("the key of another certificate");
	check_with("pki/apiserver.key", other, "pki/apiserver.crt", "|key-mismatch ");

	TEST("no key in the file");
	check_with("pki/apiserver.key", "", "pki/apiserver.crt", "|key-malformed ");
	check_with("pki/apiserver.key", "-----BEGIN RSA PRIVATE KEY-----\nAQID\n",
		   "pki/apiserver.crt", "|key-malformed ");
	check_with("pki/apiserver.key",
		   "-----BEGIN EC PRIVATE KEY-----\nAQID\n-----END EC PRIVATE KEY-----\n",
		   "pki/apiserver.crt", "|key-malformed ");
	check_with("pki/apiserver.key",
		   "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE "
		   "KEY-----\n",
		   "pki/apiserver.crt", "|key-malformed ");

	TEST("one damaged bit in the key");
	/* in the middle of the private number, not in the framing */
	broken[60] = broken[60] == 'A' ? 'B' : 'A';
	check_with("pki/apiserver.key", broken, "pki/apiserver.crt", "|key-mismatch ");

	TEST("no key file; a CA without one is external");
	CHECK(rename(key, away) == 0);
	check_problems("pki/apiserver.crt", NULL, "|key-missing ");
	CHECK(rename(away, key) == 0);
	CHECK(rename(ca_key, away) == 0);
	check_problems("pki/ca.crt", NULL, "|ca-key-missing ");
	CHECK(rename(away, ca_key) == 0);

	TEST("a key that others can read");
	CHECK(chmod(key, 0640) == 0);
	check_problems("pki/apiserver.crt", NULL, "|key-exposed ");
	CHECK(chmod(key, 0600) == 0);
}

/* RSA keys are compared number by number. */
static void test_rsa(void)
{
	auto_free char *cert = root_text("pki/front-proxy-client.crt");
	auto_free char *key = root_text("pki/front-proxy-client.key");
	auto_free char *pki = root_path("pki");
	struct pki_issue_options options = {
		.folder = pki, .now_s = NOW, .algorithm = PKI_KEY_RSA_2048, .version = {1, 36, 3}};
	auto_pki_pair struct pki_pair pair = {0};
	auto_pki_pem struct pki_pem_block block = {0};
	auto_error struct error err = {0};

	CHECK_OK(pki_issue(pki_profile_find(SLICE("front-proxy-client")), &options, &pair, &err),
		 &err);
	authority_write(root, "pki/front-proxy-client.crt", pair.pem, 0644);
	authority_write(root, "pki/front-proxy-client.key", pair.key.ptr, 0600);
	TEST("an RSA key");
	check_problems("pki/front-proxy-client.crt", NULL, "|");

	/* version, n (257 bytes), e, then d, p, q: a bit in each that must be noticed */
	CHECK_OK(pki_pem_find((struct slice){pair.key.ptr, pair.key.len}, "key", "RSA PRIVATE KEY",
			      &block, &err),
		 &err);
	for (size_t at = 100; at < 850; at += 150) {
		auto_buffer struct buffer pem = {0};

		TEST("an RSA key with a wrong bit at byte %zu", at);
		block.bytes.ptr[at] ^= 1;
		pki_pem_append(&pem, "RSA PRIVATE KEY",
			       (struct slice){block.bytes.ptr, block.bytes.len});
		check_with("pki/front-proxy-client.key", buffer_cstr(&pem),
			   "pki/front-proxy-client.crt", "|key-mismatch ");
		block.bytes.ptr[at] ^= 1;
	}
	authority_write(root, "pki/front-proxy-client.crt", cert, 0644);
	authority_write(root, "pki/front-proxy-client.key", key, 0600);
}

static void test_chain(void)
{
	auto_free char *pki = root_path("pki");
	auto_free char *ca = root_text("pki/ca.crt");
	auto_free char *ca_key = root_text("pki/ca.key");
	auto_free char *away = root_path("away.crt");
	auto_free char *ca_path = root_path("pki/ca.crt");
	auto_free char *front = root_text("pki/front-proxy-client.crt");

	TEST("a CA of the same name with another key");
	authority_make(pki, "ca", "kubernetes", PKI_KEY_ECDSA_P256, NOW - 300, NOW + 3650 * DAY);
	check_problems("pki/apiserver.crt", NULL, "|not-signed-by-ca ");
	check_problems("pki/front-proxy-client.crt", NULL, "|");
	authority_write(root, "pki/ca.crt", ca, 0644);
	authority_write(root, "pki/ca.key", ca_key, 0600);

	TEST("no CA");
	CHECK(rename(ca_path, away) == 0);
	check_problems("pki/apiserver.crt", NULL, "|ca-missing ");
	CHECK(rename(away, ca_path) == 0);

	TEST("the certificate of another role");
	check_with("pki/apiserver.crt", front, "pki/apiserver.crt",
		   "|key-mismatch usage-missing:server not-signed-by-ca ");
}

static void test_malformed(void)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", ":1:1: no certificate in it"},
		{"hello\n", ":1:1: no certificate in it"},
		{"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n",
		 ":1:1: not an X.509 certificate"},
		{"\n\n-----BEGIN CERTIFICATE-----\nMIIB\n", ":3:1: the block that begins here"},
		{"-----BEGIN CERTIFICATE-----\nMI!B\n-----END CERTIFICATE-----\n",
		 ":2:3: not a base64 character"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_free char *path = root_path("pki/stray.crt");
		auto_free char *want = alloc_format("%s%s", path, rows[i].message);
		auto_pki_audit struct pki_audit audit = {0};

		TEST("malformed file %zu is a record, and the others are still looked at", i);
		authority_write(root, "pki/stray.crt", rows[i].text, 0644);
		look(&audit);
		CHECK_INT(audit.count, 11);
		for (size_t k = 0; k < audit.count; k++) {
			if (strcmp(audit.records[k].path, path) != 0) {
				CHECK_INT(audit.records[k].problem_count, 0);
				continue;
			}
			if (!CHECK_INT(audit.records[k].problem_count, 1))
				continue;
			CHECK_STR(audit.records[k].problems[0].code, "malformed");
			CHECK(slice_starts(slice_of(audit.records[k].problems[0].message), want));
		}
		CHECK(unlink(path) == 0);
	}
}

/* Every prefix and many single-byte changes of a real certificate: a verdict, never a crash. */
static void test_damaged(void)
{
	auto_free char *pem = root_text("pki/apiserver.crt");
	auto_pki_pem struct pki_pem_block block = {0};
	auto_error struct error err = {0};
	size_t accepted = 0;

	TEST("damaged certificates");
	CHECK_OK(pki_pem_find(slice_of(pem), "f", "CERTIFICATE", &block, &err), &err);
	for (size_t len = 0; len < block.bytes.len; len++) {
		auto_pki_cert struct pki_cert cert = {0};

		accepted +=
			pki_cert_from_der((struct slice){block.bytes.ptr, len}, &cert, &err) == 0;
		error_release(&err);
	}
	CHECK_INT(accepted, 0);
	for (size_t at = 0; at < block.bytes.len; at++) {
		auto_pki_cert struct pki_cert cert = {0};

		block.bytes.ptr[at] ^= 0x55;
		if (pki_cert_from_der((struct slice){block.bytes.ptr, block.bytes.len}, &cert,
				      &err) == 0) {
			auto_json json_t *json = pki_cert_to_json(&cert);
			char *text = json_dumps(json, 0);

			accepted++;
			/* whatever it says, it can be told */
			CHECK(text != NULL);
			free(text);
		}
		error_release(&err);
		block.bytes.ptr[at] ^= 0x55;
	}
	CHECK(accepted > 100);
}

static char *base64_of(const char *file)
{
	auto_free char *text = root_text(file);
	auto_buffer struct buffer pem = {0};
	auto_buffer struct buffer out = {0};
	struct slice rest;
	struct slice line;

	pki_pem_append(&pem, "X", slice_of(text));
	rest = buffer_as_slice(&pem);
	while (slice_next(&rest, '\n', &line))
		if (!slice_starts(line, "-----"))
			buffer_slice(&out, line);
	return buffer_detach(&out);
}

static void write_kubeconfig(const char *cert, const char *key, const char *ca, unsigned int mode)
{
	auto_free char *text =
		alloc_format("apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    "
			     "certificate-authority-data: %s\n    server: "
			     "https://10.1.15.254:6443\n  name: kubernetes\n"
			     "contexts:\n- context:\n    cluster: kubernetes\n    user: admin\n  "
			     "name: admin@kubernetes\n"
			     "current-context: admin@kubernetes\nusers:\n- name: admin\n  user:\n"
			     "    client-certificate-data: %s\n    client-key-data: %s\n",
			     ca, cert, key);

	authority_write(root, "admin.conf", text, mode);
}

static void test_kubeconfig(void)
{
	auto_free char *cert = base64_of("pki/apiserver-kubelet-client.crt");
	auto_free char *key = base64_of("pki/apiserver-kubelet-client.key");
	auto_free char *other = base64_of("pki/etcd/peer.key");
	auto_free char *ca = base64_of("pki/ca.crt");
	auto_free char *path = root_path("admin.conf");
	auto_free char *ca_path = root_path("pki/ca.crt");
	auto_pki_audit struct pki_audit audit = {0};
	const struct pki_record *client;
	const struct pki_record *trusted;

	TEST("a kubeconfig has a client and a CA");
	write_kubeconfig(cert, key, ca, 0600);
	look(&audit);
	CHECK_INT(audit.count, 12);
	client = pki_audit_find(&audit, "kubeconfig-client");
	trusted = pki_audit_find(&audit, "kubeconfig-ca");
	if (CHECK(client && trusted)) {
		CHECK_STR(client->entry, "user/admin");
		CHECK_STR(client->server, "https://10.1.15.254:6443");
		CHECK_STR(client->ca_path, ca_path);
		CHECK(client->key_matches);
		CHECK_INT(client->problem_count, 0);
		CHECK_STR(trusted->entry, "cluster/kubernetes");
		CHECK_STR(trusted->ca_path, ca_path);
		CHECK_INT(trusted->problem_count, 0);
	}

	TEST("a kubeconfig with another one's key, open to others");
	write_kubeconfig(cert, other, ca, 0644);
	check_problems("admin.conf", "user/admin", "|key-mismatch key-exposed ");

	TEST("a kubeconfig with what is no base64");
	write_kubeconfig("A!B", key, ca, 0600);
	check_problems("admin.conf", "user/admin", "|malformed ");
	write_kubeconfig(cert, "A!B", ca, 0600);
	check_problems("admin.conf", "user/admin", "|key-malformed ");

	TEST("a kubeconfig with a client certificate of another CA");
	free(cert);
	cert = base64_of("pki/front-proxy-client.crt");
	free(key);
	key = base64_of("pki/front-proxy-client.key");
	write_kubeconfig(cert, key, ca, 0600);
	check_problems("admin.conf", "user/admin", "|not-signed-by-ca ");

	TEST("a kubeconfig that is no YAML");
	authority_write(root, "admin.conf", "a: [b\n", 0600);
	check_problems("admin.conf", NULL, "|malformed ");

	TEST("a .conf that is no kubeconfig");
	authority_write(root, "admin.conf", "a: b\n", 0600);
	check_problems("admin.conf", NULL, "");
	CHECK(unlink(path) == 0);
}

static void test_by_file(void)
{
	auto_free char *cert = root_text("pki/apiserver-kubelet-client.crt");
	auto_free char *key = root_text("pki/apiserver-kubelet-client.key");
	auto_free char *both = alloc_format("%s%s", cert, key);
	auto_free char *file = root_path("kubelet/current.pem");
	auto_free char *path = root_path("kubelet.conf");
	auto_pki_audit struct pki_audit audit = {0};
	const struct pki_record *client;

	authority_write(root, "kubelet/current.pem", both, 0600);
	authority_write(root, "kubelet.conf",
			"kind: Config\nusers:\n- name: node\n  user:\n"
			"    client-certificate: kubelet/current.pem\n"
			"    client-key: kubelet/current.pem\n",
			0600);
	TEST("a kubeconfig that names files, relative to its folder");
	look(&audit);
	client = pki_audit_find(&audit, "kubeconfig-client");
	if (CHECK(client)) {
		CHECK_STR(client->path, path);
		CHECK_STR(client->file, file);
		CHECK_STR(client->key_path, file);
		CHECK(client->key_matches);
		CHECK_INT(client->problem_count, 0);
	}

	TEST("a kubeconfig that names a file that is not there");
	CHECK(unlink(file) == 0);
	check_problems("kubelet.conf", NULL, "|unreadable ");
	CHECK(unlink(path) == 0);
}

static void test_json(void)
{
	auto_pki_audit struct pki_audit audit = {0};
	auto_pki_audit struct pki_audit back = {0};
	auto_error struct error err = {0};
	auto_json json_t *json = NULL;
	auto_json json_t *again = NULL;
	static const char *const broken[] = {
		"{}",
		"[]",
		"{\"root\":\"/\",\"records\":7}",
		"{\"root\":\"/\",\"records\":[7]}",
		"{\"root\":\"/\",\"records\":[{\"path\":\"a\",\"role\":\"b\"}]}",
		"{\"root\":\"/\",\"records\":[{\"path\":\"a\",\"role\":\"b\",\"problems\":[{}]}]}",
		("{\"root\":\"/\",\"records\":[{\"path\":\"a\",\"role\":\"b\",\"problems\":[],"
		 "\"certificate\":{}}]}"),
	};

	TEST("an audit survives JSON, and no key is in it");
	pki_texts_add(&expected, "10.17.0.1");
	authority_write(root, "pki/stray.crt", "x", 0644);
	look(&audit);
	json = pki_audit_to_json(&audit);
	if (CHECK_OK(pki_audit_from_json(json, &back, &err), &err)) {
		char *text = json_dumps(json, 0);

		again = pki_audit_to_json(&back);
		CHECK(json_equal(json, again));
		CHECK(strstr(text, "san-missing"));
		CHECK(!strstr(text, "PRIVATE"));
		free(text);
	}
	pki_texts_release(&expected);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		auto_json json_t *document = json_loads(broken[i], 0, NULL);

		TEST("'%s' is no audit", broken[i]);
		CHECK_ERROR(pki_audit_from_json(document, &back, &err), &err, ERROR_PARSE, "");
	}
}

static void test_served(void)
{
	auto_free char *pem = root_text("pki/apiserver.crt");
	auto_free char *ca = root_text("pki/ca.crt");
	auto_free char *other = root_text("pki/etcd/ca.crt");
	auto_pki_pem struct pki_pem_block block = {0};
	auto_pki_audit struct pki_audit audit = {0};
	auto_pki_audit struct pki_audit wrong = {0};
	auto_error struct error err = {0};
	struct pki_audit_options options = {.now_s = NOW, .expected = &expected};
	struct slice chain;

	TEST("a served chain is judged like a file");
	pki_texts_add(&expected, "10.17.0.1");
	CHECK_OK(pki_pem_find(slice_of(pem), "f", "CERTIFICATE", &block, &err), &err);
	chain = (struct slice){block.bytes.ptr, block.bytes.len};
	CHECK_OK(pki_audit_served(&chain, 1, slice_of(ca), &options, &audit, &err), &err);
	CHECK_STR(audit.records[0].role, "served");
	CHECK_STR(audit.records[0].ca_path, "ca.crt");
	CHECK(pki_record_problem(&audit.records[0], "san-missing"));
	CHECK(!pki_record_problem(&audit.records[0], "not-signed-by-ca"));
	CHECK_OK(pki_audit_served(&chain, 1, slice_of(other), &options, &wrong, &err), &err);
	CHECK(pki_record_problem(&wrong.records[0], "not-signed-by-ca"));
	CHECK_ERROR(pki_audit_served(NULL, 0, slice_of(ca), &options, &wrong, &err), &err,
		    ERROR_PARSE, "sent no certificate");
	pki_texts_release(&expected);
}

static void test_covers(void)
{
	struct pki_cert cert = {0};
	static const struct {
		const char *host;
		bool covered;
	} rows[] = {
		{"10.17.0.1", true},	 {"10.17.0.2", false},	     {"fd00::1", true},
		{"FD00:0:0::1", true},	 {"kubernetes", true},	     {"KUBERNETES", true},
		{"a.example.com", true}, {"a.b.example.com", false}, {"example.com", false},
		{"*.example.com", true}, {".example.com", false},
	};

	pki_texts_add(&cert.addresses, "10.17.0.1");
	pki_texts_add(&cert.addresses, "fd00::1");
	pki_texts_add(&cert.dns_names, "kubernetes");
	pki_texts_add(&cert.dns_names, "*.example.com");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TEST("'%s' is%s covered", rows[i].host, rows[i].covered ? "" : " not");
		CHECK_INT(pki_cert_covers(&cert, rows[i].host), rows[i].covered);
	}
	pki_cert_release(&cert);
}

int main(void)
{
	auto_pki_audit struct pki_audit audit = {0};
	auto_error struct error err = {0};
	auto_free char *pki = NULL;

	root = alloc_text(test_folder());
	pki = root_path("pki");
	authority_make_pki(pki, PKI_KEY_ECDSA_P256, NOW);
	test_sound();
	test_names();
	test_missing();
	test_time();
	test_keys();
	test_rsa();
	test_chain();
	test_malformed();
	test_damaged();
	test_kubeconfig();
	test_by_file();
	test_json();
	test_served();
	test_covers();
	TEST("a root that is not there");
	CHECK_ERROR(pki_audit_folder("/nonexistent", NULL, &audit, &err), &err, ERROR_NOT_FOUND,
		    "'/nonexistent'");
	free(root);
	return test_done();
}
