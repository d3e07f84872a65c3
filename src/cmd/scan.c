/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/print.h"
#include "report/document.h"
#include "report/table.h"
#include "scan/cluster.h"
#include "scan/files.h"

struct scan_settings {
	const char *cidr;
};

static const struct option options[] = {
	{"cidr", 0, "OLD", OPTION_TEXT, offsetof(struct scan_settings, cidr), NULL,
	 "the old range, or two for dual stack (with PATH it has to be given)"},
	{0},
};

#define CODE_GAP "KR910"

static const char *severity_of(const struct scan_hit *hit)
{
	return hit->rule->class == SCAN_MUST_CHANGE ? "warning" : "info";
}

/* ---- for programs ---- */

/* Names and lines of files may hold bytes that are no UTF-8, which JSON cannot hold. */
static json_t *json_text(const char *text)
{
	json_t *value = json_string(text ? text : "");
	auto_free char *ascii = NULL;

	if (value)
		return value;
	ascii = alloc_text(text);
	for (char *p = ascii; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(ascii);
}

static json_t *hit_json(const struct scan_hit *hit)
{
	auto_free char *message = scan_hit_message(hit);
	json_t *object = json_object();

	json_object_set_new(object, "code", json_string(hit->rule->code));
	json_object_set_new(object, "severity", json_string(severity_of(hit)));
	json_object_set_new(object, "subject", json_text(hit->subject));
	json_object_set_new(object, "message", json_text(message));
	json_object_set_new(object, "remedy", json_string(hit->rule->remedy));
	json_object_set_new(object, "evidence", json_text(hit->evidence));
	json_object_set_new(object, "location", json_text(hit->location));
	json_object_set_new(object, "match", json_text(hit->match));
	json_object_set_new(object, "class", json_string(scan_class_name(hit->rule->class)));
	json_object_set_new(object, "object", hit->object ? json_text(hit->object) : json_null());
	json_object_set_new(object, "field", hit->field ? json_text(hit->field) : json_null());
	return object;
}

static json_t *gap_json(const struct scan_gap *gap)
{
	auto_free char *message = alloc_format("could not be looked at: %s", gap->reason);

	return json_pack("{s:s,s:s,s:o,s:o,s:s,s:s,s:o,s:s,s:n}", "code", CODE_GAP, "severity",
			 "warning", "subject", json_text(gap->subject), "message",
			 json_text(message), "remedy", "make it readable and scan it again",
			 "evidence", "", "location", json_text(gap->subject), "match", "", "class");
}

/* doc/findings.md documents it. */
static json_t *result_json(const struct session *session, const struct scan_result *r,
			   const char *cidr)
{
	json_t *object = json_object(), *counts = json_object(), *findings = json_array();

	for (enum scan_class c = SCAN_MOVED; c <= SCAN_HARMLESS; c++)
		json_object_set_new(counts, scan_class_name(c),
				    json_integer((json_int_t)scan_result_count(r, c)));
	for (size_t i = 0; i < r->gap_count; i++)
		json_array_append_new(findings, gap_json(&r->gaps[i]));
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(findings, hit_json(&r->hits[i]));
	json_object_set_new(object, "schemaVersion", json_integer(1));
	if (session->kube)
		json_object_set_new(object, "cluster",
				    json_pack("{s:s?,s:s,s:s?}", "context", session->config.context,
					      "server", kube_client_server(session->kube), "uid",
					      session->cluster_uid));
	json_object_set_new(object, "cidr", json_string(cidr));
	json_object_set_new(object, "sources", json_integer((json_int_t)r->sources));
	json_object_set_new(object, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(object, "counts", counts);
	json_object_set_new(object, "findings", findings);
	return object;
}

/* ---- for people ---- */

static void print_hits(const struct scan_result *r, enum session_output output, struct buffer *out)
{
	static const char *const titles[] = {"LOCATION", "CLASS", "CODE", "MATCH", "IN", "TEXT"};
	bool wide = output == SESSION_WIDE;
	auto_table struct table t = {.titles = titles, .columns = wide ? 6 : 5};

	for (size_t i = 0; i < r->count; i++) {
		const struct scan_hit *hit = &r->hits[i];

		/* an object of the API stands for itself */
		bool live = hit->field && strcmp(hit->location, hit->field) == 0;

		table_cell(&t, live ? hit->subject : hit->location);
		table_cell(&t, scan_class_name(hit->rule->class));
		table_cell(&t, hit->rule->code);
		table_cell(&t, hit->match);
		if (live)
			table_cell(&t, hit->field);
		else if (hit->object || hit->field)
			table_cellf(&t, "%s%s%s", hit->object ? hit->object : "",
				    hit->object && hit->field ? " " : "",
				    hit->field ? hit->field : "");
		else
			table_cell(&t, wide ? "" : hit->evidence);
		if (wide)
			table_cell(&t, hit->evidence);
	}
	if (r->count > 0)
		table_print(&t, output == SESSION_MARKDOWN ? TABLE_MARKDOWN : TABLE_TEXT, out);
}

/* Each rule that was used, once: why, and what to do. */
static void print_rules(const struct scan_result *r, struct buffer *out)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct scan_rule *rule = r->hits[i].rule;
		size_t count = 0;
		bool said = false;

		for (size_t j = 0; j < i && !said; j++)
			said = r->hits[j].rule == rule;
		if (said || !*rule->remedy)
			continue;
		for (size_t j = i; j < r->count; j++)
			count += r->hits[j].rule == rule;
		buffer_format(out, "\n%s (%zu) %s\n      %s\n", rule->code, count, rule->reason,
			      rule->remedy);
	}
}

