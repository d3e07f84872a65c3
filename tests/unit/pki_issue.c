/* SPDX-License-Identifier: MIT */
#include "pki/issue.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "lib/authority.h"
#include "lib/test.h"
#include "pki/audit.h"
#include "pki/op.h"
#include "pki/pem.h"
#include "pki/swap.h"
#include "text/json.h"

#define DAY ((int64_t)24 * 3600)
#define NOW ((int64_t)1800000000) /* 2027-01-15 */

static char *root;
static char *folder;

static struct pki_issue_options options_of(const struct pki_texts *add)
{
	return (struct pki_issue_options){.folder = folder,
					  .node = "cp1",
					  .address = "10.1.15.121",
					  .version = {1, 36, 3},
					  .add = add,
					  .now_s = NOW + DAY};
}

static const struct pki_profile *profile_of(const char *name)
{
	return pki_profile_find(slice_of(name));
}

static char *text_of(const char *path)
{
	struct buffer text = {0};
	auto_error struct error err = {0};

	if (file_read(path, 1 << 20, &text, &err) < 0)
		return alloc_text("");
	return buffer_detach(&text);
}

static char *names_of(const struct pki_cert *cert)
{
	auto_buffer struct buffer text = {0};

	for (size_t i = 0; i < cert->dns_names.count; i++)
		buffer_format(&text, "%s ", cert->dns_names.items[i]);
	for (size_t i = 0; i < cert->addresses.count; i++)
		buffer_format(&text, "%s ", cert->addresses.items[i]);
	return buffer_detach(&text);
}

/* Subject, use and names of all that kubeadm makes, as in its certlist.go. */
static void test_fields(void)
{
	static const struct {
		const char *name, *subject, *issuer, *usages, *names;
	} rows[] = {
		{"apiserver", "CN=kube-apiserver", "CN=kubernetes", "server",
		 "cp1 kubernetes kubernetes.default kubernetes.default.svc "
		 "kubernetes.default.svc.cluster.local 10.96.0.1 10.1.15.121 "},
		{"apiserver-kubelet-client", "CN=kube-apiserver-kubelet-client", "CN=kubernetes",
		 "client", ""},
		{"front-proxy-client", "CN=front-proxy-client", "CN=front-proxy-ca", "client", ""},
		{"etcd/server", "CN=cp1", "CN=etcd-ca", "server client",
		 "cp1 localhost 10.1.15.121 127.0.0.1 ::1 "},
		{"etcd/peer", "CN=cp1", "CN=etcd-ca", "server client",
		 "cp1 localhost 10.1.15.121 127.0.0.1 ::1 "},
		{"etcd/healthcheck-client", "CN=kube-etcd-healthcheck-client", "CN=etcd-ca",
		 "client", ""},
		{"apiserver-etcd-client", "CN=kube-apiserver-etcd-client", "CN=etcd-ca", "client",
		 ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_free char *path = alloc_format("%s/%s.crt", folder, rows[i].name);
		auto_pki_cert struct pki_cert cert = {0};
		auto_error struct error err = {0};
		auto_free char *names = NULL;

		TEST("fields of %s", rows[i].name);
		if (!CHECK_OK(pki_cert_read(path, &cert, &err), &err))
			continue;
		names = names_of(&cert);
		CHECK_STR(cert.subject, rows[i].subject);
		CHECK_STR(cert.issuer, rows[i].issuer);
		CHECK_STR(names, rows[i].names);
		CHECK_INT(cert.usages.count, strchr(rows[i].usages, ' ') ? 2 : 1);
		CHECK_STR(cert.usages.items[0],
			  strchr(rows[i].usages, ' ') ? "server" : rows[i].usages);
		CHECK_INT(cert.key_usages.count, 2);
		CHECK_STR(cert.key_usages.items[0], "digitalSignature");
		CHECK_STR(cert.key_usages.items[1], "keyEncipherment");
		CHECK(!cert.is_ca);
		CHECK_INT(cert.not_before_s, NOW - 300);
		CHECK_INT(cert.not_after_s, NOW + 365 * DAY);
	}
}

static void test_replacing(void)
{
	struct pki_texts add = {0};
	struct pki_issue_options options = options_of(&add);
	auto_pki_pair struct pki_pair pair = {0};
	auto_error struct error err = {0};
	auto_free char *names = NULL;
	bool needed = true;

	TEST("a new certificate has the old names and the added ones");
	pki_texts_add(&add, "10.17.0.1");
	pki_texts_add(&add, "10.96.0.1");
	pki_texts_add(&add, "apiserver.cluster.local");
	pki_texts_add(&add, "FD00:0::0001");
	options.node = NULL;
	options.address = NULL;
	CHECK_OK(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err);
	names = names_of(&pair.cert);
	CHECK_STR(names, "apiserver.cluster.local cp1 kubernetes kubernetes.default "
			 "kubernetes.default.svc kubernetes.default.svc.cluster.local "
			 "10.96.0.1 10.1.15.121 10.17.0.1 fd00::1 ");
	CHECK_STR(pair.cert.algorithm, "ECDSA-P256");
	CHECK_INT(pair.cert.not_before_s, NOW + DAY - 300);
	CHECK(slice_starts(slice_of(pair.key.ptr), "-----BEGIN EC PRIVATE KEY-----\n"));

	TEST("before 1.31 it begins when its CA does");
	pki_pair_release(&pair);
	options.version = (struct pki_version){1, 20, 2};
	CHECK_OK(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err);
	CHECK_INT(pair.cert.not_before_s, NOW - 300);
	CHECK_INT(pair.cert.not_after_s, NOW + 366 * DAY);

	TEST("what is added is needed, what is there is not");
	CHECK_OK(pki_issue_needed(profile_of("apiserver"), &options, &needed, &err), &err);
	CHECK(needed);
	options.add = NULL;
	CHECK_OK(pki_issue_needed(profile_of("apiserver"), &options, &needed, &err), &err);
	CHECK(!needed);
	options.algorithm = PKI_KEY_ECDSA_P384;
	CHECK_OK(pki_issue_needed(profile_of("apiserver"), &options, &needed, &err), &err);
	CHECK(needed);

	TEST("a Service address does not go into etcd's certificates");
	pki_pair_release(&pair);
	options.add = &add;
	options.algorithm = PKI_KEY_DEFAULT;
	CHECK_OK(pki_issue(profile_of("etcd/server"), &options, &pair, &err), &err);
	CHECK(!pki_cert_covers(&pair.cert, "10.17.0.1"));

	TEST("a name that cannot be is refused");
	pki_texts_add(&add, "10.17.0.256");
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err, ERROR_USAGE,
		    "'10.17.0.256' is neither an IP address nor a DNS name");
	pki_texts_release(&add);
}

