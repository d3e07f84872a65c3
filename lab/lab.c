/* SPDX-License-Identifier: MIT */
#include "lab/lab.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "text/json.h"

/* splitmix64: small, and the same everywhere. */
uint64_t lab_random(struct lab *lab, uint64_t limit)
{
	uint64_t x = lab->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return limit ? x % limit : x;
}

char *lab_uid(struct lab *lab)
{
	uint64_t a = lab_random(lab, 0);
	uint64_t b = lab_random(lab, 0);

	return alloc_format("%08x-%04x-4%03x-8%03x-%012llx", (unsigned int)(a >> 32),
			    (unsigned int)(a >> 16 & 0xffff), (unsigned int)(a & 0xfff),
			    (unsigned int)(b >> 52), (unsigned long long)(b & 0xffffffffffff));
}

char *lab_time(const struct lab *lab)
{
	return clock_format(loop_wall_s(lab->loop, loop_now(lab->loop)));
}

struct lab_server *lab_any_server(struct lab *lab)
{
	for (size_t i = 0; i < lab->server_count; i++)
		if (lab->servers[i].state == LAB_READY)
			return &lab->servers[i];
	return NULL;
}

struct lab_node *lab_node(struct lab *lab, const char *name)
{
	for (size_t i = 0; name && i < lab->node_count; i++)
		if (strcmp(lab->nodes[i].name, name) == 0)
			return &lab->nodes[i];
	return NULL;
}

void lab_create(struct lab *lab, const char *plural, json_t *object)
{
	const struct store_type *type = store_type_find(NULL, plural);
	json_t *metadata = json_object_get(object, "metadata");
	auto_free char *uid = lab_uid(lab);
	auto_free char *now = lab_time(lab);

	if (!metadata) {
		metadata = json_object();
		json_object_set_new(object, "metadata", metadata);
	}
	if (!json_object_get(metadata, "uid"))
		json_object_set_new(metadata, "uid", json_string(uid));
	if (!json_object_get(metadata, "creationTimestamp"))
		json_object_set_new(metadata, "creationTimestamp", json_string(now));
	json_object_set_new(object, "kind", json_string(type->kind));
	store_put(lab->store, type, object);
}

json_t *lab_edit(struct lab *lab, const char *plural, const char *space, const char *name)
{
	return json_deep_copy(store_find(lab->store, plural, space, name));
}

void lab_put(struct lab *lab, const char *plural, json_t *object)
{
	store_put(lab->store, store_type_find(NULL, plural), object);
}

void lab_delete(struct lab *lab, const char *plural, const char *space, const char *name)
{
	json_t *object = store_find(lab->store, plural, space, name);

	if (object)
		store_remove(lab->store, store_type_find(NULL, plural), object);
}

void lab_event(struct lab *lab, const char *kind, const char *space, const char *name,
	       const char *reason, const char *fmt, ...)
{
	auto_free char *id = alloc_format("%s.%s", name, reason);
	auto_free char *now = lab_time(lab);
	auto_free char *message = NULL;
	json_t *old = lab_edit(lab, "events", space ? space : "default", id);
	va_list args;

	va_start(args, fmt);
	message = alloc_vformat(fmt, args);
	va_end(args);
	if (old) {
		json_object_set_new(old, "count", json_integer(json_path_int(old, "count", 1) + 1));
		json_object_set_new(old, "lastTimestamp", json_string(now));
		json_object_set_new(old, "message", json_string(message));
		lab_put(lab, "events", old);
		return;
	}
	old = json_pack("{s:{s:s,s:s},s:{s:s,s:s},s:s,s:s,s:s,s:s,s:s,s:i}", "metadata",
			"namespace", space ? space : "default", "name", id, "involvedObject",
			"kind", kind, "name", name, "reason", reason, "message", message, "type",
			"Warning", "firstTimestamp", now, "lastTimestamp", now, "count", 1);
	if (space)
		json_object_set_new(json_object_get(old, "involvedObject"), "namespace",
				    json_string(space));
	lab_create(lab, "events", old);
}
