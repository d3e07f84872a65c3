/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "net/map.h"

/* Any text as a map file; what is read maps its own old addresses without a collision. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OLD_MOST = 64 };

static void check_map(const struct net_map *map, const struct net_cidr *to)
{
	for (size_t i = 0; i < map->count; i++) {
		bool inside = net_cidr_contains(to[0], map->pairs[i].to) ||
			      net_cidr_contains(to[1], map->pairs[i].to);

		assert(inside && net_map_find(map, map->pairs[i].from) == &map->pairs[i]);
		for (size_t j = 0; j < i; j++)
			assert(!net_address_equal(map->pairs[i].to, map->pairs[j].to));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct net_cidr to[] = {
		{.base = {.family = NET_IPV4, .bytes = {10, 17}}, .bits = 24},
		{.base = {.family = NET_IPV6, .bytes = {0xfd}}, .bits = 112},
	};
	auto_net_map struct net_map own = {0}, map = {0};
	auto_error struct error err = {0};
	struct net_address old[OLD_MOST];
	struct net_map_request request = {
		.from = to, .from_count = 2, .to = to, .to_count = 2, .addresses = old};

	if (net_map_read(&own, "own", (struct slice){(const char *)data, size}, &err) < 0) {
		assert(err.kind == ERROR_PARSE);
		return 0;
	}
	for (size_t i = 0; i < own.count && i < OLD_MOST; i++)
		old[request.address_count++] = own.pairs[i].from;
	assert(net_map_build(&map, &request, &err) == 0);
	check_map(&map, to);
	request.own = &own;
	if (net_map_build(&map, &request, &err) == 0)
		check_map(&map, to);
	else
		assert(err.kind == ERROR_PARSE || err.kind == ERROR_REFUSED);
	return 0;
}
