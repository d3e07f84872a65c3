/* SPDX-License-Identifier: MIT */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "plan/stage.h"

/*
 * The complete list of steps from a cluster as it is to what it shall be. Plain data, written to a
 * file as JSON (doc/kubectl-renumber-plan.5) and read back by apply; it holds names, addresses and
 * values, never code. What a step kind does with its parameters is step/'s business.
 */
struct plan_step {
	char *id; /* "s01"; unique in the plan, never reused */
	enum plan_stage stage;
	char *kind;    /* name of a step kind: "alias", "flip", … */
	char *subject; /* "Service/default/kubernetes", "cp1:/etc/kubernetes/pki/apiserver.crt" */
	char *why;     /* one sentence for --explain */
	json_t *parameters; /* object; members are the kind's */
};

enum plan_mode { PLAN_REPAIR, PLAN_MIGRATE };

struct plan {
	char *run; /* id of the run: label value of all that it creates */
	enum plan_mode mode;
	char *created_at; /* RFC 3339 */
	char *server;
	char *cluster_uid; /* UID of namespace kube-system: the plan is for this cluster only */
	char *regime;
	char *to;	      /* new range */
	json_t *from;	      /* array of old ranges */
	json_t *map;	      /* array of {namespace, name, from, to} */
	json_t *digest;	      /* object: what the plan rests on; compared before it is applied */
	json_t *digest_after; /* object: members of it that the plan itself changes */
	json_t *notes;	      /* array of texts for the reader */
	/* array of {code, message, subjects}: what apply does only when the user said yes to it */
	json_t *consents;
	struct plan_step *steps;
	size_t count;
	size_t capacity;
	bool foreign_ids; /* read from a file, and not all are as plan_add() gives them */
};

/* Appends a step. `parameters` is taken over (a new reference given away). Texts are copied. */
struct plan_step *plan_add(struct plan *plan, enum plan_stage stage, const char *kind,
			   const char *subject, json_t *parameters);
__attribute__((format(printf, 2, 3))) void plan_step_why(struct plan_step *step, const char *fmt,
							 ...);
__attribute__((format(printf, 2, 3))) void plan_note(struct plan *plan, const char *fmt, ...);

/* Asks for a consent; `subjects` (array of texts) is taken over. */
__attribute__((format(printf, 4, 5))) void plan_consent(struct plan *plan, const char *code,
							json_t *subjects, const char *fmt, ...);

/* Step kinds about many things at once ("aliases", "flip-group", "alias-trims", "alias-swap") have an
 * array "services" of what the kind for one has as parameters. The i-th of those, or, for a kind
 * about one thing, its parameters as the only one; NULL behind the last. Borrowed. */
const json_t *plan_step_item(const struct plan_step *step, size_t i);
/* True when the step is of this kind for one ("alias", "flip", "alias-trim"), or of the one for many
 * of them. */
bool plan_step_makes(const struct plan_step *step, const char *kind);

const struct plan_step *plan_find(const struct plan *plan, const char *id);
size_t plan_count_stage(const struct plan *plan, enum plan_stage stage);

/* A new reference. */
json_t *plan_to_json(const struct plan *plan);

/* Appends the same as text, a line for each step: without a tree of all of them. */
void plan_to_text(const struct plan *plan, struct buffer *out);

/* Reads what plan_to_json and plan_to_text give. ERROR_PARSE naming file and member for anything else, a newer
 * schema too. */
must_check int plan_parse(struct plan *ret, const char *file, struct slice text, struct error *err);

/* The first member ("flags of cp1") in which what was found is neither what was planned on nor, in
 * `after` (may be NULL), what the plan's own steps make of it; NULL: there is none. Caller frees. */
char *plan_digest_difference(const json_t *planned, const json_t *after, const json_t *found);

/* Leaves no step. */
void plan_clear(struct plan *plan);
void plan_release(struct plan *plan);
#define auto_plan __attribute__((cleanup(plan_release)))

#endif
