/* SPDX-License-Identifier: MIT */
#include "step/group.h"

#include <string.h>

#include "base/alloc.h"
#include "step/service.h"

int step_group_open(struct step_context *context, const struct plan_step *step,
		    const json_t *services, struct step_group *group, struct error *err)
{
	auto_step_group struct step_group new_ = {.step = step};
	json_t *item;
	size_t i;

	if (!services)
		services = json_object_get(step->parameters, "services");
	if (!json_is_array(services))
		return error_set(err, ERROR_PARSE,
				 "step %s (%s) lacks its parameter 'services'; make the plan anew",
				 step->id, step->kind);
	new_.items = alloc_array(json_array_size(services) + 1, sizeof(*new_.items));
	json_array_foreach(services, i, item) {
		struct plan_step *one = &new_.items[new_.count];
		const char *space;
		const char *name;

		*one = *step;
		one->parameters = item;
		one->subject = NULL;
		if (step_text(one, "namespace", &space, err) < 0 ||
		    step_text(one, "name", &name, err) < 0)
			return -1;
		one->subject = alloc_format("Service/%s/%s", space, name);
		new_.count++;
	}
	new_.many = kube_multiplex_open(context->kube, 0, err);
	if (!new_.many)
		return -1;
	*group = new_;
	new_ = (struct step_group){0};
	return 0;
}

void step_group_release(struct step_group *group)
{
	for (size_t i = 0; i < group->count; i++)
		free(group->items[i].subject);
	free(group->items);
	kube_multiplex_free(group->many);
	*group = (struct step_group){0};
}

json_t **step_objects_new(size_t count)
{
	return alloc_array(count + 1, sizeof(json_t *));
}

void step_objects_release(json_t **objects, size_t count)
{
	for (size_t i = 0; objects && i < count; i++)
		json_decref(objects[i]);
	free(objects);
}

/* ---- one request for each ---- */

void step_group_call_init(const struct step_group *group, struct step_group_call *call,
			  enum kube_method method, const char *member)
{
	*call = (struct step_group_call){
		.method = method, .version = "v1", .plural = "services", .member = member};
	if (method != KUBE_GET)
		call->bodies = step_objects_new(group->count);
	call->objects = step_objects_new(group->count);
	call->errors = alloc_array(group->count + 1, sizeof(*call->errors));
}

void step_group_call_release(const struct step_group *group, struct step_group_call *call)
{
	for (size_t i = 0; call->errors && i < group->count; i++)
		error_release(&call->errors[i]);
	free(call->errors);
	step_objects_release(call->bodies, group->count);
	step_objects_release(call->objects, group->count);
	*call = (struct step_group_call){0};
}

struct group_run {
	struct step_group *group;
	struct step_group_call *call;
	char **paths;  /* owned, one for each item */
	char **bodies; /* owned */
};

static char *group_path(const struct group_run *run, const struct plan_step *item)
{
	const struct step_group_call *call = run->call;
	const struct kube_target target = {
		.group = call->group,
		.version = call->version,
		.plural = call->plural,
		.space = step_optional_text(item, "namespace"),
		.name = call->member ? step_optional_text(item, call->member) : NULL,
		.subresource = call->subresource,
	};
	auto_free char *start = kube_path(&target);
	auto_buffer struct buffer path = {0};

	buffer_text(&path, start);
	if (call->dry_run)
		kube_path_query(&path, "dryRun", "All");
	if (call->method != KUBE_GET)
		kube_path_query(&path, "fieldManager", "kubectl-renumber");
	return buffer_detach(&path);
}

static bool group_next(void *data, size_t job, const struct kube_answer *last,
		       struct kube_request *request)
{
	struct group_run *run = data;
	struct step_group_call *call = run->call;
	struct error *error = &call->errors[job];
	const char *name;

	if (last) {
		if (last->error.message)
			(void)error_set(error, last->error.kind, "%s", last->error.message);
		else
			call->objects[job] =
				json_parse(buffer_as_slice(&last->reply.body), "answer", error);
		return false;
	}
	if ((call->some && !call->some[job]) || (call->method != KUBE_GET && !call->bodies[job]))
		return false;
	/* an item that has no such object; an empty name would be all of them */
	name = call->member ? step_optional_text(&run->group->items[job], call->member) : "-";
	if (!name || !*name)
		return false;
	run->paths[job] = group_path(run, &run->group->items[job]);
	if (call->method != KUBE_GET)
		run->bodies[job] = json_print(call->bodies[job]);
	*request = (struct kube_request){.method = call->method,
					 .path = run->paths[job],
					 .body = slice_of(run->bodies[job])};
	return true;
}

