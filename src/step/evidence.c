/* SPDX-License-Identifier: MIT */
#include "step/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "text/json.h"

/* Between two looks at the connections: shorter than any of them lives after its end (UDP 30 s). */
#define EVIDENCE_LOOK_MS 10000

static const char *evidence_service(const struct plan *plan, const char *address, char **ret_owned)
{
	const json_t *move;
	size_t i;

	*ret_owned = NULL;
	json_array_foreach(plan->map, i, move)
		if (json_path_is(move, "from", address))
			return *ret_owned = alloc_format("%s/%s", json_path_text(move, "namespace"),
							 json_path_text(move, "name"));
	return "";
}

/* The alias of a run that holds the address, in whatever form; NULL: none. */
static const struct cluster_service *evidence_alias(const struct cluster *c, const char *address)
{
	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (s->alias_run && (cluster_texts_contain(&s->cluster_ips, address) ||
				     cluster_texts_contain(&s->ingress_ips, address) ||
				     cluster_texts_contain(&s->external_ips, address)))
			return s;
	}
	return NULL;
}

static struct evidence_address *evidence_address(const struct evidence_request *request,
						 const char *address, struct evidence *e)
{
	const struct cluster_service *alias;
	auto_free char *service = NULL;
	const char *name;

	for (size_t i = 0; i < e->address_count; i++)
		if (strcmp(e->addresses[i].address, address) == 0)
			return &e->addresses[i];
	alias = evidence_alias(request->cluster, address);
	name = evidence_service(request->plan, address, &service);
	ALLOC_GROW(e->addresses, e->address_count, e->address_capacity);
	e->addresses[e->address_count] = (struct evidence_address){
		.address = alloc_text(address),
		.service = alloc_text(name),
		.alias = alias ? alloc_format("%s/%s", alias->namespace_, alias->name)
			       : alloc_text(""),
	};
	return &e->addresses[e->address_count++];
}

static void evidence_add(const struct evidence_request *request, const char *address,
			 const char *who, enum evidence_how how, const char *what,
			 uint64_t connections, struct evidence *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct evidence_use *use = &e->uses[i];

		if (use->how != how || strcmp(use->address, address) != 0 ||
		    strcmp(use->who, who) != 0 || strcmp(use->what, what) != 0)
			continue;
		if (connections > use->connections)
			use->connections = connections;
		return;
	}
	ALLOC_GROW(e->uses, e->count, e->capacity);
	e->uses[e->count++] = (struct evidence_use){alloc_text(address), alloc_text(who), how,
						    alloc_text(what), connections};
	evidence_address(request, address, e)->used_by++;
}

/* ---- the observation ---- */

static void evidence_take_dead(const struct evidence_request *request,
			       const struct cluster_dead_address *list, size_t count,
			       struct evidence *e)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < list[i].users.count; k++) {
			const char *who = list[i].users.items[k];
			const char *colon = strchr(who, ':');
			enum evidence_how how = colon && colon[1] == '/' ? EVIDENCE_FILE
						: list[i].role == CLUSTER_DEAD_DNS
							? EVIDENCE_RESOLV_CONF
							: EVIDENCE_ENVIRONMENT;

			evidence_add(request, list[i].address, who, how, "", 0, e);
		}
}

static bool evidence_is_old(const struct evidence_request *request, const char *address)
{
	const json_t *range;
	size_t i;

	json_array_foreach(request->plan->from, i, range)
		if (json_string_value(range) &&
		    cluster_range_contains(json_string_value(range), address))
			return true;
	return false;
}

static void evidence_take_container(const struct evidence_request *request,
				    const struct cluster_container *container, struct evidence *e)
{
	const struct cluster_pod *pod = cluster_find_pod_uid(request->cluster, container->pod_uid);

	if (pod && pod->static_pod)
		return;
	if (request->moved_s && container->started_s < request->moved_s)
		e->containers_before++;
	else if (request->moved_s)
		e->containers_after++;
}

/* Each Pod once: its containers stand together, and share one resolv.conf. */
static void evidence_take_dns(const struct evidence_request *request,
			      const struct cluster_host *host, size_t at, struct evidence *e)
{
	const struct cluster_container *container = &host->containers[at];
	bool old = false;

	for (size_t i = 0; i < at; i++)
		if (container->pod_uid && host->containers[i].pod_uid &&
		    strcmp(host->containers[i].pod_uid, container->pod_uid) == 0)
			return;
	for (size_t i = 0; i < container->nameservers.count; i++)
		old |= evidence_is_old(request, container->nameservers.items[i]);
	if (old)
		e->pods_old_dns++;
	else if (container->nameservers.count &&
		 cluster_range_contains(request->plan->to, container->nameservers.items[0]))
		e->pods_new_dns++;
}