static void print_people(const struct session *session, const struct scan_result *r,
			 const char *cidr, struct buffer *out)
{
	if (session->kube) {
		auto_free char *cluster = session_cluster_line(session);

		buffer_format(out, "%s\n", cluster);
	}
	buffer_format(out, "old range: %s\n\n", cidr);
	print_hits(r, session->output, out);
	print_rules(r, out);
	for (size_t i = 0; i < r->gap_count; i++) {
		auto_free char *line = alloc_format("%s", r->gaps[i].subject);

		log_filter(line);
		buffer_format(out, "\n%s could not be looked at: %s\n", line, r->gaps[i].reason);
	}
	buffer_format(out,
		      "%s%zu references in %zu of %zu %s: %zu moved by the run, %zu to change, %zu "
		      "harmless\n",
		      r->count + r->gap_count > 0 ? "\n" : "", r->count, r->sources_hit, r->sources,
		      session->kube ? "types of objects and files" : "files",
		      scan_result_count(r, SCAN_MOVED), scan_result_count(r, SCAN_MUST_CHANGE),
		      scan_result_count(r, SCAN_HARMLESS));
}

static void print_result(const struct session *session, const struct scan_result *r,
			 const char *cidr)
{
	enum session_output output = session->output;
	auto_buffer struct buffer out = {.max = (size_t)1 << 30};
	auto_json json_t *json = NULL;

	if (output == SESSION_JSON || output == SESSION_YAML) {
		json = result_json(session, r, cidr);
		if (output == SESSION_JSON)
			document_json(json, &out);
		else
			document_yaml(json, &out);
	} else {
		print_people(session, r, cidr, &out);
	}
	print_out(session, &out);
}

/* ---- the cluster ---- */

static int node_names(struct kube_client *kube, json_t **ret_items, struct error *err)
{
	const struct kube_target nodes = {.version = "v1", .plural = "nodes"};

	return kube_client_list(kube, &nodes, NULL, ret_items, NULL, err);
}

static int scan_all(struct session *session, const struct scan_matcher *matcher,
		    struct scan_result *result, struct error *err)
{
	auto_json json_t *items = NULL;
	auto_free const char **names = NULL;
	size_t count;

	if (scan_cluster(result, matcher, session->kube, err) < 0)
		return -1;
	if (!session->pool || !node_pool_reaches_nodes(session->pool))
		return 0;
	if (node_names(session->kube, &items, err) < 0)
		return error_wrap(err, "listing the nodes");
	count = json_array_size(items);
	names = alloc_array(count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = json_path_text(json_array_get(items, i), "metadata.name");
	scan_nodes(result, matcher, session->pool, names, count);
	return 0;
}

/* The range that the cluster has now, unless another one was given. */
static int old_range(struct session *session, const struct scan_settings *settings,
		     struct net_cidr_list *ret, struct error *err)
{
	auto_cluster struct cluster *cluster = NULL;
	const char *range = NULL;

	if (settings->cidr) {
		if (net_cidr_list_parse(slice_of(settings->cidr), ret, err) < 0)
			return error_wrap(err, "option '--cidr'");
		return 0;
	}
	if (session_observe(session, &cluster, err) < 0)
		return -1;
	if (!cluster_agreed_range(cluster, &range))
		return error_set(err, ERROR_USAGE,
				 "the API servers do not agree on one range: say by '--cidr' which "
				 "one is looked for");
	return net_cidr_list_parse_sloppy(slice_of(range), ret, err);
}

static int scan(struct session *session, const struct command_input *input,
		struct net_cidr_list *old, struct scan_result *result, struct error *err)
{
	const struct scan_settings *settings = input->settings;
	struct scan_matcher matcher;

	if (input->word_count > 0 && !settings->cidr)
		return error_set(err, ERROR_USAGE,
				 "'scan' needs '--cidr' with the old range when it is given paths");
	/* a wrong range is said before anybody is asked */
	if (settings->cidr && old_range(session, settings, old, err) < 0)
		return -1;
	if (input->word_count == 0 && session_open_nodes(session, err) < 0)
		return -1;
	if (!settings->cidr && old_range(session, settings, old, err) < 0)
		return -1;
	scan_matcher_init(&matcher, old);
	if (input->word_count == 0)
		return scan_all(session, &matcher, result, err);
	for (size_t i = 0; i < input->word_count; i++)
		if (scan_path(result, &matcher, input->words[i], err) < 0)
			return -1;
	return 0;
}

static int run(struct session *session, const struct command_input *input, struct error *err)
{
	auto_scan_result struct scan_result result = {0};
	struct net_cidr_list old = {0};

	if (scan(session, input, &old, &result, err) < 0)
		return -1;
	print_result(session, &result, net_cidr_list_text(&old).text);
	return scan_result_matters(&result) ? EXIT_FINDINGS : 0;
}

const struct command command_scan = {
	.name = "scan",
	.arguments = "[PATH… or -]",
	.summary = "find every reference to an address of the old range",
	.details = "Looks at every object of the cluster and at its nodes' files; with PATHs,\n"
		   "without a cluster, through files and folders, recursively, or stdin (-). Each\n"
		   "reference is moved (a run changes it itself), must-change (somebody has to)\n"
		   "or harmless. YAML and JSON are read as Kubernetes objects, everything else\n"
		   "as text.\n"
		   "\n"
		   "Exit status 2 when something has to be changed or could not be looked at.\n"
		   "\n"
		   "  kubectl renumber scan --cidr 10.96.0.0/16 manifests/ charts/\n"
		   "  kubectl get all -A -o yaml | kubectl renumber scan --cidr 10.96.0.0/16 -",
	.options = options,
	.settings_size = sizeof(struct scan_settings),
	.max_words = (size_t)-1,
	.run = run,
};
