/* SPDX-License-Identifier: MIT */
#ifndef STEP_PULSE_H
#define STEP_PULSE_H

#include "step/limiter.h"
#include "step/step.h"

/*
 * When kube-proxies program what was written. A proxy syncs at most once per minSyncPeriod; the
 * first change after some quiet goes through at once, what follows waits for the next sync
 * (step/limiter.h).
 *
 * The pulse makes use of it: between two syncs of a proxy there is a window; what is written in
 * the window of every node comes with one and the same next sync on each of them. The two legs of
 * a flip are such a thing: proxies never see the Service without an address.
 *
 * Where every node's proxy shows its metrics to the node's agent, they tell when each of them has
 * synced and when it may do so again: the next window is opened as soon as all have programmed the
 * last one, and endpoints of our own are changed only where some proxy could sync at any moment.
 * Elsewhere time decides: quiet, then a change of those endpoints, so that every node syncs now.
 *
 *	auto_step_pulse struct step_pulse pulse = {0};
 *
 *	if (step_pulse_open(context, &pulse, err) < 0 ||
 *	    step_pulse_window(context, &pulse, err) < 0)
 *		…
 *	while (step_pulse_left(&pulse) > 0)
 *		flip the next one
 *	step_pulse_over(&pulse);
 *	step_pulse_close(context, &pulse);
 */
struct step_pulse {
	int64_t period_ms; /* the longest minSyncPeriod; 0: proxies do not wait (IPVS) */
	unsigned touches;
	int64_t touch_gap_ms;
	int64_t quiet_ms; /* after the last write that proxies react to */
	char **nodes;	  /* owned: names of Ready nodes that the pool may reach */
	size_t node_count;
	size_t blind;	/* Ready nodes that it may not */
	unsigned minor; /* the oldest kubelet's (and so, as a rule, kube-proxy's) 1.MINOR */
	char *metrics;	/* owned: metricsBindAddress; NULL: kube-proxy's default */
	uint16_t metrics_port;

	int64_t quiet_since_ms; /* of the clock; the last write of ours */
	int64_t window_ms;	/* of the clock; when the window was opened */
	int64_t end_ms;		/* of the clock; when it ends */
	int64_t over_ms;	/* of the clock; when the last leg in it was over */
	unsigned value;		/* of the touched endpoint */
	char *slice_version;	/* owned */
	bool has_slice;

	struct limiter *proxies; /* owned, one for each of nodes; NULL: time decides */
	double *marks;		 /* owned; syncs that each had: it has to have more */
	int64_t looked_ms;	 /* of the clock; when the last look at them began */
	int64_t reserve_ms;	 /* at the end of a window; grows when it was not enough */
};

/* Reads kube-proxy's ConfigMap and the nodes. Where there is no such ConfigMap, the defaults. */
must_check int step_pulse_open(struct step_context *context, struct step_pulse *pulse,
			       struct error *err);
void step_pulse_release(struct step_pulse *pulse);
#define auto_step_pulse __attribute__((cleanup(step_pulse_release)))

/* Waits for every proxy. On return the window is open. */
must_check int step_pulse_window(struct step_context *context, struct step_pulse *pulse,
				 struct error *err);

/* How long this window surely lasts, with a fifth of the period in reserve; INT64_MAX where there
 * are no windows. */
int64_t step_pulse_left(const struct step_pulse *pulse);

/* To be called when what the window was for is written. */
void step_pulse_over(struct step_pulse *pulse);

/* To be called when proxies have been given something to do: the quiet begins anew. */
void step_pulse_disturbed(struct step_pulse *pulse);

/* Waits until every proxy has programmed what was written before. */
must_check int step_pulse_settle(struct step_context *context, struct step_pulse *pulse,
				 struct error *err);

/* What was written before this moment (of the clock) is programmed by every proxy, as far as the
 * last look at them told; where time decides, as far as time tells. */
int64_t step_pulse_programmed(const struct step_pulse *pulse);

/* Looks at the proxies again, after a moment. */
must_check int step_pulse_wait(struct step_context *context, struct step_pulse *pulse,
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
