/* SPDX-License-Identifier: MIT */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/plan_text.h"
#include "cmd/recorded.h"
#include "cmd/print.h"
#include "model/observe.h"
#include "plan/make.h"
#include "report/document.h"
#include "step/step.h"

struct plan_settings {
	bool repair;
	const char *to;
	const char *out;
	const char *restart;
	const char *explain;
	const char *map;
	const char *observation;
};

#define SETTING(field) offsetof(struct plan_settings, field)

static const struct option plan_options[] = {
	{"repair", 0, NULL, OPTION_FLAG, SETTING(repair), NULL,
	 "make whole a cluster where a change was begun or went wrong"},
	{"to", 0, "CIDR", OPTION_TEXT, SETTING(to), NULL,
	 "the Service range wanted (with --repair: where the servers' flags do not say it)"},
	{"out", 0, "FILE", OPTION_TEXT, SETTING(out), NULL, "write the plan to FILE, for 'apply'"},
	{"map", 0, "FILE", OPTION_TEXT, SETTING(map), NULL,
	 "own addresses: a line 'OLD NEW' or 'NAMESPACE/NAME NEW' for each Service"},
	{"restart", 0, "WHICH", OPTION_CHOICE, SETTING(restart), "needed all none",
	 "workloads that are restarted (default needed)"},
	{"observation", 0, "FILE", OPTION_TEXT, SETTING(observation), NULL,
	 "plan for the cluster that was recorded in FILE; nobody is asked"},
	{"explain", 0, "STEP", OPTION_TEXT, SETTING(explain), NULL,
	 "print everything about one step, like s03"},
	{0},
};

/* "r-20261122-231500-5af3": readable, unique, fit for a label. */
static int plan_run_id(char **ret, struct error *err)
{
	auto_free char *now = clock_format(clock_wall_s());
	unsigned char random[3];
	auto_buffer struct buffer id = {0};

	if (RAND_bytes(random, sizeof(random)) != 1)
		return error_set(err, ERROR_IO, "no random numbers to name the run with");
	buffer_text(&id, "r-");
	for (const char *c = now; *c && *c != 'Z'; c++) {
		if (*c == 'T')
			buffer_char(&id, '-');
		else if (*c >= '0' && *c <= '9')
			buffer_char(&id, *c);
	}
	buffer_format(&id, "-%02x%02x%02x", random[0], random[1], random[2]);
	*ret = buffer_detach(&id);
	return 0;
}

/* Wrong ranges are told before anything is asked of a server. */
static int plan_canonical(const char *to, char **ret, struct error *err)
{
	struct net_cidr cidr;

	if (!to)
		return 0;
	if (strchr(to, ','))
		return error_set(err, ERROR_REFUSED,
				 "--to '%s': dual-stack clusters are neither moved nor repaired by "
				 "this version; 'doctor', 'certs' and 'scan' work on them",
				 to);
	if (net_cidr_parse(slice_of(to), &cidr, err) < 0)
		return error_wrap(err, "--to");
	if (net_cidr_check_service(cidr, /* large_allowed= */ true, err) < 0)
		return error_wrap(err, "--to");
	*ret = alloc_text(net_cidr_text(cidr).text);
	return 0;
}

static int plan_explain(const struct plan *plan, const char *id, struct error *err)
{
	const struct plan_step *step = plan_find(plan, id);
	const struct step_kind *kind = step ? step_kind_find(step->kind) : NULL;
	auto_buffer struct buffer line = {0};
	auto_free char *parameters = NULL;

	if (!kind)
		return error_set(err, ERROR_USAGE, "the plan has no step '%s'", id);
	kind->describe(step, &line);
	parameters = json_dumps(step->parameters, JSON_INDENT(2));
	print_text("%s (stage %s, kind %s)\n  %s\n", step->id, plan_stage_name(step->stage),
		   step->kind, buffer_cstr(&line));
	if (*step->why)
		print_text("  because %s\n", step->why);
	print_text("%s\n", parameters);
	return 0;
}

