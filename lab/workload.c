/* SPDX-License-Identifier: MIT */
#include "lab/workload.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "lab/pod.h"
#include "text/json.h"

enum { WORKLOAD_MS = 300 };

/* FNV-1a of the template: the name of a revision. */
static char *workload_revision(const json_t *workload)
{
	auto_free char *text = json_print(json_path(workload, "spec.template"));
	uint32_t hash = 2166136261U;

	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	return alloc_format("%08x", hash);
}

static json_t *workload_owner(const json_t *owner, const char *kind)
{
	return json_pack("[{s:s,s:s,s:O,s:O,s:b}]", "apiVersion", "apps/v1", "kind", kind, "name",
			 json_path(owner, "metadata.name"), "uid", json_path(owner, "metadata.uid"),
			 "controller", 1);
}

static void workload_make(struct lab *lab, const json_t *workload, const json_t *owner,
			  const char *kind, const char *name, const char *revision,
			  const struct lab_node *node)
{
	json_t *pod = json_deep_copy(json_path(workload, "spec.template"));
	json_t *metadata = json_object_get(pod, "metadata");
	json_t *labels;

	if (!metadata) {
		metadata = json_object();
		json_object_set_new(pod, "metadata", metadata);
	}
	labels = json_object_get(metadata, "labels");
	if (!labels) {
		labels = json_object();
		json_object_set_new(metadata, "labels", labels);
	}
	json_object_set_new(labels, "controller-revision-hash", json_string(revision));
	json_object_set_new(metadata, "name", json_string(name));
	json_object_set(metadata, "namespace", json_path(workload, "metadata.namespace"));
	json_object_set_new(metadata, "ownerReferences", workload_owner(owner, kind));
	json_object_set_new(json_object_get(pod, "spec"), "nodeName", json_string(node->name));
	json_object_set_new(pod, "status",
			    json_pack("{s:s,s:[{s:s,s:s}]}", "phase", "Pending", "conditions",
				      "type", "Ready", "status", "False"));
	lab_create(lab, "pods", pod);
}

/* A Pod's end, begun as a controller begins it. */
static void workload_end(struct lab *lab, const json_t *pod)
{
	json_t *marked = json_deep_copy(pod);
	auto_free char *now = lab_time(lab);

	json_object_set_new(json_object_get(marked, "metadata"), "deletionTimestamp",
			    json_string(now));
	json_object_set_new(json_object_get(marked, "metadata"), "deletionGracePeriodSeconds",
			    json_integer(30));
	lab_put(lab, "pods", marked);
}

/* What a workload has. */
struct workload_count {
	int fresh; /* of the present revision */
	int fresh_ready;
	int stale;
	int ready;
	int all;	  /* those that end, too */
	json_t *victim;	  /* the stale one that goes next; borrowed */
	bool victim_down; /* and is missed by nobody */
};

static bool workload_is_going(const json_t *pod)
{
	return json_path(pod, "metadata.deletionTimestamp") != NULL;
}

static struct workload_count workload_count(const json_t *pods, const char *revision)
{
	struct workload_count count = {0};
	json_t *pod;
	size_t i;

	json_array_foreach(pods, i, pod) {
		bool ready = pod_is_ready(pod) && !workload_is_going(pod);

		count.all++;
		if (workload_is_going(pod))
			continue;
		count.ready += ready;
		if (json_path_is(pod, "metadata.labels.controller-revision-hash", revision)) {
			count.fresh++;
			count.fresh_ready += ready;
			continue;
		}
		count.stale++;
		if (!count.victim || (!ready && !count.victim_down)) {
			count.victim = pod;
			count.victim_down = !ready;
		}
	}
	return count;
}

static void workload_report(struct lab *lab, const char *plural, const json_t *workload,
			    json_t *status)
{
	json_t *now = lab_edit(lab, plural, json_path_text(workload, "metadata.namespace"),
			       json_path_text(workload, "metadata.name"));

	json_object_set(status, "observedGeneration", json_path(workload, "metadata.generation"));
	if (!now || json_equal(json_object_get(now, "status"), status)) {
		json_decref(now);
		json_decref(status);
		return;
	}
	json_object_set_new(now, "status", status);
	lab_put(lab, plural, now);
}

static json_t *workload_status(const struct workload_count *count)
{
	return json_pack("{s:i,s:i,s:i,s:i}", "replicas", count->fresh + count->stale,
			 "updatedReplicas", count->fresh, "readyReplicas", count->ready,
			 "availableReplicas", count->ready);
}

/* --- deployments ------------------------------------------------------------------------------ */

static json_t *workload_replica_set(struct lab *lab, const json_t *deployment, const char *revision)
{
	const char *space = json_path_text(deployment, "metadata.namespace");
	auto_free char *name =
		alloc_format("%s-%s", json_path_text(deployment, "metadata.name"), revision);
	json_t *set = store_find(lab->store, "replicasets", space, name);

	if (set)
		return set;
	lab_create(lab, "replicasets",
		   json_pack("{s:{s:s,s:s,s:i,s:o},s:{s:O,s:O,s:O}}", "metadata", "name", name,
			     "namespace", space, "generation", 1, "ownerReferences",
			     workload_owner(deployment, "Deployment"), "spec", "replicas",
			     json_path(deployment, "spec.replicas"), "selector",
			     json_path(deployment, "spec.selector"), "template",
			     json_path(deployment, "spec.template")));
	return store_find(lab->store, "replicasets", space, name);
}

static struct lab_node *workload_place(struct lab *lab)
{
	return &lab->nodes[lab_random(lab, lab->node_count)];
}

