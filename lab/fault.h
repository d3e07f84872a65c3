/* SPDX-License-Identifier: MIT */
#ifndef LAB_FAULT_H
#define LAB_FAULT_H

#include <signal.h>
#include <stdint.h>

#include "lab/http.h"
#include "lab/lab.h"

/*
 * What goes wrong on purpose. Effects are counted: requests that change objects, and operations of
 * agents that change nodes. At the effect that was asked for the client is killed, before or after
 * it; or requests fail by chance, reproducibly from a seed.
 */
struct fault_options {
	uint64_t kill_at;   /* the N-th effect; 0: never */
	bool kill_before;   /* before it happens; else when it has happened, unanswered */
	bool cut;	    /* only the connection ends there, and nobody is killed */
	char event[16];	    /* or this happens there (lab/actor.h); empty: nothing */
	uint64_t seed;	    /* of what fails by chance */
	unsigned int every; /* one of so many requests fails; 0: none */
};

struct fault;

struct fault *fault_new(const struct fault_options *options);
void fault_free(struct fault *f);

/* The cluster that events happen to. */
void fault_bind(struct fault *f, struct lab *lab);

/* Who is killed. */
void fault_client(struct fault *f, pid_t pid);

/* From here on other options hold, and effects and faults are counted anew. */
void fault_arm(struct fault *f, const struct fault_options *options);

/* True while requests fail by chance: lists then come in small pages. */
bool fault_is_rough(const struct fault *f);

/* True when the reply is decided and nothing is to happen. `f` NULL: no faults. */
bool fault_before(struct fault *f, const struct http_request *request, struct http_reply *reply);
/* May spoil a reply. */
void fault_after(struct fault *f, const struct http_request *request, struct http_reply *reply);

/* The same for an operation of an agent that changes something: false when it must not happen, or
 * its answer not be told. */
bool fault_effect(struct fault *f, bool before);

/* Effects counted so far, faults made. */
uint64_t fault_effects(const struct fault *f);
uint64_t fault_count(const struct fault *f);

#endif
