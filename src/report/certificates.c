/* SPDX-License-Identifier: MIT */
#include "report/certificates.h"

#include <string.h>

#include "base/alloc.h"
#include "net/cidr.h"
#include "text/json.h"

static void expect_range(const char *range, struct pki_texts *ret)
{
	struct net_cidr_list list = {0};
	auto_error struct error ignored = {0};

	if (!range || net_cidr_list_parse_sloppy(slice_of(range), &list, &ignored) < 0)
		return;
	for (size_t i = 0; i < list.count; i++)
		pki_texts_add_new(ret, net_address_text(net_cidr_nth(list.item[i], 1)).text);
}

void certificates_expected(const struct cluster *cluster, struct pki_texts *ret)
{
	const struct cluster_service *kubernetes =
		cluster_find_service(cluster, "default", "kubernetes");

	for (size_t i = 0; kubernetes && i < kubernetes->cluster_ips.count; i++)
		pki_texts_add_new(ret, kubernetes->cluster_ips.items[i]);
	for (size_t i = 0; i < cluster->node_count; i++)
		if (cluster->nodes[i].control_plane)
			expect_range(cluster_component_range(&cluster->nodes[i].host.api_server),
				     ret);
}

static char *place_of(const struct pki_audit *audit, const struct pki_record *record)
{
	size_t len = strlen(audit->root);
	const char *path = record->path;
	const char *file = record->file;

	if (len && strncmp(path, audit->root, len) == 0 && path[len] == '/')
		path += len + 1;
	if (record->entry)
		return alloc_format("%s %s%s%s", path, record->entry, file ? " → " : "",
				    file ? file : "");
	if (record->index)
		return alloc_format("%s (%zu)", path, record->index + 1);
	return alloc_text(path);
}

static void add_row(struct certificates_view *view, const char *node, const struct pki_audit *audit,
		    struct pki_record *record)
{
	struct certificates_row *row;

	ALLOC_GROW(view->rows, view->count, view->capacity);
	row = &view->rows[view->count++];
	*row = (struct certificates_row){
		.node = node,
		.record = record,
		.place = place_of(audit, record),
		.is_service = record->has_cert && record->index == 0 &&
			      (strcmp(record->role, "apiserver") == 0 ||
			       strcmp(record->role, "served") == 0),
	};
	for (size_t i = 0; row->is_service && i < view->expected.count; i++)
		if (!pki_cert_covers(&record->cert, view->expected.items[i]))
			pki_texts_add(&row->missing, view->expected.items[i]);
}

/* An audit of what the node's API server serves: one record. */
static int read_served(const struct cluster *cluster, const struct cluster_node *node,
		       struct pki_audit *ret, struct error *err)
{
	const json_t *served =
		json_object_get(json_object_get(cluster->document, "served"), node->name);
	struct pki_record *record;

	if (!json_path(served, "certificate"))
		return 0;
	ret->root = alloc_text("");
	ALLOC_GROW(ret->records, ret->count, ret->capacity);
	record = &ret->records[ret->count++];
	*record = (struct pki_record){
		.path = alloc_format("served on %s:%u", node->address, node->api_port),
		.role = alloc_text("served"),
	};
	if (pki_cert_from_json(json_path(served, "certificate"), &record->cert, err) < 0)
		return error_wrap(err, "node '%s'", node->name);
	record->has_cert = true;
	return 0;
}

static int view_node(const struct cluster *cluster, const struct cluster_node *node,
		     struct certificates_view *view, struct error *err)
{
	struct pki_audit *disk = &view->audits[view->audit_count++];
	struct pki_audit *served = &view->audits[view->audit_count++];

	if (node->host.audit && pki_audit_from_json(node->host.audit, disk, err) < 0)
		return error_wrap(err, "node '%s'", node->name);
	if (read_served(cluster, node, served, err) < 0)
		return -1;
	for (size_t i = 0; i < disk->count; i++)
		add_row(view, node->name, disk, &disk->records[i]);
	for (size_t i = 0; i < served->count; i++)
		add_row(view, node->name, served, &served->records[i]);
	return 0;
}

int certificates_view(const struct cluster *cluster, struct certificates_view *ret,
		      struct error *err)
{
	auto_certificates struct certificates_view view = {.now_s = cluster->observed_s};

	view.audits = alloc_array(2 * cluster->node_count + 1, sizeof(*view.audits));
	certificates_expected(cluster, &view.expected);
	for (size_t i = 0; i < cluster->node_count; i++)
		if (cluster->nodes[i].control_plane &&
		    view_node(cluster, &cluster->nodes[i], &view, err) < 0)
			return -1;
	*ret = view;
	view = (struct certificates_view){0};
	return 0;
}

char *certificates_term(int64_t not_after_s, int64_t now_s)
{
	bool past = now_s > not_after_s;
	int64_t left = past ? now_s - not_after_s : not_after_s - now_s;
	int64_t days = left / ((int64_t)24 * 3600);
	char *length = days ? alloc_format("%lld d", (long long)days)
			    : alloc_format("%lld h", (long long)(left / 3600));
	char *text = past ? alloc_format("expired %s ago", length) : alloc_text(length);

	free(length);
	return text;
}

