/* SPDX-License-Identifier: MIT */
#include "agent/keyring.h"

#include <string.h>

#include "agent/backup.h"
#include "agent/paths.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "pki/op.h"
#include "text/json.h"

/* Checks the folder `member` of the request and puts its real path, with the agent's root in front,
 * into the request for pki. */
static int keyring_set_folder(const struct agent *agent, const json_t *request, const char *member,
			      const char *fallback, json_t *forward, struct error *err)
{
	auto_free char *real = NULL;
	auto_free char *full = NULL;
	const char *path;

	if (protocol_optional_text(request, member, &path, err) < 0 ||
	    paths_resolve(agent->root, path ? path : fallback, PATHS_PKI, &real, err) < 0)
		return -1;
	full = alloc_format("%s%s", agent->root, real);
	json_object_set_new(forward, member, json_string(full));
	return 0;
}

static int keyring_set_run(const struct agent *agent, const json_t *request, const char *member,
			   const char *name, json_t *forward, struct error *err)
{
	auto_free char *folder = NULL;
	const char *run;

	if (protocol_text(request, "run", &run, err) < 0 ||
	    backup_folder(agent, run, name, &folder, err) < 0)
		return -1;
	json_object_set_new(forward, member, json_string(folder));
	return 0;
}

/* Paths go out as the node's, without the root that a test put in front. */
static json_t *keyring_without_root(const struct agent *agent, json_t *value)
{
	size_t len = strlen(agent->root);
	const char *text = json_string_value(value);
	json_t *item;
	const char *name;
	void *next;
	size_t i;

	if (text && len && strncmp(text, agent->root, len) == 0 && text[len] == '/')
		return json_string(text + len);
	json_array_foreach(value, i, item)
		json_array_set_new(value, i, keyring_without_root(agent, item));
	json_object_foreach_safe(value, next, name, item)
		json_object_set_new(value, name, keyring_without_root(agent, item));
	return json_incref(value);
}

static int keyring_run(const struct agent *agent, const char *op, const json_t *forward,
		       json_t *reply, struct error *err)
{
	auto_json json_t *answer = NULL;
	auto_json json_t *clean = NULL;

	if (pki_op(op, forward, &answer, err) < 0)
		return -1;
	clean = keyring_without_root(agent, answer);
	json_object_update(reply, clean);
	return 0;
}

static json_t *keyring_forward(const json_t *request)
{
	json_t *forward = json_copy((json_t *)(uintptr_t)request);

	json_object_del(forward, "id");
	json_object_del(forward, "op");
	/* The places of backups are ours to name. */
	json_object_del(forward, "backup");
	json_object_del(forward, "stage");
	return forward;
}

int keyring_audit(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	auto_json json_t *forward = keyring_forward(request);

	if (keyring_set_folder(agent, request, "root", "/etc/kubernetes", forward, err) < 0)
		return -1;
	return keyring_run(agent, "audit", forward, reply, err);
}

static int keyring_change(const struct agent *agent, const char *op, bool backup, bool stage,
			  const json_t *request, json_t *reply, struct error *err)
{
	auto_json json_t *forward = keyring_forward(request);

	if (keyring_set_folder(agent, request, "folder", "/etc/kubernetes/pki", forward, err) < 0)
		return -1;
	if (backup && keyring_set_run(agent, request, "backup", "pki", forward, err) < 0)
		return -1;
	if (stage && keyring_set_run(agent, request, "stage", "stage", forward, err) < 0)
		return -1;
	return keyring_run(agent, op, forward, reply, err);
}

int keyring_names(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	return keyring_change(agent, "names", false, false, request, reply, err);
}

int keyring_issue(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	return keyring_change(agent, "issue", /* backup= */ true, false, request, reply, err);
}

int keyring_csr(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	return keyring_change(agent, "csr", false, /* stage= */ true, request, reply, err);
}

int keyring_import(const struct agent *agent, const json_t *request, json_t *reply,
		   struct error *err)
{
	return keyring_change(agent, "import", /* backup= */ true, /* stage= */ true, request,
			      reply, err);
}

int keyring_restore(const struct agent *agent, const json_t *request, json_t *reply,
		    struct error *err)
{
	return keyring_change(agent, "restore", /* backup= */ true, false, request, reply, err);
}
