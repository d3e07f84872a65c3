/* SPDX-License-Identifier: MIT */
#ifndef NODE_SSH_H
#define NODE_SSH_H

#include <stdbool.h>

#include "base/buffer.h"

/* The user's ssh: how it is called, what the remote side runs, what its complaints mean. */

/* A list of texts that ends in NULL. {0} is empty. */
struct ssh_words {
	char **items; /* owned */
	size_t count;
	size_t capacity;
};

void ssh_words_add(struct ssh_words *words, const char *text);
void ssh_words_release(struct ssh_words *words);
#define auto_ssh_words __attribute__((cleanup(ssh_words_release)))

/* Splits at blanks; '…' and "…" quote, a backslash takes the next character as it is (not within
 * '…'). Nothing is expanded. ERROR_USAGE for an open quote and for no word at all. */
must_check int ssh_split(const char *text, struct ssh_words *ret, struct error *err);

/* True when it can be ssh's destination and nothing else: no option, nothing that a shell would act
 * on. */
bool ssh_is_host(struct slice host);

/* node=host, one a line; blank lines and those beginning with '#' are passed over. */
struct ssh_map {
	struct ssh_words nodes;
	struct ssh_words hosts;
};

/* `name` is the file's, for ERROR_PARSE "name:line: …". */
must_check int ssh_map_parse(struct slice text, const char *name, struct ssh_map *ret,
			     struct error *err);
/* NULL when the node is not in it. */
const char *ssh_map_find(const struct ssh_map *map, const char *node);
void ssh_map_release(struct ssh_map *map);

struct ssh_target {
	const struct ssh_words *command; /* "ssh" with the user's own options */
	const char *user;		 /* NULL: as configured */
	const char *node;
	const char *host;    /* from the map; NULL: the node's name */
	const char *address; /* NULL: unknown */
	bool sudo;
	int64_t connect_ms;
};

/* The argument vector to stream an agent of `size` bytes for `machine` and to run it. Asks ssh for
 * its configuration of the host (ssh -G): a node that it has no address for is dialled by
 * target->address. */
void ssh_arguments(const struct ssh_target *target, size_t size, const char *machine,
		   struct ssh_words *ret);

/* Sets err from what ssh and the remote side said on stderr, and from the exit status: one sentence
 * with a remedy. Always -1. */
int ssh_explain(const struct ssh_target *target, struct slice said, int status, struct error *err);

#endif
