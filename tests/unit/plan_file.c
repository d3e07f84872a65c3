/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "plan/plan.h"
#include "text/json.h"

/* A plan with everything in it. */
static const char whole[] =
	"{\"schemaVersion\":1,\"kind\":\"Plan\",\"run\":\"r-1\",\"mode\":\"repair\","
	"\"createdAt\":\"2026-11-22T23:00:00Z\",\"cluster\":{\"server\":\"https://a:6443\","
	"\"identity\":\"u-1\"},\"regime\":\"bitmap\",\"from\":[\"10.96.0.0/16\"],"
	"\"to\":\"10.17.0.0/"
	"16\",\"map\":[{\"namespace\":\"d\",\"name\":\"a\",\"from\":\"10.96.0.9\","
	"\"to\":\"10.17.0.9\"}],\"digest\":{\"flags of cp1\":\"v1 10.17.0.0/16 \"},"
	"\"digestAfter\":{},\"notes\":[\"a "
	"note\"],\"consents\":[],\"steps\":[{\"id\":\"s01\",\"stage\":\"tourniquet\","
	"\"kind\":\"alias\",\"subject\":\"Service/d/a\",\"why\":\"because\","
	"\"parameters\":{\"namespace\":\"d\"}},{\"id\":\"s02\",\"stage\":\"finalize\","
	"\"kind\":\"alias-delete\",\"subject\":\"Service/d/a\",\"why\":\"\",\"parameters\":{}}]}";

static void round_trip(void)
{
	auto_error struct error err = {0};
	auto_plan struct plan plan = {0};
	auto_json json_t *document = NULL;
	auto_free char *text = NULL;

	TEST("a plan is read and written as the same");
	if (!CHECK_OK(plan_parse(&plan, "repair.plan", slice_of(whole), &err), &err))
		return;
	document = plan_to_json(&plan);
	text = json_dumps(document, JSON_COMPACT);
	CHECK_STR(text, whole);
	CHECK_INT(plan.count, 2);
	CHECK_INT(plan.steps[0].stage, PLAN_STAGE_TOURNIQUET);
	CHECK_INT(plan_count_stage(&plan, PLAN_STAGE_FINALIZE), 1);
	CHECK(plan_find(&plan, "s02") == &plan.steps[1]);
	CHECK(plan_find(&plan, "s03") == NULL);
}

/* Edits of the plan above: the value at a path is set, or removed where there is none. */
static const struct {
	const char *name;
	const char *parent; /* of the member; "" is the document itself */
	const char *member;
	const char *value; /* JSON; NULL: removed */
	const char *error;
} malformed[] = {
	{"no schema", "", "schemaVersion", NULL, "is not a plan that this version reads"},
	{"a newer schema", "", "schemaVersion", "2", "is not a plan that this version reads"},
	{"a schema that is a text", "", "schemaVersion", "\"1\"",
	 "is not a plan that this version"},
	{"another kind of document", "", "kind", "\"List\"",
	 "is not a plan that this version reads"},
	{"no run", "", "run", NULL, "lacks the text 'run'"},
	{"a run that is a path", "", "run", "\"../../etc\"", "the run's id is not one of ours"},
	{"an empty run", "", "run", "\"\"", "the run's id is not one of ours"},
	{"a run that is too long for a label", "", "run",
	 "\"r-0123456789012345678901234567890123456789012345678901234567890123456789\"",
	 "the run's id is not one of ours"},
	{"no mode", "", "mode", NULL, "lacks the text 'mode'"},
	{"another mode", "", "mode", "\"demolish\"", "'demolish'"},
	{"no time", "", "createdAt", NULL, "lacks the text 'createdAt'"},
	{"no cluster", "", "cluster", NULL, "lacks the text 'cluster.server'"},
	{"no identity", "cluster", "identity", NULL, "lacks the text 'cluster.identity'"},
	{"no regime", "", "regime", NULL, "lacks the text 'regime'"},
	{"no target", "", "to", NULL, "lacks the text 'to'"},
	{"a target that is no text", "", "to", "17", "lacks the text 'to'"},
	{"no digest", "", "digest", NULL, "'digest'"},
	{"a digest that is a list", "", "digest", "[]", "'digest'"},
	{"old ranges that are a text", "", "from", "\"10.96.0.0/16\"", "'from'"},
	{"a map that is an object", "", "map", "{}", "'map'"},
	{"notes that are a text", "", "notes", "\"x\"", "'notes'"},
	{"notes that are numbers", "", "notes", "[1]", "'notes' has to be a list of texts"},
	{"old ranges that are objects", "", "from", "[{}]", "'from' has to be a list of texts"},
	{"a consent that is a text", "", "consents", "[\"x\"]", "consent 1 lacks code"},
	{"a consent without subjects", "", "consents", "[{\"code\":\"a\",\"message\":\"b\"}]",
	 "consent 1 lacks code"},
	{"a consent about numbers", "", "consents",
	 "[{\"code\":\"a\",\"message\":\"b\",\"subjects\":[null]}]",
	 "'subjects' has to be a list of texts"},
	{"no steps", "", "steps", NULL, "it has no steps"},
	{"steps that are an object", "", "steps", "{}", "it has no steps"},
	{"a step that is a text", "", "steps", "[\"flip\"]", "step 1 has no parameters"},
	{"a step without parameters", "steps.1", "parameters", NULL, "step 2 has no parameters"},
	{"parameters that are a list", "steps.1", "parameters", "[]", "step 2 has no parameters"},
	{"a step without an id", "steps.0", "id", NULL, "lacks the text 'id'"},
	{"two steps with one id", "steps.1", "id", "\"s01\"", "'s01'"},
	{"a step without a kind", "steps.0", "kind", NULL, "lacks the text 'kind'"},
	{"a step without a subject", "steps.0", "subject", NULL, "lacks the text 'subject'"},
	{"an unknown stage", "steps.0", "stage", "\"amputation\"",
	 "step 's01' names an unknown stage 'amputation'"},
};

