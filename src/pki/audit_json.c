/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "pki/audit.h"

static void set_text(json_t *object, const char *name, const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	/* a path that is not UTF-8 cannot stand in JSON */
	if (text && !value)
		value = json_string("?");
	if (value)
		json_object_set_new(object, name, value);
}

static json_t *problem_to_json(const struct pki_problem *problem)
{
	json_t *json = json_object();

	set_text(json, "code", problem->code);
	set_text(json, "detail", problem->detail);
	set_text(json, "message", problem->message);
	return json;
}

static json_t *owner_to_json(json_t *object, unsigned int mode, unsigned int uid, unsigned int gid)
{
	json_object_set_new(object, "mode", json_integer(mode));
	json_object_set_new(object, "uid", json_integer(uid));
	json_object_set_new(object, "gid", json_integer(gid));
	return object;
}

json_t *pki_record_to_json(const struct pki_record *record)
{
	json_t *json = json_object();
	json_t *problems = json_array();

	set_text(json, "path", record->path);
	set_text(json, "file", record->file);
	set_text(json, "entry", record->entry);
	json_object_set_new(json, "index", json_integer((json_int_t)record->index));
	set_text(json, "role", record->role);
	if (record->has_cert)
		json_object_set_new(json, "certificate", pki_cert_to_json(&record->cert));
	owner_to_json(json, record->mode, record->uid, record->gid);
	if (record->key_path || record->key_known) {
		json_t *key = owner_to_json(json_object(), record->key_mode, record->key_uid,
					    record->key_gid);

		set_text(key, "path", record->key_path);
		json_object_set_new(key, "known", json_boolean(record->key_known));
		json_object_set_new(key, "matches", json_boolean(record->key_matches));
		json_object_set_new(json, "key", key);
	}
	set_text(json, "caPath", record->ca_path);
	json_object_set_new(json, "selfSigned", json_boolean(record->self_signed));
	set_text(json, "server", record->server);
	for (size_t i = 0; i < record->problem_count; i++)
		json_array_append_new(problems, problem_to_json(&record->problems[i]));
	json_object_set_new(json, "problems", problems);
	return json;
}

json_t *pki_audit_to_json(const struct pki_audit *audit)
{
	json_t *json = json_object();
	json_t *records = json_array();

	set_text(json, "root", audit->root ? audit->root : "");
	json_object_set_new(json, "at", json_integer(audit->at_s));
	for (size_t i = 0; i < audit->count; i++)
		json_array_append_new(records, pki_record_to_json(&audit->records[i]));
	json_object_set_new(json, "records", records);
	return json;
}

static char *get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? alloc_text(text) : NULL;
}

static unsigned int get_number(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value < 0 || value > UINT32_MAX ? 0 : (unsigned int)value;
}

static int problems_from_json(const json_t *array, struct pki_record *record, struct error *err)
{
	const json_t *item = NULL;
	size_t i = 0;

	if (!json_is_array(array))
		return error_set(err, ERROR_PARSE, "'problems' is not a list");
	json_array_foreach(array, i, item) {
		struct pki_problem problem = {
			.code = get_text(item, "code"),
			.detail = get_text(item, "detail"),
			.message = get_text(item, "message"),
		};

		ALLOC_GROW(record->problems, record->problem_count, record->problem_capacity);
		record->problems[record->problem_count++] = problem;
		if (!problem.code || !problem.message)
			return error_set(err, ERROR_PARSE, "problem %zu has no code or message", i);
	}
	return 0;
}

static int record_from_json(const json_t *json, struct pki_record *record, struct error *err)
{
	const json_t *cert = json_object_get(json, "certificate");
	const json_t *key = json_object_get(json, "key");

	record->path = get_text(json, "path");
	record->file = get_text(json, "file");
	record->entry = get_text(json, "entry");
	record->index = get_number(json, "index");
	record->role = get_text(json, "role");
	record->mode = get_number(json, "mode");
	record->uid = get_number(json, "uid");
	record->gid = get_number(json, "gid");
	record->key_path = get_text(key, "path");
	record->key_known = json_is_true(json_object_get(key, "known"));
	record->key_matches = json_is_true(json_object_get(key, "matches"));
	record->key_mode = get_number(key, "mode");
	record->key_uid = get_number(key, "uid");
	record->key_gid = get_number(key, "gid");
	record->ca_path = get_text(json, "caPath");
	record->self_signed = json_is_true(json_object_get(json, "selfSigned"));
	record->server = get_text(json, "server");
	if (!record->path || !record->role)
		return error_set(err, ERROR_PARSE, "'path' or 'role' is missing");
	if (cert && pki_cert_from_json(cert, &record->cert, err) < 0)
		return -1;
	record->has_cert = cert != NULL;
	return problems_from_json(json_object_get(json, "problems"), record, err);
}

int pki_audit_from_json(const json_t *json, struct pki_audit *ret, struct error *err)
{
	auto_pki_audit struct pki_audit audit = {0};
	const json_t *records = json_object_get(json, "records");
	const json_t *item = NULL;
	size_t i = 0;

	audit.root = get_text(json, "root");
	audit.at_s = json_integer_value(json_object_get(json, "at"));
	if (!audit.root || !json_is_array(records))
		return error_set(err, ERROR_PARSE,
				 "certificate audit: 'root' or 'records' is missing");
	json_array_foreach(records, i, item) {
		ALLOC_GROW(audit.records, audit.count, audit.capacity);
		audit.records[audit.count++] = (struct pki_record){0};
		if (record_from_json(item, &audit.records[i], err) < 0)
			return error_wrap(err, "certificate audit: record %zu", i);
	}
	*ret = audit;
	audit = (struct pki_audit){0};
	return 0;
}