static void test_removing(void)
{
	struct pki_texts remove = {0};
	struct pki_issue_options options = options_of(NULL);
	auto_pki_pair struct pki_pair pair = {0};
	auto_error struct error err = {0};

	TEST("names can be taken away");
	pki_texts_add(&remove, "10.96.0.1");
	options.remove = &remove;
	CHECK_OK(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err);
	CHECK(!pki_cert_covers(&pair.cert, "10.96.0.1"));
	CHECK(pki_cert_covers(&pair.cert, "10.1.15.121"));
	pki_texts_release(&remove);
}

static void test_algorithms(void)
{
	static const enum pki_key_algorithm algorithms[] = {PKI_KEY_RSA_2048, PKI_KEY_RSA_3072,
							    PKI_KEY_ECDSA_P256, PKI_KEY_ECDSA_P384};

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		struct pki_issue_options options = options_of(NULL);
		auto_pki_pair struct pki_pair pair = {0};
		auto_error struct error err = {0};
		const char *name = pki_key_algorithm_name(algorithms[i]);

		TEST("a key of %s", name);
		/* minutes, for code that is OpenSSL's */
		if (name[0] == 'R' && test_skipped_in_valgrind())
			continue;
		options.algorithm = algorithms[i];
		CHECK_OK(pki_issue(profile_of("front-proxy-client"), &options, &pair, &err), &err);
		CHECK_STR(pair.cert.algorithm, name);
		CHECK(slice_starts(slice_of(pair.key.ptr), name[0] == 'R'
								   ? "-----BEGIN RSA PRIVATE KEY"
								   : "-----BEGIN EC PRIVATE KEY"));
	}
}

