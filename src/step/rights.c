/* SPDX-License-Identifier: MIT */
/*
 * rights: asks the API server whether whoever runs this may write what the steps of the plan write,
 * before the first of them does: one that is denied half-way is safe, but leaves a cluster in
 * between until somebody with more rights comes. Parameters: none.
 *
 * A SelfSubjectAccessReview for each; every authenticated user may ask
 * (system:basic-user, plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go). A server that does
 * not answer keeps nobody: it says no later then.
 */
#include "step/rights.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "kube/discovery.h"
#include "step/kinds.h"

/* named in one message; the rest is counted */
#define RIGHTS_NAMED 6

struct rights_question {
	const struct step_right *right;
	json_t *spaces; /* owned: object whose keys are namespaces */
};

struct rights {
	struct step_context *context;
	unsigned minor; /* of the server; 0: not known */
	struct rights_question *questions;
	size_t count;
	struct buffer missing; /* a line for each */
	size_t missing_count;
	bool silent; /* the server does not say */
};

static void rights_release(struct rights *r)
{
	for (size_t i = 0; i < r->count; i++)
		json_decref(r->questions[i].spaces);
	free(r->questions);
	buffer_release(&r->missing);
}
#define auto_rights __attribute__((cleanup(rights_release)))

static void rights_describe(const struct plan_step *step, struct buffer *out)
{
	(void)step;
	buffer_text(out, "ask the API server whether you may do what the plan does");
}

/* ---- what is to be asked ---- */

static bool rights_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool rights_same(const struct step_right *a, const struct step_right *b)
{
	return strcmp(a->verb, b->verb) == 0 && strcmp(a->group, b->group) == 0 &&
	       strcmp(a->resource, b->resource) == 0 && rights_same_text(a->space, b->space) &&
	       rights_same_text(a->name, b->name);
}

static bool rights_applies(const struct rights *r, const struct step_right *right)
{
	return r->minor == 0 ||
	       (r->minor >= right->since && (right->before == 0 || r->minor < right->before));
}

static struct rights_question *rights_question(struct rights *r, const struct step_right *right)
{
	for (size_t i = 0; i < r->count; i++)
		if (rights_same(r->questions[i].right, right))
			return &r->questions[i];
	r->questions = alloc_resize(r->questions, r->count + 1, sizeof(*r->questions));
	r->questions[r->count] = (struct rights_question){right, json_object()};
	return &r->questions[r->count++];
}

/* Every "namespace" in a step's parameters, however deep. */
static void rights_spaces(const json_t *value, json_t *spaces)
{
	const json_t *item;
	const char *key;
	size_t i;

	json_array_foreach(value, i, item)
		rights_spaces(item, spaces);
	if (!json_is_object(value))
		return;
	json_object_foreach((json_t *)(uintptr_t)value, key, item) {
		if (strcmp(key, "namespace") == 0 && json_is_string(item))
			json_object_set_new(spaces, json_string_value(item), json_true());
		else
			rights_spaces(item, spaces);
	}
}

static void rights_add(struct rights *r, const struct step_right *set, const json_t *parameters)
{
	for (const struct step_right *right = set; right && right->verb; right++) {
		if (!rights_applies(r, right))
			continue;
		if (right->space == STEP_RIGHT_NAMED)
			rights_spaces(parameters, rights_question(r, right)->spaces);
		else
			(void)rights_question(r, right);
	}
}

static void rights_gather(struct rights *r)
{
	const struct plan *plan = r->context->plan;

	rights_add(r, step_rights_run, NULL);
	for (size_t i = 0; i < plan->count; i++) {
		const struct step_kind *kind = step_kind_find(plan->steps[i].kind);

		if (kind)
			rights_add(r, kind->rights, plan->steps[i].parameters);
	}
}

/* ---- asking ---- */

