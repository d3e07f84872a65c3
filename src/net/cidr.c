/* SPDX-License-Identifier: MIT */
#include "net/cidr.h"

#include <stdio.h>

/* Kubernetes: at least 8 addresses (pkg/controlplane), at most 20 host bits for a bitmap
 * (cmd/kube-apiserver/app/options, validateMaxCIDRRange). */
#define SERVICE_BITS_LEAST 3
#define SERVICE_BITS_MOST 20

#define SHOWN(text) (int)((text).len < 100 ? (text).len : 100), (text).ptr ? (text).ptr : ""

static unsigned int width(struct net_address a)
{
	return (unsigned int)net_address_size(a) * 8;
}

struct net_cidr net_cidr_of(struct net_address a, unsigned int bits)
{
	struct net_cidr c = {.base = a, .bits = bits};

	for (unsigned int i = 0; i < sizeof(a.bytes); i++) {
		if (i * 8 >= bits)
			c.base.bytes[i] = 0;
		else if (i * 8 + 8 > bits)
			c.base.bytes[i] &= (uint8_t)(0xff << (i * 8 + 8 - bits));
	}
	return c;
}

/* Kubernetes' sloppy parser takes 010.096.0.0 for 10.96.0.0. */
static bool read_padded_ipv4(struct slice text, struct net_address *ret)
{
	struct net_address a = {.family = NET_IPV4};
	struct slice rest = text, part;
	size_t n = 0;

	while (slice_next(&rest, '.', &part)) {
		uint64_t octet;

		if (n == 4 || !slice_to_u64(part, 255, &octet))
			return false;
		a.bytes[n++] = (uint8_t)octet;
	}
	if (n != 4)
		return false;
	*ret = a;
	return true;
}

static int parse(struct slice text, bool sloppy, struct net_cidr *ret, struct error *err)
{
	struct slice rest = text, address, bits;
	struct net_address a;
	struct net_cidr c;
	uint64_t n;

	if (!slice_next(&rest, '/', &address) || !rest.ptr)
		return error_set(err, ERROR_PARSE,
				 "'%.*s' is not a CIDR: it has no '/' and prefix length",
				 SHOWN(text));
	bits = rest;
	if (!net_address_read(address, &a) && !(sloppy && read_padded_ipv4(address, &a)))
		return error_set(err, ERROR_PARSE,
				 "'%.*s' is not a CIDR: '%.*s' is not an IP address", SHOWN(text),
				 SHOWN(address));
	if (!slice_to_u64(bits, UINT32_MAX, &n) || (!sloppy && bits.len > 1 && bits.ptr[0] == '0'))
		return error_set(err, ERROR_PARSE,
				 "'%.*s' is not a CIDR: '%.*s' is not a prefix length", SHOWN(text),
				 SHOWN(bits));
	if (n > width(a))
		return error_set(err, ERROR_PARSE,
				 "'%.*s' is not a CIDR: the prefix length is at most %u",
				 SHOWN(text), width(a));
	c = net_cidr_of(a, (unsigned int)n);
	if (!sloppy && !net_address_equal(c.base, a))
		return error_set(err, ERROR_PARSE, "'%.*s' has host bits set; did you mean '%s'?",
				 SHOWN(text), net_cidr_text(c).text);
	*ret = c;
	return 0;
}

int net_cidr_parse(struct slice text, struct net_cidr *ret, struct error *err)
{
	return parse(text, false, ret, err);
}

int net_cidr_parse_sloppy(struct slice text, struct net_cidr *ret, struct error *err)
{
	return parse(text, true, ret, err);
}

static int parse_list(struct slice text, bool sloppy, struct net_cidr_list *ret, struct error *err)
{
	struct net_cidr_list list = {0};
	struct slice rest = text, part;

	if (!text.ptr || text.len == 0)
		return error_set(err, ERROR_PARSE, "'' is not a CIDR: it is empty");
	while (slice_next(&rest, ',', &part)) {
		if (list.count == 2)
			return error_set(err, ERROR_PARSE, "'%.*s' has more than two ranges",
					 SHOWN(text));
		if (parse(slice_trim(part), sloppy, &list.item[list.count], err) < 0)
			return -1;
		list.count++;
	}
	if (list.count == 2 && list.item[0].base.family == list.item[1].base.family)
		return error_set(err, ERROR_PARSE,
				 "'%.*s' has two ranges of one family; dual stack takes one IPv4 "
				 "and one IPv6 range",
				 SHOWN(text));
	*ret = list;
	return 0;
}

int net_cidr_list_parse(struct slice text, struct net_cidr_list *ret, struct error *err)
{
	return parse_list(text, false, ret, err);
}

