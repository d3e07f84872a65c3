/* SPDX-License-Identifier: MIT */
/*
 * local-dns: NodeLocal DNSCache listens at the new address of cluster DNS beside the old one, on
 * every node that is up. local-dns-end: at the new one alone.
 * Parameters: namespace, name (of the DaemonSet), configMap (its Corefile), copy, moves (array of
 * {from, to}).
 *
 * Where it listens is said twice, in an argument and in the Corefile, and it ends when one names what
 * the other does not. A Corefile edited in place would reach all nodes at once within minutes, before
 * their Pods have the argument. So the edited one is a ConfigMap of ours beside the original, and one
 * patch gives the template both: the Pods that it makes have the two, and those from before still
 * read the original, which is not touched until the end.
 *
 * Which ConfigMap a Pod mounts tells, too, whether it is from before.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/cluster.h"
#include "step/kinds.h"
#include "step/rights.h"
#include "step/rollout.h"
#include "text/json.h"
#include "text/local_dns.h"
#include "text/take_back.h"

#define LOCAL_DNS_KEY "Corefile"
#define LOCAL_DNS_TRIES 5
/* A controller may do one node after the other. */
#define LOCAL_DNS_MS ((int64_t)15 * 60 * 1000)
#define LOCAL_DNS_NODE_MS ((int64_t)60 * 1000)

struct local_dns {
	struct kube_target set;
	struct kube_target map;	 /* the original */
	struct kube_target copy; /* ours */
	struct corefile_move *moves;
	size_t count;
	int64_t nodes; /* that have a Pod of it; 0: not looked at yet */
};

static void local_dns_release(struct local_dns *dns)
{
	free(dns->moves);
}
#define auto_local_dns __attribute__((cleanup(local_dns_release)))

static int local_dns_read(const struct plan_step *step, struct local_dns *dns, struct error *err)
{
	const json_t *moves = json_object_get(step->parameters, "moves");
	const json_t *move;
	const char *space;
	size_t i;

	if (step_text(step, "namespace", &space, err) < 0 ||
	    step_text(step, "name", &dns->set.name, err) < 0 ||
	    step_text(step, "configMap", &dns->map.name, err) < 0 ||
	    step_text(step, "copy", &dns->copy.name, err) < 0)
		return -1;
	dns->set.group = "apps";
	dns->set.plural = "daemonsets";
	dns->map.plural = dns->copy.plural = "configmaps";
	dns->set.version = dns->map.version = dns->copy.version = "v1";
	dns->set.space = dns->map.space = dns->copy.space = space;
	dns->moves = alloc_array(json_array_size(moves) + 1, sizeof(*dns->moves));
	json_array_foreach(moves, i, move) {
		struct corefile_move *m = &dns->moves[dns->count];

		m->from = json_path_text(move, "from");
		m->to = json_path_text(move, "to");
		if (!m->from || !m->to)
			return error_set(err, ERROR_PARSE,
					 "step %s (%s): member 'moves' is malformed", step->id,
					 step->kind);
		dns->count++;
	}
	return 0;
}

static const char *local_dns_move(const struct plan_step *step, const char *name)
{
	const char *text = json_string_value(json_object_get(
		json_array_get(json_object_get(step->parameters, "moves"), 0), name));

	return text ? text : "?";
}

static void local_dns_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "%s: node-local DNS at %s beside %s", step->subject,
		      local_dns_move(step, "to"), local_dns_move(step, "from"));
}

static void local_dns_end_describe(const struct plan_step *step, struct buffer *out)
{
	buffer_format(out, "%s: node-local DNS at %s without %s", step->subject,
		      local_dns_move(step, "to"), local_dns_move(step, "from"));
}

/* ---- the DaemonSet ---- */

