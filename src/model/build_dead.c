/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/index.h"

/*
 * Old addresses: what containers have in their environment and resolv.conf, kubelets and CNI
 * plugins in their files, and no Service holds any more. Each use is written down as a pair of
 * address and user; sorted, the pairs of one address stand together.
 *
 * The control plane's own static Pods are left out: they get the variables, but dial each other
 * through kubeconfigs, and nobody restarts them for this.
 */
struct use {
	const char *address;
	const char *user;
	enum cluster_dead_role role;
};

struct uses {
	struct use *items; /* owned */
	size_t count;
	size_t capacity;
};

enum { FIRST_INDEX = 1, DNS_INDEX = 10 };

static bool in_some_range(const struct cluster *c, const char *text)
{
	struct net_address address;

	if (!net_address_read(slice_of(text), &address))
		return false;
	for (size_t i = 0; i < c->range_count; i++) {
		if (net_cidr_list_contains(&c->ranges[i].cidrs, address))
			return true;
	}
	return false;
}

static bool is_nth(const struct cluster *c, const char *text, uint64_t n)
{
	struct net_address address;

	if (!net_address_read(slice_of(text), &address))
		return false;
	for (size_t i = 0; i < c->range_count; i++) {
		const struct net_cidr *cidr =
			net_cidr_list_family(&c->ranges[i].cidrs, address.family);

		if (cidr && net_address_equal(net_cidr_nth(*cidr, n), address))
			return true;
	}
	return false;
}

static void note_use(const struct build *b, struct uses *uses, const char *address,
		     enum cluster_dead_role role, const char *user)
{
	const struct cluster *c = b->cluster;
	const char *range = NULL;
	enum index_hold hold;

	if (!address || !*address)
		return;
	if (index_holder(c->index, address, &hold) && hold == INDEX_HOLD_CLUSTER_IP)
		return;
	if (!in_some_range(c, address))
		return;
	if (role == CLUSTER_DEAD_OTHER && is_nth(c, address, FIRST_INDEX))
		role = CLUSTER_DEAD_KUBERNETES;
	else if (role == CLUSTER_DEAD_OTHER && is_nth(c, address, DNS_INDEX))
		role = CLUSTER_DEAD_DNS;
	/* A Service that was deleted leaves its address behind in the range that is in force: that
	 * is everyday life, and no trace of a change. */
	if (role == CLUSTER_DEAD_OTHER && cluster_agreed_range(c, &range) &&
	    cluster_range_contains(range, address))
		return;
	ALLOC_GROW(uses->items, uses->count, uses->capacity);
	uses->items[uses->count++] = (struct use){address, user, role};
}

static void note_container(const struct build *b, struct uses *uses, const char *node,
			   const struct cluster_container *container)
{
	const struct cluster_pod *pod = index_pod(b->cluster->index, container->pod_uid);
	const char *user;

	if (pod && pod->static_pod)
		return;
	user = pod ? arena_format(b->arena, "%s/%s", pod->namespace_, pod->name)
		   : arena_format(b->arena, "%s:pod/%s", node, container->pod_uid);
	note_use(b, uses, container->kubernetes_host, CLUSTER_DEAD_KUBERNETES, user);
	for (size_t i = 0; i < container->nameservers.count; i++)
		note_use(b, uses, container->nameservers.items[i], CLUSTER_DEAD_DNS, user);
	for (size_t i = 0; i < container->service_hosts.count; i++) {
		const char *address = container->service_hosts.items[i];

		if (!container->kubernetes_host || strcmp(address, container->kubernetes_host) != 0)
			note_use(b, uses, address, CLUSTER_DEAD_OTHER, user);
	}
}

/* "https://[fd00::1]:443" -> "fd00::1" */
static const char *host_of_url(const struct build *b, const char *url)
{
	const char *start = strstr(url, "://");
	size_t len;

	start = start ? start + 3 : url;
	if (*start == '[') {
		start++;
		len = strcspn(start, "]");
	} else {
		len = strcspn(start, ":/");
	}
	return build_address(b, arena_text_n(b->arena, start, len));
}

static void note_host(const struct build *b, struct uses *uses, const struct cluster_node *node)
{
	const struct cluster_host *host = &node->host;

	for (size_t i = 0; i < host->container_count; i++)
		note_container(b, uses, node->name, &host->containers[i]);
	for (size_t i = 0; i < host->kubelet_dns.count; i++)
		note_use(b, uses, host->kubelet_dns.items[i], CLUSTER_DEAD_DNS,
			 arena_format(b->arena, "%s:/var/lib/kubelet/config.yaml", node->name));
	for (size_t i = 0; i < host->cni_servers.count; i++)
		note_use(b, uses, host_of_url(b, host->cni_servers.items[i]),
			 CLUSTER_DEAD_KUBERNETES,
			 arena_format(b->arena, "%s:%s", node->name, host->cni_files.items[i]));
}

