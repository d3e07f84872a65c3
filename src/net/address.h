/* SPDX-License-Identifier: MIT */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * IP addresses as values. {0} is "no address". IPv4 uses bytes[0..3], the rest is zero, so that two
 * addresses are equal exactly when their bytes and family are.
 */
enum net_family { NET_NONE = 0, NET_IPV4 = 4, NET_IPV6 = 6 };

struct net_address {
	enum net_family family;
	uint8_t bytes[16]; /* network order */
};

/* Text by value: net_address_text(a).text lives to the end of the full expression. */
struct net_text {
	char text[136]; /* two ranges and a comma */
};

/* Strict: four decimal octets without leading zeros, or RFC 4291 text without zone. Nothing before
 * or after. An IPv4-mapped IPv6 address stays IPv6. ERROR_PARSE. */
must_check int net_address_parse(struct slice text, struct net_address *ret, struct error *err);

/* The same without a message: false when the text is no address. */
bool net_address_read(struct slice text, struct net_address *ret);

/* Canonical text: dotted quad, or RFC 5952. "" for no address. */
struct net_text net_address_text(struct net_address a);

/* From the bytes as certificates hold them: 4 or 16; false for any other length. */
bool net_address_from_bytes(const void *bytes, size_t len, struct net_address *ret);

/* 0, 4 or 16. */
size_t net_address_size(struct net_address a);

bool net_address_equal(struct net_address a, struct net_address b);

/* IPv4 before IPv6, then by value; for qsort through a wrapper of the caller's. */
int net_address_compare(struct net_address a, struct net_address b);

/* a + n. False when it leaves the address space. */
bool net_address_add(struct net_address a, uint64_t n, struct net_address *ret);

static inline bool net_address_is_set(struct net_address a)
{
	return a.family != NET_NONE;
}

#endif