__attribute__((format(printf, 2, 3))) static void evidence_blind(struct evidence *e,
								 const char *fmt, ...)
{
	va_list args;

	ALLOC_GROW(e->blind, e->blind_count, e->blind_capacity);
	va_start(args, fmt);
	e->blind[e->blind_count++] = alloc_vformat(fmt, args);
	va_end(args);
}

void evidence_from_cluster(const struct evidence_request *request, struct evidence *ret)
{
	const struct cluster *c = request->cluster;
	const json_t *move;
	size_t i;

	*ret = (struct evidence){.window_ms = request->window_ms};
	json_array_foreach(request->plan->map, i, move) {
		const char *from = json_path_text(move, "from");

		if (from && evidence_alias(c, from))
			evidence_address(request, from, ret);
	}
	evidence_take_dead(request, c->dead, c->dead_count, ret);
	evidence_take_dead(request, c->aliased, c->aliased_count, ret);
	for (size_t n = 0; n < c->node_count; n++) {
		const struct cluster_host *host = &c->nodes[n].host;

		if (!host->processes_known) {
			evidence_blind(ret, "the containers of node '%s' were not looked at",
				       c->nodes[n].name);
			continue;
		}
		ret->nodes_seen++;
		for (size_t k = 0; k < host->container_count; k++) {
			evidence_take_container(request, &host->containers[k], ret);
			evidence_take_dns(request, host, k, ret);
		}
	}
}

/* ---- connections ---- */

static char *evidence_source(const struct cluster *c, const char *address, const char *node)
{
	for (size_t i = 0; i < c->pod_count; i++)
		if (c->pods[i].address && !c->pods[i].host_network &&
		    strcmp(c->pods[i].address, address) == 0)
			return alloc_format("%s/%s", c->pods[i].namespace_, c->pods[i].name);
	for (size_t i = 0; i < c->node_count; i++)
		if (c->nodes[i].address && strcmp(c->nodes[i].address, address) == 0)
			return alloc_format("node %s", c->nodes[i].name);
	return alloc_format("%s (seen on %s)", address, node);
}

/* A Service of the cluster's own that was given the address meanwhile is used by right. */
static bool evidence_counts(const struct evidence_request *request, const char *address)
{
	auto_free char *owned = NULL;

	return !cluster_find_holder(request->cluster, address) &&
	       (evidence_alias(request->cluster, address) ||
		*evidence_service(request->plan, address, &owned));
}

void evidence_add_connections(const struct evidence_request *request, const char *node,
			      const json_t *reply, struct evidence *e)
{
	const char *problem = json_path_text(reply, "problem");
	const json_t *item;
	size_t i;

	if (!json_path_bool(reply, "known", false))
		evidence_blind(e, "the connections of node '%s' are not known: %s", node,
			       problem ? problem : "no answer");
	if (json_path_bool(reply, "truncated", false))
		evidence_blind(e, "node '%s' has more clients of old addresses than are listed",
			       node);
	json_array_foreach(json_path(reply, "users"), i, item) {
		const char *source = json_path_text(item, "source");
		const char *address = json_path_text(item, "address");
		const char *protocol = json_path_text(item, "protocol");
		int64_t fresh = json_path_int(item, "fresh", 0);
		auto_free char *who = NULL;
		auto_free char *what = NULL;

		if (!source || !address || !protocol || fresh <= 0 ||
		    !evidence_counts(request, address))
			continue;
		who = evidence_source(request->cluster, source, node);
		what = alloc_format("%s/%lld", protocol, (long long)json_path_int(item, "port", 0));
		evidence_add(request, address, who, EVIDENCE_CONNECTION, what, (uint64_t)fresh, e);
	}
}

/* Of the last look only: they count from the mark on. */
static void evidence_add_packets(const struct evidence_request *request, const json_t *reply,
				 struct evidence *e)
{
	const json_t *item;
	size_t i;

	if (!json_path_bool(reply, "countersKnown", false))
		return;
	json_array_foreach(json_path(reply, "counters"), i, item) {
		const char *address = json_path_text(item, "address");
		int64_t packets = json_path_int(item, "packets", 0);

		if (address && packets > 0 && evidence_counts(request, address))
			evidence_address(request, address, e)->packets += (uint64_t)packets;
	}
}

static json_t *evidence_question(const struct evidence_request *request, bool mark)
{
	json_t *cidrs = json_array();
	const json_t *range;
	size_t i;

	json_array_foreach(request->plan->from, i, range) {
		/* two ranges of two families stand in one text */
		struct slice rest = slice_of(json_string_value(range));
		struct slice part;

		while (slice_next(&rest, ',', &part))
			json_array_append_new(cidrs, json_stringn(part.ptr, part.len));
	}
	return json_pack("{s:s, s:o, s:b}", "op", "conntrack", "cidrs", cidrs, "mark", (int)mark);
}

