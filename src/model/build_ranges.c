/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "model/index.h"

/*
 * Every range that is or was the Services', by source. Where only an address is known (the
 * environment of an old container, kubelet's clusterDNS) the range is guessed from it: the first
 * address of a Service range is default/kubernetes, the one at index 10 is DNS, and a cluster's
 * next range usually has the size of the one before.
 */
struct ranges {
	struct cluster_range *items; /* owned until they are copied into the arena */
	size_t count;
	size_t capacity;
};

enum { FIRST_INDEX = 1, DNS_INDEX = 10, GUESS_MIN_HOST_BITS = 3 };

static void add_list(const struct build *b, struct ranges *ranges, struct net_cidr_list list,
		     bool guessed, const char *source)
{
	ALLOC_GROW(ranges->items, ranges->count, ranges->capacity);
	ranges->items[ranges->count++] = (struct cluster_range){
		.cidrs = list,
		.text = arena_text(b->arena, net_cidr_list_text(&list).text),
		.source = source,
		.guessed = guessed,
	};
}

static void add_text(const struct build *b, struct ranges *ranges, const char *text,
		     const char *source)
{
	auto_error struct error err = {0};
	struct net_cidr_list list;

	if (text && net_cidr_list_parse_sloppy(slice_of(text), &list, &err) == 0)
		add_list(b, ranges, list, /* guessed= */ false, source);
}

static void add_component(const struct build *b, struct ranges *ranges, const char *node,
			  const char *program, const struct cluster_component *component,
			  bool running)
{
	if (running && component->running)
		add_text(b, ranges, component->running_range,
			 arena_format(b->arena, "running %s on %s", program, node));
	else if (running)
		add_text(b, ranges, component->pod_range,
			 arena_format(b->arena, "Pod/kube-system/%s-%s", program, node));
	if (!running && component->manifest_known)
		add_text(b, ranges, component->manifest_range,
			 arena_format(b->arena, "%s:%s", node, component->manifest_path));
}

static void add_flags(const struct build *b, struct ranges *ranges, bool running)
{
	const struct cluster *c = b->cluster;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];

		add_component(b, ranges, n->name, "kube-apiserver", &n->host.api_server, running);
		add_component(b, ranges, n->name, "kube-controller-manager",
			      &n->host.controller_manager, running);
	}
}

static void add_service_cidrs(const struct build *b, struct ranges *ranges)
{
	const struct cluster *c = b->cluster;

	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &c->service_cidrs[i];
		auto_buffer struct buffer text = {0};

		for (size_t k = 0; k < s->cidrs.count; k++)
			buffer_format(&text, "%s%s", k ? "," : "", s->cidrs.items[k]);
		add_text(b, ranges, buffer_cstr(&text),
			 arena_format(b->arena, "ServiceCIDR/%s", s->name));
	}
}

static bool known(const struct ranges *ranges, struct net_address address)
{
	for (size_t i = 0; i < ranges->count; i++) {
		if (net_cidr_list_contains(&ranges->items[i].cidrs, address))
			return true;
	}
	return false;
}

/* Addresses that stand for API servers without being the Services'. */
static bool is_machine(const struct cluster *c, const char *address)
{
	for (size_t i = 0; i < c->node_count; i++) {
		if (c->nodes[i].address && strcmp(c->nodes[i].address, address) == 0)
			return true;
	}
	return cluster_texts_contain(&c->kubeadm_cert_sans, address) ||
	       (c->kubeadm_control_plane_endpoint &&
		slice_starts(slice_of(c->kubeadm_control_plane_endpoint), address));
}

static unsigned int likely_bits(const struct ranges *ranges, enum net_family family)
{
	for (size_t i = 0; i < ranges->count; i++) {
		const struct net_cidr *cidr = net_cidr_list_family(&ranges->items[i].cidrs, family);

		if (cidr)
			return cidr->bits;
	}
	return family == NET_IPV4 ? 16 : 112;
}

/* The range in which `address` is the one at `index`. */
static bool guess_range(const struct ranges *ranges, struct net_address address, uint64_t index,
			struct net_cidr *ret)
{
	unsigned int top = address.family == NET_IPV4 ? 32 : 128;