static void join(const struct pki_texts *list, const char *separator, struct buffer *out)
{
	for (size_t i = 0; i < list->count; i++)
		buffer_format(out, "%s%s", out->len ? separator : "", list->items[i]);
}

char *certificates_names(const struct pki_cert *cert)
{
	auto_buffer struct buffer text = {0};

	join(&cert->dns_names, ",", &text);
	join(&cert->addresses, ",", &text);
	return buffer_detach(&text);
}

static char *joined(const struct pki_texts *list, const char *separator)
{
	auto_buffer struct buffer text = {0};

	join(list, separator, &text);
	return buffer_detach(&text);
}

static const char *key_verdict(const struct pki_record *record)
{
	if (record->key_known)
		return record->key_matches ? "ok" : "MISMATCH";
	if (pki_record_problem(record, "ca-key-missing"))
		return "external";
	if (pki_record_problem(record, "key-malformed"))
		return "MALFORMED";
	if (pki_record_problem(record, "key-missing"))
		return "MISSING";
	return "-";
}

/* What is wrong, but for what has a column of its own. */
static char *problem_codes(const struct pki_record *record)
{
	auto_buffer struct buffer text = {0};

	for (size_t i = 0; i < record->problem_count; i++) {
		const char *code = record->problems[i].code;

		if (strcmp(code, "san-missing") == 0 || strcmp(code, "key-mismatch") == 0 ||
		    strcmp(code, "key-missing") == 0)
			continue;
		buffer_format(&text, "%s%s", text.len ? "," : "", code);
	}
	return buffer_detach(&text);
}

static void print_cert(const struct certificates_view *view, const struct certificates_row *row,
		       struct table *table)
{
	const struct pki_record *record = row->record;
	const struct pki_cert *cert = &record->cert;
	auto_free char *use = joined(&cert->usages, "+");
	auto_free char *term = certificates_term(cert->not_after_s, view->now_s);

	table_cell(table, cert->subject);
	table_cell(table, cert->is_ca ? "CA" : *use ? use : "-");
	table_cell(table, record->self_signed ? "itself" : cert->issuer);
	table_cell(table, term);
	table_cell(table, strcmp(record->role, "served") == 0 ? "-" : key_verdict(record));
}

static void print_row(const struct certificates_view *view, const struct certificates_row *row,
		      enum certificates_width width, struct table *table)
{
	const struct pki_record *record = row->record;
	auto_free char *missing = joined(&row->missing, ",");
	auto_free char *problems = problem_codes(record);
	auto_free char *names = certificates_names(&record->cert);

	table_cell(table, row->node);
	table_cell(table, row->place);
	if (record->has_cert) {
		print_cert(view, row, table);
	} else {
		for (size_t i = 0; i < 5; i++)
			table_cell(table, "-");
	}
	table_cell(table, *missing ? missing : row->is_service ? "none" : "-");
	table_cell(table, *problems ? problems : "-");
	if (width == CERTIFICATES_WIDE) {
		table_cell(table, record->has_cert ? record->cert.algorithm : "-");
		table_cell(table, record->ca_path ? record->ca_path : "-");
		table_cell(table, record->server ? record->server : "-");
		table_cell(table, record->has_cert ? record->cert.serial : "-");
		table_cell(table, record->has_cert ? record->cert.fingerprint : "-");
	}
	table_cell(table, *names ? names : "-");
}

void certificates_print(const struct certificates_view *view, enum table_style style,
			enum certificates_width width, struct buffer *out)
{
	static const char *const titles[] = {"NODE",	"FILE", "SUBJECT", "USE",   "ISSUER",
					     "EXPIRES", "KEY",	"MISSING", "WRONG", "NAMES"};
	static const char *const wide[] = {"NODE",    "FILE",	"SUBJECT", "USE",     "ISSUER",
					   "EXPIRES", "KEY",	"MISSING", "WRONG",   "ALGORITHM",
					   "CA FILE", "SERVER", "SERIAL",  "SHA-256", "NAMES"};
	auto_table struct table table = {.titles = titles, .columns = 10};

	if (width == CERTIFICATES_WIDE) {
		table.titles = wide;
		table.columns = 15;
	}
	for (size_t i = 0; i < view->count; i++)
		print_row(view, &view->rows[i], width, &table);
	table_print(&table, style, out);
}

json_t *certificates_json(const struct certificates_view *view)
{
	json_t *list = json_array();

	for (size_t i = 0; i < view->count; i++) {
		const struct certificates_row *row = &view->rows[i];
		json_t *item = json_object();
		json_t *record = pki_record_to_json(row->record);

		json_object_set_new(item, "node", json_string(row->node));
		json_object_update(item, record);
		json_decref(record);
		if (row->is_service)
			json_object_set_new(item, "missing", pki_texts_to_json(&row->missing));
		json_array_append_new(list, item);
	}
	return list;
}

void certificates_release(struct certificates_view *view)
{
	for (size_t i = 0; i < view->count; i++) {
		free(view->rows[i].place);
		pki_texts_release(&view->rows[i].missing);
	}
	free(view->rows);
	for (size_t i = 0; i < view->audit_count; i++)
		pki_audit_release(&view->audits[i]);
	free(view->audits);
	pki_texts_release(&view->expected);
	*view = (struct certificates_view){0};
}
