/* SPDX-License-Identifier: MIT */
#ifndef BASE_INTERRUPT_H
#define BASE_INTERRUPT_H

#include <stdbool.h>

/*
 * ^C and SIGTERM. The first one is remembered and seen at the next safe place; the second ends the
 * process at once with exit status 4 (the journal makes that resumable).
 */
void interrupt_install(void);
bool interrupt_requested(void);

/* For tests. */
void interrupt_reset(void);

#endif
