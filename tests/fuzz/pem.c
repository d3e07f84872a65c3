/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "pki/key.h"
#include "pki/pem.h"
#include "pki/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Blocks, and each private key in them; a decoded block encodes to one that decodes the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pki_pem_reader reader = {.rest = {(const char *)data, size}, .name = "input"};
	auto_pki_pem struct pki_pem_block block = {0};
	auto_error struct error err = {0};
	auto_pkey EVP_PKEY *key = NULL;
	bool found = true;

	while (pki_pem_next(&reader, &block, &found, &err) == 0 && found) {
		auto_buffer struct buffer text = {0};
		auto_pki_pem struct pki_pem_block again = {0};

		pki_pem_append(&text, "X", (struct slice){block.bytes.ptr, block.bytes.len});
		if (pki_pem_find(buffer_as_slice(&text), "again", "X", &again, &err) < 0 ||
		    !slice_equal((struct slice){block.bytes.ptr, block.bytes.len},
				 (struct slice){again.bytes.ptr, again.bytes.len}))
			abort();
	}
	error_release(&err);
	if (pki_key_from_pem((struct slice){(const char *)data, size}, "input", &key, &err) < 0)
		error_release(&err);
	return 0;
}
