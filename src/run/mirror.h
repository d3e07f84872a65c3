/* SPDX-License-Identifier: MIT */
#ifndef RUN_MIRROR_H
#define RUN_MIRROR_H

#include "kube/client.h"
#include "run/journal.h"

/*
 * A run's plan and progress in ConfigMaps of kube-system, so that another operator, or the next
 * control plane of a run by hops, can take the run over when its state folder is lost or elsewhere.
 * What is mirrored is what the journal holds: names, addresses, objects as they were, digests of
 * files; never a Secret or a file of a node.
 *
 * Texts are compressed and cut into pieces that a ConfigMap holds. Progress is written under two
 * sets of names in turn: a process killed between two pieces leaves the set before whole.
 */
struct mirror {
	struct kube_client *kube; /* borrowed */
	const char *run;	  /* borrowed */
	const char *holder;	  /* borrowed: who writes (the lock's) */
	int64_t written_ms;	  /* monotonic; 0: not yet */
	int64_t sequence;	  /* of the progress written last */
	bool warned;
};

/* What stands in the cluster of one run. */
struct mirror_found {
	char *run;	  /* owned */
	char *holder;	  /* owned: who wrote it last */
	char *plan;	  /* owned: text */
	json_t *progress; /* owned: as journal_export gives it */
	int64_t sequence;
};

/* Mirrors the plan's text once; fine when it is there. */
must_check int mirror_plan(struct mirror *mirror, const char *plan, struct error *err);

/* Mirrors the progress unless that was done within the last seconds (`now`: whatever was done).
 * Cannot fail: what is not mirrored now is mirrored next time, and said once. */
void mirror_progress(struct mirror *mirror, struct journal *journal, bool now);

/* The run that stands in the cluster (`run` NULL: the one begun last). ERROR_NOT_FOUND when there is
 * none, ERROR_PARSE when what is there is torn. */
must_check int mirror_find(struct kube_client *kube, const char *run, struct mirror_found *ret,
			   struct error *err);
void mirror_found_release(struct mirror_found *found);
#define auto_mirror_found __attribute__((cleanup(mirror_found_release)))

/* A run other than `run` that stands in the cluster, begun and not ended; *ret_other is the caller's,
 * NULL: there is none. */
must_check int mirror_other(struct kube_client *kube, const char *run, char **ret_other,
			    struct error *err);

/* Only who wrote the progress last, and its sequence; *ret_holder is the caller's, NULL when nothing
 * is mirrored. */
must_check int mirror_holder(struct kube_client *kube, const char *run, char **ret_holder,
			     int64_t *ret_sequence, struct error *err);

/* ---- without a cluster ---- */

/* The ConfigMaps that hold `text` as piece 1 to N of a set; an array, a new reference. `part` is
 * "plan" (then set "plan", number 0) or "progress". */
json_t *mirror_pieces(const struct mirror *mirror, const char *part, const char *set,
		      int64_t number, const char *text);

/* What these ConfigMaps say of the run; ERROR_PARSE when no plan or no progress is whole. */
must_check int mirror_read(const json_t *maps, const char *run, struct mirror_found *ret,
			   struct error *err);

/* Takes the run's ConfigMaps away. */
must_check int mirror_remove(struct kube_client *kube, const char *run, struct error *err);

#endif
