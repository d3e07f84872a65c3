/* SPDX-License-Identifier: MIT */
#ifndef STEP_PULSE_H
#define STEP_PULSE_H

#include "step/step.h"

/*
 * When kube-proxies program what was written. A proxy syncs at most once per minSyncPeriod; the
 * first change after some quiet goes through at once, what follows waits for the next sync:
 *
 *	≥ 1.34      at once when idle, then a pause of minSyncPeriod after the sync is complete
 *	            (pkg/util/async/runner.go)
 *	before      a token bucket that holds two: it takes two syncs until the third has to wait
 *	            (bounded_frequency_runner.go)
 *
 * The pulse makes use of it: after some quiet, endpoints of our own change, so that every node
 * syncs now; what is written from then on, in most of a period, comes with one and the same next sync
 * on every node. The two legs of a flip are such a thing: proxies never see the Service without an
 * address.
 *
 *	auto_step_pulse struct step_pulse pulse = {0};
 *
 *	if (step_pulse_open(context, &pulse, err) < 0 ||
 *	    step_pulse_window(context, &pulse, err) < 0)
 *		…
 *	while (step_pulse_left(&pulse) > 0)
 *		flip the next one
 *	step_pulse_close(context, &pulse);
 */
struct step_pulse {
	int64_t period_ms; /* the longest minSyncPeriod; 0: proxies do not wait (IPVS) */
	unsigned touches;
	int64_t touch_gap_ms;
	int64_t quiet_ms; /* after the last write that proxies react to */
	char **nodes;	  /* owned: names of Ready nodes that the pool may reach */
	size_t node_count;
	unsigned minor; /* the oldest kubelet's (and so, as a rule, kube-proxy's) 1.MINOR */

	int64_t quiet_since_ms; /* of the clock; the last write of ours */
	int64_t window_ms;	/* of the clock; when the first touch was; 0: never */
	unsigned value;		/* of the touched endpoint */
	char *slice_version;	/* owned */
	bool has_slice;
};

/* Reads kube-proxy's ConfigMap and the nodes. Where there is no such ConfigMap, the defaults. */
must_check int step_pulse_open(struct step_context *context, struct step_pulse *pulse,
			       struct error *err);
void step_pulse_release(struct step_pulse *pulse);
#define auto_step_pulse __attribute__((cleanup(step_pulse_release)))

/* Waits for quiet and touches. On return the window is open. */
must_check int step_pulse_window(struct step_context *context, struct step_pulse *pulse,
				 struct error *err);

/* How long this window surely lasts, with a fifth of the period in reserve; INT64_MAX where there
 * are no windows. */
int64_t step_pulse_left(const struct step_pulse *pulse);

/* To be called when proxies have been given something to do: the quiet begins anew. */
void step_pulse_disturbed(struct step_pulse *pulse);

/* Waits until every proxy has programmed what was written before. */
must_check int step_pulse_settle(struct step_context *context, struct step_pulse *pulse,
				 struct error *err);

/* Whether somebody who was killed left endpoints of a pulse behind. */
must_check int step_pulse_is_left(struct step_context *context, bool *ret_left, struct error *err);

/* Removes our endpoints; a failure is only worth a warning. */
void step_pulse_close(struct step_context *context, struct step_pulse *pulse);

/* ---- for tests ---- */

/* What a text of kube-proxy's configuration and the age of the proxies make of it. */
must_check int step_pulse_configure(struct step_pulse *pulse, const char *config, unsigned minor,
				    struct error *err);

#endif
