/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>

/* One decimal octet, no leading zero. */
static bool read_octet(struct slice part, uint8_t *ret)
{
	uint64_t n;

	if (part.len > 3 || (part.len > 1 && part.ptr[0] == '0') || !slice_to_u64(part, 255, &n))
		return false;
	*ret = (uint8_t)n;
	return true;
}

static bool read_ipv4(struct slice text, struct net_address *ret)
{
	struct net_address a = {.family = NET_IPV4};
	struct slice rest = text, part;
	size_t n = 0;

	while (slice_next(&rest, '.', &part)) {
		if (n == 4 || !read_octet(part, &a.bytes[n]))
			return false;
		n++;
	}
	if (n != 4)
		return false;
	*ret = a;
	return true;
}

static bool read_ipv6(struct slice text, struct net_address *ret)
{
	struct net_address a = {.family = NET_IPV6};
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (strlen(copy) != text.len || inet_pton(AF_INET6, copy, a.bytes) != 1)
		return false;
	*ret = a;
	return true;
}

bool net_address_read(struct slice text, struct net_address *ret)
{
	if (text.len == 0)
		return false;
	if (memchr(text.ptr, ':', text.len))
		return read_ipv6(text, ret);
	return read_ipv4(text, ret);
}

int net_address_parse(struct slice text, struct net_address *ret, struct error *err)
{
	if (net_address_read(text, ret))
		return 0;
	return error_set(err, ERROR_PARSE, "'%.*s' is not an IP address",
			 (int)(text.len < 100 ? text.len : 100), text.ptr ? text.ptr : "");
}

struct net_text net_address_text(struct net_address a)
{
	struct net_text t = {0};

	/* glibc's text of an IPv6 address is that of RFC 5952; tests/unit/net_address.c holds it
	 * to that */
	if (a.family == NET_IPV4)
		inet_ntop(AF_INET, a.bytes, t.text, sizeof(t.text));
	else if (a.family == NET_IPV6)
		inet_ntop(AF_INET6, a.bytes, t.text, sizeof(t.text));
	return t;
}

bool net_address_from_bytes(const void *bytes, size_t len, struct net_address *ret)
{
	if (len != 4 && len != 16)
		return false;
	*ret = (struct net_address){.family = len == 4 ? NET_IPV4 : NET_IPV6};
	memcpy(ret->bytes, bytes, len);
	return true;
}

size_t net_address_size(struct net_address a)
{
	if (a.family == NET_IPV4)
		return 4;
	return a.family == NET_IPV6 ? 16 : 0;
}

bool net_address_equal(struct net_address a, struct net_address b)
{
	return net_address_compare(a, b) == 0;
}

int net_address_compare(struct net_address a, struct net_address b)
{
	if (a.family != b.family)
		return a.family < b.family ? -1 : 1;
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

bool net_address_add(struct net_address a, uint64_t n, struct net_address *ret)
{
	for (size_t i = net_address_size(a); i > 0 && n > 0; i--) {
		/* the sum may need 65 bits: add the low byte, carry into the rest */
		unsigned int sum = a.bytes[i - 1] + (unsigned int)(n & 0xff);

		a.bytes[i - 1] = (uint8_t)sum;
		n = (n >> 8) + (sum >> 8);
	}
	if (n > 0)
		return false;
	*ret = a;
	return true;
}
