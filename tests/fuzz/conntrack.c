/* SPDX-License-Identifier: MIT */
/*
 * The kernel's and iptables' words are read by a root process: any bytes are a connection, a rule,
 * or nothing, and nothing behind them is touched.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/conntrack.h"
#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a block of its own size, so that a read behind it is seen */
	char *copy = alloc_bytes(size + 1);
	struct conntrack_entry entry;
	struct net_address address;
	uint64_t packets;

	if (size)
		memcpy(copy, data, size);
	copy = alloc_resize(copy, size ? size : 1, 1);
	if (conntrack_parse_message(copy, size, &entry))
		assert(net_address_is_set(entry.source) && net_address_is_set(entry.destination));
	if (conntrack_parse_line((struct slice){copy, size}, &entry))
		assert(net_address_is_set(entry.source) && entry.protocol);
	if (conntrack_parse_rule((struct slice){copy, size}, &address, &packets))
		assert(net_address_is_set(address));
	free(copy);
	return 0;
}
