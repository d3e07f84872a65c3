/* SPDX-License-Identifier: MIT */
#include "step/texts.h"

#include "base/alloc.h"

struct step_texts step_texts_of(const struct plan_step *step, const char *name)
{
	const json_t *list = json_object_get(step->parameters, name);
	struct step_texts texts = {alloc_array(json_array_size(list) + 1, sizeof(char *)), 0};
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		if (json_string_value(entry))
			texts.items[texts.count++] = json_string_value(entry);
	}
	return texts;
}