int step_group_send(struct step_group *group, struct step_group_call *call, struct error *err)
{
	struct group_run run = {group, call, alloc_array(group->count + 1, sizeof(char *)),
				alloc_array(group->count + 1, sizeof(char *))};
	const struct kube_jobs jobs = {.count = group->count, .next = group_next, .data = &run};
	int result = kube_multiplex_run(group->many, &jobs, err);

	for (size_t i = 0; i < group->count; i++) {
		free(run.paths[i]);
		free(run.bodies[i]);
	}
	free(run.paths);
	free(run.bodies);
	return result;
}

/* ---- reading ---- */

static int group_get_one(struct step_context *context, const struct plan_step *item,
			 const char *member, json_t **ret, struct error *err)
{
	struct kube_target target;

	if (step_service_target(item, &target, err) < 0 ||
	    step_text(item, member, &target.name, err) < 0)
		return -1;
	return step_find(context, &target, ret, err);
}

/* So many of one namespace are rather listed: one request, and one answer to read. */
#define GROUP_LIST 16

static bool group_is_in(const struct step_group *group, size_t i, const char *space)
{
	return strcmp(step_optional_text(&group->items[i], "namespace"), space) == 0;
}

/* Those of `space` that are in `left` leave it. */
static int group_list(struct step_context *context, struct step_group *group, const char *member,
		      const char *space, bool *left, json_t **objects, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services", .space = space};
	auto_json json_t *list = NULL;
	auto_json json_t *by_name = json_object();
	json_t *object;
	size_t k;

	if (kube_client_list(context->kube, &target, NULL, &list, NULL, err) < 0)
		return -1;
	json_array_foreach(list, k, object)
		json_object_set(by_name, json_path_text(object, "metadata.name"), object);
	for (size_t i = 0; i < group->count; i++) {
		const char *name = step_optional_text(&group->items[i], member);

		if (!left[i] || !group_is_in(group, i, space))
			continue;
		left[i] = false;
		objects[i] = name ? json_incref(json_object_get(by_name, name)) : NULL;
	}
	return 0;
}

/* Lists the namespaces of which many are wanted. */
static int group_list_many(struct step_context *context, struct step_group *group,
			   const char *member, bool *left, json_t **objects, struct error *err)
{
	for (size_t i = 0; i < group->count; i++) {
		const char *space = step_optional_text(&group->items[i], "namespace");
		size_t count = 0;

		/* the first of its namespace that is left stands for all of them */
		for (size_t k = 0; left[i] && k < group->count; k++) {
			if (!left[k] || !group_is_in(group, k, space))
				continue;
			if (k < i)
				break;
			count++;
		}
		if (count >= GROUP_LIST &&
		    group_list(context, group, member, space, left, objects, err) < 0)
			return -1;
	}
	return 0;
}

static int group_get_each(struct step_context *context, struct step_group *group,
			  const char *member, const bool *some, json_t **objects, struct error *err)
{
	struct step_group_call call;
	int result;

	step_group_call_init(group, &call, KUBE_GET, member);
	call.some = some;
	result = step_group_send(group, &call, err);
	for (size_t i = 0; result == 0 && i < group->count; i++) {
		if (!some[i])
			continue;
		if (call.errors[i].kind != ERROR_NONE && call.errors[i].kind != ERROR_NOT_FOUND)
			result = group_get_one(context, &group->items[i], member, &objects[i], err);
		else
			objects[i] = json_incref(call.objects[i]);
	}
	step_group_call_release(group, &call);
	return result;
}

int step_group_get_some(struct step_context *context, struct step_group *group, const char *member,
			const bool *some, json_t **objects, struct error *err)
{
	bool *left = alloc_array(group->count + 1, sizeof(*left));
	int result;

	for (size_t i = 0; i < group->count; i++)
		left[i] = !some || some[i];
	result = group_list_many(context, group, member, left, objects, err);
	if (result == 0)
		result = group_get_each(context, group, member, left, objects, err);
	free(left);
	return result;
}

int step_group_get(struct step_context *context, struct step_group *group, const char *member,
		   json_t **objects, struct error *err)
{
	return step_group_get_some(context, group, member, NULL, objects, err);
}