static int plan_write(const struct plan *plan, const char *out, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_PLAN_FILE};

	plan_to_text(plan, &text);
	if (buffer_check(&text, out, err) < 0)
		return -1;
	return file_replace(out, text.ptr, text.len, 0600, 0, err);
}

static int plan_observe(struct session *session, const struct plan_settings *settings,
			struct cluster **ret, struct plan_request *request, struct error *err)
{
	struct cluster *cluster;

	if (!settings->observation) {
		if (session_observe_more(session, settings->repair ? 0 : OBSERVE_SURROUNDINGS, ret,
					 err) < 0)
			return -1;
		request->nodes_reached = node_pool_reaches_nodes(session->pool);
		return 0;
	}
	if (recorded_cluster(settings->observation, &cluster, err) < 0)
		return -1;
	for (size_t i = 0; i < cluster->node_count; i++)
		request->nodes_reached |= cluster->nodes[i].host.asked;
	*ret = cluster;
	return 0;
}

/* What a run half-way leaves looks like what a repair is for. */
static void plan_warn_of_run(const struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->leftover_count; i++) {
		const struct cluster_leftover *l = &cluster->leftovers[i];

		if (!l->run || strcmp(l->kind, "ConfigMap") != 0)
			continue;
		log_warning("run %s is under way in this cluster: 'status' says how far it is; end "
			    "it by 'resume' and 'finalize', or 'rollback' (with --adopt where it "
			    "is not known), before a repair",
			    l->run);
		return;
	}
}

static int plan_run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct plan_settings *settings = input->settings;
	auto_free char *to = NULL;
	auto_free char *run = NULL;
	auto_free char *now = clock_format(clock_wall_s());
	auto_cluster struct cluster *cluster = NULL;
	auto_plan struct plan plan = {0};
	auto_buffer struct buffer map = {.max = LIMIT_PLAN_FILE};
	struct plan_request request = {.restart = settings->restart ? settings->restart : "needed",
				       .created_at = now};

	if (plan_canonical(settings->to, &to, err) < 0)
		return -1;
	if (!settings->repair && !to)
		return error_set(err, ERROR_USAGE,
				 "--to CIDR says where the cluster shall move; --repair makes a "
				 "begun or broken change whole");
	if (settings->map && file_read(settings->map, LIMIT_PLAN_FILE, &map, err) < 0)
		return -1;
	if (plan_observe(session, settings, &cluster, &request, err) < 0 ||
	    plan_run_id(&run, err) < 0)
		return -1;
	if (settings->repair)
		plan_warn_of_run(cluster);
	request.mode = settings->repair ? PLAN_REPAIR : PLAN_MIGRATE;
	request.to = to;
	request.map_file = settings->map;
	request.map_text = buffer_as_slice(&map);
	request.run = run;
	if (plan_make(cluster, &request, &plan, err) < 0)
		return -1;
	if (settings->explain)
		return plan_explain(&plan, settings->explain, err);
	if (settings->out && plan_write(&plan, settings->out, err) < 0)
		return -1;
	if (session->output == SESSION_JSON) {
		auto_json json_t *document = plan_to_json(&plan);
		auto_buffer struct buffer text = {.max = LIMIT_PLAN_FILE};

		document_json(document, &text);
		fputs(buffer_cstr(&text), stdout);
	} else {
		plan_text_print(session, &plan, settings->out);
	}
	return 0;
}

const struct command command_plan = {
	.name = "plan",
	.arguments = "",
	.summary = "the complete list of steps from the cluster as it is",
	.details = "Looks at the cluster and its nodes, and lists what is missing until it is "
		   "whole on one\n"
		   "Service range. Changes nothing. Examples:\n\n"
		   "  kubectl renumber plan --to 10.17.0.0/16 --out move.plan\n"
		   "  kubectl renumber plan --repair --out repair.plan",
	.options = plan_options,
	.settings_size = sizeof(struct plan_settings),
	.run = plan_run,
};