static json_t *local_dns_wanted(const struct local_dns *dns, enum corefile_edit edit,
				const json_t *template)
{
	bool both = edit == COREFILE_BOTH;

	return local_dns_edit(template, edit, dns->moves, dns->count,
			      both ? dns->map.name : dns->copy.name,
			      both ? dns->copy.name : dns->map.name);
}

/* What of the template the steps may change. */
static int local_dns_patch(struct step_context *context, const struct local_dns *dns,
			   const json_t *set, const json_t *wanted, struct error *err)
{
	static const char *const members[] = {"containers", "volumes"};
	const json_t *now = json_path(set, "spec.template.spec");
	const struct kube_write_options options = {
		.resource_version = json_path_text(set, "metadata.resourceVersion")};
	json_t *changed = json_object();
	auto_json json_t *patch = json_pack("{s:{s:{s:o}}}", "spec", "template", "spec", changed);

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(json_path(wanted, "spec"), members[i]);

		if (!json_equal(value, json_object_get(now, members[i])))
			json_object_set(changed, members[i], value);
	}
	if (json_object_size(changed) == 0)
		return 0;
	if (step_rollout_may_begin(context, set, err) < 0)
		return -1;
	return kube_client_patch(context->kube, &dns->set, KUBE_PATCH_MERGE, patch, &options, NULL,
				 err);
}

static bool local_dns_is_stale(const json_t *pod, const void *data)
{
	return local_dns_mounts(pod, data);
}

/* *ret_over: every node that is up has Pods of the present template. `former`: what the others
 * mount, which are deleted where the controller does not. */
static int local_dns_roll(struct step_context *context, struct local_dns *dns, const char *former,
			  bool *ret_over, struct error *err)
{
	auto_json json_t *set = NULL;
	auto_json json_t *down = NULL;
	size_t missing;

	if (step_find(context, &dns->set, &set, err) < 0 ||
	    step_rollout_down(context, &down, err) < 0)
		return -1;
	missing = json_object_size(down);
	dns->nodes = json_path_int(set, "status.desiredNumberScheduled", 0);
	*ret_over = !set || step_rollout_is_over(set, /* daemon_set= */ true, missing);
	if (*ret_over || !former || !step_rollout_is_ours(set, /* daemon_set= */ true, missing))
		return 0;
	return step_rollout_replace(context, set, down, local_dns_is_stale, former, err);
}

static int local_dns_is_over(struct step_context *context, const struct plan_step *step,
			     bool *ret_done, struct error *err)
{
	auto_local_dns struct local_dns dns = {0};

	if (local_dns_read(step, &dns, err) < 0)
		return -1;
	return local_dns_roll(context, &dns, NULL, ret_done, err);
}

static int local_dns_await(struct step_context *context, const struct plan_step *step,
			   struct local_dns *dns, const char *former, struct error *err)
{
	bool over = false;

	if (local_dns_roll(context, dns, former, &over, err) < 0)
		return -1;
	if (over)
		return 0;
	context->say(context, "waiting until the Pods of %s are new and ready", step->subject);
	return step_wait(context, step, local_dns_is_over, 1000,
			 LOCAL_DNS_MS + dns->nodes * LOCAL_DNS_NODE_MS,
			 "Pods of node-local DNS are not all replaced and ready; look with "
			 "'kubectl get pods -A'",
			 err);
}

/* ---- its ConfigMaps ---- */

static bool local_dns_is_ours(const struct step_context *context, const json_t *map)
{
	return json_path_is(map, "metadata.labels." CLUSTER_RUN_LABEL, context->plan->run);
}

/* data[Corefile], edited; NULL when there is none. */
static json_t *local_dns_data(const struct local_dns *dns, enum corefile_edit edit,
			      const json_t *map)
{
	const char *text = json_path_text(map, "data." LOCAL_DNS_KEY);
	auto_buffer struct buffer edited = {0};
	json_t *data;

	if (!text)
		return NULL;
	corefile_edit(slice_of(text), edit, dns->moves, dns->count, &edited);
	data = json_copy(json_object_get(map, "data"));
	json_object_set_new(data, LOCAL_DNS_KEY, json_string(buffer_cstr(&edited)));
	return data;
}