static bool processes_known(const struct cluster *c, const char *node)
{
	const struct cluster_node *n = node ? cluster_find_node(c, node) : NULL;

	return n && n->host.processes_known;
}

/*
 * Where a machine could not be looked at: a container that started before default/kubernetes was
 * created has the address that stood there before.
 */
static void note_unseen(const struct build *b, struct uses *uses)
{
	const struct cluster *c = b->cluster;
	const struct cluster_service *kubernetes = cluster_find_service(c, "default", "kubernetes");
	/* while it is gone, whatever runs has the old one or none */
	int64_t moved_s = kubernetes ? kubernetes->created_s : c->observed_s;
	const char *current = NULL;
	struct cluster_texts former;

	if (!moved_s || !cluster_agreed_range(c, &current))
		return;
	former = cluster_former_ranges(c, current);
	for (size_t i = 0; i < c->pod_count && former.count; i++) {
		const struct cluster_pod *pod = &c->pods[i];

		if (!pod->newest_container_s || pod->newest_container_s >= moved_s ||
		    pod->static_pod || processes_known(c, pod->node))
			continue;
		note_use(b, uses, cluster_nth_address(c, former.items[0], FIRST_INDEX),
			 CLUSTER_DEAD_KUBERNETES,
			 arena_format(b->arena, "%s/%s", pod->namespace_, pod->name));
	}
}

static int compare_uses(const void *a, const void *b)
{
	const struct use *x = a;
	const struct use *y = b;
	int order = strcmp(x->address, y->address);

	return order ? order : strcmp(x->user, y->user);
}

static int compare_dead(const void *a, const void *b)
{
	const struct cluster_dead_address *x = a;
	const struct cluster_dead_address *y = b;

	if (x->role != y->role)
		return (int)x->role - (int)y->role;
	return strcmp(x->address, y->address);
}

/* All uses of one address as one entry. */
static void take_group(const struct build *b, const struct use *uses, size_t count)
{
	struct cluster *c = b->cluster;
	struct cluster_dead_address entry = {.address = uses[0].address, .user_count = count};
	enum index_hold hold;
	enum cluster_dead_role role = CLUSTER_DEAD_OTHER;

	entry.users = build_room(b, count);
	for (size_t i = 0; i < count; i++) {
		if (uses[i].role < role)
			role = uses[i].role;
		if (!entry.users.count ||
		    strcmp(entry.users.items[entry.users.count - 1], uses[i].user) != 0)
			entry.users.items[entry.users.count++] = uses[i].user;
	}
	entry.role = role;
	entry.alias = index_holder(c->index, entry.address, &hold);
	if (entry.alias)
		c->aliased[c->aliased_count++] = entry;
	else
		c->dead[c->dead_count++] = entry;
}

void build_dead(const struct build *b)
{
	struct cluster *c = b->cluster;
	struct uses uses = {0};
	size_t groups = 0;

	for (size_t i = 0; i < c->node_count; i++)
		note_host(b, &uses, &c->nodes[i]);
	note_use(b, &uses, c->services_endpoint_host, CLUSTER_DEAD_KUBERNETES,
		 arena_format(b->arena, "ConfigMap/%s/kubernetes-services-endpoint",
			      c->services_endpoint.namespace_));
	note_unseen(b, &uses);
	if (!uses.count)
		return;
	qsort(uses.items, uses.count, sizeof(*uses.items), compare_uses);
	for (size_t i = 0; i < uses.count; i++)
		groups += !i || strcmp(uses.items[i].address, uses.items[i - 1].address) != 0;
	c->dead = arena_array(b->arena, groups, sizeof(*c->dead));
	c->aliased = arena_array(b->arena, groups, sizeof(*c->aliased));
	for (size_t i = 0; i < uses.count;) {
		size_t end = i + 1;

		while (end < uses.count &&
		       strcmp(uses.items[end].address, uses.items[i].address) == 0)
			end++;
		take_group(b, &uses.items[i], end - i);
		i = end;
	}
	qsort(c->dead, c->dead_count, sizeof(*c->dead), compare_dead);
	qsort(c->aliased, c->aliased_count, sizeof(*c->aliased), compare_dead);
	free(uses.items);
}
