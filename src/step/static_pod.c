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

/* Exactly one process of the program, and with the flags: the old one has ended. */
static int pod_running(struct step_context *context, const struct plan_step *step, bool *ret_done,
		       struct error *err)
{
	auto_json json_t *request = json_pack("{s:s, s:[]}", "op", "processes", "cidrs");
	auto_json json_t *reply = NULL;
	const json_t *server;
	const char *node;
	const char *program;
	size_t with = 0;
	size_t without = 0;
	size_t i;

	if (step_text(step, "node", &node, err) < 0 ||
	    step_text(step, "program", &program, err) < 0 ||
	    node_call(context->pool, node, request, &reply, err) < 0)
		return -1;
	json_array_foreach(json_object_get(reply, "servers"), i, server) {
		if (!json_path_is(server, "name", program))
			continue;
		if (pod_has_flags(step, json_object_get(server, "args")))
			with++;
		else
			without++;
	}
	*ret_done = with > 0 && without == 0;
	return 0;
}

int step_static_pod_ready(struct step_context *context, const struct plan_step *step,
			  bool *ret_done, struct error *err)
{
	const char *address = step_optional_text(step, "address");
	auto_kube_client struct kube_client *server = NULL;
	auto_kube_reply struct kube_reply reply = {0};

	if (pod_running(context, step, ret_done, err) < 0 || !*ret_done || !address)
		return err->kind == ERROR_NONE ? 0 : -1;
	*ret_done = false;
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

int step_static_pod_write(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	if (step_node_file_apply(context, step, step_static_pod_edit, err) < 0)
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
