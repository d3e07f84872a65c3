/* SPDX-License-Identifier: MIT */
#ifndef STEP_TEXTS_H
#define STEP_TEXTS_H

#include "step/step.h"

/* A parameter that is an array of texts as a C array. `items` is to be freed, its texts are
 * borrowed from the step. A missing one is empty. */
struct step_texts {
	const char **items;
	size_t count;
};

struct step_texts step_texts_of(const struct plan_step *step, const char *name);

static inline void step_texts_release(struct step_texts *texts)
{
	free(texts->items);
}
#define auto_step_texts __attribute__((cleanup(step_texts_release)))

#endif