static int local_dns_lacks(const struct plan_step *step, const struct local_dns *dns,
			   struct error *err)
{
	return error_set(err, ERROR_REFUSED,
			 "%s has no Corefile in ConfigMap '%s/%s' any more; make the plan anew",
			 step->subject, dns->map.space, dns->map.name);
}

/* `data` is the copy's; one that the same run made before, and that no Pod has, is brought up to
 * date. */
static int local_dns_put_copy(struct step_context *context, const struct local_dns *dns,
			      const json_t *map, json_t *data, bool used, struct error *err)
{
	auto_json json_t *there = NULL;
	auto_json json_t *object = NULL;

	if (step_find(context, &dns->copy, &there, err) < 0)
		return -1;
	if (there && !local_dns_is_ours(context, there))
		return error_set(err, ERROR_REFUSED,
				 "ConfigMap '%s/%s' is there already, and this run did not make it",
				 dns->copy.space, dns->copy.name);
	if (there && (used || json_equal(json_object_get(there, "data"), data)))
		return 0;
	if (there) {
		json_object_set(there, "data", data);
		return kube_client_replace(context->kube, &dns->copy, there, NULL, NULL, err);
	}
	object = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:{s:s}}, s:O}", "apiVersion", "v1",
			   "kind", "ConfigMap", "metadata", "name", dns->copy.name, "namespace",
			   dns->copy.space, "labels", CLUSTER_RUN_LABEL, context->plan->run,
			   "annotations", "kubectl-renumber/comment",
			   "node-local DNS reads it while the Service CIDR is changed; 'kubectl "
			   "renumber finalize' removes it",
			   "data", data);
	if (json_object_get(map, "binaryData"))
		json_object_set(object, "binaryData", json_object_get(map, "binaryData"));
	return kube_client_create(context->kube, &dns->copy, object, NULL, NULL, err);
}

static int local_dns_drop_copy(struct step_context *context, const struct local_dns *dns,
			       struct error *err)
{
	auto_json json_t *there = NULL;

	if (step_find(context, &dns->copy, &there, err) < 0)
		return -1;
	if (!there || !local_dns_is_ours(context, there))
		return 0;
	return kube_client_remove(context->kube, &dns->copy, NULL, err);
}

/* ---- both addresses ---- */

static int local_dns_check(struct step_context *context, const struct plan_step *step,
			   bool *ret_done, struct error *err)
{
	auto_local_dns struct local_dns dns = {0};
	auto_json json_t *set = NULL;
	auto_json json_t *copy = NULL;
	auto_json json_t *wanted = NULL;
	const json_t *template;

	if (local_dns_read(step, &dns, err) < 0 || step_find(context, &dns.set, &set, err) < 0 ||
	    step_find(context, &dns.copy, &copy, err) < 0)
		return -1;
	template = json_path(set, "spec.template");
	wanted = set ? local_dns_wanted(&dns, COREFILE_BOTH, template) : NULL;
	*ret_done = !set;
	if (!set || !copy || !json_equal(template, wanted) ||
	    !local_dns_mounts(template, dns.copy.name))
		return 0;
	return local_dns_roll(context, &dns, NULL, ret_done, err);
}

static int local_dns_keep(struct step_context *context, const struct plan_step *step,
			  const struct local_dns *dns, const json_t *set, const json_t *map,
			  const json_t *wanted, struct error *err)
{
	auto_json json_t *before = local_dns_editable(json_path(set, "spec.template"));
	auto_json json_t *written = local_dns_editable(wanted);
	auto_free char *set_name = alloc_format("daemonset-%s-%s", dns->set.space, dns->set.name);
	auto_free char *map_name = alloc_format("configmap-%s-%s", dns->map.space, dns->map.name);

	if (context->keep(context, step, "original", before, err) < 0 ||
	    context->keep(context, step, "written", written, err) < 0 ||
	    step_backup_object(context, set_name, set, err) < 0)
		return -1;
	return map ? step_backup_object(context, map_name, map, err) : 0;
}