static void test_refusals(void)
{
	struct pki_issue_options options = options_of(NULL);
	auto_free char *other = alloc_format("%s/other", root);
	auto_free char *key = alloc_format("%s/ca.key", other);
	auto_free char *front_key = alloc_format("%s/front-proxy-ca.key", other);
	auto_pki_pair struct pki_pair pair = {0};
	auto_error struct error err = {0};

	options.folder = other;
	TEST("no CA at all");
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err,
		    ERROR_NOT_FOUND, "/other/ca.crt'");

	TEST("an external CA");
	authority_make(other, "ca", "kubernetes", PKI_KEY_ECDSA_P256, NOW, NOW + 10 * DAY);
	CHECK(unlink(key) == 0);
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err,
		    ERROR_NOT_FOUND, "external CA");

	TEST("the key of another CA");
	authority_make(other, "front-proxy-ca", "front-proxy-ca", PKI_KEY_ECDSA_P256, NOW,
		       NOW + 10 * DAY);
	CHECK(rename(front_key, key) == 0);
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err, ERROR_REFUSED,
		    "does not belong to the CA certificate");

	TEST("an expired CA");
	authority_make(other, "ca", "kubernetes", PKI_KEY_ECDSA_P256, NOW - 9 * DAY, NOW);
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err, ERROR_REFUSED,
		    "expired at 2027-01-15");

	TEST("a CA that is to come");
	authority_make(other, "ca", "kubernetes", PKI_KEY_ECDSA_P256, NOW + 2 * DAY, NOW + 9 * DAY);
	CHECK_ERROR(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err, ERROR_REFUSED,
		    "is not valid before 2027-01-17");

	TEST("nothing to take names from");
	options.node = NULL;
	CHECK_ERROR(pki_issue(profile_of("etcd/server"), &options, &pair, &err), &err,
		    ERROR_REFUSED, "the node's name");

	TEST("neither certificate nor version to take the organization from");
	options.version = (struct pki_version){0};
	CHECK_ERROR(pki_issue(profile_of("apiserver-kubelet-client"), &options, &pair, &err), &err,
		    ERROR_REFUSED, "organization");
}

static unsigned int mode_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_mode & 07777 : 0;
}

static void test_swap(void)
{
	struct pki_issue_options options = options_of(NULL);
	auto_free char *backup = alloc_format("%s/backup", root);
	auto_free char *cert = alloc_format("%s/etcd/peer.crt", folder);
	auto_free char *key = alloc_format("%s/etcd/peer.key", folder);
	auto_free char *before = text_of(cert);
	auto_free char *key_before = text_of(key);
	auto_free char *after = NULL;
	auto_free char *again = NULL;
	auto_free char *restored = NULL;
	auto_free char *key_restored = NULL;
	auto_pki_pair struct pki_pair pair = {0};
	auto_pki_pair struct pki_pair second = {0};
	auto_error struct error err = {0};

	TEST("a swap puts both in place with the right modes");
	CHECK_OK(pki_issue(profile_of("etcd/peer"), &options, &pair, &err), &err);
	CHECK(chmod(cert, 0640) == 0);
	CHECK_OK(pki_swap(folder, profile_of("etcd/peer"), &pair, backup, &err), &err);
	after = text_of(cert);
	CHECK_STR(after, pair.pem);
	CHECK_INT(mode_of(cert), 0644);
	CHECK_INT(mode_of(key), 0600);
	CHECK_INT(mode_of(backup), 0700);

	TEST("a second swap keeps the first backup");
	CHECK_OK(pki_issue(profile_of("etcd/peer"), &options, &second, &err), &err);
	CHECK_OK(pki_swap(folder, profile_of("etcd/peer"), &second, backup, &err), &err);
	again = text_of(cert);
	CHECK(strcmp(again, after) != 0);

	TEST("restoring brings bytes and modes back");
	CHECK_OK(pki_swap_restore(folder, profile_of("etcd/peer"), backup, &err), &err);
	restored = text_of(cert);
	key_restored = text_of(key);
	CHECK_STR(restored, before);
	CHECK_STR(key_restored, key_before);
	CHECK_INT(mode_of(cert), 0640);
	CHECK_INT(mode_of(key), 0600);

	TEST("restoring what was not kept");
	CHECK_ERROR(pki_swap_restore(folder, profile_of("etcd/server"), backup, &err), &err,
		    ERROR_NOT_FOUND, "");
}

static void test_swap_absent(void)
{
	struct pki_issue_options options = options_of(NULL);
	auto_free char *backup = alloc_format("%s/backup-absent", root);
	auto_free char *cert = alloc_format("%s/apiserver.crt", folder);
	auto_free char *key = alloc_format("%s/apiserver.key", folder);
	auto_free char *kept = alloc_format("%s/kept", root);
	auto_free char *kept_key = alloc_format("%s/kept.key", root);
	auto_pki_pair struct pki_pair pair = {0};
	auto_error struct error err = {0};

	TEST("files that were not there are removed by restoring");
	CHECK(rename(cert, kept) == 0);
	CHECK(rename(key, kept_key) == 0);
	CHECK_OK(pki_issue(profile_of("apiserver"), &options, &pair, &err), &err);
	CHECK(pki_cert_covers(&pair.cert, "kubernetes.default.svc"));
	CHECK_OK(pki_swap(folder, profile_of("apiserver"), &pair, backup, &err), &err);
	CHECK(file_exists(cert));
	CHECK_OK(pki_swap_restore(folder, profile_of("apiserver"), backup, &err), &err);
	CHECK(!file_exists(cert));
	CHECK(!file_exists(key));

	TEST("a link is refused and stays");
	CHECK(symlink(kept, cert) == 0);
	CHECK_ERROR(pki_swap(folder, profile_of("apiserver"), &pair, backup, &err), &err,
		    ERROR_REFUSED, "is not a regular file");
	CHECK(unlink(cert) == 0);
	CHECK(rename(kept, cert) == 0);
	CHECK(rename(kept_key, key) == 0);
}

