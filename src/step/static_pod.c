/* SPDX-License-Identifier: MIT */
#include "step/static_pod.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "step/node_file.h"
#include "text/manifest.h"

void step_static_pod_describe(const struct plan_step *step, struct buffer *out)
{
	const json_t *flag;
	size_t i;

	buffer_format(out, "%s on %s:", step_optional_text(step, "program"),
		      step_optional_text(step, "node"));
	json_array_foreach(json_object_get(step->parameters, "flags"), i, flag)
		buffer_format(out, " --%s=%s", json_path_text(flag, "name"),
			      json_path_text(flag, "value"));
}

int step_static_pod_edit(const struct plan_step *step, const char *file, struct slice text,
			 struct buffer *ret, struct error *err)
{
	auto_buffer struct buffer current = {0};
	const json_t *flag;
	const char *program;
	size_t i;

	if (step_text(step, "program", &program, err) < 0)
		return -1;
	buffer_slice(&current, text);
	json_array_foreach(json_object_get(step->parameters, "flags"), i, flag) {
		auto_buffer struct buffer next = {0};

		if (manifest_flag_set(file, buffer_as_slice(&current), program,
				      json_path_text(flag, "name"), json_path_text(flag, "value"),
				      &next, err) < 0)
			return -1;
		buffer_clear(&current);
		buffer_slice(&current, buffer_as_slice(&next));
	}
	buffer_slice(ret, buffer_as_slice(&current));
	return 0;
}

static bool pod_argument(const json_t *args, const char *name, const char *value)
{
	auto_free char *joined = alloc_format("--%s=%s", name, value);
	auto_free char *dashed = alloc_format("--%s", name);
	const json_t *arg;
	size_t i;

	json_array_foreach(args, i, arg) {
		const char *text = json_string_value(arg);
		const char *next = json_string_value(json_array_get(args, i + 1));

		if (text && (strcmp(text, joined) == 0 ||
			     (strcmp(text, dashed) == 0 && next && strcmp(next, value) == 0)))
			return true;
	}
	return false;
}

static bool pod_has_flags(const struct plan_step *step, const json_t *args)
{
	const json_t *flag;
	size_t i;

	json_array_foreach(json_object_get(step->parameters, "flags"), i, flag) {
		if (!pod_argument(args, json_path_text(flag, "name"),
				  json_path_text(flag, "value")))
			return false;
	}
	return true;
}

