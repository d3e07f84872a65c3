/* SPDX-License-Identifier: MIT */
#include "agent/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/protocol.h"
#include "agent/serve.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "lib/test.h"
#include "text/json.h"

#define MANIFEST "/etc/kubernetes/manifests/kube-apiserver.yaml"
#define KUBECONFIG "/etc/kubernetes/admin.conf"

static struct agent agent;

/* Sends the request (taken over) as a line and gives the answer. */
static json_t *ask(json_t *request)
{
	auto_buffer struct buffer line = {.max = LIMIT_AGENT_MESSAGE};
	auto_buffer struct buffer out = {.max = LIMIT_AGENT_MESSAGE};
	auto_error struct error err = {0};
	json_t *reply = NULL;

	json_object_set_new(request, "id", json_integer(1));
	CHECK_OK(protocol_format(request, &line, &err), &err);
	json_decref(request);
	line.ptr[--line.len] = '\0';
	serve_line(&agent, buffer_as_slice(&line), &out);
	CHECK_OK(protocol_parse(slice_trim(buffer_as_slice(&out)), &reply, &err), &err);
	return reply;
}

static void check_ok(const json_t *reply)
{
	CHECK_STR(json_path_text(reply, "error"), NULL);
	CHECK(json_path_bool(reply, "ok", false));
}

static void check_failed(const json_t *reply, const char *kind, const char *text)
{
	const char *error = json_path_text(reply, "error");

	CHECK(!json_path_bool(reply, "ok", true));
	CHECK_STR(json_path_text(reply, "kind"), kind);
	CHECK(error && strstr(error, text));
}

static json_t *base64(const char *text)
{
	return protocol_base64(text, strlen(text));
}

static char *full_path(const char *path)
{
	return alloc_format("%s%s", agent.root, path);
}

static void put(const char *path, const char *text, mode_t mode)
{
	auto_free char *full = full_path(path);
	auto_free char *folder = alloc_text_n(full, (size_t)(strrchr(full, '/') - full));
	auto_error struct error err = {0};

	CHECK_OK(file_make_folder(folder, 0755, &err), &err);
	CHECK_OK(file_replace(full, text, strlen(text), mode, 0, &err), &err);
}

static void check_file(const char *path, const char *text, mode_t mode)
{
	auto_buffer struct buffer bytes = {0};
	auto_free char *full = full_path(path);
	auto_error struct error err = {0};
	struct stat st;

	CHECK_OK(file_read(full, LIMIT_CONFIG_FILE, &bytes, &err), &err);
	CHECK_STR(buffer_cstr(&bytes), text);
	CHECK_INT(lstat(full, &st), 0);
	CHECK_INT(st.st_mode & 07777, mode);
}

static char *digest(const char *text)
{
	return alloc_text(files_digest_of(slice_of(text)).text);
}

static json_t *request_read(const char *path)
{
	return json_pack("{s:s, s:s}", "op", "read-file", "path", path);
}

