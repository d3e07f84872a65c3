/* SPDX-License-Identifier: MIT */
#ifndef CMD_PLAN_TEXT_H
#define CMD_PLAN_TEXT_H

#include "cmd/session.h"
#include "plan/plan.h"

/* Prints a plan for a person: what it comes to, its steps by stage, then what to know and what to
 * say yes to. `out`: the file that holds it, or NULL. */
void plan_text_print(const struct session *session, const struct plan *plan, const char *out);

#endif
