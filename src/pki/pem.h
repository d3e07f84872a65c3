/* SPDX-License-Identifier: MIT */
#ifndef PKI_PEM_H
#define PKI_PEM_H

#include "base/buffer.h"
#include "base/secret.h"
#include "base/slice.h"

/*
 * PEM (RFC 7468, and the header lines of RFC 1421 that are skipped), read strictly and with the
 * place of each mistake. Calling sequence:
 *
 *	struct pki_pem_reader reader = {.rest = text, .name = path};
 *	while (pki_pem_next(&reader, &block, &found, &err) == 0 && found)
 *		…
 *	pki_pem_release(&block);
 *
 * Text outside of blocks is allowed, as openssl x509 -text writes it.
 */
struct pki_pem_reader {
	struct slice rest; /* what is left; set by the caller to the whole text */
	const char *name;  /* for messages, borrowed */
	size_t line;	   /* lines used up */
};

struct pki_pem_block {
	struct slice label;  /* "CERTIFICATE", "RSA PRIVATE KEY", …; borrowed from the text */
	struct secret bytes; /* decoded; may be a key, so it is wiped */
	size_t line;	     /* of its BEGIN, from 1 */
	bool encrypted;	     /* has a Proc-Type header or says so in its label */
};

/* Replaces *block by the next one; *ret_found false at the end. ERROR_PARSE "path:line: …" for a
 * block without end, a bad character, bad padding, an END that does not match. */
must_check int pki_pem_next(struct pki_pem_reader *reader, struct pki_pem_block *block,
			    bool *ret_found, struct error *err);
void pki_pem_release(struct pki_pem_block *block);
#define auto_pki_pem __attribute__((cleanup(pki_pem_release)))

/* The first block whose label is `label`; ERROR_PARSE when there is none. */
must_check int pki_pem_find(struct slice text, const char *name, const char *label,
			    struct pki_pem_block *ret, struct error *err);

/* Appends a block, 64 characters a line, as Go's encoding/pem writes it. */
void pki_pem_append(struct buffer *out, const char *label, struct slice der);

/* Base64 without white space but line ends (kubeconfigs); false when it is none. */
bool pki_base64_decode(struct slice text, struct secret *ret);

#endif
