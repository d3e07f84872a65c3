/* SPDX-License-Identifier: MIT */
#ifndef LAB_BEAT_H
#define LAB_BEAT_H

#include "lab/lab.h"

/*
 * The lab's clock, shared with the tool and the agents that work on its nodes (lab/hurry): it stands
 * still while anybody works, and passes at once when the tool sleeps. Threads that ask at a steady
 * pace are woken in their turn, and get to sleep again before more time passes.
 */
struct beat;

/* Between scenario_play and cluster_open. */
must_check struct beat *beat_open(struct lab *lab, struct error *err);
void beat_free(struct beat *beat);

struct hurry_page;
/* What is shared; NULL for a NULL beat. */
struct hurry_page *beat_page(const struct beat *beat);

#endif
