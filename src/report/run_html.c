/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "report/html.h"
#include "report/run_report.h"
#include "text/json.h"
#include "version.h"

/* Rows of tables that a person would still read; JSON has all. */
#define HTML_FAILURES 1000
#define HTML_MOVES 2000
#define HTML_USERS 30

static const char html_style[] =
	":root{color-scheme:light dark;--fg:#1b1f24;--soft:#59636e;--bg:#fff;--line:#d1d9e0;"
	"--panel:#f6f8fa;--ok:#2f8f57;--bad:#c62f2f;--warn:#b7791f;--band:#eef2f6;--odd:#e2e8ee}"
	"@media (prefers-color-scheme:dark){:root{--fg:#e6edf3;--soft:#9198a1;--bg:#0f1318;"
	"--line:#30363d;--panel:#171c23;--ok:#3fae6d;--bad:#ff6b63;--warn:#e0a63c;--band:#1a2029;"
	"--odd:#212936}}"
	"*{box-sizing:border-box}"
	"body{margin:0 auto;padding:1.5rem 1.25rem 3rem;max-width:70rem;color:var(--fg);"
	"background:var(--bg);font:15px/1.5 system-ui,sans-serif}"
	"h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}"
	"h2{font-size:1.1rem;margin:2rem 0 .6rem}"
	"p{margin:.4rem 0}.soft{color:var(--soft)}"
	".verdict{display:inline-block;padding:.15rem .6rem;border-radius:.4rem;font-weight:600;"
	"border:1.5px solid currentColor}"
	".good{color:var(--ok)}.bad{color:var(--bad)}.warn{color:var(--warn)}"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0}"
	"dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
	".wide{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem;"
	"background:var(--panel);padding:.75rem}"
	"table{border-collapse:collapse;width:100%;min-width:44rem;font-size:.86rem}"
	"th,td{text-align:left;padding:.28rem .6rem .28rem 0;border-bottom:1px solid var(--line);"
	"vertical-align:top}"
	"th{color:var(--soft);font-weight:600;white-space:nowrap}tr:last-child td{border-bottom:0}"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"td.t{white-space:nowrap;font-variant-numeric:tabular-nums}"
	"svg{display:block;width:100%;min-width:46rem;height:auto;font:11px system-ui,sans-serif}"
	"svg text{fill:var(--fg)}svg .address,svg .time,svg .stage{fill:var(--soft)}"
	"svg .address,svg .count{text-anchor:end}svg .time{text-anchor:middle;font-size:9.5px}"
	"svg .stage{font-size:10px}svg .group{font-weight:600}svg .bad{fill:var(--bad);"
	"font-weight:600}"
	"svg .band{fill:var(--band)}svg .odd{fill:var(--odd)}svg .ok{fill:var(--ok)}"
	"svg .failed{fill:var(--bad)}svg .explained{fill:var(--warn)}"
	"svg .tick{stroke:var(--line);stroke-width:.6}"
	"svg .cut{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}"
	".key{display:inline-block;width:.8em;height:.8em;border-radius:.15em;margin:0 .3em 0 .9em}"
	".key.ok{background:var(--ok)}.key.failed{background:var(--bad)}"
	".key.explained{background:var(--warn)}"
	"@media print{:root{color-scheme:light;--fg:#000;--soft:#444;--bg:#fff;--line:#bbb;"
	"--panel:#fff;--ok:#2f8f57;--bad:#c62f2f;--warn:#b7791f;--band:#f2f2f2;--odd:#e6e6e6}"
	"body{padding:0;max-width:none;font-size:10pt}.wide{border:0;padding:0;overflow:visible}"
	"svg,table{min-width:0}h2{break-after:avoid}tr,svg{break-inside:avoid}"
	"*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

static void html_fact(struct buffer *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buffer_format(out, "<dt>%s</dt><dd>", name);
	html_text(out, value);
	buffer_text(out, "</dd>\n");
}

/* "2026-11-23 02:31:05 UTC" */
static char *html_when(int64_t wall_s)
{
	auto_free char *text = clock_format(wall_s);

	return alloc_format("%.10s %.8s UTC", text, text + 11);
}

