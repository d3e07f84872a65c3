/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "net/address.h"

/* KR6xx: kubeadm-config and the files on control planes, and what the next kubeadm makes of them. */

#define KUBEADM_CONFIG "ConfigMap/kube-system/kubeadm-config"

static void behind(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f;

	if (!c->kubeadm_known || !p->range || !c->kubeadm_range ||
	    cluster_range_equal(c->kubeadm_range, p->range))
		return;
	f = finding_add(list, "KR601", FINDING_WARNING, KUBEADM_CONFIG);
	finding_message(f,
			"kubeadm-config says %s, the API servers run with %s: the next 'kubeadm "
			"upgrade' or joining control plane brings %s back",
			c->kubeadm_range, p->range, c->kubeadm_range);
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, KUBEADM_CONFIG ": serviceSubnet %s%s%s",
			 c->kubeadm_service_subnet ? c->kubeadm_service_subnet : "not set",
			 c->kubeadm_range_arg ? ", apiServer.extraArgs service-cluster-ip-range "
					      : "",
			 c->kubeadm_range_arg ? c->kubeadm_range_arg : "");
	finding_evidence(f, "API servers: --service-cluster-ip-range=%s", p->range);
}

/* What kubeadm puts into every API server's certificate on its own, as far as addresses go. */
static bool kubeadm_names(const struct cluster *c, const char *address)
{
	const char *first = cluster_nth_address(
		c, c->kubeadm_service_subnet ? c->kubeadm_service_subnet : c->kubeadm_range, 1);

	return cluster_texts_contain(&c->kubeadm_cert_sans, address) ||
	       (first && strcmp(first, address) == 0);
}

static void next_certificate(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	auto_buffer struct buffer lacking = {0};
	struct finding *f;

	if (!c->kubeadm_known)
		return;
	if (p->address && !kubeadm_names(c, p->address))
		buffer_format(&lacking, "%s (default/kubernetes)", p->address);
	for (size_t i = 0; i < c->dead_count + c->aliased_count; i++) {
		const struct cluster_dead_address *d =
			i < c->dead_count ? &c->dead[i] : &c->aliased[i - c->dead_count];

		if (doctor_is_dialled(d) && !kubeadm_names(c, d->address))
			buffer_format(&lacking, "%s%s (still dialled)", lacking.len ? ", " : "",
				      d->address);
	}
	if (!lacking.len)
		return;
	f = finding_add(list, "KR602", FINDING_WARNING, KUBEADM_CONFIG);
	finding_message(f, "a certificate that kubeadm makes from its ConfigMap would not name %s",
			buffer_cstr(&lacking));
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, KUBEADM_CONFIG ": serviceSubnet %s",
			 c->kubeadm_service_subnet ? c->kubeadm_service_subnet : "not set");
	if (c->kubeadm_cert_sans.count) {
		auto_free char *sans = doctor_join(&c->kubeadm_cert_sans);

		finding_evidence(f, KUBEADM_CONFIG ": certSANs %s", sans);
	} else {
		finding_evidence(f, KUBEADM_CONFIG ": no certSANs");
	}
}

static void overridden(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f;

	if (!c->kubeadm_range_arg || !c->kubeadm_service_subnet ||
	    cluster_range_equal(c->kubeadm_range_arg, c->kubeadm_service_subnet))
		return;
	f = finding_add(list, "KR603", FINDING_WARNING, KUBEADM_CONFIG);
	finding_message(f,
			"extraArgs give the API servers %s but serviceSubnet is %s: kubeadm makes "
			"certificates and kube-dns for the latter",
			c->kubeadm_range_arg, c->kubeadm_service_subnet);
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f,
			 KUBEADM_CONFIG
			 ": apiServer.extraArgs service-cluster-ip-range %s, serviceSubnet %s",
			 c->kubeadm_range_arg, c->kubeadm_service_subnet);
}

