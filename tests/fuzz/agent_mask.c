/* SPDX-License-Identifier: MIT */
/*
 * Masking changes bytes to x, never a line end, never another byte.
 * DNS answers come from strangers too: the same bytes are read as one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dns.h"
#include "agent/mask.h"
#include "base/alloc.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = alloc_bytes(size + 1);
	auto_json json_t *addresses = json_array();
	auto_error struct error err = {0};
	int rcode = 0;

	if (size)
		memcpy(text, data, size);
	mask_text(text, size);
	for (size_t i = 0; i < size; i++)
		assert((text[i] == '\n') == (data[i] == '\n') &&
		       (text[i] == (char)data[i] || text[i] == 'x'));
	free(text);
	if (size >= 2 &&
	    dns_parse((struct slice){(const char *)data, size}, (uint16_t)(data[0] << 8 | data[1]),
		      addresses, &rcode, &err) == 0)
		assert(rcode >= 0 && rcode < 16);
	return 0;
}
