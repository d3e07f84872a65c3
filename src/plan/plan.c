/* SPDX-License-Identifier: MIT */
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/json.h"

#define PLAN_SCHEMA_VERSION 1

struct plan_step *plan_add(struct plan *plan, enum plan_stage stage, const char *kind,
			   const char *subject, json_t *parameters)
{
	struct plan_step *step;

	ALLOC_GROW(plan->steps, plan->count, plan->capacity);
	step = &plan->steps[plan->count++];
	*step = (struct plan_step){
		.id = alloc_format("s%02zu", plan->count),
		.stage = stage,
		.kind = alloc_text(kind),
		.subject = alloc_text(subject),
		.why = alloc_text(""),
		.parameters = parameters ? parameters : json_object(),
	};
	return step;
}

void plan_step_why(struct plan_step *step, const char *fmt, ...)
{
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	free(step->why);
	step->why = buffer_detach(&text);
}

void plan_note(struct plan *plan, const char *fmt, ...)
{
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	if (!plan->notes)
		plan->notes = json_array();
	json_array_append_new(plan->notes, json_string(buffer_cstr(&text)));
}

void plan_consent(struct plan *plan, const char *code, json_t *subjects, const char *fmt, ...)
{
	auto_buffer struct buffer text = {0};
	va_list args;

	va_start(args, fmt);
	buffer_vformat(&text, fmt, args);
	va_end(args);
	if (!plan->consents)
		plan->consents = json_array();
	json_array_append_new(plan->consents, json_pack("{s:s, s:s, s:o}", "code", code, "message",
							buffer_cstr(&text), "subjects", subjects));
}

const json_t *plan_step_item(const struct plan_step *step, size_t i)
{
	const json_t *services = json_object_get(step->parameters, "services");

	if (services)
		return json_array_get(services, i);
	return i == 0 ? step->parameters : NULL;
}

bool plan_step_makes(const struct plan_step *step, const char *kind)
{
	static const char *const many[][2] = {{"alias", "aliases"},
					      {"alias", "alias-swap"},
					      {"flip", "flip-group"},
					      {"alias-trim", "alias-trims"}};

	if (strcmp(step->kind, kind) == 0)
		return true;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		if (strcmp(many[i][0], kind) == 0 && strcmp(many[i][1], step->kind) == 0)
			return true;
	return false;
}

const struct plan_step *plan_find(const struct plan *plan, const char *id)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->steps[i].id, id) == 0)
			return &plan->steps[i];
	return NULL;
}

size_t plan_count_stage(const struct plan *plan, enum plan_stage stage)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		count += plan->steps[i].stage == stage;
	return count;
}

static json_t *plan_step_json(const struct plan_step *s)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:O}", "id", s->id, "stage",
			 plan_stage_name(s->stage), "kind", s->kind, "subject", s->subject, "why",
			 s->why, "parameters", s->parameters);
}

static json_t *plan_or_empty(json_t *value, json_t *empty)
{
	if (!value)
		return empty;
	json_decref(empty);
	return json_incref(value);
}

/* All but the steps. */
static json_t *plan_head_json(const struct plan *plan)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:o, s:s, s:o, s:o, s:o, "
			 "s:o, s:o}",
			 "schemaVersion", PLAN_SCHEMA_VERSION, "kind", "Plan", "run", plan->run,
			 "mode", plan->mode == PLAN_REPAIR ? "repair" : "migrate", "createdAt",
			 plan->created_at, "cluster", "server", plan->server, "identity",
			 plan->cluster_uid, "regime", plan->regime, "from",
			 plan_or_empty(plan->from, json_array()), "to", plan->to, "map",
			 plan_or_empty(plan->map, json_array()), "digest",
			 plan_or_empty(plan->digest, json_object()), "digestAfter",
			 plan_or_empty(plan->digest_after, json_object()), "notes",
			 plan_or_empty(plan->notes, json_array()), "consents",
			 plan_or_empty(plan->consents, json_array()));
}

json_t *plan_to_json(const struct plan *plan)
{
	json_t *document = plan_head_json(plan);
	json_t *steps = json_array();

	for (size_t i = 0; i < plan->count; i++)
		json_array_append_new(steps, plan_step_json(&plan->steps[i]));
	json_object_set_new(document, "steps", steps);
	return document;
}

static int plan_text_piece(const char *text, size_t len, void *data)
{
	buffer_append(data, text, len);
	return 0;
}

