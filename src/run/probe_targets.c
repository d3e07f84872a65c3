/* SPDX-License-Identifier: MIT */
#include "run/probe_targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/json.h"

static void targets_add(struct probe_targets *t, enum probe_role role, const char *kind,
			const json_t *move, const char *address, int64_t port)
{
	const char *space = json_path_text(move, "namespace");
	const char *name = json_path_text(move, "name");
	struct journal_target *target;

	ALLOC_GROW(t->items, t->count, t->capacity);
	target = &t->items[t->count++];
	*target = (struct journal_target){
		.name = alloc_format("%s %s %s:%lld", probe_role_name(role), kind, address,
				     (long long)port),
		.role = role,
		.kind = alloc_text(kind),
		.service = alloc_format("%s/%s", space, name),
		.address = alloc_text(address),
		.port = port,
	};
	if (role != PROBE_NODE_PORT)
		return;
	/* the address is the same for all of them: the Service tells them apart */
	free(target->name);
	target->name = alloc_format("node-port %s %lld", target->service, (long long)port);
}

static void targets_both(struct probe_targets *t, const char *kind, const json_t *move,
			 int64_t port)
{
	const char *from = json_path_text(move, "from");
	const char *to = json_path_text(move, "to");

	if (from)
		targets_add(t, PROBE_OLD, kind, move, from, port);
	if (to)
		targets_add(t, PROBE_NEW, kind, move, to, port);
}

static bool targets_is(const json_t *move, const char *space, const char *name)
{
	return json_path_is(move, "namespace", space) && json_path_is(move, "name", name);
}

static const json_t *targets_find_service(const json_t *services, const json_t *move)
{
	const json_t *service;
	size_t i;

	json_array_foreach(services, i, service)
		if (json_path_text(move, "namespace") && json_path_text(move, "name") &&
		    json_path_is(service, "metadata.namespace",
				 json_path_text(move, "namespace")) &&
		    json_path_is(service, "metadata.name", json_path_text(move, "name")))
			return service;
	return NULL;
}

/* The first TCP port; NULL where there is none, or nobody who would answer. */
static const json_t *targets_port(const json_t *service)
{
	const json_t *port;
	size_t i;

	json_array_foreach(json_path(service, "spec.ports"), i, port)
		if (!json_path_text(port, "protocol") || json_path_is(port, "protocol", "TCP"))
			return port;
	return NULL;
}

static void targets_service(struct probe_targets *t, const json_t *move, const json_t *port)
{
	int64_t node_port = json_path_int(port, "nodePort", 0);

	targets_both(t, "tcp", move, json_path_int(port, "port", 0));
	if (node_port > 0)
		targets_add(t, PROBE_NODE_PORT, "tcp", move, PROBE_EACH_NODE, node_port);
}

/* First those with a node port, then the others, until the sample is full. */
static void targets_sample(struct probe_targets *t, const struct plan *plan, const json_t *services)
{
	size_t taken = 0;

	for (int round = 0; round < 2; round++) {
		const json_t *move;
		size_t i;

		json_array_foreach(plan->map, i, move) {
			const json_t *port = targets_port(targets_find_service(services, move));
			bool node_port = json_path_int(port, "nodePort", 0) > 0;

			if (!port || node_port != (round == 0) ||
			    targets_is(move, "default", "kubernetes") ||
			    targets_is(move, "kube-system", "kube-dns"))
				continue;
			/* half of the sample has no node port, where there are such */
			if (taken >= PROBE_SAMPLE_SERVICES ||
			    (round == 0 && taken >= PROBE_SAMPLE_SERVICES / 2))
				break;
			targets_service(t, move, port);
			taken++;
		}
	}
}

