/* SPDX-License-Identifier: MIT */
#ifndef NET_MAP_H
#define NET_MAP_H

#include "net/cidr.h"

/*
 * Which new address stands for which old one. Pure and deterministic: the same input, in any order,
 * gives the same map.
 *
 *	struct net_map own = {0}, map = {0};
 *	net_map_read(&own, "own.map", text, err);
 *	net_map_build(&map, &(struct net_map_request){…, .own = &own}, err);
 *	net_map_find(&map, old);
 */
enum net_map_origin {
	NET_MAP_SAME_HOST, /* same distance from the start of the range */
	NET_MAP_FIXED,	   /* first address, DNS address */
	NET_MAP_OWN,	   /* from the user's file */
	NET_MAP_CHOSEN,	   /* same host part did not fit, was reserved or was taken */
};

struct net_map_pair {
	struct net_address from;
	struct net_address to;
	enum net_map_origin origin;
	unsigned int line; /* in the user's file; 0: none */
};

struct net_map {
	struct net_map_pair *pairs; /* owned; sorted by from */
	size_t count;
	size_t capacity;
	char *file; /* owned; where the pairs were read, or NULL */
};

struct net_map_request {
	const struct net_cidr *from; /* old ranges, for the host part; an address outside of all of
				      * them counts its low bits as host part */
	size_t from_count;
	const struct net_cidr *to; /* new ranges, at most one for each family */
	size_t to_count;
	const struct net_address *addresses; /* to be mapped; duplicates are one */
	size_t address_count;
	const struct net_address *taken; /* in the new range already, by somebody else */
	size_t taken_count;
	/* The addresses of default/kubernetes and kube-dns among `addresses`, in each family; they
	 * go to the first and the tenth address, which nobody else gets. */
	const struct net_address *kubernetes;
	size_t kubernetes_count;
	const struct net_address *dns;
	size_t dns_count;
	const struct net_map *own; /* or NULL */
};

/* Reads a map file: lines `old new` or `old=new`, `#` comments, empty lines. ERROR_PARSE with
 * file:line:column for what is no address, families that differ, an old or new address that stands
 * twice. */
must_check int net_map_read(struct net_map *map, const char *file, struct slice text,
			    struct error *err);

/* Fills *map. ERROR_REFUSED when the new range is too small; ERROR_PARSE with file:line for an own
 * pair whose new address is outside of the new range, reserved, or taken. On error *map is
 * unchanged. */
must_check int net_map_build(struct net_map *map, const struct net_map_request *request,
			     struct error *err);

/* The pair, or NULL. */
const struct net_map_pair *net_map_find(const struct net_map *map, struct net_address from);

void net_map_release(struct net_map *map);

#define auto_net_map __attribute__((cleanup(net_map_release)))

#endif
