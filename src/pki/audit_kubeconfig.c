/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "pki/audit_run.h"
#include "pki/pem.h"
#include "text/yaml.h"

/*
 * The certificates of a kubeconfig: each user's client certificate with its key, each cluster's
 * CA. Both stand in it as base64 of PEM (…-data) or are named by file; the data wins, as in
 * client-go.
 */
struct kubeconfig {
	struct audit_run *run;
	const char *path;
	const struct stat *status;
	const struct yaml_node *root;
};

/* The path that a kubeconfig names: relative to its folder, as in client-go. */
static char *kubeconfig_file(const struct kubeconfig *config, const char *named)
{
	const char *slash = strrchr(config->path, '/');

	if (*named == '/' || !slash)
		return alloc_text(named);
	return alloc_format("%.*s/%s", (int)(slash - config->path), config->path, named);
}

static const char *kubeconfig_server(const struct kubeconfig *config, const char *cluster)
{
	const struct yaml_node *clusters = yaml_get(config->root, "clusters");

	for (const struct yaml_node *item = clusters ? clusters->first : NULL; item;
	     item = item->next) {
		const char *name = yaml_string(yaml_get(item, "name"));

		if (name && strcmp(name, cluster) == 0)
			return yaml_string(yaml_path(item, "cluster.server"));
	}
	return NULL;
}

/* What a user dials: by the current context when it is the user's, else by the first that is. */
static const char *kubeconfig_dials(const struct kubeconfig *config, const char *user)
{
	const struct yaml_node *contexts = yaml_get(config->root, "contexts");
	const char *current = yaml_string(yaml_get(config->root, "current-context"));
	const char *server = NULL;

	for (const struct yaml_node *item = contexts ? contexts->first : NULL; item;
	     item = item->next) {
		const char *name = yaml_string(yaml_get(item, "name"));
		const char *of = yaml_string(yaml_path(item, "context.user"));
		const char *cluster = yaml_string(yaml_path(item, "context.cluster"));

		if (!of || !cluster || strcmp(of, user) != 0)
			continue;
		if (name && current && strcmp(name, current) == 0)
			return kubeconfig_server(config, cluster);
		if (!server)
			server = kubeconfig_server(config, cluster);
	}
	return server;
}

/* Bytes of a "-data" field; false with a problem in a new record when they are no base64. */
static bool kubeconfig_data(const struct kubeconfig *config, const struct audit_source *source,
			    const struct yaml_node *node, struct secret *ret)
{
	if (yaml_string(node) && pki_base64_decode(node->value, ret))
		return true;
	audit_problem(audit_record_add(config->run, source->path, source->entry, source->role),
		      "malformed", NULL, "%s: not base64", source->place);
	return false;
}

static char *kubeconfig_place(const struct kubeconfig *config, const struct yaml_node *node,
			      const char *field)
{
	return alloc_format("%s:%u:%u: %s", config->path, node->line, node->column, field);
}

/* Adds the records of a certificate that stands in `fields` as data or by file. The number of
 * certificates; the bytes go to *ret_text, the file's name (NULL: data) to *ret_file. */
static size_t kubeconfig_certificates(const struct kubeconfig *config, const char *entry,
				      const char *role, const struct yaml_node *fields,
				      const char *const names[2], struct secret *ret_text,
				      char **ret_file)
{
	const struct yaml_node *data = yaml_get(fields, names[0]);
	const char *named = yaml_string(yaml_get(fields, names[1]));
	struct audit_source source = {.path = config->path, .entry = entry, .role = role};
	auto_error struct error err = {0};
	auto_free char *place = NULL;
	struct stat status = *config->status;

	if (data && !yaml_is_null(data)) {
		source.status = config->status;
		source.place = place = kubeconfig_place(config, data, names[0]);
		if (!kubeconfig_data(config, &source, data, ret_text))
			return 0;
	} else if (named && *named) {
		*ret_file = kubeconfig_file(config, named);
		source.file = source.place = *ret_file;
		source.status = &status;
		if (audit_read(*ret_file, ret_text, &status, &err) < 0) {
			audit_problem(audit_record_add(config->run, config->path, entry, role),
				      "unreadable", NULL, "%s", error_text(&err));
			return 0;
		}
	} else {
		return 0;
	}
	return audit_certificates(config->run, &source,
				  (struct slice){ret_text->ptr, ret_text->len});
}