void plan_to_text(const struct plan *plan, struct buffer *out)
{
	auto_json json_t *head = plan_head_json(plan);
	auto_free char *text = json_dumps(head, JSON_INDENT(1));

	/* the brace that ends the object comes behind the steps */
	buffer_append(out, text, strlen(text) - strlen("\n}"));
	buffer_text(out, ",\n \"steps\": [");
	for (size_t i = 0; i < plan->count; i++) {
		auto_json json_t *step = plan_step_json(&plan->steps[i]);

		buffer_text(out, i ? ",\n  " : "\n  ");
		json_dump_callback(step, plan_text_piece, out, 0);
	}
	buffer_text(out, "\n ]\n}\n");
}

static int plan_take_text(const json_t *object, const char *path, const char *file, char **ret,
			  struct error *err)
{
	const char *text = json_path_text(object, path);

	if (!text)
		return error_set(
			err, ERROR_PARSE,
			"'%s' is not a plan: it lacks the text '%s'; make it with 'plan --out'",
			file, path);
	*ret = alloc_text(text);
	return 0;
}

/* The member as a new reference. */
static int plan_take_part(const json_t *object, const char *name, json_type type, const char *file,
			  json_t **ret, struct error *err)
{
	json_t *part = json_object_get(object, name);

	if (!part || json_typeof(part) != type)
		return error_set(err, ERROR_PARSE, "'%s' is not a plan: '%s' has to be %s", file,
				 name, type == JSON_ARRAY ? "a list" : "an object");
	*ret = json_incref(part);
	return 0;
}

/* A list of texts, as everything that reads it takes for granted. */
static int plan_check_texts(const json_t *list, const char *name, const char *file,
			    struct error *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			return error_set(err, ERROR_PARSE,
					 "'%s' is not a plan: '%s' has to be a list of texts", file,
					 name);
	}
	return 0;
}

static int plan_check_consents(const json_t *consents, const char *file, struct error *err)
{
	const json_t *consent;
	size_t i;

	json_array_foreach(consents, i, consent) {
		const json_t *subjects = json_object_get(consent, "subjects");

		if (!json_path_text(consent, "code") || !json_path_text(consent, "message") ||
		    !json_is_array(subjects))
			return error_set(err, ERROR_PARSE,
					 "'%s' is not a plan: consent %zu lacks code, message or "
					 "subjects",
					 file, i + 1);
		if (plan_check_texts(subjects, "subjects", file, err) < 0)
			return -1;
	}
	return 0;
}

