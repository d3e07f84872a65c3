/* SPDX-License-Identifier: MIT */
#ifndef RUN_LOCK_H
#define RUN_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kube/client.h"

/*
 * One run at a time: a Lease in kube-system that everybody sees, and a file lock in the state
 * folder against a second process of the same operator. A killed process leaves a Lease that
 * expires; the same state folder takes it back at once, somebody else waits or consents.
 */
struct run_lock {
	struct kube_client *kube; /* borrowed */
	char *holder;		  /* owned: "host:state-folder" */
	int file;		  /* -1: none */
	int64_t renewed_ms;	  /* monotonic */
	bool held;
};

/* "host:state-folder": who a process with this state folder is; the caller frees. */
char *run_lock_holder(const char *folder);

/* ERROR_REFUSED naming the holder when somebody else has it and (unless `force`) the Lease has not
 * expired. Nothing is held after a failure. */
must_check int run_lock_acquire(struct run_lock *lock, struct kube_client *kube, const char *folder,
				const char *run, bool force, struct error *err);

/* Renews when a third of its life is over; else does nothing. ERROR_STOPPED when somebody took it.
 * An API server that does not answer is not an error while the Lease lives. */
must_check int run_lock_renew(struct run_lock *lock, struct error *err);

/* Deletes the Lease and closes the file. Safe on {0}. */
void run_lock_release(struct run_lock *lock);
#define auto_run_lock __attribute__((cleanup(run_lock_release)))

#endif