	for (unsigned int bits = likely_bits(ranges, address.family);
	     bits + GUESS_MIN_HOST_BITS <= top; bits++) {
		struct net_cidr cidr = net_cidr_of(address, bits);

		if (net_cidr_host(cidr, address) == index) {
			*ret = cidr;
			return true;
		}
	}
	return false;
}

static void add_guess(const struct build *b, struct ranges *ranges, const char *text,
		      uint64_t index, const char *place)
{
	struct net_cidr_list list = {.count = 1};
	struct net_address address;

	if (!text || !net_address_read(slice_of(text), &address) || known(ranges, address) ||
	    is_machine(b->cluster, text) || !guess_range(ranges, address, index, &list.item[0]))
		return;
	add_list(b, ranges, list, /* guessed= */ true,
		 arena_format(b->arena, "guessed from %s in %s", text, place));
}

/* link-local and loopback resolvers are node-local caches, not Services */
static bool may_be_service(const char *text)
{
	return text && !slice_starts(slice_of(text), "169.254.") &&
	       !slice_starts(slice_of(text), "127.") && !slice_starts(slice_of(text), "fe80");
}

/* An alias of ours answers for an address that was a Service's, whatever else names it: a run puts
 * old addresses into certSANs, too, so that they look like a machine's. */
static void add_alias(const struct build *b, struct ranges *ranges,
		      const struct cluster_service *alias, const struct cluster_texts *addresses)
{
	for (size_t i = 0; i < addresses->count; i++) {
		struct net_cidr_list list = {.count = 1};
		struct net_address address;

		if (!net_address_read(slice_of(addresses->items[i]), &address) ||
		    known(ranges, address))
			continue;
		list.item[0] = net_cidr_of(address, likely_bits(ranges, address.family));
		add_list(b, ranges, list, /* guessed= */ true,
			 arena_format(b->arena, "guessed from %s, for which Service/%s/%s answers",
				      addresses->items[i], alias->namespace_, alias->name));
	}
}

static void add_aliases(const struct build *b, struct ranges *ranges)
{
	const struct cluster *c = b->cluster;

	for (size_t i = 0; i < c->service_count; i++) {
		if (!c->services[i].alias_run)
			continue;
		add_alias(b, ranges, &c->services[i], &c->services[i].cluster_ips);
		add_alias(b, ranges, &c->services[i], &c->services[i].ingress_ips);
	}
}

static void add_guesses(const struct build *b, struct ranges *ranges)
{
	const struct cluster *c = b->cluster;
	const struct cluster_service *kubernetes = cluster_find_service(c, "default", "kubernetes");
	const struct cluster_service *dns = cluster_find_service(c, "kube-system", "kube-dns");

	if (kubernetes && kubernetes->cluster_ips.count)
		add_guess(b, ranges, kubernetes->cluster_ips.items[0], FIRST_INDEX,
			  "Service/default/kubernetes");
	if (dns && dns->cluster_ips.count)
		add_guess(b, ranges, dns->cluster_ips.items[0], DNS_INDEX,
			  "Service/kube-system/kube-dns");
	for (size_t i = 0; i < c->kubelet_dns.count; i++) {
		if (may_be_service(c->kubelet_dns.items[i]))
			add_guess(b, ranges, c->kubelet_dns.items[i], DNS_INDEX,
				  "ConfigMap/kube-system/kubelet-config");
	}
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;

		for (size_t k = 0; k < h->container_count; k++)
			add_guess(b, ranges, h->containers[k].kubernetes_host, FIRST_INDEX,
				  arena_format(b->arena, "a container's environment on %s",
					       c->nodes[i].name));
	}
}

void build_ranges(const struct build *b)
{
	struct cluster *c = b->cluster;
	struct ranges ranges = {0};

	add_flags(b, &ranges, /* running= */ true);
	add_flags(b, &ranges, /* running= */ false);
	add_service_cidrs(b, &ranges);
	add_text(b, &ranges, c->range_allocation, "RangeAllocation");
	if (c->kubeadm_known)
		add_text(b, &ranges, c->kubeadm_range, "ConfigMap/kube-system/kubeadm-config");
	add_aliases(b, &ranges);
	add_guesses(b, &ranges);
	c->ranges = arena_array(b->arena, ranges.count, sizeof(*c->ranges));
	if (ranges.count)
		memcpy(c->ranges, ranges.items, ranges.count * sizeof(*c->ranges));
	c->range_count = ranges.count;
	free(ranges.items);
}