/* *ret_gone: there is no such DaemonSet (any more). */
static int local_dns_once(struct step_context *context, const struct plan_step *step,
			  const struct local_dns *dns, bool *ret_gone, struct error *err)
{
	auto_json json_t *set = NULL;
	auto_json json_t *map = NULL;
	auto_json json_t *wanted = NULL;
	auto_json json_t *data = NULL;
	const json_t *template;
	bool used;

	if (step_find(context, &dns->set, &set, err) < 0 ||
	    step_find(context, &dns->map, &map, err) < 0)
		return -1;
	*ret_gone = !set;
	if (!set)
		return 0;
	template = json_path(set, "spec.template");
	data = local_dns_data(dns, COREFILE_BOTH, map);
	used = local_dns_mounts(template, dns->copy.name);
	if (!used && (!data || !local_dns_mounts(template, dns->map.name)))
		return local_dns_lacks(step, dns, err);
	wanted = local_dns_wanted(dns, COREFILE_BOTH, template);
	if (local_dns_keep(context, step, dns, set, map, wanted, err) < 0 ||
	    (data && local_dns_put_copy(context, dns, map, data, used, err) < 0))
		return -1;
	return local_dns_patch(context, dns, set, wanted, err);
}

typedef int (*local_dns_try)(struct step_context *context, const struct plan_step *step,
			     const struct local_dns *dns, bool *ret_gone, struct error *err);

/* Read again and done again when somebody else wrote meanwhile. */
static int local_dns_insist(struct step_context *context, const struct plan_step *step,
			    const struct local_dns *dns, local_dns_try once, bool *ret_gone,
			    struct error *err)
{
	for (int i = 0;; i++) {
		if (once(context, step, dns, ret_gone, err) == 0)
			return 0;
		if (err->kind != ERROR_CONFLICT || i == LOCAL_DNS_TRIES)
			return -1;
		error_release(err);
		if (step_pause(context, 200, err) < 0)
			return -1;
	}
}

static int local_dns_apply(struct step_context *context, const struct plan_step *step,
			   struct error *err)
{
	auto_local_dns struct local_dns dns = {0};
	bool gone = false;

	if (local_dns_read(step, &dns, err) < 0 ||
	    local_dns_insist(context, step, &dns, local_dns_once, &gone, err) < 0)
		return -1;
	return gone ? 0 : local_dns_await(context, step, &dns, dns.map.name, err);
}

/* ---- the way back ---- */

static int local_dns_undo_once(struct step_context *context, const struct plan_step *step,
			       const struct local_dns *dns, bool *ret_gone, struct error *err)
{
	auto_json json_t *original = context->kept(context, step, "original");
	auto_json json_t *written = context->kept(context, step, "written");
	auto_json json_t *set = NULL;
	auto_json json_t *wanted = NULL;

	*ret_gone = true;
	if (!original || !written)
		return 0;
	if (step_find(context, &dns->set, &set, err) < 0)
		return -1;
	if (!set)
		return 0;
	*ret_gone = false;
	wanted = json_deep_copy(json_path(set, "spec.template"));
	if (!take_back(wanted, original, written))
		return error_set(err, ERROR_REFUSED,
				 "%s was changed by somebody since this run wrote it; the original "
				 "is in %s",
				 step->subject, context->backup_folder);
	return local_dns_patch(context, dns, set, wanted, err);
}

static int local_dns_undo(struct step_context *context, const struct plan_step *step,
			  struct error *err)
{
	auto_local_dns struct local_dns dns = {0};
	auto_json json_t *original = context->kept(context, step, "original");
	bool gone = false;

