/* SPDX-License-Identifier: MIT */
#include "pki/texts.h"

#include <string.h>

#include "base/alloc.h"

void pki_texts_add(struct pki_texts *list, const char *text)
{
	ALLOC_GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = alloc_text(text);
}

void pki_texts_add_new(struct pki_texts *list, const char *text)
{
	if (!pki_texts_have(list, text))
		pki_texts_add(list, text);
}

bool pki_texts_have(const struct pki_texts *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

void pki_texts_remove(struct pki_texts *list, const char *text)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			free(list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

void pki_texts_copy(struct pki_texts *to, const struct pki_texts *from)
{
	for (size_t i = 0; i < from->count; i++)
		pki_texts_add(to, from->items[i]);
}

void pki_texts_release(struct pki_texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct pki_texts){0};
}

json_t *pki_texts_to_json(const struct pki_texts *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

int pki_texts_from_json(const json_t *array, struct pki_texts *ret, struct error *err)
{
	auto_pki_texts struct pki_texts found = {0};
	const json_t *item = NULL;
	size_t i = 0;

	if (!json_is_array(array))
		return error_set(err, ERROR_PARSE, "a list of texts is missing");
	json_array_foreach(array, i, item) {
		if (!json_is_string(item) ||
		    strlen(json_string_value(item)) != json_string_length(item))
			return error_set(err, ERROR_PARSE, "item %zu of a list is not a text", i);
		pki_texts_add(&found, json_string_value(item));
	}
	*ret = found;
	found = (struct pki_texts){0};
	return 0;
}
