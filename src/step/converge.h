/* SPDX-License-Identifier: MIT */
#ifndef STEP_CONVERGE_H
#define STEP_CONVERGE_H

#include "step/step.h"

/*
 * Proves that the proxy of every node has programmed what was written to EndpointSlices before the
 * call: a slice of a Service of our own is moved to its next port, and every node dials that port.
 * Watches hand the changes of one kind out in their order, so who has this one has those before it.
 * `servers`: array of {node, address, port}, one of which stands behind the port; `except` (may be
 * NULL) is an address that is about to go away. Nodes that are not Ready take no traffic and are
 * left out; nodes that cannot be reached get time instead, and a warning.
 */
must_check int step_converge(struct step_context *context, const json_t *servers,
			     const char *except, struct error *err);

/* Makes the Service beforehand: where servers disagree on the range, no Service can be made. */
must_check int step_converge_prepare(struct step_context *context, struct error *err);

/* Whether what step_converge makes is there: in use, or left behind by somebody who was killed. */
must_check int step_converge_is_left(struct step_context *context, bool *ret_left,
				     struct error *err);

/* Removes that Service and its slice. */
must_check int step_converge_forget(struct step_context *context, struct error *err);

#endif
