/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "text/json.h"

/* KR3xx: what the API servers' certificates name, on disk and live, and the audit of all others. */

static void add_lack(struct finding *f, const struct cluster_node *n,
		     const struct cluster_certificate *certificate, const char *address)
{
	auto_free char *names = doctor_join(&certificate->addresses);

	if (certificate->path)
		finding_evidence(f, "%s:%s names %s, not %s", n->name, certificate->path, names,
				 address);
	else
		finding_evidence(f, "served on %s:%u (%s): names %s, not %s", n->address,
				 n->api_port, n->name, names, address);
}

static bool lacks(const struct cluster_certificate *certificate, const char *address)
{
	return certificate->known && !cluster_texts_contain(&certificate->addresses, address);
}

/* One finding for an address, whatever number of servers lack it. */
static struct finding *missing(const struct patient *p, struct finding_list *list, const char *code,
			       const char *address, const char *whose)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	size_t servers = 0;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];
		const struct cluster_certificate *disk = &n->host.api_server_certificate;
		auto_free char *subject = alloc_format("certificates/%s", address);

		if (!lacks(disk, address) && !lacks(&n->served, address))
			continue;
		if (!f)
			f = finding_add(list, code, FINDING_ERROR, subject);
		servers++;
		if (lacks(disk, address))
			add_lack(f, n, disk, address);
		if (lacks(&n->served, address))
			add_lack(f, n, &n->served, address);
	}
	if (!f)
		return NULL;
	finding_message(f,
			"the API server certificate of %zu of %zu control planes does not name %s, "
			"%s",
			servers, cluster_control_plane_count(c), address, whose);
	finding_remedy(f, DOCTOR_REPAIR);
	return f;
}

static void names(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	if (p->address)
		missing(p, list, "KR301", p->address,
			"the address of default/kubernetes: clients get 'x509: certificate is "
			"valid "
			"for …'");
	if (p->first && (!p->address || strcmp(p->first, p->address) != 0))
		missing(p, list, "KR302", p->first,
			"the address that default/kubernetes gets in the range of the flags");
	for (size_t i = 0; i < c->dead_count; i++) {
		if (doctor_is_dialled(&c->dead[i]))
			missing(p, list, "KR303", c->dead[i].address,
				"an old address that is still dialled: an alias alone will not "
				"help");
	}
	for (size_t i = 0; i < c->aliased_count; i++) {
		if (doctor_is_dialled(&c->aliased[i]))
			missing(p, list, "KR303", c->aliased[i].address,
				"an old address that is still dialled through its alias");
	}
}

static void not_served(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];
		const struct cluster_certificate *disk = &n->host.api_server_certificate;

		if (!disk->known || !n->served.known ||
		    strcmp(disk->fingerprint, n->served.fingerprint) == 0)
			continue;
		if (!f)
			f = finding_add(list, "KR304", FINDING_WARNING, "served certificates");
		finding_evidence(f, "%s:%s is %.16s…, served on %s:%u is %.16s…", n->name,
				 disk->path, disk->fingerprint, n->address, n->api_port,
				 n->served.fingerprint);
	}
	if (!f)
		return;
	finding_message(f, "%zu API %s another certificate than the one on disk", f->evidence_count,
			finding_plural(f->evidence_count, "server serves", "servers serve"));
	finding_remedy(
		f, "API servers take a new pair within a minute when key and certificate match; "
		   "after that, look at 'kubectl renumber certs' and restart the API server "
		   "by moving its manifest away and back");
}

static void unknown(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];

		if (!n->control_plane || n->served.known || n->host.api_server_certificate.known)
			continue;
		if (!f)
			f = finding_add(list, "KR305", FINDING_WARNING, "unseen certificates");
		finding_evidence(f, "%s: %s", n->name,
				 n->served_problem ? n->served_problem : "not asked");
	}
	if (!f)
		return;
	finding_message(f, "the API server certificate of %zu control %s could not be seen",
			f->evidence_count, finding_plural(f->evidence_count, "plane", "planes"));
	finding_remedy(f,
		       "run 'kubectl renumber doctor' where the nodes can be reached (--nodes-via "
		       "ssh, or local on a control plane)");
}

/* With the file alone nobody knows what clients see. */
static void not_seen_live(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];

		if (!n->control_plane || n->served.known || !n->host.api_server_certificate.known)
			continue;
		if (!f)
			f = finding_add(list, "KR322", FINDING_WARNING,
					"served certificates unseen");
		finding_evidence(f, "%s: %s", n->name,
				 n->served_problem ? n->served_problem : "not asked");
	}
	if (!f)
		return;
	finding_message(f, "%zu API %s not show the served certificate", f->evidence_count,
			finding_plural(f->evidence_count, "server did", "servers did"));
	finding_remedy(f,
		       "see whether the API server runs on these nodes, then run 'kubectl renumber "
		       "doctor' again");
}