static void html_head(const struct run_report *r, struct buffer *out)
{
	auto_free char *from = run_report_from(r);

	buffer_text(out,
		    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
		    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		    "style-src 'unsafe-inline'\">\n<title>");
	html_format(out, "Run %s: Services from %s to %s", r->run.id, from, r->run.to);
	buffer_format(out, "</title>\n<style>%s</style>\n</head>\n<body>\n", html_style);
	buffer_text(out, "<h1>");
	html_format(out, "%s of Services from %s to %s",
		    r->plan.mode == PLAN_REPAIR ? "Repair" : "Move", from, r->run.to);
	buffer_text(out, "</h1>\n");
}

static void html_summary(const struct run_report *r, struct buffer *out)
{
	auto_free char *result = run_report_result(r);
	auto_free char *availability = run_report_availability(r);
	auto_free char *begun = html_when(r->run.started_s);
	auto_free char *ended = r->run.ended_s ? html_when(r->run.ended_s) : NULL;
	auto_free char *took = clock_duration((r->ended_s - r->run.started_s) * 1000);
	auto_free char *moved = alloc_format("%zu", json_array_size(r->plan.map));
	const char *mood = journal_run_is_open(&r->run) ? "warn" : "good";

	buffer_format(out, "<p><span class=\"verdict %s\">", mood);
	html_text(out, result);
	buffer_format(out, "</span></p>\n<p class=\"%s\">", r->failed ? "bad" : "");
	html_text(out, availability);
	buffer_text(out, "</p>\n<dl>\n");
	html_fact(out, "Cluster", r->plan.server);
	html_fact(out, "Context", json_path_text(r->operator_, "context"));
	html_fact(out, "Identity", r->plan.cluster_uid);
	html_fact(out, "Run", r->run.id);
	html_fact(out, "Regime", r->plan.regime);
	html_fact(out, "Services moved", moved);
	html_fact(out, "Carried out on", json_path_text(r->operator_, "host"));
	html_fact(out, "By", json_path_text(r->operator_, "user"));
	html_fact(out, "Program", json_path_text(r->operator_, "version"));
	html_fact(out, "Begun", begun);
	html_fact(out, "Ended", ended);
	html_fact(out, ended ? "Took" : "So far", took);
	buffer_text(out, "</dl>\n");
}

static void html_availability(const struct run_report *r, struct buffer *out)
{
	if (!r->history.sample_count)
		return;
	buffer_text(out, "<h2>Availability of old and new addresses</h2>\n<div class=\"wide\">\n");
	run_report_timeline(r, out);
	buffer_text(
		out,
		"</div>\n<p class=\"soft\">Times are UTC.<span class=\"key ok\"></span>asked, and "
		"answered<span class=\"key failed\"></span>a request failed<span class=\"key "
		"explained\"></span>failed while the step in hand restarted what answers (the only "
		"API server, or a Service's Pods). A "
		"request has failed when no valid answer came within 500 ms; none is tried "
		"twice. Old addresses are asked until the drain begins, new ones from their flip "
		"on, by every node.</p>\n");
	buffer_text(
		out,
		"<h2>Requests by address</h2>\n<div class=\"wide\"><table>\n<tr><th>Address"
		"</th><th>Service</th><th>Role</th><th class=\"n\">Answered</th>"
		"<th class=\"n\">Failed</th><th class=\"n\">Explained</th><th class=\"n\">"
		"Longest gap</th><th class=\"n\">Mean</th><th class=\"n\">Greatest</th></tr>\n");
	for (size_t i = 0; i < r->history.target_count; i++) {
		const struct run_report_target *t = &r->targets[i];

		buffer_text(out, "<tr><td class=\"t\">");
		html_format(out, "%s:%lld (%s)", t->target->address, (long long)t->target->port,
			    t->target->kind);
		buffer_text(out, "</td><td>");
		html_text(out, t->target->service);
		buffer_format(out,
			      "</td><td class=\"t\">%s</td><td class=\"n\">%lld</td>"
			      "<td class=\"n%s\">%lld</td><td class=\"n\">%lld</td>"
			      "<td class=\"n\">%lld ms</td><td class=\"n\">%lld ms</td>"
			      "<td class=\"n\">%lld ms</td></tr>\n",
			      probe_role_name(t->target->role), (long long)t->ok,
			      t->failed ? " bad" : "", (long long)t->failed,
			      (long long)t->explained, (long long)t->gap_ms, (long long)t->mean_ms,
			      (long long)t->max_ms);
	}
	buffer_text(out, "</table></div>\n");
}