static json_t *rights_review(const struct step_right *right, const char *space)
{
	const char *slash = strchr(right->resource, '/');
	size_t len = slash ? (size_t)(slash - right->resource) : strlen(right->resource);
	json_t *attributes = json_pack("{s:s, s:s, s:s%}", "verb", right->verb, "group",
				       right->group, "resource", right->resource, len);

	if (slash)
		json_object_set_new(attributes, "subresource", json_string(slash + 1));
	if (space && *space)
		json_object_set_new(attributes, "namespace", json_string(space));
	if (right->name)
		json_object_set_new(attributes, "name", json_string(right->name));
	return json_pack("{s:s, s:s, s:{s:o}}", "apiVersion", "authorization.k8s.io/v1", "kind",
			 "SelfSubjectAccessReview", "spec", "resourceAttributes", attributes);
}

/* `space` NULL: in every namespace. */
static int rights_ask(struct rights *r, const struct step_right *right, const char *space,
		      bool *ret_allowed, struct error *err)
{
	const struct kube_target target = {.group = "authorization.k8s.io",
					   .version = "v1",
					   .plural = "selfsubjectaccessreviews"};
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *review = rights_review(right, space);
	auto_json json_t *answer = NULL;

	if (r->context->tick(r->context, err) < 0)
		return -1;
	if (kube_client_create(r->context->kube, &target, review, &options, &answer, err) < 0) {
		if (err->kind == ERROR_INTERRUPTED)
			return -1;
		log_warning("the API server does not say what you may do: %s", error_text(err));
		error_release(err);
		r->silent = true;
	}
	*ret_allowed = r->silent || json_path_bool(answer, "status.allowed", false);
	return 0;
}

static void rights_miss(struct rights *r, const struct step_right *right, const char *space)
{
	if (r->missing_count++ >= RIGHTS_NAMED)
		return;
	buffer_format(&r->missing, "%s%s %s%s%s%s%s", r->missing_count > 1 ? ", " : "", right->verb,
		      right->resource, *right->group ? "." : "", right->group,
		      right->name ? " " : "", right->name ? right->name : "");
	if (space && *space)
		buffer_format(&r->missing, " in namespace '%s'", space);
}

/* Who may do it everywhere is asked once. */
static int rights_answer(struct rights *r, const struct rights_question *question,
			 struct error *err)
{
	const struct step_right *right = question->right;
	bool named = right->space == STEP_RIGHT_NAMED;
	bool allowed = false;
	const char *space;
	const json_t *unused;

	if (rights_ask(r, right, right->space, &allowed, err) < 0)
		return -1;
	if (allowed || !named || json_object_size(question->spaces) == 0) {
		if (!allowed)
			rights_miss(r, right, right->space);
		return 0;
	}
	json_object_foreach(question->spaces, space, unused) {
		if (rights_ask(r, right, space, &allowed, err) < 0)
			return -1;
		if (!allowed)
			rights_miss(r, right, space);
	}
	return 0;
}

static void rights_know_version(struct rights *r)
{
	auto_error struct error ignored = {0};
	struct kube_version version = {0};

	if (kube_discovery_version(r->context->kube, &version, &ignored) == 0)
		r->minor = version.minor;
	kube_version_release(&version);
}

static int rights_apply(struct step_context *context, const struct plan_step *step,
			struct error *err)
{
	auto_rights struct rights r = {.context = context};

	(void)step;
	rights_know_version(&r);
	rights_gather(&r);
	for (size_t i = 0; i < r.count && !r.silent; i++)
		if (rights_answer(&r, &r.questions[i], err) < 0)
			return -1;
	if (r.missing_count == 0)
		return 0;
	if (r.missing_count > RIGHTS_NAMED)
		buffer_format(&r.missing, " and %zu more", r.missing_count - RIGHTS_NAMED);
	return error_set(err, ERROR_REFUSED,
			 "you lack rights that the plan needs: %s; rbac-run.yaml grants them, or "
			 "use a kubeconfig that has them",
			 buffer_cstr(&r.missing));
}

const struct step_kind step_rights = {
	.name = "rights",
	.describe = rights_describe,
	.check = step_never_there,
	.apply = rights_apply,
	.verify = step_proved_by_apply,
};
