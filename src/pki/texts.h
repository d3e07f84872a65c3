/* SPDX-License-Identifier: MIT */
#ifndef PKI_TEXTS_H
#define PKI_TEXTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A list of texts in the order of appending; {0} is empty. */
struct pki_texts {
	char **items; /* owned, as is each text */
	size_t count;
	size_t capacity;
};

void pki_texts_add(struct pki_texts *list, const char *text);
/* The same unless it is there already. */
void pki_texts_add_new(struct pki_texts *list, const char *text);
bool pki_texts_have(const struct pki_texts *list, const char *text);
void pki_texts_remove(struct pki_texts *list, const char *text);
void pki_texts_copy(struct pki_texts *to, const struct pki_texts *from);
void pki_texts_release(struct pki_texts *list);
/* An array of strings, a new reference; and back (what is no string is ERROR_PARSE). */
json_t *pki_texts_to_json(const struct pki_texts *list);
must_check int pki_texts_from_json(const json_t *array, struct pki_texts *ret, struct error *err);
#define auto_pki_texts __attribute__((cleanup(pki_texts_release)))

#endif
