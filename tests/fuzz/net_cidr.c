/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "net/cidr.h"

/* What is read as a range is read again from its own text, and the sloppy form takes no less. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	auto_error struct error err = {0};
	struct net_cidr_list strict = {0}, sloppy = {0}, again = {0};

	if (net_cidr_list_parse_sloppy(text, &sloppy, &err) < 0) {
		assert(err.kind == ERROR_PARSE);
		assert(net_cidr_list_parse(text, &strict, &err) < 0);
		return 0;
	}
	assert(net_cidr_list_parse(slice_of(net_cidr_list_text(&sloppy).text), &again, &err) == 0);
	assert(net_cidr_list_equal(&again, &sloppy));
	if (net_cidr_list_parse(text, &strict, &err) == 0)
		assert(net_cidr_list_equal(&strict, &sloppy));
	for (size_t i = 0; i < sloppy.count; i++) {
		struct net_cidr c = sloppy.item[i];
		struct net_address last = net_cidr_last(c);

		assert(net_cidr_contains(c, c.base) && net_cidr_contains(c, last));
		assert(net_cidr_host(c, c.base) == 0);
		if (net_cidr_host(c, last) != UINT64_MAX)
			assert(net_address_equal(net_cidr_nth(c, net_cidr_host(c, last)), last));
	}
	return 0;
}