/* A run's id becomes a label value and a folder's name. */
static bool plan_run_is_safe(const char *run)
{
	return *run && strlen(run) <= 63 &&
	       strspn(run, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(run);
}

static bool plan_id_is_ours(const char *id, size_t index)
{
	char ours[32];

	snprintf(ours, sizeof(ours), "s%02zu", index + 1);
	return strcmp(id, ours) == 0;
}

static int plan_parse_step(struct plan *plan, const json_t *object, const char *file,
			   struct error *err)
{
	json_t *parameters = json_path(object, "parameters");
	struct plan_step *step =
		plan_add(plan, PLAN_STAGE_PREFLIGHT, "", "", json_incref(parameters));
	auto_free char *stage = NULL;
	struct plan_step found = {0};

	if (!json_is_object(parameters))
		return error_set(err, ERROR_PARSE, "'%s': step %zu has no parameters", file,
				 plan->count);
	free(step->id);
	free(step->kind);
	free(step->subject);
	free(step->why);
	step->id = step->kind = step->subject = step->why = NULL;
	if (plan_take_text(object, "id", file, &step->id, err) < 0 ||
	    plan_take_text(object, "kind", file, &step->kind, err) < 0 ||
	    plan_take_text(object, "subject", file, &step->subject, err) < 0 ||
	    plan_take_text(object, "why", file, &step->why, err) < 0 ||
	    plan_take_text(object, "stage", file, &stage, err) < 0)
		return -1;
	if (!plan_stage_parse(stage, &found.stage))
		return error_set(err, ERROR_PARSE, "'%s': step '%s' names an unknown stage '%s'",
				 file, step->id, stage);
	step->stage = found.stage;
	/* the journal knows a step by its id; those that plan_add() gave are different ones */
	if (!plan_id_is_ours(step->id, plan->count - 1))
		plan->foreign_ids = true;
	if (plan->foreign_ids && plan_find(plan, step->id) != step)
		return error_set(err, ERROR_PARSE, "'%s': two steps have the id '%s'", file,
				 step->id);
	return 0;
}

static int plan_parse_header(struct plan *plan, const json_t *object, const char *file,
			     struct error *err)
{
	auto_free char *mode = NULL;

	if (json_path_int(object, "schemaVersion", 0) != PLAN_SCHEMA_VERSION ||
	    !json_path_is(object, "kind", "Plan"))
		return error_set(err, ERROR_PARSE,
				 "'%s' is not a plan that this version reads (schemaVersion %d); "
				 "make it anew",
				 file, PLAN_SCHEMA_VERSION);
	if (plan_take_text(object, "run", file, &plan->run, err) < 0 ||
	    plan_take_text(object, "mode", file, &mode, err) < 0 ||
	    plan_take_text(object, "createdAt", file, &plan->created_at, err) < 0 ||
	    plan_take_text(object, "cluster.server", file, &plan->server, err) < 0 ||
	    plan_take_text(object, "cluster.identity", file, &plan->cluster_uid, err) < 0 ||
	    plan_take_text(object, "regime", file, &plan->regime, err) < 0 ||
	    plan_take_text(object, "to", file, &plan->to, err) < 0)
		return -1;
	if (!plan_run_is_safe(plan->run))
		return error_set(err, ERROR_PARSE, "'%s': the run's id is not one of ours", file);
	if (strcmp(mode, "repair") != 0 && strcmp(mode, "migrate") != 0)
		return error_set(err, ERROR_PARSE, "'%s': there is no mode '%s'", file, mode);
	plan->mode = strcmp(mode, "repair") == 0 ? PLAN_REPAIR : PLAN_MIGRATE;
	if (plan_take_part(object, "from", JSON_ARRAY, file, &plan->from, err) < 0 ||
	    plan_take_part(object, "map", JSON_ARRAY, file, &plan->map, err) < 0 ||
	    plan_take_part(object, "digest", JSON_OBJECT, file, &plan->digest, err) < 0)
		return -1;
	if (plan_take_part(object, "notes", JSON_ARRAY, file, &plan->notes, err) < 0 ||
	    plan_check_texts(plan->from, "from", file, err) < 0 ||
	    plan_check_texts(plan->notes, "notes", file, err) < 0)
		return -1;
	/* plans of earlier versions have neither */
	if (json_object_get(object, "consents") &&
	    (plan_take_part(object, "consents", JSON_ARRAY, file, &plan->consents, err) < 0 ||
	     plan_check_consents(plan->consents, file, err) < 0))
		return -1;
	if (!json_object_get(object, "digestAfter"))
		return 0;
	return plan_take_part(object, "digestAfter", JSON_OBJECT, file, &plan->digest_after, err);
}

int plan_parse(struct plan *ret, const char *file, struct slice text, struct error *err)
{
	auto_json json_t *object = json_parse(text, file, err);
	auto_plan struct plan plan = {0};
	const json_t *steps = json_path(object, "steps");
	const json_t *step;
	size_t i;

	if (!object || plan_parse_header(&plan, object, file, err) < 0)
		return -1;
	if (!json_is_array(steps))
		return error_set(err, ERROR_PARSE, "'%s' is not a plan: it has no steps", file);
	json_array_foreach(steps, i, step) {
		if (plan_parse_step(&plan, step, file, err) < 0)
			return -1;
	}
	*ret = plan;
	plan = (struct plan){0};
	return 0;
}

/* Every member of `a` has in `b` the same value, or what `also` says. */
static const char *plan_digest_missing(const json_t *a, const json_t *b, const json_t *also)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)a, name, value) {
		const json_t *other = json_object_get(b, name);
		const json_t *after = json_object_get(also, name);

		if (!json_equal(value, other) && !(after && json_equal(after, other)))
			return name;
	}
	return NULL;
}

char *plan_digest_difference(const json_t *planned, const json_t *after, const json_t *found)
{
	const char *name = plan_digest_missing(planned, found, after);
	const char *key;
	json_t *value;

	if (name)
		return alloc_text(name);
	json_object_foreach((json_t *)(uintptr_t)found, key, value) {
		if (!json_object_get(planned, key) &&
		    !json_equal(value, json_object_get(after, key)))
			return alloc_text(key);
	}
	return NULL;
}

void plan_clear(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->steps[i].id);
		free(plan->steps[i].kind);
		free(plan->steps[i].subject);
		free(plan->steps[i].why);
		json_decref(plan->steps[i].parameters);
	}
	plan->count = 0;
}

void plan_release(struct plan *plan)
{
	plan_clear(plan);
	free(plan->steps);
	free(plan->run);
	free(plan->created_at);
	free(plan->server);
	free(plan->cluster_uid);
	free(plan->regime);
	free(plan->to);
	json_decref(plan->from);
	json_decref(plan->map);
	json_decref(plan->digest);
	json_decref(plan->digest_after);
	json_decref(plan->notes);
	json_decref(plan->consents);
	*plan = (struct plan){0};
}
