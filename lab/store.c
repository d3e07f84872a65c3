/* SPDX-License-Identifier: MIT */
#include "lab/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "text/json.h"

const struct store_type store_types[] = {
	{"", "namespaces", "Namespace", "v1", NULL, false, true, 0},
	{"", "nodes", "Node", "v1", NULL, false, true, 0},
	{"", "services", "Service", "v1", NULL, true, true, 0},
	{"", "endpoints", "Endpoints", "v1", NULL, true, false, 0},
	{"", "pods", "Pod", "v1", NULL, true, true, 0},
	{"", "configmaps", "ConfigMap", "v1", NULL, true, false, 0},
	{"", "secrets", "Secret", "v1", NULL, true, false, 0},
	{"", "events", "Event", "v1", NULL, true, false, 0},
	{"", "serviceaccounts", "ServiceAccount", "v1", NULL, true, false, 0},
	{"", "resourcequotas", "ResourceQuota", "v1", NULL, true, true, 0},
	{"", "limitranges", "LimitRange", "v1", NULL, true, false, 0},
	{"", "persistentvolumes", "PersistentVolume", "v1", NULL, false, true, 0},
	{"", "persistentvolumeclaims", "PersistentVolumeClaim", "v1", NULL, true, true, 0},
	{"apps", "deployments", "Deployment", "v1", NULL, true, true, 0},
	{"apps", "daemonsets", "DaemonSet", "v1", NULL, true, true, 0},
	{"apps", "statefulsets", "StatefulSet", "v1", NULL, true, true, 0},
	{"apps", "replicasets", "ReplicaSet", "v1", NULL, true, true, 0},
	{"batch", "jobs", "Job", "v1", NULL, true, true, 0},
	{"discovery.k8s.io", "endpointslices", "EndpointSlice", "v1", "v1beta1", true, false, 0},
	{"coordination.k8s.io", "leases", "Lease", "v1", NULL, true, false, 0},
	{"networking.k8s.io", "ingresses", "Ingress", "v1", NULL, true, true, 0},
	{"networking.k8s.io", "networkpolicies", "NetworkPolicy", "v1", NULL, true, false, 0},
	{"networking.k8s.io", "servicecidrs", "ServiceCIDR", "v1", "v1beta1", false, true, 31},
	{"networking.k8s.io", "ipaddresses", "IPAddress", "v1", "v1beta1", false, false, 31},
	{"policy", "poddisruptionbudgets", "PodDisruptionBudget", "v1", "v1beta1", true, true, 0},
	{"rbac.authorization.k8s.io", "clusterroles", "ClusterRole", "v1", NULL, false, false, 0},
	{"rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", "v1", NULL,
	 false, false, 0},
	{"admissionregistration.k8s.io", "validatingwebhookconfigurations",
	 "ValidatingWebhookConfiguration", "v1", NULL, false, false, 0},
	{"admissionregistration.k8s.io", "mutatingwebhookconfigurations",
	 "MutatingWebhookConfiguration", "v1", NULL, false, false, 0},
	{"admissionregistration.k8s.io", "validatingadmissionpolicies", "ValidatingAdmissionPolicy",
	 "v1", NULL, false, true, 30},
	{"admissionregistration.k8s.io", "validatingadmissionpolicybindings",
	 "ValidatingAdmissionPolicyBinding", "v1", NULL, false, false, 30},
	{"apiregistration.k8s.io", "apiservices", "APIService", "v1", NULL, false, true, 0},
	{"apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", "v1",
	 NULL, false, true, 0},
};
const size_t store_type_count = sizeof(store_types) / sizeof(store_types[0]);

/* As many changes as an hour of a busy cluster brings; a watch from before them expires. */
enum { STORE_EVENTS = 32768, STORE_LISTENERS = 8 };

struct store_table {
	json_t *objects;   /* owned; by key */
	const char **keys; /* owned, borrowed texts; NULL: to be sorted anew */
	size_t key_count;
};

struct store {
	struct store_table *tables; /* owned; by type */
	uint64_t version;
	uint64_t compacted;	    /* events up to here are gone */
	struct store_event *events; /* owned; a ring */
	size_t event_first;
	size_t event_count;
	struct {
		store_listener *fn;
		void *data;
	} listeners[STORE_LISTENERS];
	size_t listener_count;
};

const struct store_type *store_type_find(const char *group, const char *plural)
{
	for (size_t i = 0; i < store_type_count; i++)
		if (strcmp(store_types[i].plural, plural) == 0 &&
		    (!group || strcmp(store_types[i].group, group) == 0))
			return &store_types[i];
	return NULL;
}

struct store *store_new(void)
{
	struct store *s = ALLOC_NEW(struct store);

	s->tables = alloc_array(store_type_count, sizeof(*s->tables));
	for (size_t i = 0; i < store_type_count; i++)
		s->tables[i].objects = json_object();
	s->events = alloc_array(STORE_EVENTS, sizeof(*s->events));
	s->version = 100;
	s->compacted = 100;
	return s;
}

void store_compact(struct store *s)
{
	for (; s->event_count; s->event_count--) {
		struct store_event *event = &s->events[s->event_first];

		json_decref(event->object);
		json_decref(event->before);
		s->event_first = (s->event_first + 1) % STORE_EVENTS;
	}
	s->compacted = s->version;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_compact(s);
	for (size_t i = 0; i < store_type_count; i++) {
		json_decref(s->tables[i].objects);
		free(s->tables[i].keys);
	}
	free(s->tables);
	free(s->events);
	free(s);
}