	if (!original)
		return 0;
	if (local_dns_read(step, &dns, err) < 0 ||
	    local_dns_insist(context, step, &dns, local_dns_undo_once, &gone, err) < 0)
		return -1;
	if (!gone && local_dns_await(context, step, &dns, dns.copy.name, err) < 0)
		return -1;
	return local_dns_drop_copy(context, &dns, err);
}

/* ---- the end ---- */

static int local_dns_end_check(struct step_context *context, const struct plan_step *step,
			       bool *ret_done, struct error *err)
{
	auto_local_dns struct local_dns dns = {0};
	auto_json json_t *set = NULL;
	auto_json json_t *map = NULL;
	auto_json json_t *copy = NULL;
	auto_json json_t *wanted = NULL;
	auto_json json_t *data = NULL;

	*ret_done = false;
	if (local_dns_read(step, &dns, err) < 0 || step_find(context, &dns.set, &set, err) < 0 ||
	    step_find(context, &dns.map, &map, err) < 0 ||
	    step_find(context, &dns.copy, &copy, err) < 0)
		return -1;
	wanted = set ? local_dns_wanted(&dns, COREFILE_NEW, json_path(set, "spec.template")) : NULL;
	data = local_dns_data(&dns, COREFILE_NEW, map);
	if ((copy && local_dns_is_ours(context, copy)) ||
	    (set && !json_equal(json_path(set, "spec.template"), wanted)) ||
	    (data && !json_equal(json_object_get(map, "data"), data)))
		return 0;
	if (!set) {
		*ret_done = true;
		return 0;
	}
	return local_dns_roll(context, &dns, NULL, ret_done, err);
}

static int local_dns_end_once(struct step_context *context, const struct plan_step *step,
			      const struct local_dns *dns, bool *ret_gone, struct error *err)
{
	auto_free char *backup = alloc_format("configmap-%s-%s", dns->map.space, dns->map.name);
	auto_json json_t *set = NULL;
	auto_json json_t *map = NULL;
	auto_json json_t *wanted = NULL;
	auto_json json_t *data = NULL;

	if (step_find(context, &dns->set, &set, err) < 0 ||
	    step_find(context, &dns->map, &map, err) < 0)
		return -1;
	*ret_gone = !set;
	data = local_dns_data(dns, COREFILE_NEW, map);
	if (set && !data)
		return local_dns_lacks(step, dns, err);
	if (data && !json_equal(json_object_get(map, "data"), data)) {
		if (context->keep(context, step, "original", map, err) < 0 ||
		    step_backup_object(context, backup, map, err) < 0)
			return -1;
		json_object_set(map, "data", data);
		if (kube_client_replace(context->kube, &dns->map, map, NULL, NULL, err) < 0)
			return -1;
	}
	if (!set)
		return 0;
	wanted = local_dns_wanted(dns, COREFILE_NEW, json_path(set, "spec.template"));
	return local_dns_patch(context, dns, set, wanted, err);
}

static int local_dns_end_apply(struct step_context *context, const struct plan_step *step,
			       struct error *err)
{
	auto_local_dns struct local_dns dns = {0};
	bool gone = false;

	if (local_dns_read(step, &dns, err) < 0 ||
	    local_dns_insist(context, step, &dns, local_dns_end_once, &gone, err) < 0)
		return -1;
	if (!gone && local_dns_await(context, step, &dns, dns.copy.name, err) < 0)
		return -1;
	return local_dns_drop_copy(context, &dns, err);
}

const struct step_kind step_local_dns = {
	.name = "local-dns",
	.rights = step_rights_local_dns,
	.describe = local_dns_describe,
	.check = local_dns_check,
	.apply = local_dns_apply,
	.undo = local_dns_undo,
};

const struct step_kind step_local_dns_end = {
	.name = "local-dns-end",
	.rights = step_rights_local_dns,
	.describe = local_dns_end_describe,
	.check = local_dns_end_check,
	.apply = local_dns_end_apply,
};
