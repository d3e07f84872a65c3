/* SPDX-License-Identifier: MIT */
#include "cmd/plan_text.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "cmd/print.h"
#include "plan/estimate.h"
#include "step/step.h"
#include "text/json.h"

/* Steps of a stage that are shown when it has more than TEXT_STEPS_MOST. */
#define TEXT_STEPS_MOST 24
#define TEXT_STEPS_FIRST 8
#define TEXT_SUBJECTS 5

static void text_step(const struct plan_step *step, bool wide)
{
	const struct step_kind *kind = step_kind_find(step->kind);
	auto_buffer struct buffer line = {0};

	if (!kind)
		return;
	kind->describe(step, &line);
	log_filter(line.ptr ? line.ptr : (char[]){""});
	print_text("    %s  %s\n", step->id, buffer_cstr(&line));
	if (wide && *step->why)
		print_text("         because %s\n", step->why);
}

struct text_rest {
	const char *kind;
	size_t count;
};

#define TEXT_KINDS 64

/* "… 592 more: alias 300, flip 292" */
static void text_rest(const struct text_rest *rest, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += rest[i].count;
	print_text("    …    %zu more:", sum);
	for (size_t i = 0; i < count; i++)
		print_text("%s %s %zu", i ? "," : "", rest[i].kind, rest[i].count);
	print_text(" (-o wide lists them)\n");
}

static void text_stage(const struct plan *plan, enum plan_stage stage, bool wide)
{
	bool fold = !wide && plan_count_stage(plan, stage) > TEXT_STEPS_MOST;
	struct text_rest rest[TEXT_KINDS] = {{0}};
	size_t kinds = 0;
	size_t shown = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_step *step = &plan->steps[i];
		size_t k = 0;

		if (step->stage != stage)
			continue;
		if (!fold || shown < TEXT_STEPS_FIRST) {
			text_step(step, wide);
			shown++;
			continue;
		}
		while (k < kinds && strcmp(rest[k].kind, step->kind) != 0)
			k++;
		if (k == kinds && kinds < TEXT_KINDS)
			rest[kinds++].kind = step->kind;
		if (k < TEXT_KINDS)
			rest[k].count++;
	}
	if (kinds)
		text_rest(rest, kinds);
}

static void text_from(const struct plan *plan)
{
	const json_t *range;
	size_t i;

	json_array_foreach(plan->from, i, range)
		print_text("%s%s", i ? ", " : "", json_string_value(range));
}

static void text_notes(const struct plan *plan)
{
	const json_t *note;
	size_t i;

	json_array_foreach(plan->notes, i, note) {
		auto_free char *text = alloc_text(json_string_value(note));

		log_filter(text);
		print_text("\nnote: %s\n", text);
	}
}

static void text_consents(const struct plan *plan)
{
	const json_t *consent;
	const json_t *subject;
	size_t i;
	size_t k;

	json_array_foreach(plan->consents, i, consent) {
		const json_t *subjects = json_object_get(consent, "subjects");
		auto_free char *message = alloc_text(json_path_text(consent, "message"));

		log_filter(message);
		print_text("\nconsent %s: %s\n", json_path_text(consent, "code"), message);
		json_array_foreach(subjects, k, subject) {
			if (k == TEXT_SUBJECTS)
				break;
			print_text("  %s\n", json_string_value(subject));
		}
		if (json_array_size(subjects) > TEXT_SUBJECTS)
			print_text("  … and %zu more (-o json lists them)\n",
				   json_array_size(subjects) - TEXT_SUBJECTS);
	}
}

static void text_count(struct buffer *out, size_t count, const char *one, const char *many)
{
	if (count)
		buffer_format(out, "%s%zu %s", out->len ? ", " : "", count,
			      count == 1 ? one : many);
}

/* "42 Services move, 3 API servers restart, …" */
static void text_sum(const struct plan *plan)
{
	const struct plan_sum sum = plan_sum(plan);
	auto_buffer struct buffer line = {0};
	long long minutes = (sum.seconds + 30) / 60;

	text_count(&line, sum.services, "Service moves", "Services move");
	text_count(&line, sum.api_servers, "API server restarts", "API servers restart");
	text_count(&line, sum.kubelets, "kubelet restarts", "kubelets restart");
	text_count(&line, sum.workloads, "workload restarts", "workloads restart");
	if (line.len)
		print_text("%s; about %lld min.\n", buffer_cstr(&line), minutes ? minutes : 1);
}

static void text_expect(const struct plan *plan)
{
	const json_t *consent;
	size_t i;

	if (json_array_size(plan->notes))
		print_text("What to expect stands behind the steps (%zu note%s).\n",
			   json_array_size(plan->notes),
			   json_array_size(plan->notes) == 1 ? "" : "s");
	if (json_array_size(plan->consents) == 0) {
		print_text("No consent is needed but the general one.\n\n");
		return;
	}
	print_text("'apply' asks for consents: --accept ");
	json_array_foreach(plan->consents, i, consent)
		print_text("%s%s", i ? "," : "", json_path_text(consent, "code"));
	print_text("\n\n");
}

void plan_text_print(const struct session *session, const struct plan *plan, const char *out)
{
	auto_free char *cluster = session->kube
					  ? session_cluster_line(session)
					  : alloc_format("cluster: %s (recorded, identity %s)",
							 plan->server, plan->cluster_uid);

	print_text("%s\nregime:  %s\nrange:   ", cluster, plan->regime);
	text_from(plan);
	print_text("%s%s\n", json_array_size(plan->from) ? " -> " : "", plan->to);
	if (plan->count == 0) {
		print_text(
			"\nNothing to do: no step is missing on %s. What else may be wrong is said "
			"by:\n  %s doctor\n",
			plan->to, session->program);
		text_notes(plan);
		return;
	}
	print_text("run:     %s\n\n", plan->run);
	if (plan->mode == PLAN_MIGRATE) {
		text_sum(plan);
		text_expect(plan);
	}
	for (int stage = 0; stage < PLAN_STAGE_COUNT; stage++) {
		if (plan_count_stage(plan, (enum plan_stage)stage) == 0)
			continue;
		print_text("  %s: %s\n", plan_stage_name((enum plan_stage)stage),
			   plan_stage_summary((enum plan_stage)stage));
		text_stage(plan, (enum plan_stage)stage, session->output == SESSION_WIDE);
	}
	text_notes(plan);
	text_consents(plan);
	if (out)
		print_text("\nNothing was changed. Carry it out with:\n  %s apply %s\n",
			   session->program, out);
	else
		print_text(
			"\nNothing was changed and nothing written; --out FILE keeps the plan for "
			"'apply'.\n");
}
