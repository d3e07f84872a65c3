/* SPDX-License-Identifier: MIT */
#include "step/node_file.h"

#include <string.h>

#include "agent/files.h"
#include "agent/protocol.h"
#include "base/alloc.h"

struct node_file {
	const char *node;
	const char *path;
	json_t *reply;
	char *text;
	size_t len;
};

/* {"before", "written"}: digests of the file, by which undo knows somebody else's edit. */
#define NODE_FILE_KEPT "file"

static void node_file_release(struct node_file *file)
{
	json_decref(file->reply);
	free(file->text);
}
#define auto_node_file __attribute__((cleanup(node_file_release)))

static int node_file_read(struct step_context *context, const struct plan_step *step,
			  struct node_file *file, struct error *err)
{
	auto_json json_t *request = NULL;

	if (step_text(step, "node", &file->node, err) < 0 ||
	    step_text(step, "path", &file->path, err) < 0 ||
	    step_need_nodes(context, step, err) < 0)
		return -1;
	request = json_pack("{s:s, s:s}", "op", "read-file", "path", file->path);
	if (node_call(context->pool, file->node, request, &file->reply, err) < 0)
		return -1;
	file->text = node_reply_bytes(file->reply, "content", &file->len, err);
	return file->text ? 0 : -1;
}

static int node_file_edit(const struct plan_step *step, const struct node_file *file,
			  step_file_edit edit, struct buffer *ret, bool *ret_same,
			  struct error *err)
{
	auto_free char *place = alloc_format("%s:%s", file->node, file->path);

	if (edit(step, place, (struct slice){file->text, file->len}, ret, err) < 0)
		return -1;
	*ret_same = ret->len == file->len && memcmp(buffer_cstr(ret), file->text, file->len) == 0;
	return 0;
}

int step_node_file_check(struct step_context *context, const struct plan_step *step,
			 step_file_edit edit, bool *ret_done, struct error *err)
{
	auto_node_file struct node_file file = {0};
	auto_buffer struct buffer edited = {0};

	if (node_file_read(context, step, &file, err) < 0)
		return -1;
	return node_file_edit(step, &file, edit, &edited, ret_done, err);
}

int step_node_file_apply(struct step_context *context, const struct plan_step *step,
			 step_file_edit edit, struct error *err)
{
	auto_node_file struct node_file file = {0};
	auto_buffer struct buffer edited = {0};
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	auto_json json_t *digests = NULL;
	bool same = false;

	if (node_file_read(context, step, &file, err) < 0 ||
	    node_file_edit(step, &file, edit, &edited, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	digests = json_pack("{s:O, s:s}", "before", json_object_get(file.reply, "sha256"),
			    "written", files_digest_of(buffer_as_slice(&edited)).text);
	if (context->keep(context, step, NODE_FILE_KEPT, digests, err) < 0)
		return -1;
	request = json_pack("{s:s, s:s, s:s, s:o, s:O}", "op", "write-file", "run",
			    context->plan->run, "path", file.path, "content",
			    protocol_base64(edited.ptr, edited.len), "expect",
			    json_object_get(file.reply, "sha256"));
	return node_call(context->pool, file.node, request, &reply, err);
}

int step_node_file_undo(struct step_context *context, const struct plan_step *step,
			bool *ret_changed, struct error *err)
{
	auto_json json_t *digests = context->kept(context, step, NODE_FILE_KEPT);
	auto_node_file struct node_file file = {0};
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	const char *now;

	*ret_changed = false;
	if (!digests)
		return 0;
	if (node_file_read(context, step, &file, err) < 0)
		return -1;
	now = json_path_text(file.reply, "sha256");
	if (now && json_path_is(digests, "before", now))
		return 0;
	if (!now || !json_path_is(digests, "written", now))
		return error_set(err, ERROR_REFUSED,
				 "'%s' on %s was changed by somebody since this run wrote it; its "
				 "original is on that node in /var/lib/kubectl-renumber/%s/files%s",
				 file.path, file.node, context->plan->run, file.path);
	request = json_pack("{s:s, s:s, s:[s]}", "op", "restore", "run", context->plan->run,
			    "paths", file.path);
	*ret_changed = true;
	return node_call(context->pool, file.node, request, &reply, err);
}
