/* SPDX-License-Identifier: MIT */
#ifndef NET_CIDR_H
#define NET_CIDR_H

#include "net/address.h"

/* A range of addresses; base has no host bits. {0} is "no range". */
struct net_cidr {
	struct net_address base;
	unsigned int bits; /* 0-32 or 0-128 */
};

/* One or two ranges (dual stack), in the order of the text. */
struct net_cidr_list {
	struct net_cidr item[2];
	size_t count;
};

/* Strict, for what the user types: ERROR_PARSE for host bits (the message names the canonical
 * range), a missing or too large prefix length, leading zeros. */
must_check int net_cidr_parse(struct slice text, struct net_cidr *ret, struct error *err);

/* As Kubernetes reads its own flags: host bits are masked away, leading zeros are decimal. */
must_check int net_cidr_parse_sloppy(struct slice text, struct net_cidr *ret, struct error *err);

/* "a" or "a,b" with one range for each family; white space around each is ignored. */
must_check int net_cidr_list_parse(struct slice text, struct net_cidr_list *ret, struct error *err);
must_check int net_cidr_list_parse_sloppy(struct slice text, struct net_cidr_list *ret,
					  struct error *err);

/* The range that `a` would have with this prefix length: host bits masked. */
struct net_cidr net_cidr_of(struct net_address a, unsigned int bits);

struct net_text net_cidr_text(struct net_cidr c);
struct net_text net_cidr_list_text(const struct net_cidr_list *list);

bool net_cidr_contains(struct net_cidr c, struct net_address a);
bool net_cidr_covers(struct net_cidr outer, struct net_cidr inner);
bool net_cidr_overlaps(struct net_cidr a, struct net_cidr b);
bool net_cidr_equal(struct net_cidr a, struct net_cidr b);
bool net_cidr_list_equal(const struct net_cidr_list *a, const struct net_cidr_list *b);
bool net_cidr_list_contains(const struct net_cidr_list *list, struct net_address a);

/* The range of that family, or NULL. */
const struct net_cidr *net_cidr_list_family(const struct net_cidr_list *list,
					    enum net_family family);

/* base + n: 1 is the address of default/kubernetes, 10 that of kube-dns. No address ({0}) when it
 * is outside of the range. */
struct net_address net_cidr_nth(struct net_cidr c, uint64_t n);

/* Highest address: the broadcast address of an IPv4 range. */
struct net_address net_cidr_last(struct net_cidr c);

/* a - base; UINT64_MAX when it is larger or `a` is outside. */
uint64_t net_cidr_host(struct net_cidr c, struct net_address a);

/* Number of addresses, UINT64_MAX when there are more. */
uint64_t net_cidr_size(struct net_cidr c);

/* Number of addresses that Kubernetes gives to Services: all but the first and, for IPv4, the
 * broadcast address. Saturating. */
uint64_t net_cidr_usable(struct net_cidr c);

/* Whether an API server takes the range for --service-cluster-ip-range: at least 8 addresses, at
 * most 20 host bits (the bitmap's limit; servers with ServiceCIDR objects also take more:
 * `large_allowed`). ERROR_REFUSED with the reason. */
must_check int net_cidr_check_service(struct net_cidr c, bool large_allowed, struct error *err);

#endif
