/* SPDX-License-Identifier: MIT */
#ifndef KUBE_MULTIPLEX_H
#define KUBE_MULTIPLEX_H

#include "kube/client.h"

/*
 * Many requests at the same time over one HTTP/2 connection, so that all of them meet the same
 * server. The work is a number of jobs; each is a sequence of requests, the next one made from the
 * answer to the one before and sent the moment that this one is there.
 *
 *	auto_kube_multiplex struct kube_multiplex *many = kube_multiplex_open(kube, 0, err);
 *	const struct kube_jobs jobs = {.count = n, .next = next, .data = &state};
 *
 *	if (kube_multiplex_run(many, &jobs, err) < 0) …
 *
 * Nothing is tried again here and no answer is judged: `next` sees every failure, and leaves what
 * needs patience to the ordinary calls of kube/client.h.
 */
struct kube_multiplex;

/* What came of a request; {0} before a job's first. */
struct kube_answer {
	struct kube_reply reply; /* with the body */
	struct error error;	 /* as of kube_client_send(); its message is NULL for 2xx */
	int64_t took_ms;
};

struct kube_jobs {
	size_t count;
	/*
	 * Fills in the job's next request and returns true; false: the job is over. `last` is
	 * borrowed, NULL before the first. Texts in `request` must live until the job is asked
	 * again; its members accept, once and repeatable do not count.
	 */
	bool (*next)(void *data, size_t job, const struct kube_answer *last,
		     struct kube_request *request);
	void *data;
};

/* parallel: requests under way at a time; 0: 8. Does not connect yet. `kube` must outlive it. */
must_check struct kube_multiplex *kube_multiplex_open(struct kube_client *kube, unsigned parallel,
						      struct error *err);
void kube_multiplex_free(struct kube_multiplex *many);

/* Runs all jobs, begun in their order. The connection stays for the next call. ERROR_INTERRUPTED:
 * the user asked to stop; jobs that were begun are over, others are not begun. */
must_check int kube_multiplex_run(struct kube_multiplex *many, const struct kube_jobs *jobs,
				  struct error *err);

static inline void kube_multiplex_cleanup(struct kube_multiplex **many)
{
	kube_multiplex_free(*many);
}
#define auto_kube_multiplex __attribute__((cleanup(kube_multiplex_cleanup)))

#endif
