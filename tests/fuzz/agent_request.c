/* SPDX-License-Identifier: MIT */
/*
 * Any line is answered by one line of JSON that belongs to it, and nothing outside of the agent's root
 * is read or written. The node is a small one in a folder; what would leave it (dial, dns, probes) is left out.
 */
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/protocol.h"
#include "agent/serve.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/kr-fuzz-XXXXXX";

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_root(void)
{
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
	auto_free char *full = alloc_format("%s%s", root, path);
	auto_free char *folder = alloc_text_n(full, (size_t)(strrchr(full, '/') - full));
	auto_error struct error err = {0};

	if (file_make_folder(folder, 0755, &err) < 0 ||
	    file_replace(full, text, strlen(text), 0600, 0, &err) < 0)
		abort();
}

static const struct agent *node(void)
{
	static struct agent agent;

	if (agent.root)
		return &agent;
	if (!mkdtemp(root))
		abort();
	atexit(remove_root);
	put("/etc/kubernetes/manifests/kube-apiserver.yaml", "kind: Pod\n");
	put("/etc/kubernetes/admin.conf", "token: FUZZSECRET\n");
	put("/etc/kubernetes/pki/sa.key", "-----BEGIN PRIVATE KEY-----\nRlVaWlNFQ1JFVA==\n");
	put("/etc/shadow", "FUZZSECRET\n");
	/* no systemctl of this machine */
	setenv("PATH", "/nonexistent", 1);
	agent = (struct agent){.root = root, .proc = "/nonexistent"};
	return &agent;
}

/* The secret's base64 has one of three forms. */
static bool has_secret(struct slice text)
{
	static const char *const forms[] = {"RlVaWlNFQ1JFV", "ZVWlpTRUNSRV", "GVVpaU0VDUkVU"};

	for (size_t i = 0; i < 3; i++)
		if (text.len && memmem(text.ptr, text.len, forms[i], strlen(forms[i])))
			return true;
	return false;
}

static bool leaves_the_node(struct slice line)
{
	auto_json json_t *request = NULL;
	auto_error struct error err = {0};
	const char *op;

	if (protocol_parse(line, &request, &err) < 0)
		return false;
	op = json_path_text(request, "op");
	return op && (strcmp(op, "dial") == 0 || strcmp(op, "dns") == 0 ||
		      strcmp(op, "proxy-metrics") == 0 || strcmp(op, "probe-start") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = {(const char *)data, size};
	auto_buffer struct buffer out = {.max = LIMIT_AGENT_MESSAGE};
	auto_json json_t *reply = NULL;
	auto_error struct error err = {0};
	const struct agent *agent = node();

	/* A fuzzer that has read this program puts the secret into requests itself; names of files
	 * that hold it would come back from backups later on. */
	if (leaves_the_node(line) || has_secret(line))
		return 0;
	serve_line(agent, line, &out);
	assert(out.len > 1 && out.ptr[out.len - 1] == '\n');
	out.ptr[--out.len] = '\0';
	assert(protocol_parse(buffer_as_slice(&out), &reply, &err) == 0);
	assert(json_is_boolean(json_object_get(reply, "ok")));
	assert(json_is_integer(json_object_get(reply, "id")));
	assert(!has_secret(buffer_as_slice(&out)));
	return 0;
}