static void kubeconfig_exposed(struct pki_record *record)
{
	if (record->mode & 077)
		audit_problem(record, "key-exposed", NULL,
			      "'%s' holds a private key and has mode %04o: others than its owner "
			      "can use it",
			      record->path, record->mode);
}

static void kubeconfig_user_key(const struct kubeconfig *config, size_t index,
				const struct yaml_node *fields)
{
	const struct yaml_node *data = yaml_get(fields, "client-key-data");
	const char *named = yaml_string(yaml_get(fields, "client-key"));
	struct pki_record *record = &config->run->audit->records[index];
	auto_secret struct secret text = {0};
	auto_free char *place = NULL;

	if (data && !yaml_is_null(data)) {
		place = kubeconfig_place(config, data, "client-key-data");
		if (!yaml_string(data) || !pki_base64_decode(data->value, &text)) {
			audit_problem(record, "key-malformed", NULL, "%s: not base64", place);
			return;
		}
		audit_key(config->run, index, (struct slice){text.ptr, text.len}, place);
		kubeconfig_exposed(record);
	} else if (named && *named) {
		place = kubeconfig_file(config, named);
		audit_key_file(config->run, index, place);
	} else {
		audit_problem(record, "key-missing", NULL, "user has a certificate and no key");
	}
}

static void kubeconfig_user(const struct kubeconfig *config, const struct yaml_node *item)
{
	static const char *const names[2] = {"client-certificate-data", "client-certificate"};
	const char *name = yaml_string(yaml_get(item, "name"));
	const struct yaml_node *fields = yaml_get(item, "user");
	auto_free char *entry = alloc_format("user/%s", name ? name : "");
	const char *server = kubeconfig_dials(config, name ? name : "");
	size_t first = config->run->audit->count;
	auto_secret struct secret text = {0};
	auto_free char *file = NULL;
	size_t count = kubeconfig_certificates(config, entry, "kubeconfig-client", fields, names,
					       &text, &file);

	for (size_t i = first; server && i < config->run->audit->count; i++)
		config->run->audit->records[i].server = alloc_text(server);
	if (count && config->run->audit->records[first].has_cert)
		kubeconfig_user_key(config, first, fields);
}

static void kubeconfig_cluster(const struct kubeconfig *config, const struct yaml_node *item)
{
	static const char *const names[2] = {"certificate-authority-data", "certificate-authority"};
	const char *name = yaml_string(yaml_get(item, "name"));
	const struct yaml_node *fields = yaml_get(item, "cluster");
	const char *server = yaml_string(yaml_get(fields, "server"));
	auto_free char *entry = alloc_format("cluster/%s", name ? name : "");
	size_t first = config->run->audit->count;
	auto_secret struct secret text = {0};
	auto_free char *file = NULL;

	kubeconfig_certificates(config, entry, "kubeconfig-ca", fields, names, &text, &file);
	for (size_t i = first; server && i < config->run->audit->count; i++)
		config->run->audit->records[i].server = alloc_text(server);
}

void audit_kubeconfig(struct audit_run *run, const char *path)
{
	auto_secret struct secret text = {0};
	auto_error struct error err = {0};
	auto_yaml struct yaml yaml = {0};
	struct stat status;
	struct kubeconfig config = {.run = run, .path = path, .status = &status};
	const struct yaml_node *list;

	if (audit_read(path, &text, &status, &err) < 0) {
		audit_problem(audit_record_add(run, path, NULL, "other"), "unreadable", NULL, "%s",
			      error_text(&err));
		return;
	}
	if (yaml_parse(&yaml, path, (struct slice){text.ptr, text.len}, &err) < 0) {
		audit_problem(audit_record_add(run, path, NULL, "other"), "malformed", NULL, "%s",
			      error_text(&err));
		return;
	}
	config.root = yaml_root(&yaml);
	list = yaml_get(config.root, "users");
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next)
		kubeconfig_user(&config, item);
	list = yaml_get(config.root, "clusters");
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next)
		kubeconfig_cluster(&config, item);
	/* the text held keys, and buffers are not wiped by themselves */
	if (yaml.text.ptr)
		explicit_bzero(yaml.text.ptr, yaml.text.len);
}
