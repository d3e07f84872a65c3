/* SPDX-License-Identifier: MIT */
#include "cmd/certs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/print.h"
#include "doctor/doctor.h"
#include "report/certificates.h"
#include "report/document.h"
#include "report/findings.h"
#include "text/json.h"

#define SETTING(field) offsetof(struct certs_settings, field)

static const struct option options[] = {
	{"issue", 0, "NAMES", OPTION_TEXT, SETTING(issue), NULL,
	 "make these certificates anew on every control plane: apiserver,etcd/server,… or all"},
	{"key-algorithm", 0, "ALGORITHM", OPTION_CHOICE, SETTING(algorithm),
	 "RSA-2048 RSA-3072 RSA-4096 ECDSA-P256 ECDSA-P384",
	 "of the new keys (default: as the certificate that is replaced)"},
	{"add", 0, "NAMES", OPTION_TEXT, SETTING(add), NULL,
	 "more addresses and DNS names for the API servers' certificates, commas between"},
	{"remove", 0, "NAMES", OPTION_TEXT, SETTING(remove), NULL,
	 "names that the API servers' new certificates shall no longer have"},
	{"csr", 0, "FOLDER", OPTION_TEXT, SETTING(csr), NULL,
	 "external CA: write requests to FOLDER/NODE/NAME.csr; the keys stay on their nodes"},
	{"import", 0, "FOLDER", OPTION_TEXT, SETTING(import), NULL,
	 "external CA: check FOLDER/NODE/NAME.crt and put them in place"},
	{0},
};

/* The family of certificates, and nodes that could not be looked at. */
static void keep_ours(struct finding_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct finding *f = &list->items[i];
		struct finding_list dropped = {0};

		if (strncmp(f->code, "KR3", 3) == 0 || strcmp(f->code, "KR701") == 0) {
			list->items[kept++] = *f;
			continue;
		}
		/* a list of its own, so that the item is released as lists do it */
		ALLOC_GROW(dropped.items, dropped.count, dropped.capacity);
		dropped.items[dropped.count++] = *f;
		finding_list_release(&dropped);
	}
	list->count = kept;
}

/* ---- what was done ---- */

static void print_done(const struct certs_result *result, int64_t now_s, enum table_style style,
		       struct buffer *out)
{
	static const char *const titles[] = {"NODE",	"CERTIFICATE", "SUBJECT",
					     "EXPIRES", "NEW",	       "NAMES"};
	auto_table struct table table = {.titles = titles, .columns = 6};

	for (size_t i = 0; i < result->count; i++) {
		const json_t *item;
		size_t k;

		json_array_foreach(result->items[i].certificates, k, item) {
			auto_pki_cert struct pki_cert cert = {0};
			auto_error struct error ignored = {0};
			auto_free char *term = NULL;
			auto_free char *names = NULL;

			if (pki_cert_from_json(json_path(item, "certificate"), &cert, &ignored) < 0)
				continue;
			term = certificates_term(cert.not_after_s, now_s);
			names = certificates_names(&cert);
			table_cell(&table, result->items[i].node);
			table_cell(&table, json_path_text(item, "name"));
			table_cell(&table, cert.subject);
			table_cell(&table, term);
			table_cell(&table, json_path_bool(item, "changed", false) ? "yes" : "no");
			table_cell(&table, *names ? names : "-");
		}
	}
	table_print(&table, style, out);
	for (size_t i = 0; i < result->count; i++) {
		const struct certs_done *done = &result->items[i];

		if (done->waited && done->served_ms >= 0)
			buffer_format(out, "\n%s: its API server serves the new certificate",
				      done->node);
		else if (done->waited)
			buffer_format(out,
				      "\n%s: its API server does not serve the new certificate",
				      done->node);
	}
	buffer_format(out,
		      "\nold pairs are kept on each node in /var/lib/kubectl-renumber/%s/pki\n",
		      result->run);
}

