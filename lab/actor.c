/* SPDX-License-Identifier: MIT */
#include "lab/actor.h"

#include <string.h>

#include "base/alloc.h"
#include "lab/api.h"
#include "lab/beat.h"
#include "lab/control.h"
#include "lab/guard.h"
#include "lab/hurry/page.h"
#include "lab/node.h"
#include "text/json.h"

#define ACTOR_SPACE "shop"
#define ACTOR_LEASE "kubectl-renumber"
#define ACTOR_JOINED "joined"

static void actor_note(struct lab *lab, const char *event, const char *name)
{
	auto_free char *key = store_key(ACTOR_SPACE, name);

	json_array_append_new(actor_deeds(lab), json_pack("{s:s,s:s}", "event", event, "key", key));
}

json_t *actor_deeds(struct lab *lab)
{
	if (!lab->deeds)
		lab->deeds = json_array();
	return lab->deeds;
}

/* --- Services --------------------------------------------------------------------------------- */

static struct api_target actor_service(char *version, char *space, char *name)
{
	return (struct api_target){store_type_find("", "services"), version, space, name, NULL};
}

static void actor_create(struct lab *lab, uint64_t seed)
{
	auto_free char *name = alloc_format("made-%llu", (unsigned long long)seed % 1000);
	auto_free char *version = alloc_text("v1");
	auto_free char *space = alloc_text(ACTOR_SPACE);
	struct api_target target = actor_service(version, space, NULL);
	auto_answer struct answer answer = {0};
	auto_json json_t *service =
		json_pack("{s:{s:s},s:{s:{s:s},s:[{s:i,s:i}]}}", "metadata", "name", name, "spec",
			  "selector", "app", "echo", "ports", "port", 80, "targetPort", 8080);
	struct lab_server *server = lab_any_server(lab);

	if (server && api_create(server, &target, service, false, &answer) == 0)
		actor_note(lab, "create", name);
}

static const char *actor_victim(uint64_t seed)
{
	static const char *const names[] = {"front", "pair", "datagram", "plain"};

	return names[seed % (sizeof(names) / sizeof(names[0]))];
}

static void actor_change(struct lab *lab, uint64_t seed)
{
	const char *name = actor_victim(seed);
	json_t *service = lab_edit(lab, "services", ACTOR_SPACE, name);
	json_t *metadata = json_object_get(service, "metadata");

	if (!service)
		return;
	if (!json_object_get(metadata, "labels"))
		json_object_set_new(metadata, "labels", json_object());
	json_object_set_new(json_object_get(metadata, "labels"), "changed-by",
			    json_string("somebody"));
	lab_put(lab, "services", service);
	actor_note(lab, "change", name);
}

static void actor_delete(struct lab *lab, uint64_t seed)
{
	auto_free char *name = alloc_text(actor_victim(seed));
	auto_free char *version = alloc_text("v1");
	auto_free char *space = alloc_text(ACTOR_SPACE);
	struct api_target target = actor_service(version, space, name);
	auto_answer struct answer answer = {0};
	json_t *service = store_find(lab->store, "services", ACTOR_SPACE, name);
	struct lab_server *server = lab_any_server(lab);
	auto_free char *address = NULL;

	if (!service || !server)
		return;
	address = alloc_text(json_path_text(service, "spec.clusterIP")
				     ? json_path_text(service, "spec.clusterIP")
				     : "");
	if (api_delete(server, &target, NULL, false, &answer) < 0)
		return;
	guard_release(lab->guard, address);
	actor_note(lab, "delete", name);
}

/* --- the run's Lease -------------------------------------------------------------------------- */

static void actor_thief(struct lab *lab)
{
	json_t *lease = lab_edit(lab, "leases", "kube-system", ACTOR_LEASE);
	json_t *spec = json_object_get(lease, "spec");
	auto_free char *now = lab_time(lab);
	auto_free char *micro = alloc_format("%.*s.000000Z", (int)strlen(now) - 1, now);

	if (!lease)
		return;
	json_object_set_new(spec, "holderIdentity", json_string("elsewhere:/root/run"));
	json_object_set_new(spec, "renewTime", json_string(micro));
	lab_put(lab, "leases", lease);
}

/* --- machines --------------------------------------------------------------------------------- */

