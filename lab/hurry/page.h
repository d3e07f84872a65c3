/* SPDX-License-Identifier: MIT */
#ifndef LAB_HURRY_PAGE_H
#define LAB_HURRY_PAGE_H

#include <stdint.h>

/*
 * What the lab, the tool and the agents share: a page in the lab's folder (FOLDER/page) with the
 * clock of the cluster and what is to go wrong with files, and a socket (FOLDER/clock, sequenced
 * packets) over which those who wait let time pass. $RENUMBER_LAB_CLOCK is the folder.
 */

/* Whose files. */
enum hurry_who { HURRY_TOOL, HURRY_AGENT, HURRY_WHO };

/* What goes wrong at the N-th operation that changes a file. */
enum hurry_harm {
	HURRY_WELL,
	HURRY_KILL,	 /* the process is killed instead of it */
	HURRY_KILL_TORN, /* half of what was to be written is, and it is killed */
	HURRY_KILL_DONE, /* it is killed when the operation is over */
	HURRY_POWER,	 /* killed, and of what was not synced some is lost, in any order */
	HURRY_FULL,	 /* from there on no space is left; a process started later has some */
	HURRY_READONLY,	 /* the same, the file system is read-only */
	HURRY_SYNC,	 /* the next sync fails */
};

struct hurry_disk {
	int64_t done; /* operations so far */
	int64_t at;   /* 0: never */
	int64_t harm; /* enum hurry_harm */
	int64_t hits; /* how often it was done */
};

struct hurry_page {
	int64_t ns;	 /* monotonic */
	int64_t wall_ns; /* since 1970 when ns was 0 */
	int64_t jump_ns; /* of the tool's wall clock */
	uint64_t random;
	struct hurry_disk disk[HURRY_WHO];
};

/* The machine was started so long before the clock began. */
#define HURRY_UPTIME_S 1000000

enum hurry_kind {
	HURRY_SLEEP, /* answered when the time has passed */
	HURRY_REST, /* told at that time (ns, by the clock), if nothing comes before; it drives nothing */
	HURRY_WOKE, /* something came before */
};

struct hurry_message {
	int64_t kind;
	int64_t ns;
	int64_t number; /* in the answer, too */
};

#endif