void probe_targets_of(const struct plan *plan, const json_t *services, struct probe_targets *ret)
{
	const json_t *move;
	size_t i;

	*ret = (struct probe_targets){0};
	for (size_t k = 0; k < plan->count && !ret->domain; k++) {
		const char *domain = json_path_text(plan->steps[k].parameters, "domain");

		ret->domain = domain ? alloc_text(domain) : NULL;
	}
	if (!ret->domain)
		ret->domain = alloc_text("cluster.local");
	json_array_foreach(plan->map, i, move) {
		if (targets_is(move, "default", "kubernetes"))
			targets_both(ret, "tls", move, 443);
		else if (targets_is(move, "kube-system", "kube-dns"))
			targets_both(ret, "dns", move, 53);
	}
	if (services)
		targets_sample(ret, plan, services);
}

void probe_targets_release(struct probe_targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		free(targets->items[i].name);
		free(targets->items[i].kind);
		free(targets->items[i].service);
		free(targets->items[i].address);
	}
	free(targets->items);
	free(targets->domain);
	*targets = (struct probe_targets){0};
}

static bool targets_holds(const json_t *value, const char *text)
{
	const json_t *child;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), text) == 0;
	json_array_foreach(value, i, child)
		if (targets_holds(child, text))
			return true;
	/* jansson's macro wants an object that may be changed */
	for (void *at = json_object_iter((json_t *)(uintptr_t)value); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
		key = json_object_iter_key(at);
		if (strcmp(key, "from") != 0 && targets_holds(json_object_iter_value(at), text))
			return true;
	}
	return false;
}

bool probe_step_moves_to(const struct plan_step *step, const char *address)
{
	return strncmp(step->kind, "flip", 4) == 0 && targets_holds(step->parameters, address);
}

static bool targets_restarts_server(const struct plan_step *step, size_t control_planes)
{
	bool rolls = strcmp(step->kind, "roll") == 0;
	const char *program = json_path_text(step->parameters, "program");

	if ((!rolls && strcmp(step->kind, "manifest-flags") != 0) ||
	    (program && strcmp(program, "kube-apiserver") != 0))
		return false;
	/* a server that is kept out of everybody's way before it goes loses nothing */
	return control_planes < 2 || !rolls || !json_path_text(step->parameters, "keepOut");
}

/* Which workload answers for a Service is known by the namespace only; cluster DNS, beside which much
 * else lives, by its name. */
static bool targets_restarts_pods(const struct plan_step *step, const struct journal_target *target)
{
	size_t len = strcspn(target->service, "/");
	const json_t *workload;
	size_t i;

	if (strncmp(step->kind, "local-dns", 9) == 0)
		return strcmp(target->kind, "dns") == 0;
	if (strcmp(step->kind, "restart-rest") == 0)
		return strcmp(target->kind, "tcp") == 0;
	if (strcmp(step->kind, "restart") != 0)
		return false;
	json_array_foreach(json_path(step->parameters, "workloads"), i, workload) {
		const char *space = json_path_text(workload, "namespace");
		const char *name = json_path_text(workload, "name");

		if (space && name && strlen(space) == len &&
		    strncmp(space, target->service, len) == 0 &&
		    (strcmp(target->kind, "dns") != 0 || strstr(name, "dns")))
			return true;
	}
	return false;
}

bool probe_step_explains(const struct plan_step *step, const struct journal_target *target,
			 size_t control_planes)
{
	if (strcmp(target->kind, "tls") == 0)
		return targets_restarts_server(step, control_planes);
	return targets_restarts_pods(step, target);
}

int64_t probe_pace_ms(const char *kind, size_t nodes)
{
	static const struct {
		const char *kind;
		int64_t ms;
	} paces[] = {{"tls", 500}, {"dns", 100}, {"tcp", 200}};
	int64_t many = nodes > 5 ? (int64_t)nodes : 5;

	for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++)
		if (strcmp(paces[i].kind, kind) == 0) {
			int64_t ms = paces[i].ms * many / 5;

			return ms > 5000 ? 5000 : ms;
		}
	return 1000;
}
