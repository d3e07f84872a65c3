/* SPDX-License-Identifier: MIT */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "kube/client.h"

/*
 * Changes as they happen. Calling sequence: kube_client_list() gives items and a resourceVersion;
 * kube_watch() from there; when it ends with KUBE_WATCH_EXPIRED, list again.
 */
enum kube_watch_type { KUBE_WATCH_ADDED, KUBE_WATCH_MODIFIED, KUBE_WATCH_DELETED };

/* 0: go on; 1: enough; -1: failed. The object is borrowed. */
typedef int (*kube_watch_event)(void *data, enum kube_watch_type type, const json_t *object,
				struct error *err);

struct kube_watch_options {
	const char *label_selector;
	const char *field_selector;
	const char *resource_version; /* after which; NULL: the present objects come as ADDED */
	int64_t timeout_ms;	      /* of the whole; 0: for ever */
};

enum kube_watch_end {
	KUBE_WATCH_ENOUGH,  /* the callback said so */
	KUBE_WATCH_TIMEOUT, /* timeout_ms are over */
	KUBE_WATCH_EXPIRED, /* the server no longer has that version (410): list again */
};

/* Watches the collection (target without name; one object by field_selector "metadata.name=x").
 * A watch that the server ends, and a lost connection, go on from the last version seen; bookmarks
 * keep that one young. ERROR_INTERRUPTED when the user asks to stop. */
must_check int kube_watch(struct kube_client *kube, const struct kube_target *target,
			  const struct kube_watch_options *options, kube_watch_event event,
			  void *data, enum kube_watch_end *ret_end, struct error *err);

#endif
