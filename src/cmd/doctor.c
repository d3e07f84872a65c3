/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/file.h"
#include "base/limits.h"
#include "cmd/commands.h"
#include "cmd/print.h"
#include "cmd/recorded.h"
#include "doctor/doctor.h"
#include "report/document.h"
#include "report/findings.h"
#include "report/table.h"

struct doctor_settings {
	const char *observation; /* examine a recorded one */
	const char *record;
};

static const struct option options[] = {
	{"record", 0, "FILE", OPTION_TEXT, offsetof(struct doctor_settings, record), NULL,
	 "write what was observed into FILE (JSON, no secrets)"},
	{"observation", 0, "FILE", OPTION_TEXT, offsetof(struct doctor_settings, observation), NULL,
	 "examine what --record wrote, without a cluster"},
	{0},
};

static json_t *cluster_json(const struct cluster *c)
{
	json_t *object = json_object();

	json_object_set_new(object, "context", c->context ? json_string(c->context) : json_null());
	json_object_set_new(object, "server", c->server ? json_string(c->server) : json_null());
	json_object_set_new(object, "uid", c->uid ? json_string(c->uid) : json_null());
	json_object_set_new(object, "version", json_string(c->git_version));
	return object;
}

static json_t *ranges_json(const struct cluster *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->range_count; i++)
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:b}", "source", c->ranges[i].source, "range",
					c->ranges[i].text, "guessed", (int)c->ranges[i].guessed));
	return list;
}

/* doc/findings.md documents it. */
static json_t *result_json(const struct cluster *c, const struct finding_list *findings)
{
	const char *range = NULL;
	json_t *object = json_object();

	json_object_set_new(object, "schemaVersion", json_integer(1));
	json_object_set_new(object, "cluster", cluster_json(c));
	json_object_set_new(object, "regime", json_string(cluster_regime_name(c->regime)));
	json_object_set_new(object, "range",
			    cluster_agreed_range(c, &range) ? json_string(range) : json_null());
	json_object_set_new(object, "ranges", ranges_json(c));
	json_object_set_new(object, "findings", finding_list_json(findings));
	return object;
}

static void print_head(const struct cluster *c, enum table_style style, struct buffer *out)
{
	static const char *const titles[] = {"RANGE", "SOURCE"};
	auto_table struct table table = {.titles = titles, .columns = 2};

	buffer_format(out, "cluster: %s (%s, identity %s)\n",
		      c->context ? c->context : "in-cluster", c->server ? c->server : "unknown",
		      c->uid ? c->uid : "unknown");
	if (style == TABLE_MARKDOWN)
		buffer_char(out, '\n');
	buffer_format(out, "regime:  %s, Kubernetes %s\n\n", cluster_regime_name(c->regime),
		      c->git_version);
	for (size_t i = 0; i < c->range_count; i++) {
		table_cellf(&table, "%s%s", c->ranges[i].text, c->ranges[i].guessed ? " ?" : "");
		table_cell(&table, c->ranges[i].source);
	}
	table_print(&table, style, out);
	buffer_char(out, '\n');
}

static void print_result(const struct session *session, const struct cluster *c,
			 const struct finding_list *findings)
{
	enum session_output output = session->output;
	auto_buffer struct buffer out = {0};
	auto_json json_t *json = NULL;

	switch (output) {
	case SESSION_JSON:
	case SESSION_YAML:
		json = result_json(c, findings);
		if (output == SESSION_JSON)
			document_json(json, &out);
		else
			document_yaml(json, &out);
		break;
	case SESSION_MARKDOWN:
		print_head(c, TABLE_MARKDOWN, &out);
		findings_print(findings, FINDINGS_MARKDOWN, /* colour= */ false, &out);
		break;
	case SESSION_TEXT:
	case SESSION_WIDE:
		print_head(c, TABLE_TEXT, &out);
		findings_print(findings, output == SESSION_WIDE ? FINDINGS_WIDE : FINDINGS_TEXT,
			       session->colour, &out);
		break;
	}
	print_out(session, &out);
}

static int record(const char *path, const struct cluster *c, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_HTTP_BODY};

	document_json(c->document, &text);
	return file_replace(path, buffer_cstr(&text), text.len, 0600, 0, err);
}

static int run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct doctor_settings *settings = input->settings;
	auto_cluster struct cluster *cluster = NULL;
	auto_findings struct finding_list findings = {0};

	if (settings->observation) {
		if (recorded_cluster(settings->observation, &cluster, err) < 0)
			return -1;
	} else if (session_observe(session, &cluster, err) < 0) {
		return -1;
	}
	if (settings->record && record(settings->record, cluster, err) < 0)
		return -1;
	doctor_examine(cluster, &findings);
	print_result(session, cluster, &findings);
	return finding_list_matters(&findings) ? EXIT_FINDINGS : 0;
}

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "recognise a half-done or botched change of the Service range",
	.details = "Looks at the API, and by ssh at every node, and changes nothing. It works\n"
		   "while the cluster is broken: it needs no Pod, no Service address and no\n"
		   "cluster DNS.\n"
		   "\n"
		   "Every finding has a code (doc/findings.md), what was seen and where, and the\n"
		   "next command. Exit status 2 when there are errors or warnings.\n"
		   "\n"
		   "  kubectl renumber doctor\n"
		   "  kubectl renumber doctor --nodes-via local --kubeconfig "
		   "/etc/kubernetes/admin.conf\n"
		   "  kubectl renumber doctor -o json | jq -r '.findings[].code'",
	.options = options,
	.settings_size = sizeof(struct doctor_settings),
	.run = run,
};