struct evidence_nodes {
	const char **names; /* owned list of borrowed names */
	size_t count;
};

/* One look on all nodes; what a node cannot say is said once. */
static void evidence_look(const struct evidence_request *request,
			  const struct evidence_nodes *nodes, bool mark, bool first, bool last,
			  struct evidence *e)
{
	auto_json json_t *question = evidence_question(request, mark);
	struct node_call *calls = alloc_array(nodes->count + 1, sizeof(*calls));

	node_call_all(request->pool, nodes->names, nodes->count, question, calls);
	for (size_t i = 0; i < nodes->count; i++) {
		if (!calls[i].reply && first)
			evidence_blind(e, "the connections of node '%s' are not known: %s",
				       nodes->names[i], error_text(&calls[i].error));
		if (!calls[i].reply || mark)
			continue;
		evidence_add_connections(request, nodes->names[i], calls[i].reply, e);
		if (last)
			evidence_add_packets(request, calls[i].reply, e);
	}
	node_calls_release(calls, nodes->count);
	free(calls);
}

static int evidence_watch(const struct evidence_request *request,
			  const struct evidence_nodes *nodes, struct evidence *e, struct error *err)
{
	int64_t end = clock_monotonic_ms() + request->window_ms;
	bool window = request->window_ms > 0;
	bool first = true;
	size_t blind;

	if (window)
		evidence_look(request, nodes, /* mark= */ true, first, false, e);
	first = !window;
	blind = e->blind_count;
	for (;;) {
		int64_t left = end - clock_monotonic_ms();

		if (window && left > 0 &&
		    request->pause(request->data, left < EVIDENCE_LOOK_MS ? left : EVIDENCE_LOOK_MS,
				   err) < 0)
			return -1;
		left = end - clock_monotonic_ms();
		/* each look would say again what is not known */
		while (!first && e->blind_count > blind)
			free(e->blind[--e->blind_count]);
		evidence_look(request, nodes, /* mark= */ false, first, left <= 0, e);
		if (left <= 0)
			return 0;
	}
}

int evidence_collect(const struct evidence_request *request, struct evidence *ret,
		     struct error *err)
{
	const struct cluster *c = request->cluster;
	auto_evidence struct evidence e = {0};
	auto_free const char **names = alloc_array(c->node_count + 1, sizeof(*names));
	struct evidence_nodes nodes = {.names = names};

	evidence_from_cluster(request, &e);
	for (size_t i = 0; i < c->node_count; i++)
		if (request->pool && c->nodes[i].host.reachable &&
		    node_pool_may_reach(request->pool, c->nodes[i].name))
			names[nodes.count++] = c->nodes[i].name;
	if (!request->pool)
		evidence_blind(&e, "nodes are not reached: nobody knows who has connections");
	if (nodes.count && e.address_count && evidence_watch(request, &nodes, &e, err) < 0)
		return -1;
	*ret = e;
	e = (struct evidence){0};
	return 0;
}

/* ---- what it says ---- */

static bool evidence_takes(const struct evidence_use *use, bool connections)
{
	return connections || use->how != EVIDENCE_CONNECTION;
}

size_t evidence_used(const struct evidence *e, bool connections)
{
	size_t count = 0;

	for (size_t i = 0; i < e->count; i++)
		count += evidence_takes(&e->uses[i], connections);
	return count;
}

static const char *evidence_how_name(enum evidence_how how)
{
	static const char *const names[] = {
		[EVIDENCE_ENVIRONMENT] = "environment",
		[EVIDENCE_RESOLV_CONF] = "resolv.conf",
		[EVIDENCE_FILE] = "file",
		[EVIDENCE_CONNECTION] = "connections",
	};

	return names[how];
}

static void evidence_put(const struct evidence_use *use, struct buffer *out)
{
	buffer_format(out, " (%s%s%s)", evidence_how_name(use->how), *use->what ? " " : "",
		      use->what);
}

char *evidence_who(const struct evidence *e, bool connections, size_t max)
{
	auto_buffer struct buffer out = {0};
	size_t shown = 0;
	size_t count = evidence_used(e, connections);

	for (size_t i = 0; i < e->count && shown < max; i++) {
		if (!evidence_takes(&e->uses[i], connections))
			continue;
		buffer_format(&out, "%s%s uses %s", shown ? ", " : "", e->uses[i].who,
			      e->uses[i].address);
		evidence_put(&e->uses[i], &out);
		shown++;
	}
	if (count > shown)
		buffer_format(&out, ", and %zu more", count - shown);
	return buffer_detach(&out);
}