static void test_digest(void)
{
	TEST("SHA-256 of nothing and of 'abc' (FIPS 180)");
	CHECK_STR(files_digest_of((struct slice){0}).text,
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	CHECK_STR(files_digest_of(SLICE("abc")).text,
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_read(void)
{
	auto_json json_t *reply = NULL;
	auto_json json_t *masked = NULL;
	auto_json json_t *key = NULL;
	auto_buffer struct buffer content = {0};
	auto_error struct error err = {0};
	auto_free char *sha256 = digest("user:\n  token: SECRET\nserver: a\n");

	put(KUBECONFIG, "user:\n  token: SECRET\nserver: a\n", 0600);
	put("/etc/kubernetes/pki/sa.key", "-----BEGIN RSA PRIVATE KEY-----\nAA==\n", 0600);
	put(MANIFEST, "kind: Pod\n", 0600);

	TEST("a manifest is read as it is");
	reply = ask(request_read(MANIFEST));
	check_ok(reply);
	CHECK(!json_path_bool(reply, "masked", true));
	CHECK_STR(json_path_text(reply, "content"), "a2luZDogUG9kCg==");
	CHECK_INT(json_path_int(reply, "mode", 0), 0600);
	CHECK_INT(json_path_int(reply, "size", 0), 10);

	TEST("a kubeconfig is read without its token, but its digest is the true one");
	masked = ask(request_read(KUBECONFIG));
	check_ok(masked);
	CHECK(json_path_bool(masked, "masked", false));
	CHECK_STR(json_path_text(masked, "sha256"), sha256);
	CHECK_OK(protocol_bytes(masked, "content", &content, &err), &err);
	CHECK_STR(buffer_cstr(&content), "user:\n  token: xxxxxx\nserver: a\n");

	TEST("a private key does not leave the node");
	key = ask(request_read("/etc/kubernetes/pki/sa.key"));
	check_failed(key, "refused", "holds a private key");
}

static void test_read_many(void)
{
	auto_json json_t *reply = NULL;

	TEST("many files are read at once, and what fails is said for each");
	reply = ask(json_pack("{s:s, s:[s,s,s,s]}", "op", "read-files", "paths", MANIFEST,
			      "/etc/kubernetes/none.conf", "/etc/shadow",
			      "/etc/kubernetes/pki/sa.key"));
	check_ok(reply);
	CHECK_INT(json_path_count(reply, "files"), 4);
	CHECK_STR(json_path_text(reply, "files.0.content"), "a2luZDogUG9kCg==");
	CHECK_STR(json_path_text(reply, "files.1.kind"), "not-found");
	CHECK_STR(json_path_text(reply, "files.1.path"), "/etc/kubernetes/none.conf");
	CHECK_STR(json_path_text(reply, "files.2.kind"), "refused");
	CHECK_STR(json_path_text(reply, "files.3.kind"), "refused");
	CHECK(!json_path(reply, "files.3.content"));
}

static void test_list(void)
{
	auto_json json_t *reply = NULL;
	auto_json json_t *missing = NULL;
	auto_json json_t *refused = NULL;

	put("/etc/kubernetes/pki/etcd/ca.crt", "x", 0644);
	TEST("a folder is listed in order, with what is below it");
	reply = ask(json_pack("{s:s, s:s, s:b}", "op", "list-files", "path", "/etc/kubernetes/pki",
			      "recursive", 1));
	check_ok(reply);
	CHECK_INT(json_path_count(reply, "files"), 3);
	CHECK_STR(json_path_text(reply, "files.0.path"), "/etc/kubernetes/pki/etcd");
	CHECK_STR(json_path_text(reply, "files.0.type"), "folder");
	CHECK_STR(json_path_text(reply, "files.1.path"), "/etc/kubernetes/pki/etcd/ca.crt");
	CHECK_INT(json_path_int(reply, "files.1.mode", 0), 0644);
	CHECK_STR(json_path_text(reply, "files.2.path"), "/etc/kubernetes/pki/sa.key");

	TEST("a folder that is not there, and one that is not ours");
	missing = ask(json_pack("{s:s, s:s}", "op", "list-files", "path", "/etc/cni/net.d"));
	check_failed(missing, "not-found", "/etc/cni/net.d");
	refused = ask(json_pack("{s:s, s:s}", "op", "list-files", "path", "/etc"));
	check_failed(refused, "refused", "listing");
}

static json_t *request_write(const char *run, const char *path, const char *text,
			     const char *expect)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s}", "op", "write-file", "run", run, "path", path,
			 "content", base64(text), "expect", expect);
}

static void check_gone(const char *path)
{
	auto_free char *full = full_path(path);

	CHECK(!file_exists(full));
}

static void test_write(void)
{
	auto_free char *old = digest("kind: Pod\n");
	auto_json json_t *changed = NULL;
	auto_json json_t *again = NULL;
	auto_json json_t *stale = NULL;
	auto_json json_t *created = NULL;
	auto_json json_t *exists = NULL;
	auto_json json_t *refused = NULL;

	TEST("a file is replaced; its mode stays, and nothing else appears in the folder");
	put(MANIFEST, "kind: Pod\n", 0640);
	changed = ask(request_write("run1", MANIFEST, "kind: New\n", old));
	check_ok(changed);
	CHECK(json_path_bool(changed, "changed", false));
	check_file(MANIFEST, "kind: New\n", 0640);

	TEST("what an agent left that was killed is taken away by the next write");
	put("/etc/kubernetes/.kubectl-renumber.Ab3dEf", "half", 0600);
	put("/etc/kubernetes/.kubectl-renumber.keep-me", "whole", 0600);
	put(MANIFEST, "kind: Pod\n", 0640);
	json_decref(ask(request_write("run1", MANIFEST, "kind: New\n", old)));
	check_gone("/etc/kubernetes/.kubectl-renumber.Ab3dEf");
	check_file("/etc/kubernetes/.kubectl-renumber.keep-me", "whole", 0600);

	TEST("writing it again changes nothing, though the digest is that of the old one");
	again = ask(request_write("run1", MANIFEST, "kind: New\n", old));
	check_ok(again);
	CHECK(!json_path_bool(again, "changed", true));

	TEST("a file that somebody else changed is left alone");
	stale = ask(request_write("run1", MANIFEST, "kind: Newer\n", old));
	check_failed(stale, "conflict", "has changed since");
	check_file(MANIFEST, "kind: New\n", 0640);

	TEST("a file is created where none is");
	created = ask(request_write("run1", "/etc/environment", "A=b\n", "absent"));
	check_ok(created);
	check_file("/etc/environment", "A=b\n", 0600);
	exists = ask(request_write("run1", "/etc/environment", "C=d\n", "absent"));
	check_failed(exists, "conflict", "has changed since");

	TEST("certificates and foreign files are not written");
	refused = ask(request_write("run1", "/etc/kubernetes/pki/ca.crt", "x", "absent"));
	check_failed(refused, "refused", "writing");
}

