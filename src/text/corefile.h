/* SPDX-License-Identifier: MIT */
#ifndef TEXT_COREFILE_H
#define TEXT_COREFILE_H

#include "base/buffer.h"
#include "base/slice.h"

/*
 * The texts that tell NodeLocal DNSCache where to listen and whom to ask: its Corefile (CoreDNS'
 * configuration: a plugin and its words on each line, '#' before a comment) and its argument
 * -localip, a list with commas. It has to listen at every address that `bind` names, and -localip
 * is what puts those addresses on the node.
 */
struct corefile_move {
	const char *from; /* "10.96.0.10" */
	const char *to;
};

enum corefile_edit {
	COREFILE_BOTH, /* it listens at the new address, too; whom it asks has the new one */
	COREFILE_NEW,  /* and at the old one no more */
};

/*
 * Appends the Corefile, edited. A word counts as an address when it is one, also in quotes, behind
 * a scheme ("dns://") or before a port; whatever else stands in a word ("10.96.0.0/16") is left,
 * and so is each other byte. Doing it twice is as good as once, and BOTH and then NEW as good as NEW.
 */
void corefile_edit(struct slice text, enum corefile_edit edit, const struct corefile_move *moves,
		   size_t count, struct buffer *ret);

/* The same with the value of -localip ("169.254.20.10,10.96.0.10"). */
void corefile_edit_list(struct slice list, enum corefile_edit edit,
			const struct corefile_move *moves, size_t count, struct buffer *ret);

/* Whether the Corefile has the address as a word. */
bool corefile_names(struct slice text, const char *address);

#endif