static void workload_deployment(struct lab *lab, const json_t *deployment, const json_t *pods)
{
	auto_free char *revision = workload_revision(deployment);
	struct workload_count count = workload_count(pods, revision);
	const json_t *set = workload_replica_set(lab, deployment, revision);
	int wanted = (int)json_path_int(deployment, "spec.replicas", 1);
	/* one more than wanted while there are stale ones */
	int room = wanted + (count.stale ? 1 : 0) - count.fresh - count.stale;

	for (int i = count.fresh; i < wanted && room > 0; i++, room--) {
		auto_free char *name =
			alloc_format("%s-%05llx", json_path_text(set, "metadata.name"),
				     (unsigned long long)lab_random(lab, UINT64_C(0x100000)));

		workload_make(lab, deployment, set, "ReplicaSet", name, revision,
			      workload_place(lab));
	}
	if (count.victim && (count.victim_down || count.ready > wanted))
		workload_end(lab, count.victim);
	workload_report(lab, "deployments", deployment, workload_status(&count));
}

/* --- stateful sets ---------------------------------------------------------------------------- */

static void workload_stateful_set(struct lab *lab, const json_t *workload, const json_t *pods)
{
	auto_free char *revision = workload_revision(workload);
	struct workload_count count = workload_count(pods, revision);
	int wanted = (int)json_path_int(workload, "spec.replicas", 1);

	for (int i = 0; i < wanted && count.all < wanted; i++) {
		auto_free char *name =
			alloc_format("%s-%d", json_path_text(workload, "metadata.name"), i);

		if (store_find(lab->store, "pods", json_path_text(workload, "metadata.namespace"),
			       name))
			continue;
		workload_make(lab, workload, workload, "StatefulSet", name, revision,
			      workload_place(lab));
		break;
	}
	if (count.victim && (count.victim_down || count.ready == wanted))
		workload_end(lab, count.victim);
	workload_report(lab, "statefulsets", workload, workload_status(&count));
}

/* --- daemon sets ------------------------------------------------------------------------------ */

static void workload_daemon_set(struct lab *lab, const json_t *workload, const json_t *pods)
{
	auto_free char *revision = workload_revision(workload);
	struct workload_count count = workload_count(pods, revision);
	auto_json json_t *there = json_object();
	int wanted = (int)lab->node_count;
	const json_t *pod;
	size_t i;

	json_array_foreach(pods, i, pod)
		json_object_set_new(there, json_path_text(pod, "spec.nodeName"), json_true());
	for (size_t n = 0; n < lab->node_count && count.all < wanted; n++) {
		auto_free char *name =
			alloc_format("%s-%05llx", json_path_text(workload, "metadata.name"),
				     (unsigned long long)lab_random(lab, UINT64_C(0x100000)));

		if (json_object_get(there, lab->nodes[n].name))
			continue;
		workload_make(lab, workload, workload, "DaemonSet", name, revision, &lab->nodes[n]);
	}
	if (count.victim && (count.victim_down || count.ready == wanted) &&
	    !json_path_is(workload, "spec.updateStrategy.type", "OnDelete"))
		workload_end(lab, count.victim);
	workload_report(lab, "daemonsets", workload,
			json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "desiredNumberScheduled", wanted,
				  "currentNumberScheduled", count.fresh + count.stale,
				  "updatedNumberScheduled", count.fresh, "numberReady", count.ready,
				  "numberAvailable", count.ready, "numberUnavailable",
				  wanted - count.ready));
}

/* --- all -------------------------------------------------------------------------------------- */

/* Pods by the UID of what they belong to in the end: a Deployment's stand under its own. */
static json_t *workload_pods(struct lab *lab)
{
	json_t *by_owner = json_object();
	const char *key;
	json_t *pod;

	json_object_foreach(store_all(lab->store, "pods"), key, pod) {
		const char *uid = json_path_text(pod, "metadata.ownerReferences.0.uid");
		const json_t *set = NULL;
		json_t *list;

		if (!uid)
			continue;
		if (json_path_is(pod, "metadata.ownerReferences.0.kind", "ReplicaSet"))
			set = store_find(lab->store, "replicasets",
					 json_path_text(pod, "metadata.namespace"),
					 json_path_text(pod, "metadata.ownerReferences.0.name"));
		if (set)
			uid = json_path_text(set, "metadata.ownerReferences.0.uid");
		list = json_object_get(by_owner, uid);
		if (!list) {
			list = json_array();
			json_object_set_new(by_owner, uid, list);
		}
		json_array_append(list, pod);
	}
	return by_owner;
}

static void workload_due(void *data)
{
	static const struct {
		const char *plural;
		void (*fn)(struct lab *, const json_t *, const json_t *);
	} kinds[] = {
		{"deployments", workload_deployment},
		{"statefulsets", workload_stateful_set},
		{"daemonsets", workload_daemon_set},
	};
	struct lab *lab = data;
	auto_json json_t *pods = NULL;

	lab->work = NULL;
	if (!lab_any_server(lab)) {
		lab->work = loop_after(lab->loop, WORKLOAD_MS, workload_due, lab);
		return;
	}
	pods = workload_pods(lab);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		auto_json json_t *all = json_copy(store_all(lab->store, kinds[i].plural));
		const char *key;
		json_t *workload;

		json_object_foreach(all, key, workload)
			kinds[i].fn(
				lab, workload,
				json_object_get(pods, json_path_text(workload, "metadata.uid")));
	}
}

void workload_changed(struct lab *lab, const struct store_event *event)
{
	bool matters = strcmp(event->type->plural, "pods") == 0 ||
		       (strcmp(event->type->group, "apps") == 0 &&
			strcmp(event->type->plural, "replicasets") != 0);

	if (matters && !lab->work)
		lab->work = loop_after(lab->loop, WORKLOAD_MS, workload_due, lab);
}