static void html_failures(const struct run_report *r, struct buffer *out)
{
	size_t count = r->history.failure_count;

	if (!count)
		return;
	buffer_text(out,
		    "<h2>Failed requests, one by one</h2>\n<div class=\"wide\"><table>\n"
		    "<tr><th>Time (UTC)</th><th>Address</th><th>Node</th><th class=\"n\">Took</th>"
		    "<th>Why</th><th>Step in hand</th></tr>\n");
	for (size_t i = 0; i < count && i < HTML_FAILURES; i++) {
		const struct journal_failure *f = &r->history.failures[i];
		const struct run_report_step *step = run_report_step(r, f->step);
		auto_free char *at = clock_format(f->at_ms / 1000);

		buffer_format(out, "<tr><td class=\"t\">%.8s.%03d</td><td>", at + 11,
			      (int)(f->at_ms % 1000));
		html_text(out, f->target);
		buffer_text(out, "</td><td>");
		html_text(out, f->node);
		buffer_format(out, "</td><td class=\"n\">%lld ms</td><td>", (long long)f->took_ms);
		html_text(out, f->why);
		buffer_text(out, "</td><td>");
		html_format(out, "%s %s%s", f->step, step ? step->text : "",
			    f->explained ? " (explains it)" : "");
		buffer_text(out, "</td></tr>\n");
	}
	buffer_text(out, "</table></div>\n");
	if (count > HTML_FAILURES)
		buffer_format(out, "<p class=\"soft\">%zu more are in the JSON report.</p>\n",
			      count - HTML_FAILURES);
}

static void html_evidence_row(const json_t *address, struct buffer *out)
{
	const char *service = json_path_text(address, "service");
	const char *text = json_path_text(address, "address");
	const json_t *user;
	size_t i;

	buffer_text(out, "<tr><td class=\"t\">");
	html_text(out, text ? text : "");
	buffer_text(out, "</td><td>");
	html_text(out, service ? service : "");
	buffer_text(out, "</td><td>");
	json_array_foreach(json_path(address, "users"), i, user) {
		const char *who = json_path_text(user, "who");
		const char *how = json_path_text(user, "how");
		const char *what = json_path_text(user, "what");

		if (i == HTML_USERS) {
			buffer_format(out, ", and %zu more", json_path_count(address, "users") - i);
			break;
		}
		html_format(out, "%s%s (%s%s%s)", i ? ", " : "", who ? who : "", how ? how : "",
			    what && *what ? " " : "", what ? what : "");
	}
	if (!json_path_count(address, "users"))
		buffer_text(out, "nobody was seen");
	buffer_text(out, "</td></tr>\n");
}

/* What the first look of the drain saw. */
static void html_evidence(const struct run_report *r, struct buffer *out)
{
	const json_t *address;
	size_t i;

	if (!json_path_count(r->evidence, "addresses"))
		return;
	buffer_format(
		out,
		"<h2>Who used old addresses in the drain</h2>\n<p>%lld containers had started "
		"after default/kubernetes moved, %lld before; %lld Pods asked the new DNS "
		"address, %lld the old one. Connections were watched for %lld s.</p>\n"
		"<div class=\"wide\"><table>\n<tr><th>Address</th><th>Service</th><th>Users</th>"
		"</tr>\n",
		(long long)json_path_int(r->evidence, "containersAfter", 0),
		(long long)json_path_int(r->evidence, "containersBefore", 0),
		(long long)json_path_int(r->evidence, "podsNewDNS", 0),
		(long long)json_path_int(r->evidence, "podsOldDNS", 0),
		(long long)json_path_int(r->evidence, "windowMs", 0) / 1000);
	json_array_foreach(json_path(r->evidence, "addresses"), i, address) {
		if (i == HTML_MOVES)
			break;
		html_evidence_row(address, out);
	}
	buffer_text(out, "</table></div>\n");
}