static json_t *request_replace(const char *sha256, json_t *edits)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "op", "replace-in-file", "run", "run1",
			 "path", KUBECONFIG, "sha256", sha256, "edits", edits);
}

static json_t *edit(int offset, const char *expected, const char *replacement)
{
	return json_pack("{s:i, s:o, s:o}", "offset", offset, "expected", base64(expected),
			 "replacement", base64(replacement));
}

static void test_replace(void)
{
	const char *text = "user:\n  token: SECRET\nserver: a\n";
	auto_free char *sha256 = digest(text);
	auto_json json_t *changed = NULL;
	auto_json json_t *again = NULL;

	put(KUBECONFIG, text, 0600);
	TEST("a masked file is edited on its node, around the secret");
	changed = ask(request_replace(
		sha256, json_pack("[o,o]", edit(0, "user", "person"), edit(30, "a", "10.17.0.1"))));
	check_ok(changed);
	CHECK(json_path_bool(changed, "changed", false));
	check_file(KUBECONFIG, "person:\n  token: SECRET\nserver: 10.17.0.1\n", 0600);

	TEST("the same edits again are seen as made");
	again = ask(request_replace(
		sha256, json_pack("[o,o]", edit(0, "user", "person"), edit(30, "a", "10.17.0.1"))));
	check_ok(again);
	CHECK(!json_path_bool(again, "changed", true));
	CHECK_STR(json_path_text(again, "sha256"), json_path_text(changed, "sha256"));
}