static struct store_table *store_table(const struct store *s, const struct store_type *type)
{
	return &s->tables[type - store_types];
}

char *store_key(const char *space, const char *name)
{
	return space ? alloc_format("%s/%s", space, name) : alloc_text(name);
}

static char *store_key_of(const json_t *object)
{
	return store_key(json_path_text(object, "metadata.namespace"),
			 json_path_text(object, "metadata.name"));
}

json_t *store_by_key(const struct store *s, const struct store_type *type, const char *key)
{
	return json_object_get(store_table(s, type)->objects, key);
}

json_t *store_get(const struct store *s, const struct store_type *type, const char *space,
		  const char *name)
{
	auto_free char *key = store_key(type->namespaced ? space : NULL, name);

	return store_by_key(s, type, key);
}

json_t *store_find(const struct store *s, const char *plural, const char *space, const char *name)
{
	const struct store_type *type = store_type_find(NULL, plural);

	return type ? store_get(s, type, space, name) : NULL;
}

json_t *store_all(const struct store *s, const char *plural)
{
	return store_table(s, store_type_find(NULL, plural))->objects;
}

uint64_t store_version(const struct store *s)
{
	return s->version;
}

void store_listen(struct store *s, store_listener *fn, void *data)
{
	if (s->listener_count == STORE_LISTENERS)
		return;
	s->listeners[s->listener_count].fn = fn;
	s->listeners[s->listener_count++].data = data;
}

/* Takes both references. */
static void store_tell(struct store *s, const struct store_type *type, enum store_change change,
		       json_t *object, json_t *before)
{
	struct store_event told = {s->version, type, change, object, before};

	if (s->event_count == STORE_EVENTS) {
		struct store_event *oldest = &s->events[s->event_first];

		s->compacted = oldest->version;
		json_decref(oldest->object);
		json_decref(oldest->before);
		s->event_first = (s->event_first + 1) % STORE_EVENTS;
		s->event_count--;
	}
	s->events[(s->event_first + s->event_count++) % STORE_EVENTS] = told;
	/* a listener may write, and so move the ring: it keeps what it looks at */
	json_incref(object);
	json_incref(before);
	for (size_t i = 0; i < s->listener_count; i++)
		s->listeners[i].fn(s->listeners[i].data, &told);
	json_decref(object);
	json_decref(before);
}

static void store_stamp(struct store *s, json_t *object)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)++s->version);
	json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
			    json_string(text));
}

static void store_unsort(struct store_table *table)
{
	free(table->keys);
	table->keys = NULL;
}

void store_put(struct store *s, const struct store_type *type, json_t *object)
{
	struct store_table *table = store_table(s, type);
	auto_free char *key = store_key_of(object);
	json_t *before = json_incref(json_object_get(table->objects, key));

	store_stamp(s, object);
	if (!before)
		store_unsort(table);
	json_object_set(table->objects, key, object);
	store_tell(s, type, before ? STORE_MODIFIED : STORE_ADDED, object, before);
}

void store_remove(struct store *s, const struct store_type *type, json_t *object)
{
	struct store_table *table = store_table(s, type);
	auto_free char *key = store_key_of(object);
	json_t *before = json_incref(json_object_get(table->objects, key));
	json_t *last;

	if (!before)
		return;
	last = json_copy(before);
	json_object_set_new(last, "metadata", json_copy(json_object_get(before, "metadata")));
	store_stamp(s, last);
	store_unsort(table);
	json_object_del(table->objects, key);
	store_tell(s, type, STORE_DELETED, last, before);
}

static int store_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *store_keys(struct store *s, const struct store_type *type, size_t *ret_count)
{
	struct store_table *table = store_table(s, type);

	if (!table->keys) {
		const char *key;
		json_t *value;

		table->key_count = 0;
		table->keys =
			alloc_array(json_object_size(table->objects) + 1, sizeof(*table->keys));
		json_object_foreach(table->objects, key, value)
			table->keys[table->key_count++] = key;
		qsort(table->keys, table->key_count, sizeof(*table->keys), store_compare);
	}
	*ret_count = table->key_count;
	return table->keys;
}

const char *const *store_keys_in(struct store *s, const struct store_type *type, const char *space,
				 size_t *ret_count)
{
	auto_free char *prefix = alloc_format("%s/", space);
	size_t len = strlen(prefix);
	size_t low = 0;
	size_t high;
	const char *const *keys = store_keys(s, type, &high);
	size_t count = high;
	size_t end;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(keys[middle], prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < count && strncmp(keys[end], prefix, len) == 0; end++)
		;
	*ret_count = end - low;
	return keys + low;
}

const struct store_event *store_after(const struct store *s, uint64_t version, bool *ret_expired)
{
	size_t low = 0;
	size_t high = s->event_count;

	*ret_expired = version < s->compacted;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->events[(s->event_first + middle) % STORE_EVENTS].version <= version)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->event_count ? &s->events[(s->event_first + low) % STORE_EVENTS] : NULL;
}

json_t *store_at(const struct store *s, const struct store_type *type, uint64_t version)
{
	json_t *objects = json_copy(store_table(s, type)->objects);

	for (size_t i = s->event_count; i-- > 0;) {
		const struct store_event *event = &s->events[(s->event_first + i) % STORE_EVENTS];
		auto_free char *key = NULL;

		if (event->version <= version)
			break;
		if (event->type != type)
			continue;
		key = store_key_of(event->object);
		if (event->before)
			json_object_set(objects, key, event->before);
		else
			json_object_del(objects, key);
	}
	return objects;
}
