/* SPDX-License-Identifier: MIT */
#ifndef CMD_CONSENT_H
#define CMD_CONSENT_H

#include "cmd/session.h"
#include "plan/plan.h"

/* Whether each code of --accept is one that a plan can ask for. */
must_check int consent_accept_check(const char *accept, struct error *err);

/*
 * Asks for every consent that the plan needs and `accept` ("load-balancers,cluster-owner"; NULL:
 * none) does not name: at the terminal, or answered by --yes and then said aloud. Without either,
 * ERROR_REFUSED naming the codes that are missing.
 */
must_check int consent_check(struct session *session, const struct plan *plan, const char *accept,
			     struct error *err);

#endif