static void actor_join(struct lab *lab)
{
	json_t *node = lab_edit(lab, "nodes", NULL, lab->nodes[lab->node_count - 1].name);
	json_t *metadata = json_object_get(node, "metadata");

	if (!node)
		return;
	json_object_set_new(metadata, "name", json_string(ACTOR_JOINED));
	json_object_del(metadata, "uid");
	json_object_del(metadata, "resourceVersion");
	json_object_set_new(json_path(node, "status.addresses.0"), "address",
			    json_string("192.0.2.99"));
	lab_create(lab, "nodes", node);
}

static void actor_ready(struct lab *lab, const struct lab_node *node, bool ready)
{
	json_t *object = lab_edit(lab, "nodes", NULL, node->name);
	json_t *condition;
	size_t i;

	json_array_foreach(json_path(object, "status.conditions"), i, condition)
		if (json_path_is(condition, "type", "Ready"))
			json_object_set_new(condition, "status",
					    json_string(ready ? "True" : "Unknown"));
	if (object)
		lab_put(lab, "nodes", object);
}

/* Servers do not go while one of them answers. */
static void actor_halt_server(void *data)
{
	node_halt(data, "kube-apiserver");
}

static void actor_halt(void *data)
{
	node_halt(data, NULL);
}

static void actor_server(struct lab *lab, uint64_t seed)
{
	struct lab_server *server = &lab->servers[seed % lab->server_count];

	server->node->broken = true;
	loop_after(lab->loop, 0, actor_halt_server, server->node);
}

static void actor_node(struct lab *lab, uint64_t seed)
{
	struct lab_node *node = &lab->nodes[seed % lab->node_count];

	node->broken = node->gone = true;
	loop_after(lab->loop, 0, actor_halt, node);
	control_cut(lab->control, node);
	actor_ready(lab, node, false);
}

static void actor_clock(struct lab *lab, uint64_t seed)
{
	static const int64_t day_s = 86400;
	const int64_t jumps_s[] = {-day_s, -3600, -90, -2, 45, 90, 3600, day_s, 500 * day_s};
	struct hurry_page *page = beat_page(lab->beat);

	if (page)
		page->jump_ns = jumps_s[seed % (sizeof(jumps_s) / sizeof(jumps_s[0]))] * 1000000000;
}

/* --- all -------------------------------------------------------------------------------------- */

bool actor_act(struct lab *lab, const char *event, uint64_t seed)
{
	static const struct {
		const char *name;
		void (*fn)(struct lab *lab, uint64_t seed);
	} events[] = {
		{"create", actor_create}, {"change", actor_change}, {"delete", actor_delete},
		{"server", actor_server}, {"node", actor_node},	    {"clock", actor_clock},
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(event, events[i].name) == 0) {
			events[i].fn(lab, seed);
			return true;
		}
	}
	if (strcmp(event, "join") == 0)
		actor_join(lab);
	else if (strcmp(event, "thief") == 0)
		actor_thief(lab);
	else if (strcmp(event, "unlock") == 0)
		lab_delete(lab, "leases", "kube-system", ACTOR_LEASE);
	else if (strcmp(event, "quota") == 0)
		lab->full = true;
	else if (strcmp(event, "compact") == 0)
		store_compact(lab->store);
	else
		return false;
	return true;
}

void actor_repair(struct lab *lab)
{
	const json_t *lease = store_find(lab->store, "leases", "kube-system", ACTOR_LEASE);
	struct hurry_page *page = beat_page(lab->beat);

	lab->full = false;
	if (page)
		page->jump_ns = 0;
	if (json_path_is(lease, "spec.holderIdentity", "elsewhere:/root/run"))
		lab_delete(lab, "leases", "kube-system", ACTOR_LEASE);
	lab_delete(lab, "nodes", NULL, ACTOR_JOINED);
	for (size_t i = 0; i < lab->node_count; i++) {
		struct lab_node *node = &lab->nodes[i];

		if (!node->broken)
			continue;
		node->broken = false;
		node_resume(node);
		if (node->gone) {
			node->gone = false;
			actor_ready(lab, node, true);
		}
	}
}

bool actor_is_full(const struct lab *lab)
{
	return lab->full;
}
