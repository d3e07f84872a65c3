/* SPDX-License-Identifier: MIT */
#ifndef SCAN_MATCHER_H
#define SCAN_MATCHER_H

#include "net/cidr.h"

/*
 * Finds each address of some ranges in any bytes, at the speed of memory: the bytes are searched
 * for the part of the text that all addresses of a range begin with, many at a time, and only what
 * is found is looked at closely.
 *
 *	struct scan_matcher m;
 *	struct scan_cursor c;
 *	struct scan_match match;
 *
 *	scan_matcher_init(&m, &old);
 *	scan_cursor_start(&c, &m, text);
 *	while (scan_cursor_next(&c, &match))
 *		…
 *
 * An address stands for itself only: not inside of 110.96.0.1, 10.96.0.12, 10.96.0.1.2, 1.10.96.0.1
 * or v10.96.0.1. Escapes of JSON (\n, \u003d) and of URLs (%2F) before it are no part of a word.
 */
enum scan_form {
	SCAN_ADDRESS, /* 10.96.0.1, also in http://10.96.0.1:443/x and 10.96.0.1.nip.io */
	SCAN_RANGE,   /* 10.96.0.0/16 and ranges inside or around that begin in the range */
	SCAN_DASHED,  /* 10-96-0-1, as in host names */
};

struct scan_match {
	size_t offset;
	size_t len; /* with the prefix length of a range */
	enum scan_form form;
	struct net_address address;
	unsigned int bits; /* of a range */
};

enum { SCAN_NEEDLE_MOST = 16 };

struct scan_needle {
	char text[SCAN_NEEDLE_MOST]; /* what every address of the range holds: "10.96.", "fd00:" */
	size_t len;
	struct net_cidr range;
};

struct scan_matcher {
	struct scan_needle needles[2];
	size_t count;
};

struct scan_cursor {
	const struct scan_matcher *matcher;
	struct slice text;
	size_t at[2];		    /* where the search of each needle goes on */
	struct scan_match found[2]; /* its next match; len 0 at the end */
	bool searched[2];
};

void scan_matcher_init(struct scan_matcher *m, const struct net_cidr_list *ranges);

/* `text` and the matcher must live as long as the cursor. */
void scan_cursor_start(struct scan_cursor *c, const struct scan_matcher *m, struct slice text);

/* The next match, in the order of the text; false when there is none. */
bool scan_cursor_next(struct scan_cursor *c, struct scan_match *ret);

#endif
