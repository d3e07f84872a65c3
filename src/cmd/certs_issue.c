/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cmd/certs.h"
#include "kube/tls.h"
#include "report/certificates.h"
#include "text/json.h"
#include "text/yaml.h"

/*
 * New certificates on every control plane, one after the other: look that nothing stands in the
 * way, ask, make, wait until they are served.
 */
enum {
	SERVED_WITHIN_MS = 90000, /* API servers look at the files once a minute */
	SERVED_POLL_MS = 1000,
	HANDSHAKE_MS = 3000,
	CERTS_MAX = 16,
};

struct issue {
	struct session *session;
	const struct certs_settings *settings;
	const struct cluster *cluster;
	const char *run;
	const struct pki_profile *profiles[CERTS_MAX];
	size_t count;
};

static char *run_name(const char *prefix)
{
	auto_free char *now = clock_format(clock_wall_s());
	char *name = alloc_format("%s-%s", prefix, now);
	char *to = name;

	/* 2026-11-22T20:15:00Z without what a file name should not have */
	for (const char *from = name; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return name;
}

static bool has_profile(const struct issue *issue, const char *name)
{
	for (size_t i = 0; i < issue->count; i++)
		if (strcmp(issue->profiles[i]->name, name) == 0)
			return true;
	return false;
}

/* ---- nothing in the way ---- */

static int check_node(const struct issue *issue, const struct cluster_node *node, bool external,
		      struct error *err)
{
	auto_pki_audit struct pki_audit audit = {0};

	if (!node->host.audit)
		return error_set(
			err, ERROR_REFUSED,
			"control plane '%s' cannot be reached (%s), and all of them need new "
			"certificates; nothing was changed",
			node->name, node->host.problem ? node->host.problem : "not asked");
	if (external)
		return 0;
	if (pki_audit_from_json(node->host.audit, &audit, err) < 0)
		return error_wrap(err, "node '%s'", node->name);
	for (size_t i = 0; i < issue->count; i++) {
		const struct pki_record *ca = pki_audit_find(&audit, issue->profiles[i]->ca);

		if (!ca)
			return error_set(
				err, ERROR_REFUSED,
				"'%s' has no CA certificate pki/%s.crt; nothing was changed",
				node->name, issue->profiles[i]->ca);
		if (pki_record_problem(ca, "ca-key-missing"))
			return error_set(
				err, ERROR_REFUSED,
				"'%s' has no private key of the CA pki/%s: it is external; "
				"use --csr and --import; nothing was changed",
				node->name, issue->profiles[i]->ca);
	}
	return 0;
}

static int check_nodes(const struct issue *issue, bool external, struct error *err)
{
	size_t seen = 0;

	if (!node_pool_reaches_nodes(issue->session->pool))
		return error_set(
			err, ERROR_REFUSED,
			"certificates are made on the nodes, and --nodes-via none reaches none");
	for (size_t i = 0; i < issue->cluster->node_count; i++) {
		if (!issue->cluster->nodes[i].control_plane)
			continue;
		seen++;
		if (check_node(issue, &issue->cluster->nodes[i], external, err) < 0)
			return -1;
	}
	return seen ? 0
		    : error_set(err, ERROR_REFUSED,
				"no node is labelled as a control plane; nothing was changed");
}

/* ---- requests to the agents ---- */

/* Go's notation in kubeadm's configuration: "8760h0m0s". 0 when it is none. */
static int64_t go_duration_s(const char *text)
{
	int64_t total = 0;

	while (*text) {
		size_t digits = strspn(text, "0123456789");
		uint64_t number = 0;
		int64_t unit;

		if (!slice_to_u64((struct slice){text, digits}, 1000000000, &number))
			return 0;
		text += digits;
		unit = *text == 'h' ? 3600 : *text == 'm' ? 60 : *text == 's' ? 1 : 0;
		if (!unit || (*text == 'm' && text[1] == 's'))
			return 0;
		total += (int64_t)number * unit;
		text++;
	}
	return total;
}

/* certificateValidityPeriod and encryptionAlgorithm of kubeadm's ClusterConfiguration (v1beta4). */
static void add_kubeadm(const struct issue *issue, json_t *request)
{
	auto_yaml struct yaml yaml = {0};
	auto_error struct error ignored = {0};
	const char *text = issue->cluster->kubeadm_text;
	const char *period;
	int64_t seconds;

	if (!text || yaml_parse(&yaml, "kubeadm-config", slice_of(text), &ignored) < 0)
		return;
	period = yaml_string(yaml_get(yaml_root(&yaml), "certificateValidityPeriod"));
	seconds = period ? go_duration_s(period) : 0;
	if (seconds > 0)
		json_object_set_new(request, "validity", json_integer(seconds));
}

static void add_names(const char *list, struct pki_texts *ret)
{
	struct slice rest = slice_of(list ? list : "");
	struct slice part;

	while (slice_next(&rest, ',', &part)) {
		auto_free char *name = slice_dup(slice_trim(part));

		if (*name)
			pki_texts_add_new(ret, name);
	}
}

/* All that an API server's certificate must name beside what is in it. */
static void add_wanted(const struct issue *issue, const struct cluster_node *node,
		       struct pki_texts *ret)
{
	auto_json json_t *names = cluster_certificate_names(issue->cluster, node);
	const json_t *name;
	size_t i;

	certificates_expected(issue->cluster, ret);
	json_array_foreach(names, i, name)
		pki_texts_add_new(ret, json_string_value(name));
	add_names(issue->settings->add, ret);
}

static json_t *make_request(const struct issue *issue, const struct cluster_node *node,
			    const char *op)
{
	const struct cluster *cluster = issue->cluster;
	auto_pki_texts struct pki_texts add = {0};
	auto_pki_texts struct pki_texts remove = {0};
	auto_buffer struct buffer names = {0};
	json_t *request = json_object();

	for (size_t i = 0; i < issue->count; i++)
		buffer_format(&names, "%s%s", i ? "," : "", issue->profiles[i]->name);
	add_wanted(issue, node, &add);
	add_names(issue->settings->remove, &remove);
	for (size_t i = 0; i < remove.count; i++)
		pki_texts_remove(&add, remove.items[i]);
	json_object_set_new(request, "op", json_string(op));
	json_object_set_new(request, "run", json_string(issue->run));
	json_object_set_new(request, "names", json_string(buffer_cstr(&names)));
	json_object_set_new(request, "add", pki_texts_to_json(&add));
	json_object_set_new(request, "remove", pki_texts_to_json(&remove));
	json_object_set_new(request, "node", json_string(node->name));
	json_object_set_new(request, "force", json_true());
	if (node->address)
		json_object_set_new(request, "address", json_string(node->address));
	if (cluster->kubeadm_dns_domain)
		json_object_set_new(request, "dnsDomain", json_string(cluster->kubeadm_dns_domain));
	if (cluster->git_version)
		json_object_set_new(request, "version", json_string(cluster->git_version));
	if (issue->settings->algorithm)
		json_object_set_new(request, "algorithm", json_string(issue->settings->algorithm));
	add_kubeadm(issue, request);
	return request;
}

/* Says what each certificate would name. Names that cannot be are refused here. */
static int preview(const struct issue *issue, const struct cluster_node *node, struct error *err)
{
	auto_json json_t *request = make_request(issue, node, "certs-names");
	auto_json json_t *reply = NULL;
	const json_t *item;
	size_t i;

	if (node_call(issue->session->pool, node->name, request, &reply, err) < 0)
		return -1;
	json_array_foreach(json_path(reply, "certificates"), i, item) {
		auto_pki_texts struct pki_texts names = {0};
		auto_pki_texts struct pki_texts addresses = {0};
		auto_buffer struct buffer text = {0};

		if (pki_texts_from_json(json_path(item, "dnsNames"), &names, err) < 0 ||
		    pki_texts_from_json(json_path(item, "addresses"), &addresses, err) < 0)
			return -1;
		for (size_t k = 0; k < addresses.count; k++)
			pki_texts_add(&names, addresses.items[k]);
		for (size_t k = 0; k < names.count; k++)
			buffer_format(&text, "%s%s", k ? ", " : " for ", names.items[k]);
		log_info("%s: new certificate %s%s", node->name, json_path_text(item, "name"),
			 buffer_cstr(&text));
	}
	return 0;
}

static int consent(const struct issue *issue, struct error *err)
{
	auto_free char *line = session_cluster_line(issue->session);

	log_info("%s", line);
	for (size_t i = 0; i < issue->cluster->node_count; i++)
		if (issue->cluster->nodes[i].control_plane &&
		    preview(issue, &issue->cluster->nodes[i], err) < 0)
			return -1;
	return session_consent(issue->session, "Replacing these certificates", err);
}

/* ---- doing ---- */

static const char *new_fingerprint(const json_t *certificates)
{
	const json_t *item;
	size_t i;

	json_array_foreach(certificates, i, item)
		if (json_path_is(item, "name", "apiserver"))
			return json_path_text(item, "certificate.fingerprint");
	return NULL;
}

static bool serves(const struct cluster_node *node, const char *fingerprint)
{
	auto_kube_tls_chain struct kube_tls_chain chain = {0};
	auto_pki_cert struct pki_cert cert = {0};
	auto_error struct error ignored = {0};

	return fingerprint &&
	       kube_tls_fetch(node->address, (uint16_t)node->api_port, NULL, HANDSHAKE_MS, &chain,
			      &ignored) == 0 &&
	       chain.count &&
	       pki_cert_from_der(
		       (struct slice){(const char *)chain.items[0].ptr, chain.items[0].len}, &cert,
		       &ignored) == 0 &&
	       strcmp(cert.fingerprint, fingerprint) == 0;
}

/* Waits for all together: each API server looks at its files at a moment of its own. */
static int wait_served(const struct issue *issue, struct certs_result *result, struct error *err)
{
	int64_t start = clock_monotonic_ms();

	for (;;) {
		size_t waiting = 0;
		int64_t waited = clock_monotonic_ms() - start;

		for (size_t i = 0; i < result->count; i++) {
			struct certs_done *done = &result->items[i];
			const struct cluster_node *node =
				cluster_find_node(issue->cluster, done->node);

			if (!done->waited || done->served_ms >= 0)
				continue;
			if (serves(node, new_fingerprint(done->certificates))) {
				done->served_ms = clock_monotonic_ms() - start;
				log_info("%s: served", done->node);
			} else {
				waiting++;
			}
		}
		if (!waiting)
			return 0;
		if (waited >= SERVED_WITHIN_MS) {
			log_warning("%zu API server%s not serve the new certificate after %d s; "
				    "see 'kubectl renumber certs'",
				    waiting, waiting == 1 ? " does" : "s do",
				    SERVED_WITHIN_MS / 1000);
			return 0;
		}
		if (clock_sleep_ms(SERVED_POLL_MS, err) < 0)
			return -1;
	}
}

static void begin(struct issue *issue, struct certs_result *result, const char *prefix)
{
	result->run = run_name(prefix);
	result->items = alloc_array(issue->cluster->node_count + 1, sizeof(*result->items));
	issue->run = result->run;
}

static int change_node(const struct issue *issue, const struct cluster_node *node,
		       const json_t *request, struct certs_result *result, struct error *err)
{
	auto_json json_t *reply = NULL;
	struct certs_done *done = &result->items[result->count];
	size_t count;

	if (node_call(issue->session->pool, node->name, request, &reply, err) < 0)
		return result->count
			       ? error_wrap(err,
					    "after %zu control plane%s done (old pairs "
					    "in /var/lib/kubectl-renumber/%s/pki there)",
					    result->count, result->count == 1 ? " was" : "s were",
					    result->run)
			       : -1;
	*done = (struct certs_done){
		.node = node->name,
		.certificates = json_incref(json_path(reply, "certificates")),
		.served_ms = -1,
		.waited = new_fingerprint(json_path(reply, "certificates")) != NULL,
	};
	result->count++;
	count = json_array_size(json_path(reply, "certificates"));
	log_info("%s: %zu certificate%s in place", node->name, count, count == 1 ? "" : "s");
	return 0;
}

int certs_issue(struct session *session, const struct certs_settings *settings,
		const struct cluster *cluster, struct certs_result *ret, struct error *err)
{
	struct issue issue = {.session = session, .settings = settings, .cluster = cluster};
	auto_certs_result struct certs_result result = {0};

	begin(&issue, &result, "certs");
	if (pki_profile_parse(settings->issue, issue.profiles, &issue.count, err) < 0 ||
	    check_nodes(&issue, /* external= */ false, err) < 0 || consent(&issue, err) < 0)
		return -1;
	for (size_t i = 0; i < cluster->node_count; i++) {
		const struct cluster_node *node = &cluster->nodes[i];
		auto_json json_t *request = NULL;

		if (!node->control_plane)
			continue;
		request = make_request(&issue, node, "certs-issue");
		if (change_node(&issue, node, request, &result, err) < 0)
			return -1;
	}
	if (has_profile(&issue, "apiserver") && wait_served(&issue, &result, err) < 0)
		return -1;
	*ret = result;
	result = (struct certs_result){0};
	return 0;
}

/* ---- with an external CA ---- */

#define RUN_FILE "run"

/* FOLDER/NODE/etcd-server.csr */
static char *exchange_path(const char *folder, const char *node, const struct pki_profile *profile,
			   const char *suffix)
{
	return alloc_format("%s/%s/%s.%s", folder, node, profile->kubeadm, suffix);
}

static int write_requests(const struct issue *issue, const struct cluster_node *node,
			  const json_t *reply, struct pki_texts *files, struct error *err)
{
	auto_free char *folder = file_join(issue->settings->csr, node->name);
	const json_t *item;
	size_t i;

	if (file_make_folder(folder, 0755, err) < 0)
		return -1;
	json_array_foreach(json_path(reply, "requests"), i, item) {
		const char *name = json_path_text(item, "name");
		const char *pem = json_path_text(item, "pem");
		const struct pki_profile *profile = name ? pki_profile_find(slice_of(name)) : NULL;
		auto_free char *path = NULL;

		if (!profile || !pem)
			return error_set(err, ERROR_PARSE, "node '%s' gave no request", node->name);
		path = exchange_path(issue->settings->csr, node->name, profile, "csr");
		if (file_replace(path, pem, strlen(pem), 0644, 0, err) < 0)
			return -1;
		pki_texts_add(files, path);
	}
	return 0;
}

int certs_csr(struct session *session, const struct certs_settings *settings,
	      const struct cluster *cluster, struct pki_texts *ret_files, struct error *err)
{
	struct issue issue = {.session = session, .settings = settings, .cluster = cluster};
	auto_certs_result struct certs_result result = {0};
	auto_pki_texts struct pki_texts files = {0};
	auto_free char *run_path = file_join(settings->csr, RUN_FILE);

	begin(&issue, &result, "csr");
	if (pki_profile_parse(settings->issue ? settings->issue : "all", issue.profiles,
			      &issue.count, err) < 0 ||
	    check_nodes(&issue, /* external= */ true, err) < 0)
		return -1;
	for (size_t i = 0; i < cluster->node_count; i++) {
		const struct cluster_node *node = &cluster->nodes[i];
		auto_json json_t *request = NULL;
		auto_json json_t *reply = NULL;

		if (!node->control_plane)
			continue;
		request = make_request(&issue, node, "certs-csr");
		if (node_call(session->pool, node->name, request, &reply, err) < 0 ||
		    write_requests(&issue, node, reply, &files, err) < 0)
			return -1;
	}
	if (file_replace(run_path, result.run, strlen(result.run), 0644, 0, err) < 0)
		return -1;
	*ret_files = files;
	files = (struct pki_texts){0};
	return 0;
}

/* Adds the certificate in a file to the list. */
static int read_one(const char *path, const struct pki_profile *profile, json_t *list,
		    struct error *err)
{
	auto_buffer struct buffer text = {0};
	json_t *pem;

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0)
		return -1;
	pem = json_stringn(buffer_cstr(&text), text.len);
	if (!pem || strlen(buffer_cstr(&text)) != text.len) {
		json_decref(pem);
		return error_set(err, ERROR_PARSE, "%s:1:1: not a PEM text", path);
	}
	json_array_append_new(list, json_pack("{s:s,s:o}", "name", profile->name, "pem", pem));
	return 0;
}

