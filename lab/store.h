/* SPDX-License-Identifier: MIT */
#ifndef LAB_STORE_H
#define LAB_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The objects, as etcd would hold them, and the last changes of them, for watches. An object that
 * is stored never changes: a write puts another one in its place, so that lists and watches share
 * what they give out.
 */
struct store_type {
	const char *group; /* "" is the core group */
	const char *plural;
	const char *kind;
	const char *version; /* that is stored and preferred */
	const char *older;   /* another one that is served; NULL */
	bool namespaced;
	bool has_status;   /* with a subresource of its own */
	unsigned int from; /* minor version of Kubernetes that serves it first */
};

extern const struct store_type store_types[];
extern const size_t store_type_count;

/* By plural within a group; NULL. `group` "" for the core. */
const struct store_type *store_type_find(const char *group, const char *plural);

struct store;

struct store *store_new(void);
void store_free(struct store *s);

/* Borrowed; NULL when it is not there. `space` NULL for cluster-scoped objects. */
json_t *store_get(const struct store *s, const struct store_type *type, const char *space,
		  const char *name);
/* The same for the types that the lab itself works with: "services". */
json_t *store_find(const struct store *s, const char *plural, const char *space, const char *name);

enum store_change { STORE_ADDED, STORE_MODIFIED, STORE_DELETED };

/* Takes the reference, sets its resourceVersion and replaces what is under its name. */
void store_put(struct store *s, const struct store_type *type, json_t *object);
/* The watchers see the object as it was, with the version of its end. */
void store_remove(struct store *s, const struct store_type *type, json_t *object);

/* The version of the last write. */
uint64_t store_version(const struct store *s);

/* "namespace/name", or "name"; for the caller to free. */
char *store_key(const char *space, const char *name);

/* The keys of a type, sorted; borrowed until the next write. */
const char *const *store_keys(struct store *s, const struct store_type *type, size_t *ret_count);
/* Those of one namespace: they stand together. */
const char *const *store_keys_in(struct store *s, const struct store_type *type, const char *space,
				 size_t *ret_count);
json_t *store_by_key(const struct store *s, const struct store_type *type, const char *key);

/* All objects of a type, for loops of the lab: a JSON object by key. Borrowed. */
json_t *store_all(const struct store *s, const char *plural);

/* The same as it was at that version, which must not have been forgotten; for the caller. */
json_t *store_at(const struct store *s, const struct store_type *type, uint64_t version);

struct store_event {
	uint64_t version;
	const struct store_type *type;
	enum store_change change;
	json_t *object; /* owned */
	json_t *before; /* owned; NULL when it was added */
};

/* The first event behind that version, NULL for none yet; *ret_expired when older ones are gone. */
const struct store_event *store_after(const struct store *s, uint64_t version, bool *ret_expired);

/* Called after every change. */
typedef void store_listener(void *data, const struct store_event *event);
void store_listen(struct store *s, store_listener *fn, void *data);

/* Forgets the events, as compaction does. */
void store_compact(struct store *s);

#endif