static json_t *done_json(const struct certs_result *result)
{
	json_t *nodes = json_array();
	json_t *object = json_object();

	for (size_t i = 0; i < result->count; i++) {
		const struct certs_done *done = &result->items[i];
		json_t *node = json_object();

		json_object_set_new(node, "node", json_string(done->node));
		json_object_set(node, "certificates", done->certificates);
		if (done->waited)
			json_object_set_new(node, "served", json_boolean(done->served_ms >= 0));
		json_array_append_new(nodes, node);
	}
	json_object_set_new(object, "run", json_string(result->run));
	json_object_set_new(object, "nodes", nodes);
	return object;
}

static bool all_served(const struct certs_result *result)
{
	for (size_t i = 0; i < result->count; i++)
		if (result->items[i].waited && result->items[i].served_ms < 0)
			return false;
	return true;
}

void certs_result_release(struct certs_result *result)
{
	for (size_t i = 0; i < result->count; i++)
		json_decref(result->items[i].certificates);
	free(result->items);
	free(result->run);
	*result = (struct certs_result){0};
}

/* ---- output ---- */

static json_t *head_json(const struct session *session, const struct cluster *cluster)
{
	json_t *object = json_object();

	json_object_set_new(object, "schemaVersion", json_integer(1));
	json_object_set_new(object, "cluster",
			    json_pack("{s:s?,s:s,s:s?}", "context", cluster->context, "server",
				      kube_client_server(session->kube), "uid", cluster->uid));
	return object;
}

static void print_document(const struct session *session, const json_t *json)
{
	auto_buffer struct buffer out = {0};

	if (session->output == SESSION_JSON)
		document_json(json, &out);
	else
		document_yaml(json, &out);
	print_out(session, &out);
}

static bool for_programs(const struct session *session)
{
	return session->output == SESSION_JSON || session->output == SESSION_YAML;
}

static void print_view(const struct session *session, const struct certificates_view *view,
		       const struct finding_list *findings)
{
	bool markdown = session->output == SESSION_MARKDOWN;
	bool wide = session->output == SESSION_WIDE;
	auto_free char *line = session_cluster_line(session);
	auto_buffer struct buffer out = {0};

	buffer_format(&out, "%s\naddresses that API servers must name: ", line);
	for (size_t i = 0; i < view->expected.count; i++)
		buffer_format(&out, "%s%s", i ? ", " : "", view->expected.items[i]);
	buffer_format(&out, "%s\n\n", view->expected.count ? "" : "not known");
	certificates_print(view, markdown ? TABLE_MARKDOWN : TABLE_TEXT,
			   wide ? CERTIFICATES_WIDE : CERTIFICATES_TEXT, &out);
	buffer_char(&out, '\n');
	findings_print_families(findings, "37",
				markdown ? FINDINGS_MARKDOWN
				: wide	 ? FINDINGS_WIDE
					 : FINDINGS_TEXT,
				session->colour && !markdown, &out);
	print_out(session, &out);
}

static int audit(struct session *session, const struct cluster *cluster, struct error *err)
{
	auto_certificates struct certificates_view view = {0};
	auto_findings struct finding_list findings = {0};

	if (certificates_view(cluster, &view, err) < 0)
		return -1;
	doctor_examine(cluster, &findings);
	keep_ours(&findings);
	if (for_programs(session)) {
		auto_json json_t *json = head_json(session, cluster);

		json_object_set_new(json, "addresses", pki_texts_to_json(&view.expected));
		json_object_set_new(json, "certificates", certificates_json(&view));
		json_object_set_new(json, "findings", finding_list_json(&findings));
		print_document(session, json);
	} else {
		print_view(session, &view, &findings);
	}
	return finding_list_matters(&findings) ? EXIT_FINDINGS : 0;
}