static void test_import(void)
{
	struct pki_texts add = {0};
	struct pki_issue_options options = options_of(&add);
	auto_pki_pair struct pki_pair pair = {0};
	auto_pki_pair struct pki_pair imported = {0};
	auto_pki_pair struct pki_pair client = {0};
	auto_error struct error err = {0};
	struct slice key;
	const struct pki_profile *apiserver = profile_of("apiserver");

	CHECK_OK(pki_issue(apiserver, &options, &pair, &err), &err);
	key = (struct slice){pair.key.ptr, pair.key.len};

	TEST("what a CA signed is imported");
	CHECK_OK(pki_import(apiserver, &options, key, slice_of(pair.pem), &imported, &err), &err);
	CHECK_STR(imported.cert.fingerprint, pair.cert.fingerprint);

	TEST("a name that is missing");
	pki_texts_add(&add, "10.17.0.1");
	CHECK_ERROR(pki_import(apiserver, &options, key, slice_of(pair.pem), &imported, &err), &err,
		    ERROR_REFUSED, "lacks the address 10.17.0.1");
	options.add = NULL;

	TEST("another key");
	CHECK_OK(pki_issue(profile_of("apiserver-kubelet-client"), &options, &client, &err), &err);
	CHECK_ERROR(pki_import(apiserver, &options, (struct slice){client.key.ptr, client.key.len},
			       slice_of(pair.pem), &imported, &err),
		    &err, ERROR_REFUSED, "another private key");

	TEST("another CA");
	CHECK_ERROR(pki_import(profile_of("etcd/server"), &options, key, slice_of(pair.pem),
			       &imported, &err),
		    &err, ERROR_REFUSED, "/etcd/ca.crt' did not sign it");

	TEST("another use");
	CHECK_ERROR(pki_import(apiserver, &options, (struct slice){client.key.ptr, client.key.len},
			       slice_of(client.pem), &imported, &err),
		    &err, ERROR_REFUSED, "TLS servers");

	TEST("another subject");
	CHECK_ERROR(pki_import(profile_of("front-proxy-client"), &options,
			       (struct slice){client.key.ptr, client.key.len}, slice_of(client.pem),
			       &imported, &err),
		    &err, ERROR_REFUSED, "did not sign it");

	TEST("too late");
	options.now_s = NOW + 400 * DAY;
	CHECK_ERROR(pki_import(apiserver, &options, key, slice_of(pair.pem), &imported, &err), &err,
		    ERROR_REFUSED, "not now");
	pki_texts_release(&add);
}

static void check_op(const char *op, const char *extra, const char *error)
{
	auto_free char *text = alloc_format("{\"folder\":\"%s\"%s}", folder, extra);
	auto_error struct error err = {0};
	auto_json json_t *request = json_parse(slice_of(text), "request", &err);
	auto_json json_t *reply = NULL;

	TEST("%s %s", op, extra);
	if (CHECK(request))
		CHECK_ERROR(pki_op(op, request, &reply, &err), &err, ERROR_USAGE, error);
}

static void test_requests(void)
{
	check_op("sign", "", "'sign' is not an operation");
	check_op("issue", "", "'names' is missing");
	check_op("issue", ",\"names\":7", "'names' is not a text");
	check_op("issue", ",\"names\":\"ca\"", "'ca' is not a certificate");
	check_op("issue", ",\"names\":\"all\"", "'backup' is missing");
	check_op("issue", ",\"names\":\"all\",\"backup\":\"/x\",\"algorithm\":\"DSA\"",
		 "'DSA' is not");
	check_op("issue", ",\"names\":\"all\",\"backup\":\"/x\",\"version\":\"new\"",
		 "'new' is not");
	check_op("issue", ",\"names\":\"all\",\"backup\":\"/x\",\"add\":[1]", "'add'");
	check_op("issue", ",\"names\":\"all\",\"backup\":\"/x\",\"validity\":-1", "'validity'");
	check_op("csr", ",\"names\":\"all\"", "'stage' is missing");
}

int main(void)
{
	root = alloc_text(test_folder());
	folder = alloc_format("%s/pki", root);
	authority_make_pki(folder, PKI_KEY_ECDSA_P256, NOW);
	test_fields();
	test_replacing();
	test_removing();
	test_algorithms();
	test_refusals();
	test_swap();
	test_swap_absent();
	test_import();
	test_requests();
	free(folder);
	free(root);
	return test_done();
}
