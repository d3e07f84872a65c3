/* SPDX-License-Identifier: MIT */
#ifndef STEP_PROVE_H
#define STEP_PROVE_H

#include "step/step.h"

/* Proof by the data path that Services answer at certain addresses. */
struct step_proof {
	const char *subject;   /* borrowed; for messages */
	const json_t *spec;    /* borrowed; of the Service: which ports there are */
	const char *address;   /* borrowed; that must answer from every node */
	const char *fallback;  /* borrowed; answers today: a node on which this one does not answer
			       * either proves nothing. NULL: there is none */
	size_t endpoints;      /* ready ones; 0: nothing can answer */
	const json_t *sources; /* borrowed; {node: own address to dial from}; NULL: any */
};

/*
 * Dials each address by TCP from each of the nodes, again and again for `patience_ms`. A proof
 * without a TCP port or an endpoint is left out and said. ERROR_STOPPED naming Service, address
 * and node when an address does not answer where its fallback does. Without nodes nothing is
 * proved, and that is said.
 */
must_check int step_prove(struct step_context *context, const struct step_proof *proofs,
			  size_t count, char *const *nodes, size_t node_count, int64_t patience_ms,
			  struct error *err);

#endif
