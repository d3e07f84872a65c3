/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line in OUT.events whenever a target changes between answered and failed. */
static void note(const struct probe *p, struct target *t, const struct request *r)
{
	char path[512];
	FILE *file;
	int64_t at;

	if (t->events_known && t->last_failed == r->failed)
		return;
	t->events_known = true;
	t->last_failed = r->failed;
	snprintf(path, sizeof(path), "%s.events", p->out);
	file = fopen(path, "ae");
	if (!file)
		return;
	/* An answer counts from when it came, a failure from when it was asked. */
	at = probe_realtime() - probe_monotonic() + (r->failed ? r->start : r->end);
	fprintf(file, "%" PRId64 ".%06" PRId64 " %s %s %s:%d %s %s\n", at / 1000000, at % 1000000,
		p->node, t->name, t->address, t->port, r->failed ? "failed" : "ok", r->reason);
	fclose(file);
}

static FILE *append(const struct probe *p, const char *suffix)
{
	char path[512];

	snprintf(path, sizeof(path), "%s.%s", p->out, suffix);
	return fopen(path, "ae");
}

static void put_failure(const struct probe *p, const struct target *t, int64_t from, int64_t to,
			uint64_t times, const char *reason)
{
	FILE *file = append(p, "failures");

	if (!file)
		return;
	fprintf(file, "%.6f %.6f %" PRIu64 " %s %s %s %s:%d %s\n", (double)from / 1e6,
		(double)to / 1e6, times, p->node, p->from, t->name, t->address, t->port, reason);
	fclose(file);
}

static void put_rest(const struct probe *p, struct target *t)
{
	if (t->rest)
		put_failure(p, t, t->rest_from, t->rest_to, t->rest, "and so on");
	t->rest = 0;
}

/* Each failed request has its line, as long as there are not too many in a row. */
static void note_failure(const struct probe *p, struct target *t, const struct request *r,
			 int64_t realtime)
{
	if (!r->failed) {
		put_rest(p, t);
		t->run = 0;
		if (t->control && r->end - r->start > PROBE_SLOW_MS * 1000)
			put_failure(p, t, realtime + r->start, realtime + r->end, 0, "slow");
		return;
	}
	if (t->run++ < PROBE_RUN) {
		put_failure(p, t, realtime + r->start, realtime + r->end, 1, r->reason);
		return;
	}
	if (!t->rest++)
		t->rest_from = realtime + r->start;
	t->rest_to = realtime + r->start;
}

void probe_late(const struct probe *p, int64_t late)
{
	static const struct target self = {.name = "self", .address = "-"};
	int64_t now = probe_realtime();

	put_failure(p, &self, now - late, now, 0, "late");
}

static void count(const struct probe *p, struct target *t, const struct request *r)
{
	int64_t realtime = probe_realtime() - probe_monotonic(), gap;

	note(p, t, r);
	note_failure(p, t, r, realtime);
	if (!r->failed) {
		if (!t->first_ok)
			t->first_ok = realtime + r->end;
		if (r->end - r->start > t->greatest_latency)
			t->greatest_latency = r->end - r->start;
		t->gap_start = 0;
		return;
	}
	if (t->failed < PROBE_FAILURES) {
		t->failures[t->failed].at = realtime + r->start;
		memcpy(t->failures[t->failed].reason, r->reason, sizeof(r->reason));
	}
	t->failed++;
	if (!t->gap_start) {
		t->gap_start = r->start;
		t->gaps++;
	}
	/* Known to last until the next request is asked, at least. */
	gap = r->start + t->period - t->gap_start;
	if (gap > t->greatest_gap)
		t->greatest_gap = gap;
}

void target_count(struct probe *p, struct target *t)
{
	while (t->counted < t->started) {
		struct request *r = &t->ring[t->counted % PROBE_RING];

		if (!r->ended)
			return;
		count(p, t, r);
		t->counted++;
	}
}

static void put_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		if ((unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f)
			fputc(*text, file);
	}
	fputc('"', file);
}

static void report_target(FILE *file, const struct probe *p, const struct target *t)
{
	static const char *const kinds[] = {"tls", "tcp", "udp", "dns"};
	uint64_t i;

	fprintf(file, "{\"probe\":\"%s\",\"name\":", kinds[t->kind]);
	put_string(file, t->name);
	fprintf(file, ",\"address\":\"%s:%d\",\"node\":", t->address, t->port);
	put_string(file, p->node);
	fprintf(file, ",\"from\":");
	put_string(file, p->from);
	fprintf(file,
		",\"since\":%.6f,\"requests\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"gaps\":%" PRIu64
		",\"greatest_gap_ms\":%.1f,\"greatest_latency_ms\":%.1f"
		",\"greatest_stall_ms\":%.1f,\"first_ok\":%.6f,\"last\":\"%s\",\"failures\":[",
		(double)p->since / 1e6, t->counted, t->failed, t->gaps,
		(double)t->greatest_gap / 1e3, (double)t->greatest_latency / 1e3,
		(double)p->greatest_stall / 1e3, (double)t->first_ok / 1e6,
		!t->counted	 ? "none"
		: t->last_failed ? "failed"
				 : "ok");
	for (i = 0; i < t->failed && i < PROBE_FAILURES; i++) {
		fprintf(file, "%s{\"at\":%.6f,\"reason\":", i ? "," : "",
			(double)t->failures[i].at / 1e6);
		put_string(file, t->failures[i].reason);
		fputc('}', file);
	}
	fprintf(file, "]}\n");
}

static void put_counts(struct probe *p)
{
	FILE *file = append(p, "counts");
	double now = (double)probe_realtime() / 1e6;
	size_t i;

	if (!file)
		return;
	for (i = 0; i < p->n_targets; i++) {
		struct target *t = &p->targets[i];

		put_rest(p, t);
		fprintf(file, "%.3f %s %" PRIu64 " %" PRIu64 "\n", now, t->name, t->counted,
			t->failed);
	}
	fclose(file);
}

void probe_report(struct probe *p)
{
	char beside[512];
	FILE *file;
	size_t i;

	put_counts(p);

	snprintf(beside, sizeof(beside), "%s.tmp", p->out);
	file = fopen(beside, "we");
	if (!file) {
		perror(beside);
		exit(1);
	}
	for (i = 0; i < p->n_targets; i++)
		report_target(file, p, &p->targets[i]);
	if (fclose(file) != 0 || rename(beside, p->out) != 0)
		perror(p->out);
}
