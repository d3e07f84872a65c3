/* SPDX-License-Identifier: MIT */
#include "step/step.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

int step_text(const struct plan_step *step, const char *name, const char **ret, struct error *err)
{
	const char *text = json_string_value(json_object_get(step->parameters, name));

	/* all of them are names, and an empty one would be all objects of the kind */
	if (!text || !*text)
		return error_set(err, ERROR_PARSE,
				 "step %s (%s) lacks its parameter '%s'; make the plan anew",
				 step->id, step->kind, name);
	*ret = text;
	return 0;
}

const char *step_optional_text(const struct plan_step *step, const char *name)
{
	return json_string_value(json_object_get(step->parameters, name));
}

int step_find(struct step_context *context, const struct kube_target *target, json_t **ret,
	      struct error *err)
{
	json_t *object = NULL;

	if (kube_client_get(context->kube, target, &object, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
	}
	*ret = object;
	return 0;
}

#define STEP_TICK_MS 250

int step_pause(struct step_context *context, int64_t ms, struct error *err)
{
	int64_t end = clock_monotonic_ms() + ms;

	for (;;) {
		int64_t left = end - clock_monotonic_ms();

		if (context->tick(context, err) < 0)
			return -1;
		if (left <= 0)
			return 0;
		if (clock_sleep_ms(left < STEP_TICK_MS ? left : STEP_TICK_MS, err) < 0)
			return -1;
	}
}

int step_wait(struct step_context *context, const struct plan_step *step, step_condition done,
	      int64_t interval_ms, int64_t timeout_ms, const char *what, struct error *err)
{
	int64_t end = clock_monotonic_ms() + timeout_ms;
	auto_error struct error last = {0};

	for (;;) {
		auto_error struct error problem = {0};
		bool is_done = false;

		if (done(context, step, &is_done, &problem) < 0) {
			if (problem.kind != ERROR_NETWORK && problem.kind != ERROR_NOT_FOUND &&
			    problem.kind != ERROR_CONFLICT)
				return error_move(err, &problem);
			error_move(&last, &problem);
		} else if (is_done) {
			return 0;
		}
		if (clock_monotonic_ms() >= end)
			return error_set(err, ERROR_NETWORK, "%s: still not so after %lld s%s%s",
					 what, (long long)(timeout_ms / 1000),
					 last.message ? ": " : "",
					 last.message ? last.message : "");
		if (step_pause(context, interval_ms, err) < 0)
			return -1;
	}
}

int step_backup_object(struct step_context *context, const char *name, const json_t *object,
		       struct error *err)
{
	auto_free char *file = alloc_format("%s.json", name);
	auto_free char *path = NULL;
	auto_free char *text = NULL;

	for (char *c = file; *c; c++)
		if (*c == '/')
			*c = '_';
	path = file_join(context->backup_folder, file);
	if (file_exists(path))
		return 0;
	text = json_dumps(object, JSON_INDENT(2));
	return file_replace(path, text, strlen(text), 0600, 0, err);
}

int step_need_nodes(struct step_context *context, const struct plan_step *step, struct error *err)
{
	if (context->pool)
		return 0;
	return error_set(err, ERROR_REFUSED,
			 "step %s (%s) works on a node, and nodes are not reached; use --nodes-via "
			 "ssh or local",
			 step->id, step->subject);
}

int step_never_there(struct step_context *context, const struct plan_step *step, bool *ret_done,
		     struct error *err)
{
	(void)context;
	(void)step;
	(void)err;
	*ret_done = false;
	return 0;
}

int step_proved_by_apply(struct step_context *context, const struct plan_step *step,
			 struct error *err)
{
	(void)step;
	return context->tick(context, err);
}