/* kubelet reads every file without a leading dot, also kube-apiserver.yaml.bak. */
static void twice(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;

		for (size_t k = 0; k < h->manifest_count; k++) {
			const struct cluster_manifest *m = &h->manifests[k];
			auto_free char *own =
				alloc_format("/%s.yaml", m->program ? m->program : "");
			auto_free char *subject = alloc_format("%s:%s", c->nodes[i].name, m->path);
			bool doubled = false;
			struct finding *f;

			for (size_t n = 0; m->program && n < h->manifest_count; n++)
				doubled |= n != k && h->manifests[n].program &&
					   strcmp(h->manifests[n].program, m->program) == 0;
			if (!doubled || slice_ends(slice_of(m->path), own))
				continue;
			f = finding_add(list, "KR604", FINDING_ERROR, subject);
			finding_message(f,
					"'%s' is in kubelet's manifests folder and defines %s a "
					"second time: kubelet may run either file",
					m->path, m->program);
			finding_remedy(
				f,
				"move it away on %s: 'mv %s /root/'; backups belong outside of "
				"this folder",
				c->nodes[i].name, m->path);
			for (size_t n = 0; n < h->manifest_count; n++) {
				if (h->manifests[n].program &&
				    strcmp(h->manifests[n].program, m->program) == 0)
					finding_evidence(f, "%s:%s defines %s", c->nodes[i].name,
							 h->manifests[n].path, m->program);
			}
		}
	}
}

static void unreadable(const struct patient *p, struct finding_list *list)
{
	struct finding *f;

	if (!p->cluster->kubeadm_problem)
		return;
	f = finding_add(list, "KR605", FINDING_WARNING, KUBEADM_CONFIG);
	finding_message(f, "kubeadm-config cannot be understood");
	finding_remedy(
		f, "look at 'kubectl -n kube-system get configmap kubeadm-config -o yaml'; kubeadm "
		   "cannot read it either");
	finding_evidence(f, "%s", p->cluster->kubeadm_problem);
}

/* Appends what kubeadm-config asks for and the certificate does not have. */
static void collect_unmet(const struct cluster *c, const struct cluster_certificate *certificate,
			  struct buffer *ret)
{
	const char *first = cluster_nth_address(c, c->kubeadm_range, 1);

	for (size_t i = 0; i <= c->kubeadm_cert_sans.count; i++) {
		const char *name =
			i < c->kubeadm_cert_sans.count ? c->kubeadm_cert_sans.items[i] : first;

		if (!name || cluster_texts_contain(&certificate->addresses, name) ||
		    cluster_texts_contain(&certificate->dns_names, name))
			continue;
		buffer_format(ret, "%s%s", ret->len ? ", " : "", name);
	}
}

/*
 * kubeadm prints "Using existing apiserver certificate and key on disk" and exits 0 whatever the
 * certificate names; 'certs renew' copies the names of the old one.
 */
static void trap(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; c->kubeadm_known && i < c->node_count; i++) {
		const struct cluster_certificate *certificate =
			&c->nodes[i].host.api_server_certificate;
		auto_buffer struct buffer unmet = {0};

		if (!certificate->known)
			continue;
		collect_unmet(c, certificate, &unmet);
		if (!unmet.len)
			continue;
		if (!f)
			f = finding_add(list, "KR606", FINDING_WARNING,
					"certificates behind kubeadm-config");
		finding_evidence(f, "%s:%s lacks %s", c->nodes[i].name, certificate->path,
				 buffer_cstr(&unmet));
	}
	if (!f)
		return;
	finding_message(
		f,
		"kubeadm-config asks for names that the API server certificate of %zu control "
		"planes lacks; kubeadm will not add them: 'init phase certs' says 'Using "
		"existing apiserver certificate' and 'certs renew' copies the old names",
		f->evidence_count);
	finding_remedy(f, "run 'kubectl renumber certs --issue apiserver', or " DOCTOR_REPAIR);
}

void doctor_files(const struct patient *p, struct finding_list *list)
{
	behind(p, list);
	next_certificate(p, list);
	overridden(p, list);
	twice(p, list);
	unreadable(p, list);
	trap(p, list);
}