/* How many processes of the program run with the flags, and how many without. */
static int pod_count(struct step_context *context, const struct plan_step *step, size_t *ret_with,
		     size_t *ret_without, struct error *err)
{
	auto_json json_t *request = json_pack("{s:s, s:[]}", "op", "processes", "cidrs");
	auto_json json_t *reply = NULL;
	const json_t *server;
	const char *node;
	const char *program;
	size_t i;

	if (step_text(step, "node", &node, err) < 0 ||
	    step_text(step, "program", &program, err) < 0 ||
	    node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	*ret_with = 0;
	*ret_without = 0;
	json_array_foreach(json_object_get(reply, "servers"), i, server) {
		if (!json_path_is(server, "name", program))
			continue;
		if (pod_has_flags(step, json_object_get(server, "args")))
			(*ret_with)++;
		else
			(*ret_without)++;
	}
	return 0;
}

/* /readyz of an API server; true for programs without an address. */
static int pod_is_ready(struct step_context *context, const struct plan_step *step, bool *ret_done,
			struct error *err)
{
	const char *address = step_optional_text(step, "address");
	auto_kube_client struct kube_client *server = NULL;
	auto_kube_reply struct kube_reply reply = {0};

	*ret_done = !address;
	if (!address)
		return 0;
	server = kube_client_at(context->kube, address,
				(uint16_t)json_path_int(step->parameters, "port", 6443), err);
	if (!server)
		return -1;
	if (kube_client_get_raw(server, "/readyz", &reply, err) < 0) {
		/* not yet: refused, or 500 while its hooks run */
		if (err->kind == ERROR_INTERRUPTED)
			return -1;
		error_release(err);
		return 0;
	}
	*ret_done = true;
	return 0;
}

int step_static_pod_ready(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	size_t with = 0;
	size_t without = 0;

	if (pod_count(context, step, &with, &without, err) < 0)
		return -1;
	*ret_done = false;
	/* the old process has ended */
	return with > 0 && without == 0 ? pod_is_ready(context, step, ret_done, err) : 0;
}

int step_static_pod_ready_again(struct step_context *context, const struct plan_step *step,
				bool *ret_done, struct error *err)
{
	size_t with = 0;
	size_t without = 0;

	if (pod_count(context, step, &with, &without, err) < 0)
		return -1;
	*ret_done = false;
	return with == 0 && without > 0 ? pod_is_ready(context, step, ret_done, err) : 0;
}

int step_static_pod_check(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	if (step_node_file_check(context, step, step_static_pod_edit, ret_done, err) < 0)
		return -1;
	return *ret_done ? step_static_pod_ready(context, step, ret_done, err) : 0;
}

/* About 40 s on current versions: the old process uses up its 30 s of grace. */
#define POD_READY_MS ((int64_t)5 * 60 * 1000)
#define POD_STABLE 3

int step_static_pod_settle(struct step_context *context, const struct plan_step *step,
			   step_condition ready, struct error *err)
{
	for (int i = 0; i < POD_STABLE; i++) {
		if (step_wait(context, step, ready, 1000, POD_READY_MS,
			      "it does not run with the new flags; look at kubelet's log and at "
			      "other files in the manifests folder",
			      err) < 0 ||
		    step_pause(context, 1000, err) < 0)
			return -1;
	}
	return 0;
}

/* What we wrote, so that undo knows it again. */
#define POD_KEPT "written"

static int pod_digest(struct step_context *context, const struct plan_step *step, char **ret,
		      struct error *err)
{
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	const char *node;
	const char *path;

	if (step_text(step, "node", &node, err) < 0 || step_text(step, "path", &path, err) < 0)
		return -1;
	request = json_pack("{s:s, s:s}", "op", "read-file", "path", path);
	if (node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	*ret = alloc_text(json_path_text(reply, "sha256"));
	return 0;
}

int step_static_pod_write(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_free char *digest = NULL;
	auto_json json_t *written = NULL;

	if (step_node_file_apply(context, step, step_static_pod_edit, err) < 0 ||
	    pod_digest(context, step, &digest, err) < 0)
		return -1;
	written = json_pack("{s:s}", "sha256", digest);
	if (context->keep(context, step, POD_KEPT, written, err) < 0)
		return -1;
	context->say(context, "kubelet restarts %s on %s (40 s or so)",
		     step_optional_text(step, "program"), step_optional_text(step, "node"));
	return 0;
}

int step_static_pod_apply(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	if (step_static_pod_write(context, step, err) < 0)
		return -1;
	return step_static_pod_settle(context, step, step_static_pod_ready, err);
}

/* The digest of the manifest before the run, from the run's backup on the node; NULL: the run never
 * touched it. */
static int pod_first_digest(struct step_context *context, const struct plan_step *step, char **ret,
			    struct error *err)
{
	auto_json json_t *request = json_pack("{s:s}", "op", "list-backups");
	auto_json json_t *reply = NULL;
	const json_t *run;
	const json_t *file;
	const char *node;
	const char *path;
	size_t i;
	size_t k;

	*ret = NULL;
	if (step_text(step, "node", &node, err) < 0 || step_text(step, "path", &path, err) < 0 ||
	    node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	json_array_foreach(json_object_get(reply, "runs"), i, run) {
		if (!json_path_is(run, "run", context->plan->run))
			continue;
		json_array_foreach(json_object_get(run, "files"), k, file) {
			if (json_path_is(file, "path", path) && json_path_text(file, "sha256"))
				*ret = alloc_text(json_path_text(file, "sha256"));
		}
	}
	return 0;
}

int step_static_pod_is_restored(struct step_context *context, const struct plan_step *step,
				bool *ret_done, struct error *err)
{
	auto_free char *first = NULL;
	auto_free char *now = NULL;

	if (pod_first_digest(context, step, &first, err) < 0 ||
	    pod_digest(context, step, &now, err) < 0)
		return -1;
	*ret_done = false;
	if (first && strcmp(first, now) != 0)
		return 0;
	return step_static_pod_ready_again(context, step, ret_done, err);
}

int step_static_pod_restore(struct step_context *context, const struct plan_step *step,
			    struct error *err)
{
	auto_json json_t *written = context->kept(context, step, POD_KEPT);
	auto_json json_t *request = NULL;
	auto_json json_t *reply = NULL;
	auto_free char *first = NULL;
	auto_free char *now = NULL;
	const char *node;
	const char *path;

	if (step_text(step, "node", &node, err) < 0 || step_text(step, "path", &path, err) < 0 ||
	    pod_first_digest(context, step, &first, err) < 0 ||
	    pod_digest(context, step, &now, err) < 0)
		return -1;
	if (!first || strcmp(first, now) == 0)
		return 0;
	if (written && !json_path_is(written, "sha256", now))
		return error_set(err, ERROR_REFUSED,
				 "'%s' on %s was changed by somebody since; take the flags back by "
				 "hand (the first state is in the run's backup on the node)",
				 path, node);
	request = json_pack("{s:s, s:s, s:[s]}", "op", "restore", "run", context->plan->run,
			    "paths", path);
	if (node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	context->say(context, "kubelet restarts %s on %s (40 s or so)",
		     step_optional_text(step, "program"), node);
	return 0;
}

int step_static_pod_undo(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	bool restored = false;

	if (step_need_nodes(context, step, err) < 0 ||
	    step_static_pod_is_restored(context, step, &restored, err) < 0)
		return -1;
	if (restored)
		return 0;
	if (step_static_pod_restore(context, step, err) < 0)
		return -1;
	return step_static_pod_settle(context, step, step_static_pod_ready_again, err);
}