static void html_step_row(const struct run_report_step *s, struct buffer *out)
{
	auto_free char *begun = s->begun_s ? html_when(s->begun_s) : NULL;
	auto_free char *took =
		s->begun_s && s->ended_s ? clock_duration((s->ended_s - s->begun_s) * 1000) : NULL;
	bool bad = s->state == JOURNAL_FAILED;

	buffer_text(out, "<tr><td class=\"t\">");
	html_text(out, s->step->id);
	buffer_text(out, "</td><td>");
	html_text(out, s->text);
	if (bad) {
		buffer_text(out, "<br><span class=\"bad\">");
		html_text(out, s->detail);
		buffer_text(out, "</span>");
	}
	buffer_format(out,
		      "</td><td class=\"t%s\">%s</td><td class=\"t\">%s</td>"
		      "<td class=\"n\">%s</td></tr>\n",
		      bad ? " bad" : "", journal_state_name(s->state), begun ? begun : "",
		      took ? took : "");
}

static void html_steps(const struct run_report *r, struct buffer *out)
{
	buffer_text(out, "<h2>Stages and steps</h2>\n<div class=\"wide\"><table>\n");
	for (size_t i = 0; i < r->plan.count; i++) {
		const struct plan_step *step = r->steps[i].step;

		if (i == 0 || r->steps[i - 1].step->stage != step->stage)
			buffer_format(
				out,
				"<tr><th colspan=\"2\">%s: %s</th><th>State</th><th>Begun</th>"
				"<th class=\"n\">Took</th></tr>\n",
				plan_stage_name(step->stage), plan_stage_summary(step->stage));
		html_step_row(&r->steps[i], out);
	}
	buffer_text(out, "</table></div>\n");
}

static void html_remains(const struct run_report *r, struct buffer *out)
{
	const json_t *note;
	size_t i;

	if (r->run.state == JOURNAL_RUN_OPEN) {
		buffer_format(out, "<h2>What remains</h2>\n<p>%zu of %zu steps. ",
			      r->plan.count - r->done, r->plan.count);
		buffer_text(out, r->plan.count - r->done >
						 plan_count_stage(&r->plan, PLAN_STAGE_FINALIZE)
					 ? "<code>kubectl renumber resume</code> goes on.</p>\n"
					 : "The old addresses keep answering until <code>kubectl "
					   "renumber finalize</code>.</p>\n");
	}
	if (!json_array_size(r->plan.notes))
		return;
	buffer_text(out, "<h2>Notes of the plan</h2>\n<ul>\n");
	json_array_foreach(r->plan.notes, i, note) {
		buffer_text(out, "<li>");
		html_text(out, json_string_value(note) ? json_string_value(note) : "");
		buffer_text(out, "</li>\n");
	}
	buffer_text(out, "</ul>\n");
}

static void html_moves(const struct run_report *r, struct buffer *out)
{
	const json_t *move;
	size_t i;

	if (!json_array_size(r->plan.map))
		return;
	buffer_text(out, "<h2>Services that move</h2>\n<div class=\"wide\"><table>\n"
			 "<tr><th>Service</th><th>From</th><th>To</th></tr>\n");
	json_array_foreach(r->plan.map, i, move) {
		const char *space = json_path_text(move, "namespace");
		const char *name = json_path_text(move, "name");
		const char *from = json_path_text(move, "from");
		const char *to = json_path_text(move, "to");

		if (i == HTML_MOVES)
			break;
		buffer_text(out, "<tr><td>");
		html_format(out, "%s/%s", space ? space : "", name ? name : "");
		buffer_text(out, "</td><td class=\"t\">");
		html_text(out, from ? from : "");
		buffer_text(out, "</td><td class=\"t\">");
		html_text(out, to ? to : "");
		buffer_text(out, "</td></tr>\n");
	}
	buffer_text(out, "</table></div>\n");
}

void run_report_html(const struct run_report *report, struct buffer *out)
{
	html_head(report, out);
	html_summary(report, out);
	html_availability(report, out);
	html_failures(report, out);
	html_evidence(report, out);
	html_remains(report, out);
	html_steps(report, out);
	html_moves(report, out);
	buffer_text(out, "<p class=\"soft\">Made by kubectl-renumber " KUBECTL_RENUMBER_VERSION
			 " from the journal of the run.</p>\n</body>\n</html>\n");
}