static int take_signed(struct issue *issue, const struct cluster_node *node,
		       const struct pki_profile *profile, json_t *list, struct error *err)
{
	auto_free char *path = exchange_path(issue->settings->import, node->name, profile, "crt");

	if (!file_exists(path))
		return 0;
	if (read_one(path, profile, list, err) < 0)
		return -1;
	issue->profiles[issue->count++] = profile;
	return 0;
}

/* The certificates that are there for a node; `issue` has their profiles afterwards. */
static int read_signed(struct issue *issue, const struct cluster_node *node, json_t *list,
		       struct error *err)
{
	issue->count = 0;
	for (size_t i = 0; i < pki_profile_count; i++)
		if (take_signed(issue, node, &pki_profiles[i], list, err) < 0)
			return -1;
	return 0;
}

static int import_node(struct issue *issue, const struct cluster_node *node,
		       struct certs_result *result, struct error *err)
{
	json_t *list = json_array();
	auto_json json_t *request = NULL;

	if (read_signed(issue, node, list, err) < 0 || !issue->count) {
		json_decref(list);
		return err->kind == ERROR_NONE ? 0 : -1;
	}
	request = make_request(issue, node, "certs-import");
	json_object_set_new(request, "certificates", list);
	return change_node(issue, node, request, result, err);
}