static int change(struct session *session, const struct certs_settings *settings,
		  const struct cluster *cluster, struct error *err)
{
	auto_certs_result struct certs_result result = {0};
	int status = settings->import ? certs_import(session, settings, cluster, &result, err)
				      : certs_issue(session, settings, cluster, &result, err);

	if (status < 0)
		return -1;
	if (for_programs(session)) {
		auto_json json_t *json = head_json(session, cluster);

		json_object_set_new(json, "issued", done_json(&result));
		print_document(session, json);
	} else {
		auto_free char *line = session_cluster_line(session);
		auto_buffer struct buffer out = {0};

		buffer_format(&out, "%s\n\n", line);
		print_done(&result, cluster->observed_s,
			   session->output == SESSION_MARKDOWN ? TABLE_MARKDOWN : TABLE_TEXT, &out);
		print_out(session, &out);
	}
	return all_served(&result) ? 0 : EXIT_FINDINGS;
}

static int requests(struct session *session, const struct certs_settings *settings,
		    const struct cluster *cluster, struct error *err)
{
	auto_pki_texts struct pki_texts files = {0};

	if (certs_csr(session, settings, cluster, &files, err) < 0)
		return -1;
	if (for_programs(session)) {
		auto_json json_t *json = head_json(session, cluster);

		json_object_set_new(json, "requests", pki_texts_to_json(&files));
		print_document(session, json);
		return 0;
	}
	for (size_t i = 0; i < files.count; i++)
		print_text("%s\n", files.items[i]);
	print_text("\nsign them, put each NAME.crt beside its NAME.csr, then run "
		   "'kubectl renumber certs --import %s'\n",
		   settings->csr);
	return 0;
}

static int check_settings(const struct certs_settings *settings, struct error *err)
{
	const struct pki_profile *profiles[16];
	size_t count = 0;

	if (settings->csr && settings->import)
		return error_set(err, ERROR_USAGE, "--csr and --import are two steps: give one");
	if (settings->issue && settings->import)
		return error_set(err, ERROR_USAGE,
				 "--import takes what is in its folder: leave --issue away");
	if ((settings->add || settings->remove || settings->algorithm) && !settings->issue &&
	    !settings->csr && !settings->import)
		return error_set(err, ERROR_USAGE,
				 "--add, --remove and --key-algorithm go with --issue or --csr");
	if (settings->issue)
		return pki_profile_parse(settings->issue, profiles, &count, err);
	return 0;
}

static int run(struct session *session, const struct command_input *input, struct error *err)
{
	const struct certs_settings *settings = input->settings;
	auto_cluster struct cluster *cluster = NULL;

	if (check_settings(settings, err) < 0)
		return -1;
	if (session_observe(session, &cluster, err) < 0)
		return -1;
	if (settings->csr)
		return requests(session, settings, cluster, err);
	if (settings->issue || settings->import)
		return change(session, settings, cluster, err);
	return audit(session, cluster, err);
}

const struct command command_certs = {
	.name = "certs",
	.arguments = "",
	.summary = "look at every certificate on the control planes, or make new ones",
	.details = "Shows every certificate and kubeconfig under /etc/kubernetes on every\n"
		   "control plane, and what each API server serves live: subject, names, use,\n"
		   "issuer, term, whether the key belongs to it, and which Service address is\n"
		   "missing. Exit status 2 when something is wrong.\n"
		   "\n"
		   "With --issue it makes new ones as kubeadm would, but with the Service\n"
		   "addresses that are missing. The key of the CA is used on its node and never\n"
		   "leaves it. The old pairs are kept on the node, the new ones renamed into\n"
		   "place together, and the command ends when the API servers serve them.\n"
		   "\n"
		   "  kubectl renumber certs\n"
		   "  kubectl renumber certs --issue apiserver\n"
		   "  kubectl renumber certs --issue all --key-algorithm ECDSA-P256\n"
		   "  kubectl renumber certs --csr requests    # external CA\n"
		   "  kubectl renumber certs --import requests",
	.options = options,
	.settings_size = sizeof(struct certs_settings),
	.flags = COMMAND_NEEDS_CLUSTER | COMMAND_MUTATES,
	.run = run,
};