/* How the audit's problems (pki/audit.h) are told here; what is not listed is told elsewhere. */
struct row {
	const char *problem;
	const char *code;
	enum finding_severity severity;
	bool ca; /* the row is for CAs; otherwise for leaves */
	const char *message;
	const char *remedy;
};

static const struct row rows[] = {
	{"expires-soon", "KR306", FINDING_WARNING, true, "certificate authorities expire soon",
	 "plan the rotation of the CA; no certificate outlives it"},
	{"expired", "KR307", FINDING_ERROR, true, "certificate authorities have expired",
	 "rotate the CA before anything else: nothing that it signs will be trusted"},
	{"expires-soon", "KR308", FINDING_WARNING, false, "certificates expire soon",
	 "run 'kubectl renumber certs --issue all', or 'kubeadm certs renew all' on each control "
	 "plane"},
	{"expired", "KR309", FINDING_ERROR, false, "certificates have expired",
	 "run 'kubectl renumber certs --issue all'"},
	{"key-mismatch", "KR310", FINDING_ERROR, false, "keys do not belong to their certificates",
	 "run 'kubectl renumber certs --issue NAME' for them: the API server keeps the old pair "
	 "until "
	 "both match"},
	{"key-missing", "KR311", FINDING_ERROR, false, "keys are missing beside their certificates",
	 "run 'kubectl renumber certs --issue NAME' for them"},
	{"not-signed-by-ca", "KR312", FINDING_ERROR, false,
	 "certificates are not signed by their CA",
	 "run 'kubectl renumber certs --issue NAME' for them"},
	{"malformed", "KR313", FINDING_ERROR, false, "files cannot be read as certificates",
	 "look at them; stray copies belong elsewhere"},
	{"missing", "KR314", FINDING_ERROR, false, "certificates are not there",
	 "run 'kubectl renumber certs --issue NAME' for them before the API server or etcd "
	 "restarts"},
	{"usage-missing", "KR315", FINDING_ERROR, false,
	 "certificates are not for what they are used for",
	 "run 'kubectl renumber certs --issue NAME' for them"},
	{"not-yet-valid", "KR316", FINDING_ERROR, false, "certificates are not valid yet",
	 "look at the clock of the node"},
	{"key-malformed", "KR317", FINDING_ERROR, false, "private keys cannot be read",
	 "run 'kubectl renumber certs --issue NAME' for them"},
	{"unreadable", "KR318", FINDING_ERROR, false, "files cannot be read", "look at them"},
	{"ca-differs", "KR319", FINDING_WARNING, true,
	 "kubeconfigs trust another CA than the cluster's",
	 "make them anew by 'kubeadm init phase kubeconfig'"},
	{"key-exposed", "KR320", FINDING_WARNING, false, "private keys can be read by others",
	 "chmod 600 them"},
	{"key-exposed", "KR320", FINDING_WARNING, true, "private keys of CAs can be read by others",
	 "chmod 600 them"},
	{"key-mismatch", "KR321", FINDING_ERROR, true,
	 "private keys do not belong to their CA certificates",
	 "find the right key: nothing can be issued with this one"},
};

static void add_problem(struct finding_list *list, struct finding **found, const struct row *row,
			const char *node, const json_t *record, const json_t *problem)
{
	const char *message = json_path_text(problem, "message");
	auto_free char *subject = alloc_format("certificates %s", row->problem);

	if (!*found)
		*found = finding_add(list, row->code, row->severity, subject);
	finding_evidence(*found, "%s:%s: %s", node, json_path_text(record, "path"),
			 message ? message : row->problem);
}

static void audit_row(const struct patient *p, struct finding_list *list, const struct row *row)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	const json_t *record;
	const json_t *problem;
	size_t k;
	size_t n;

	for (size_t i = 0; i < c->node_count; i++) {
		json_array_foreach(json_path(c->nodes[i].host.audit, "records"), k, record) {
			if (json_path_bool(record, "certificate.isCA", false) != row->ca)
				continue;
			json_array_foreach(json_path(record, "problems"), n, problem) {
				if (json_path_is(problem, "code", row->problem))
					add_problem(list, &f, row, c->nodes[i].name, record,
						    problem);
			}
		}
	}
	if (!f)
		return;
	finding_message(f, "%zu %s", f->evidence_count, row->message);
	finding_remedy(f, "%s", row->remedy);
}

void doctor_certificates(const struct patient *p, struct finding_list *list)
{
	names(p, list);
	not_served(p, list);
	unknown(p, list);
	not_seen_live(p, list);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		audit_row(p, list, &rows[i]);
}