static void test_replace_refusals(void)
{
	const char *text = "user:\n  token: SECRET\nserver: a\n";
	auto_free char *sha256 = digest(text);
	struct {
		const char *what;
		json_t *edits;
		const char *kind;
		const char *problem;
	} rows[] = {
		{"another text", json_pack("[o]", edit(0, "USER", "x")), "conflict", "expected"},
		{"behind the end", json_pack("[o]", edit(100, "a", "x")), "conflict", "expected"},
		{"over the end", json_pack("[o]", edit(30, "a\nmore", "x")), "conflict",
		 "expected"},
		{"overlapping", json_pack("[o,o]", edit(0, "user", "x"), edit(3, "r", "y")),
		 "parse", "overlaps"},
		{"not in order", json_pack("[o,o]", edit(5, "\n", "x"), edit(0, "user", "y")),
		 "parse", "overlaps"},
		{"no list", json_string("x"), "parse", "'edits'"},
		{"no edit", json_pack("[i]", 1), "parse", "'offset'"},
		{"negative", json_pack("[o]", edit(-1, "a", "b")), "parse", "'offset'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *reply = NULL;

		put(KUBECONFIG, text, 0600);
		TEST("edit: %s", rows[i].what);
		reply = ask(request_replace(sha256, rows[i].edits));
		check_failed(reply, rows[i].kind, rows[i].problem);
		check_file(KUBECONFIG, text, 0600);
	}
	TEST("an edit of a file that changed is a conflict");
	{
		auto_json json_t *reply = NULL;

		put(KUBECONFIG, "other\n", 0600);
		reply = ask(request_replace(sha256, json_pack("[o]", edit(0, "user", "x"))));
		check_failed(reply, "conflict", "has changed since");
	}
}

static json_t *request_run(const char *op, const char *run)
{
	return json_pack("{s:s, s:s}", "op", op, "run", run);
}

static void test_backup(void)
{
	auto_json json_t *kept = NULL;
	auto_json json_t *list = NULL;
	auto_free char *state = full_path("/var/lib/kubectl-renumber");
	struct stat st;

	put(MANIFEST, "kind: Pod\n", 0640);
	put("/etc/kubernetes/pki/sa.key", "-----BEGIN RSA PRIVATE KEY-----\nAA==\n", 0600);
	TEST("folders and files are kept, absent ones too, in a folder for root alone");
	kept = ask(json_pack("{s:s, s:s, s:[s,s,s]}", "op", "backup", "run", "run2", "paths",
			     MANIFEST, "/etc/kubernetes/pki", "/etc/default/kubelet"));
	check_ok(kept);
	CHECK_INT(json_path_count(kept, "files"), 4);
	CHECK(json_path_bool(kept, "files.3.absent", false));
	CHECK_INT(stat(state, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	check_file("/var/lib/kubectl-renumber/run2/files" MANIFEST, "kind: Pod\n", 0640);

	TEST("runs are listed with their files");
	list = ask(json_pack("{s:s}", "op", "list-backups"));
	check_ok(list);
	CHECK(json_path_count(list, "runs") >= 1);
}

static void test_restore(void)
{
	auto_json json_t *kept = NULL;
	auto_json json_t *restored = NULL;
	auto_json json_t *again = NULL;
	auto_free char *kubelet = full_path("/etc/default/kubelet");
	auto_free char *manifest = full_path(MANIFEST);
	size_t i;
	json_t *file;

	put(MANIFEST, "kind: Broken\n", 0600);
	put("/etc/default/kubelet", "X=y\n", 0644);
	TEST("what is kept already stays as it was first");
	kept = ask(
		json_pack("{s:s, s:s, s:[s]}", "op", "backup", "run", "run2", "paths", MANIFEST));
	check_ok(kept);
	check_file("/var/lib/kubectl-renumber/run2/files" MANIFEST, "kind: Pod\n", 0640);

	TEST("restore brings back bytes and mode, and removes what was not there");
	restored = ask(request_run("restore", "run2"));
	check_ok(restored);
	check_file(MANIFEST, "kind: Pod\n", 0640);
	CHECK(!file_exists(kubelet));

	TEST("a second restore changes nothing");
	again = ask(request_run("restore", "run2"));
	check_ok(again);
	json_array_foreach(json_path(again, "files"), i, file)
		CHECK(!json_path_bool(file, "changed", true));

	TEST("a file that has gone comes back");
	CHECK_INT(unlink(manifest), 0);
	json_decref(again);
	again = ask(
		json_pack("{s:s, s:s, s:[s]}", "op", "restore", "run", "run2", "paths", MANIFEST));
	check_ok(again);
	check_file(MANIFEST, "kind: Pod\n", 0640);
}

static void test_restore_refusals(void)
{
	static const struct {
		const char *run;
		const char *kind;
		const char *text;
	} rows[] = {
		{"none", "not-found", "no backup of run 'none'"},
		{"..", "refused", "not the name of a run"},
		{"a/b", "refused", "not the name of a run"},
		{"", "refused", "not the name of a run"},
		{".hidden", "refused", "not the name of a run"},
	};
	auto_json json_t *torn = NULL;
	auto_json json_t *other = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *restore = NULL;
		auto_json json_t *forget = NULL;

		TEST("run '%s'", rows[i].run);
		restore = ask(request_run("restore", rows[i].run));
		check_failed(restore, rows[i].kind, rows[i].text);
		forget = ask(request_run("forget", rows[i].run));
		if (strcmp(rows[i].kind, "refused") == 0)
			check_failed(forget, rows[i].kind, rows[i].text);
		else
			check_ok(forget);
	}
	TEST("a backup whose bytes have changed is not restored");
	put(MANIFEST, "kind: Now\n", 0600);
	put("/var/lib/kubectl-renumber/run2/files" MANIFEST, "kind: Torn\n", 0600);
	torn = ask(request_run("restore", "run2"));
	check_failed(torn, "refused", "is not what was backed up");
	check_file(MANIFEST, "kind: Now\n", 0600);
	other = ask(json_pack("{s:s, s:s, s:[s]}", "op", "restore", "run", "run2", "paths",
			      "/etc/environment"));
	check_failed(other, "not-found", "has no backup of '/etc/environment'");
}

static void test_remove_and_forget(void)
{
	auto_free char *manifest = full_path(MANIFEST);
	auto_free char *run = full_path("/var/lib/kubectl-renumber/run3");
	auto_json json_t *removed = NULL;
	auto_json json_t *again = NULL;
	auto_json json_t *restored = NULL;
	auto_json json_t *forgotten = NULL;

	put(MANIFEST, "kind: Pod\n", 0644);
	TEST("a file that is removed is kept, and comes back");
	removed = ask(
		json_pack("{s:s, s:s, s:s}", "op", "remove-file", "run", "run3", "path", MANIFEST));
	check_ok(removed);
	CHECK(json_path_bool(removed, "changed", false));
	CHECK(!file_exists(manifest));
	again = ask(
		json_pack("{s:s, s:s, s:s}", "op", "remove-file", "run", "run3", "path", MANIFEST));
	check_ok(again);
	CHECK(!json_path_bool(again, "changed", true));
	restored = ask(request_run("restore", "run3"));
	check_ok(restored);
	check_file(MANIFEST, "kind: Pod\n", 0644);

	TEST("forgetting a run leaves nothing of it, nor of its files half written");
	CHECK(file_exists(run));
	put("/etc/kubernetes/.kubectl-renumber.Ab3dEf", "half", 0600);
	forgotten = ask(request_run("forget", "run3"));
	check_ok(forgotten);
	CHECK(!file_exists(run));
	check_gone("/etc/kubernetes/.kubectl-renumber.Ab3dEf");
}

#define PLUGIN "/etc/cni/net.d/sub/x.conf"

/* Somebody who may write in a folder of the list (a network plugin's Pod) swaps part of the path for
 * a link, over and over, until he is killed. */
static pid_t start_swapping(const char *a, const char *b)
{
	pid_t pid = fork();

	while (pid == 0)
		renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	return pid;
}

static size_t count_files(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static void test_race(void)
{
	auto_free char *sub = full_path("/etc/cni/net.d/sub");
	auto_free char *link = full_path("/etc/cni/net.d/link");
	auto_free char *target = full_path("/etc/cron.d");
	auto_free char *theirs = full_path("/etc/cron.d/theirs");
	auto_free char *there = full_path("/etc/cron.d/x.conf");
	size_t written = 0;
	struct stat st;
	int status;
	pid_t pid;

	TEST("a path that is swapped for a link meanwhile leads nowhere else");
	put(PLUGIN, "x\n", 0644);
	put("/etc/cron.d/theirs", "theirs\n", 0600);
	CHECK_INT(symlink(target, link), 0);
	pid = start_swapping(sub, link);
	for (int i = 0; i < 1500; i++) {
		auto_free char *text = alloc_format("%d\n", i);
		auto_json json_t *gone = ask(json_pack("{s:s, s:s, s:s}", "op", "remove-file",
						       "path", PLUGIN, "run", "race"));
		auto_json json_t *made = ask(request_write("race", PLUGIN, text, "absent"));
		auto_json json_t *back = ask(request_run("restore", "race"));

		(void)gone;
		(void)back;
		written += json_path_bool(made, "ok", false);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CHECK(written > 0);
	CHECK_INT(count_files(target), 1);
	CHECK(!file_exists(there));
	CHECK_INT(lstat(theirs, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0600);
	if (lstat(sub, &st) == 0 && S_ISLNK(st.st_mode))
		CHECK_INT(renameat2(AT_FDCWD, sub, AT_FDCWD, link, RENAME_EXCHANGE), 0);
	CHECK_INT(unlink(link), 0);
}

static void test_hard_link(void)
{
	auto_free char *file = full_path(PLUGIN);
	auto_free char *other = full_path("/etc/cron.d/other");

	TEST("a file with a second name is not written");
	put(PLUGIN, "x\n", 0644);
	CHECK_INT(link(file, other), 0);
	{
		auto_free char *sum = digest("x\n");
		auto_json json_t *reply = ask(request_write("hard", PLUGIN, "y\n", sum));

		check_failed(reply, "refused", "has another name besides (hard link)");
	}
	check_file("/etc/cron.d/other", "x\n", 0644);
	CHECK_INT(unlink(other), 0);
}

int main(void)
{
	auto_free char *root = realpath(test_folder(), NULL);

	agent = (struct agent){.root = root, .proc = "/proc"};
	test_digest();
	TEST("a node is made");
	test_read();
	test_read_many();
	test_list();
	test_write();
	test_replace();
	test_replace_refusals();
	test_backup();
	test_restore();
	test_restore_refusals();
	test_remove_and_forget();
	test_race();
	test_hard_link();
	return test_done();
}
