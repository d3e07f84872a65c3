/* SPDX-License-Identifier: MIT */
#include "run/lock.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "model/cluster.h"

#define RUN_LOCK_LIFE_S 60

static const struct kube_target run_lock_target = {
	.group = "coordination.k8s.io",
	.version = "v1",
	.plural = "leases",
	.space = "kube-system",
	.name = CLUSTER_LOCK_NAME,
};

/* MicroTime, as Lease wants it. */
static char *run_lock_now(void)
{
	char *now = clock_format(clock_wall_s());
	char *micro = alloc_format("%.*s.000000Z", (int)strlen(now) - 1, now);

	free(now);
	return micro;
}

static json_t *run_lock_spec(const struct run_lock *lock)
{
	auto_free char *now = run_lock_now();

	return json_pack("{s:s, s:i, s:s, s:s}", "holderIdentity", lock->holder,
			 "leaseDurationSeconds", RUN_LOCK_LIFE_S, "acquireTime", now, "renewTime",
			 now);
}

static int run_lock_create(struct run_lock *lock, const char *run, struct error *err)
{
	auto_json json_t *lease = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:o}", "apiVersion", "coordination.k8s.io/v1",
		"kind", "Lease", "metadata", "name", CLUSTER_LOCK_NAME, "namespace", "kube-system",
		"labels", CLUSTER_RUN_LABEL, run, "spec", run_lock_spec(lock));

	return kube_client_create(lock->kube, &run_lock_target, lease, NULL, NULL, err);
}

/* Whose it is now, and whether it may be taken. */
static int run_lock_judge(const struct run_lock *lock, const json_t *lease, bool force,
			  struct error *err)
{
	const char *holder = json_path_text(lease, "spec.holderIdentity");
	const char *renewed = json_path_text(lease, "spec.renewTime");
	int64_t life = json_path_int(lease, "spec.leaseDurationSeconds", RUN_LOCK_LIFE_S);
	int64_t renewed_s = 0;
	int64_t left;

	if (!holder || strcmp(holder, lock->holder) == 0)
		return 0;
	if (!renewed || !clock_parse(renewed, &renewed_s))
		renewed_s = 0;
	left = renewed_s + life - clock_wall_s();
	if (left <= 0 || force) {
		log_warning("taking the lock over from '%s', who renewed it last at %s", holder,
			    renewed ? renewed : "an unknown time");
		return 0;
	}
	return error_set(
		err, ERROR_REFUSED,
		"another run holds the cluster: '%s'; wait for it to end, or %lld s after it died",
		holder, (long long)left);
}

static int run_lock_take(struct run_lock *lock, const char *run, bool force, struct error *err)
{
	auto_json json_t *lease = NULL;
	auto_json json_t *patch = NULL;
	struct kube_write_options options = {0};

	if (kube_client_get(lock->kube, &run_lock_target, &lease, err) < 0) {
		if (err->kind != ERROR_NOT_FOUND)
			return -1;
		error_release(err);
		return run_lock_create(lock, run, err);
	}
	if (run_lock_judge(lock, lease, force, err) < 0)
		return -1;
	patch = json_pack("{s:{s:{s:s}}, s:o}", "metadata", "labels", CLUSTER_RUN_LABEL, run,
			  "spec", run_lock_spec(lock));
	options.resource_version = json_path_text(lease, "metadata.resourceVersion");
	return kube_client_patch(lock->kube, &run_lock_target, KUBE_PATCH_MERGE, patch, &options,
				 NULL, err);
}

char *run_lock_holder(const char *folder)
{
	char host[256] = "unknown";

	gethostname(host, sizeof(host) - 1);
	return alloc_format("%s:%s", host, folder);
}

int run_lock_acquire(struct run_lock *lock, struct kube_client *kube, const char *folder,
		     const char *run, bool force, struct error *err)
{
	auto_free char *path = file_join(folder, "lock");
	auto_run_lock struct run_lock fresh = {.kube = kube, .file = -1};

	if (file_lock(path, &fresh.file, err) < 0)
		return -1;
	fresh.holder = run_lock_holder(folder);
	if (run_lock_take(&fresh, run, force, err) < 0) {
		if (err->kind == ERROR_CONFLICT)
			return error_set(
				err, ERROR_REFUSED,
				"another run took the lock at this moment; look with 'status'");
		return error_wrap(err, "cannot lock the cluster");
	}
	fresh.held = true;
	fresh.renewed_ms = clock_monotonic_ms();
	*lock = fresh;
	fresh = (struct run_lock){.file = -1};
	return 0;
}

int run_lock_renew(struct run_lock *lock, struct error *err)
{
	auto_json json_t *lease = NULL;
	auto_json json_t *patch = NULL;
	auto_error struct error problem = {0};
	struct kube_write_options options = {.repeatable = true};
	const char *holder;

	if (!lock->held || clock_monotonic_ms() - lock->renewed_ms < RUN_LOCK_LIFE_S * 1000 / 3)
		return 0;
	if (kube_client_get(lock->kube, &run_lock_target, &lease, &problem) == 0) {
		holder = json_path_text(lease, "spec.holderIdentity");
		if (holder && strcmp(holder, lock->holder) != 0) {
			lock->held = false;
			return error_set(err, ERROR_STOPPED,
					 "'%s' took the lock over; this run stopped where it was",
					 holder);
		}
		patch = json_pack("{s:o}", "spec", run_lock_spec(lock));
		if (kube_client_patch(lock->kube, &run_lock_target, KUBE_PATCH_MERGE, patch,
				      &options, NULL, &problem) == 0) {
			lock->renewed_ms = clock_monotonic_ms();
			return 0;
		}
	}
	if (problem.kind == ERROR_NOT_FOUND) {
		error_release(&problem);
		if (run_lock_create(lock, "", &problem) == 0)
			lock->renewed_ms = clock_monotonic_ms();
	}
	/* API servers restart under our hands; the Lease outlives that. */
	if (problem.message)
		log_debug("cannot renew the lock now: %s", error_text(&problem));
	return 0;
}

void run_lock_release(struct run_lock *lock)
{
	auto_error struct error ignored = {0};

	if (lock->held && kube_client_delete(lock->kube, &run_lock_target, NULL, &ignored) < 0)
		log_debug("the lock expires by itself: %s", error_text(&ignored));
	/* {0} would close stdin: a lock that was never taken has no holder. */
	if (lock->holder && lock->file >= 0)
		close(lock->file);
	else if (!lock->holder && lock->file > 0)
		close(lock->file);
	free(lock->holder);
	*lock = (struct run_lock){.file = -1};
}