static int read_run(const struct certs_settings *settings, struct certs_result *result,
		    struct error *err)
{
	auto_free char *path = file_join(settings->import, RUN_FILE);
	auto_buffer struct buffer text = {0};

	if (file_read(path, LIMIT_CONFIG_FILE, &text, err) < 0)
		return error_wrap(err, "'%s' is not a folder that --csr wrote", settings->import);
	free(result->run);
	result->run = slice_dup(slice_trim(buffer_as_slice(&text)));
	return 0;
}

int certs_import(struct session *session, const struct certs_settings *settings,
		 const struct cluster *cluster, struct certs_result *ret, struct error *err)
{
	struct issue issue = {.session = session, .settings = settings, .cluster = cluster};
	auto_certs_result struct certs_result result = {0};

	begin(&issue, &result, "import");
	if (read_run(settings, &result, err) < 0)
		return -1;
	issue.run = result.run;
	if (check_nodes(&issue, /* external= */ true, err) < 0 ||
	    session_consent(session, "Replacing certificates by the signed ones", err) < 0)
		return -1;
	for (size_t i = 0; i < cluster->node_count; i++)
		if (cluster->nodes[i].control_plane &&
		    import_node(&issue, &cluster->nodes[i], &result, err) < 0)
			return -1;
	if (!result.count)
		return error_set(err, ERROR_NOT_FOUND, "no signed certificate is in '%s/NODE/'",
				 settings->import);
	if (wait_served(&issue, &result, err) < 0)
		return -1;
	*ret = result;
	result = (struct certs_result){0};
	return 0;
}
