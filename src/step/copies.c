/* SPDX-License-Identifier: MIT */
#include "step/copies.h"

#include <string.h>

#include "base/alloc.h"
#include "model/cluster.h"
#include "step/service.h"
#include "text/json.h"

/* The slice of which this one is a copy. Those that a controller made have random names. */
#define COPIES_ANNOTATION "kubectl-renumber/copy-of"

struct copies {
	struct step_context *context;
	const char *space;
	const char *alias;
	char *version;	   /* owned, of EndpointSlices */
	json_t *originals; /* owned arrays */
	json_t *ours;
	size_t changed;
};

static void copies_release(struct copies *c)
{
	free(c->version);
	json_decref(c->originals);
	json_decref(c->ours);
}
#define auto_copies __attribute__((cleanup(copies_release)))

static const char *copies_name(const json_t *slice)
{
	return json_path_text(slice, "metadata.name");
}

/* null, a missing member and an empty list are the same thing. */
static bool copies_same_list(const json_t *a, const json_t *b, const char *member)
{
	const json_t *left = json_object_get(a, member);
	const json_t *right = json_object_get(b, member);

	if (json_array_size(left) == 0 || json_array_size(right) == 0)
		return json_array_size(left) == json_array_size(right);
	return json_equal(left, right);
}

static bool copies_is_of(const json_t *copy, const json_t *original)
{
	return json_path_is(copy, "metadata.annotations.kubectl-renumber/copy-of",
			    copies_name(original)) &&
	       json_equal(json_object_get(copy, "addressType"),
			  json_object_get(original, "addressType"));
}

/* One of the list, or NULL. */
static const json_t *copies_find(const json_t *copies, const json_t *original)
{
	const json_t *copy;
	size_t i;

	json_array_foreach(copies, i, copy) {
		if (copies_is_of(copy, original))
			return copy;
	}
	return NULL;
}

/* A name that none of ours has. */
static char *copies_new_name(const struct copies *c)
{
	for (unsigned n = 1;; n++) {
		auto_free char *name = alloc_format("%s-copy-%u", c->alias, n);
		const json_t *copy;
		bool taken = false;
		size_t i;

		json_array_foreach(c->ours, i, copy)
			taken = taken || strcmp(copies_name(copy), name) == 0;
		if (!taken)
			return steal(name);
	}
}

static struct kube_target copies_target(const struct copies *c, const char *name)
{
	return (struct kube_target){.group = "discovery.k8s.io",
				    .version = c->version,
				    .plural = "endpointslices",
				    .space = c->space,
				    .name = name};
}

static json_t *copies_list(const json_t *slice, const char *member)
{
	json_t *list = json_object_get(slice, member);

	return json_is_array(list) ? json_incref(list) : json_array();
}

static int copies_create(struct copies *c, const json_t *original, struct error *err)
{
	auto_free char *name = copies_new_name(c);
	auto_free char *api = alloc_format("discovery.k8s.io/%s", c->version);
	const struct kube_target target = copies_target(c, name);
	json_t *slice = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s}}, s:O, s:o, s:o}", "apiVersion",
		api, "kind", "EndpointSlice", "metadata", "name", name, "namespace", c->space,
		"labels", "kubernetes.io/service-name", c->alias,
		"endpointslice.kubernetes.io/managed-by", "kubectl-renumber", CLUSTER_RUN_LABEL,
		c->context->plan->run, "annotations", COPIES_ANNOTATION, copies_name(original),
		"addressType", json_object_get(original, "addressType"), "endpoints",
		copies_list(original, "endpoints"), "ports", copies_list(original, "ports"));

	json_array_append_new(c->ours, slice);
	c->changed++;
	if (kube_client_create(c->context->kube, &target, slice, NULL, NULL, err) == 0)
		return 0;
	if (err->kind != ERROR_CONFLICT)
		return -1;
	/* an answer was lost: the next look compares it */
	error_release(err);
	return 0;
}

static int copies_update(struct copies *c, const json_t *copy, const json_t *original,
			 struct error *err)
{
	const struct kube_target target = copies_target(c, copies_name(copy));
	const struct kube_write_options options = {.repeatable = true};
	auto_json json_t *patch = NULL;

	if (copies_same_list(copy, original, "endpoints") &&
	    copies_same_list(copy, original, "ports"))
		return 0;
	patch = json_pack("{s:o, s:o}", "endpoints", copies_list(original, "endpoints"), "ports",
			  copies_list(original, "ports"));
	c->changed++;
	return kube_client_patch(c->context->kube, &target, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

static bool copies_has_original(const struct copies *c, const json_t *copy)
{
	const json_t *original;
	size_t i;

	json_array_foreach(c->originals, i, original) {
		if (copies_is_of(copy, original))
			return true;
	}
	return false;
}

/* What has no original any more goes last: others may have its endpoints by now. */
static int copies_delete_others(struct copies *c, struct error *err)
{
	const json_t *copy;
	size_t i;

	json_array_foreach(c->ours, i, copy) {
		const struct kube_target target = copies_target(c, copies_name(copy));

		if (copies_has_original(c, copy))
			continue;
		c->changed++;
		if (kube_client_remove(c->context->kube, &target, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int copies_look(struct copies *c, const char *of, struct error *err)
{
	auto_json json_t *all = NULL;
	json_t *slice;
	size_t i;

	if (step_slice_version(c->context, &c->version, err) < 0 ||
	    step_slices(c->context, c->space, of, &c->originals, err) < 0 ||
	    step_slices(c->context, c->space, c->alias, &all, err) < 0)
		return -1;
	c->ours = json_array();
	json_array_foreach(all, i, slice) {
		if (step_slice_is_ours(slice))
			json_array_append(c->ours, slice);
	}
	return 0;
}

int step_copies_write(struct step_context *context, const char *namespace_, const char *alias,
		      const char *of, size_t *ret_changed, struct error *err)
{
	auto_copies struct copies c = {.context = context, .space = namespace_, .alias = alias};
	const json_t *original;
	size_t i;

	if (copies_look(&c, of, err) < 0)
		return -1;
	json_array_foreach(c.originals, i, original) {
		const json_t *copy = copies_find(c.ours, original);

		if (copy ? copies_update(&c, copy, original, err) < 0
			 : copies_create(&c, original, err) < 0)
			return -1;
	}
	if (copies_delete_others(&c, err) < 0)
		return -1;
	if (ret_changed)
		*ret_changed = c.changed;
	return 0;
}

int step_copies_follow(struct step_context *context, size_t *ret_changed, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "services"};
	auto_free char *selector =
		alloc_format("%s=%s," STEP_COPIES_LABEL, CLUSTER_RUN_LABEL, context->plan->run);
	const struct kube_list_options options = {.label_selector = selector, .once = true};
	auto_json json_t *aliases = NULL;
	const json_t *alias;
	size_t all = 0;
	size_t i;

	if (kube_client_list(context->kube, &target, &options, &aliases, NULL, err) < 0)
		return -1;
	json_array_foreach(aliases, i, alias) {
		size_t changed = 0;

		if (step_copies_write(
			    context, json_path_text(alias, "metadata.namespace"),
			    json_path_text(alias, "metadata.name"),
			    json_path_text(alias, "metadata.labels.kubectl-renumber/copies-of"),
			    &changed, err) < 0)
			return -1;
		all += changed;
	}
	*ret_changed = all;
	return 0;
}