int net_cidr_list_parse_sloppy(struct slice text, struct net_cidr_list *ret, struct error *err)
{
	return parse_list(text, true, ret, err);
}

struct net_text net_cidr_text(struct net_cidr c)
{
	struct net_text t = {0};

	if (net_address_is_set(c.base))
		snprintf(t.text, sizeof(t.text), "%.45s/%u", net_address_text(c.base).text, c.bits);
	return t;
}

struct net_text net_cidr_list_text(const struct net_cidr_list *list)
{
	struct net_text t = {0};

	if (list->count == 1)
		return net_cidr_text(list->item[0]);
	if (list->count == 2)
		snprintf(t.text, sizeof(t.text), "%.60s,%.60s", net_cidr_text(list->item[0]).text,
			 net_cidr_text(list->item[1]).text);
	return t;
}

bool net_cidr_contains(struct net_cidr c, struct net_address a)
{
	if (!net_address_is_set(a) || a.family != c.base.family)
		return false;
	return net_address_equal(net_cidr_of(a, c.bits).base, c.base);
}

bool net_cidr_covers(struct net_cidr outer, struct net_cidr inner)
{
	return inner.bits >= outer.bits && net_cidr_contains(outer, inner.base);
}

bool net_cidr_overlaps(struct net_cidr a, struct net_cidr b)
{
	return net_cidr_covers(a, b) || net_cidr_covers(b, a);
}

bool net_cidr_equal(struct net_cidr a, struct net_cidr b)
{
	return a.bits == b.bits && net_address_equal(a.base, b.base);
}

bool net_cidr_list_equal(const struct net_cidr_list *a, const struct net_cidr_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!net_cidr_equal(a->item[i], b->item[i]))
			return false;
	return true;
}

bool net_cidr_list_contains(const struct net_cidr_list *list, struct net_address a)
{
	for (size_t i = 0; i < list->count; i++)
		if (net_cidr_contains(list->item[i], a))
			return true;
	return false;
}

const struct net_cidr *net_cidr_list_family(const struct net_cidr_list *list,
					    enum net_family family)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->item[i].base.family == family)
			return &list->item[i];
	return NULL;
}

struct net_address net_cidr_nth(struct net_cidr c, uint64_t n)
{
	struct net_address a = {0};

	if (!net_address_is_set(c.base) || !net_address_add(c.base, n, &a) ||
	    !net_cidr_contains(c, a))
		return (struct net_address){0};
	return a;
}

struct net_address net_cidr_last(struct net_cidr c)
{
	struct net_address a = c.base;

	for (unsigned int i = 0; i < net_address_size(a); i++) {
		if (i * 8 >= c.bits)
			a.bytes[i] = 0xff;
		else if (i * 8 + 8 > c.bits)
			a.bytes[i] |= (uint8_t)((1 << (i * 8 + 8 - c.bits)) - 1);
	}
	return a;
}

uint64_t net_cidr_host(struct net_cidr c, struct net_address a)
{
	uint64_t host = 0;

	if (!net_cidr_contains(c, a))
		return UINT64_MAX;
	for (size_t i = 0; i < net_address_size(a); i++) {
		if (host >> 56)
			return UINT64_MAX;
		/* the base has no host bits, so the host part is what differs from it */
		host = host << 8 | (uint64_t)(a.bytes[i] ^ c.base.bytes[i]);
	}
	return host;
}

uint64_t net_cidr_size(struct net_cidr c)
{
	unsigned int host_bits = width(c.base) - c.bits;

	if (!net_address_is_set(c.base))
		return 0;
	return host_bits >= 64 ? UINT64_MAX : (uint64_t)1 << host_bits;
}

uint64_t net_cidr_usable(struct net_cidr c)
{
	uint64_t size = net_cidr_size(c), reserved = c.base.family == NET_IPV4 ? 2 : 1;

	if (size == UINT64_MAX)
		return size;
	return size > reserved ? size - reserved : 0;
}

int net_cidr_check_service(struct net_cidr c, bool large_allowed, struct error *err)
{
	unsigned int host_bits = width(c.base) - c.bits;

	if (host_bits < SERVICE_BITS_LEAST)
		return error_set(
			err, ERROR_REFUSED,
			"range '%s' is too small: it has %llu addresses, and an API server "
			"wants at least 8 (/%u)",
			net_cidr_text(c).text, (unsigned long long)net_cidr_size(c),
			width(c.base) - SERVICE_BITS_LEAST);
	if (host_bits > SERVICE_BITS_MOST && !large_allowed)
		return error_set(err, ERROR_REFUSED,
				 "range '%s' is too large: this cluster's API servers take at most "
				 "/%u",
				 net_cidr_text(c).text, width(c.base) - SERVICE_BITS_MOST);
	return 0;
}