char *evidence_loses_dns(const struct evidence *e, size_t max)
{
	auto_buffer struct buffer out = {0};
	size_t count = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (e->uses[i].how != EVIDENCE_RESOLV_CONF)
			continue;
		if (count++ < max)
			buffer_format(&out, "%s%s", count > 1 ? ", " : "", e->uses[i].who);
	}
	if (count > max)
		buffer_format(&out, ", and %zu more", count - max);
	return count ? buffer_detach(&out) : NULL;
}

static void evidence_print_users(const struct evidence *e, const struct evidence_address *a,
				 size_t max, struct buffer *out)
{
	size_t shown = 0;

	for (size_t i = 0; i < e->count; i++) {
		if (strcmp(e->uses[i].address, a->address) != 0)
			continue;
		if (shown++ == max) {
			buffer_format(out, "      and %zu more (-o wide)\n", a->used_by - max);
			return;
		}
		buffer_format(out, "      %s", e->uses[i].who);
		evidence_put(&e->uses[i], out);
		buffer_char(out, '\n');
	}
}

static void evidence_print_summary(const struct evidence *e, struct buffer *out)
{
	if (e->containers_before + e->containers_after)
		buffer_format(
			out,
			"  %zu containers started after default/kubernetes moved, %zu before\n",
			e->containers_after, e->containers_before);
	if (e->pods_old_dns + e->pods_new_dns)
		buffer_format(out, "  %zu Pods ask the new DNS address, %zu the old one\n",
			      e->pods_new_dns, e->pods_old_dns);
	for (size_t i = 0; i < e->blind_count; i++)
		buffer_format(out, "  %s\n", e->blind[i]);
}

void evidence_print(const struct evidence *e, size_t max, struct buffer *out)
{
	size_t unused = 0;

	for (size_t i = 0; i < e->address_count; i++) {
		const struct evidence_address *a = &e->addresses[i];

		if (!a->used_by && !a->packets) {
			unused++;
			continue;
		}
		buffer_format(out, "  %s", a->address);
		if (*a->service)
			buffer_format(out, " (%s)", a->service);
		if (*a->alias)
			buffer_format(out, ", kept by %s", a->alias);
		buffer_format(out, ": %zu user%s", a->used_by, a->used_by == 1 ? "" : "s");
		if (a->packets)
			buffer_format(out, ", %llu connections counted by kube-proxy",
				      (unsigned long long)a->packets);
		buffer_char(out, '\n');
		evidence_print_users(e, a, max, out);
	}
	if (unused)
		buffer_format(out, "  %zu old address%s: nobody was seen\n", unused,
			      unused == 1 ? "" : "es");
	evidence_print_summary(e, out);
}

static json_t *evidence_users_json(const struct evidence *e, const char *address)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->count; i++) {
		const struct evidence_use *use = &e->uses[i];

		if (strcmp(use->address, address) == 0)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:I}", "who", use->who, "how",
						evidence_how_name(use->how), "what", use->what,
						"connections", (json_int_t)use->connections));
	}
	return list;
}

json_t *evidence_json(const struct evidence *e)
{
	json_t *addresses = json_array();
	json_t *blind = json_array();

	for (size_t i = 0; i < e->address_count; i++) {
		const struct evidence_address *a = &e->addresses[i];

		json_array_append_new(addresses,
				      json_pack("{s:s, s:s, s:s, s:I, s:o}", "address", a->address,
						"service", a->service, "alias", a->alias, "packets",
						(json_int_t)a->packets, "users",
						evidence_users_json(e, a->address)));
	}
	for (size_t i = 0; i < e->blind_count; i++)
		json_array_append_new(blind, json_string(e->blind[i]));
	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:i, s:o, s:I}", "addresses", addresses,
			 "containersBefore", (int)e->containers_before, "containersAfter",
			 (int)e->containers_after, "podsOldDNS", (int)e->pods_old_dns, "podsNewDNS",
			 (int)e->pods_new_dns, "nodes", (int)e->nodes_seen, "blind", blind,
			 "windowMs", (json_int_t)e->window_ms);
}

void evidence_release(struct evidence *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free(e->uses[i].address);
		free(e->uses[i].who);
		free(e->uses[i].what);
	}
	for (size_t i = 0; i < e->address_count; i++) {
		free(e->addresses[i].address);
		free(e->addresses[i].service);
		free(e->addresses[i].alias);
	}
	for (size_t i = 0; i < e->blind_count; i++)
		free(e->blind[i]);
	free(e->uses);
	free(e->addresses);
	free(e->blind);
	*e = (struct evidence){0};
}