static void check_malformed(void)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		auto_json json_t *document = json_loads(whole, 0, NULL);
		json_t *parent =
			*malformed[i].parent ? json_path(document, malformed[i].parent) : document;
		auto_error struct error err = {0};
		auto_plan struct plan plan = {0};
		auto_free char *text = NULL;

		TEST("malformed: %s", malformed[i].name);
		if (malformed[i].value)
			json_object_set_new(parent, malformed[i].member,
					    json_loads(malformed[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(parent, malformed[i].member);
		text = json_dumps(document, 0);
		CHECK_ERROR(plan_parse(&plan, "repair.plan", slice_of(text), &err), &err,
			    ERROR_PARSE, malformed[i].error);
		CHECK(!plan.run && !plan.steps);
	}
}

static void check_no_json(void)
{
	static const char *const texts[] = {
		"", "{", "[]", "null", "{\"schemaVersion\":1", "{} {}", "apiVersion: v1\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		auto_error struct error err = {0};
		auto_plan struct plan plan = {0};

		TEST("no plan: '%s'", texts[i]);
		CHECK_ERROR(plan_parse(&plan, "repair.plan", slice_of(texts[i]), &err), &err,
			    ERROR_PARSE, "repair.plan");
	}
}

static void digests(void)
{
	static const struct {
		const char *planned;
		const char *found;
		const char *want;
		const char *after;
	} rows[] = {
		{"{}", "{}", NULL, NULL},
		{"{\"a\":\"1\"}", "{\"a\":\"1\"}", NULL, NULL},
		{"{\"a\":\"1\"}", "{\"a\":\"2\"}", "a", NULL},
		{"{\"a\":\"1\"}", "{}", "a", NULL},
		{"{}", "{\"a\":\"1\"}", "a", NULL},
		{"{\"a\":\"1\",\"b\":\"2\"}", "{\"b\":\"2\",\"a\":\"1\"}", NULL, NULL},
		{"{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":\"1\",\"b\":\"3\"}", "b", NULL},
		/* what the plan's own steps did is no change under it */
		{"{\"a\":\"1\"}", "{\"a\":\"2\"}", NULL, "{\"a\":\"2\"}"},
		{"{\"a\":\"1\"}", "{\"a\":\"3\"}", "a", "{\"a\":\"2\"}"},
		{"{\"a\":\"1\"}", "{\"a\":\"1\"}", NULL, "{\"a\":\"2\"}"},
		{"{}", "{\"a\":\"2\"}", NULL, "{\"a\":\"2\"}"},
		{"{\"b\":\"1\"}", "{}", "b", "{\"a\":\"2\"}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *planned = json_loads(rows[i].planned, 0, NULL);
		auto_json json_t *found = json_loads(rows[i].found, 0, NULL);
		auto_json json_t *after = rows[i].after ? json_loads(rows[i].after, 0, NULL) : NULL;
		auto_free char *difference = plan_digest_difference(planned, after, found);

		TEST("digests %s and %s", rows[i].planned, rows[i].found);
		CHECK_STR(difference, rows[i].want);
	}
}

int main(void)
{
	round_trip();
	check_malformed();
	check_no_json();
	digests();
	return test_done();
}
