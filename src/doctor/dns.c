/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"

/* KR4xx: the DNS Service, what kubelets hand to Pods, and what running Pods ask. */

/* An address in some Service range that the DNS Service does not hold; NULL: fine. Node-local
 * caches and outside resolvers lie in no Service range. */
static const char *wrong_dns(const struct patient *p, const struct cluster_texts *addresses)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < addresses->count; i++) {
		const char *address = addresses->items[i];

		if ((p->dns && cluster_texts_contain(&p->dns->cluster_ips, address)) ||
		    cluster_find_holder(c, address))
			continue;
		for (size_t k = 0; k < c->range_count; k++) {
			if (cluster_range_contains(c->ranges[k].text, address))
				return address;
		}
	}
	return NULL;
}

static bool is_dead(const struct cluster *c, const char *address)
{
	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (cluster_texts_contain(&s->cluster_ips, address) ||
		    cluster_texts_contain(&s->ingress_ips, address) ||
		    cluster_texts_contain(&s->external_ips, address))
			return false;
	}
	return true;
}

static void kubelet_map(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const char *wrong = wrong_dns(p, &c->kubelet_dns);
	auto_free char *subject = alloc_format(
		"ConfigMap/kube-system/%s", c->kubelet_config.name ? c->kubelet_config.name : "");
	struct finding *f;

	if (!p->dns_address || !wrong)
		return;
	f = finding_add(list, "KR401", is_dead(c, wrong) ? FINDING_ERROR : FINDING_WARNING,
			subject);
	finding_message(f, "nodes that join are given DNS server %s, but kube-dns is %s", wrong,
			p->dns_address);
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, "%s: clusterDNS %s", subject, wrong);
	finding_evidence(f, "Service/kube-system/kube-dns: clusterIP %s", p->dns_address);
}

static void kubelet_files(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; p->dns_address && i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;
		const char *wrong = wrong_dns(p, &h->kubelet_dns);

		if (!wrong)
			continue;
		if (!f)
			f = finding_add(list, "KR402", FINDING_WARNING,
					"/var/lib/kubelet/config.yaml");
		if (is_dead(c, wrong))
			f->severity = FINDING_ERROR;
		finding_evidence(f, "%s:/var/lib/kubelet/config.yaml: clusterDNS %s",
				 c->nodes[i].name, wrong);
	}
	if (!f)
		return;
	finding_message(f, "kubelet on %zu %s gives new Pods another DNS server than kube-dns (%s)",
			f->evidence_count, finding_plural(f->evidence_count, "node", "nodes"),
			p->dns_address);
	finding_remedy(f, DOCTOR_REPAIR);
}

static void not_tenth(const struct patient *p, struct finding_list *list)
{
	struct finding *f;

	if (!p->dns_address || !p->tenth || !p->cluster->kubeadm_known ||
	    strcmp(p->dns_address, p->tenth) == 0)
		return;
	f = finding_add(list, "KR403", FINDING_WARNING, "Service/kube-system/kube-dns");
	finding_message(f,
			"kube-dns has %s, kubeadm computes %s from %s: its next upgrade fails on "
			"the immutable address",
			p->dns_address, p->tenth, p->range);
	if (cluster_range_contains(p->range, p->dns_address))
		finding_remedy(f,
			       "no plan moves it within its range: upgrade with kubeadm's phase "
			       "addon/coredns skipped, or make the Service anew with %s and write "
			       "that into every kubelet's clusterDNS",
			       p->tenth);
	else
		finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, "Service/kube-system/kube-dns: clusterIP %s", p->dns_address);
}

/* Users of the address may only have it in their environment: resolv.conf decides here. */
static void old_nameserver(const struct cluster *c, const struct cluster_dead_address *d,
			   const char *dns, struct finding_list *list)
{
	auto_free char *subject = alloc_format("nameserver/%s", d->address);
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;

		for (size_t k = 0; k < h->container_count; k++) {
			const struct cluster_pod *pod =
				cluster_find_pod_uid(c, h->containers[k].pod_uid);

			if (!pod ||
			    !cluster_texts_contain(&h->containers[k].nameservers, d->address))
				continue;
			if (!f)
				f = finding_add(list, "KR404",
						d->alias ? FINDING_WARNING : FINDING_ERROR,
						subject);
			finding_evidence(f, "Pod/%s/%s asks %s", pod->namespace_, pod->name,
					 d->address);
		}
	}
	if (!f)
		return;
	finding_message(f, "%zu running containers ask DNS at %s, %s", f->evidence_count,
			d->address,
			d->alias ? "which an alias keeps alive" : "where nobody answers");
	finding_remedy(f, "%s; resolv.conf is made with the Pod: it must be created anew to ask %s",
		       d->alias ? "restart their workloads when you like" : DOCTOR_REPAIR,
		       dns ? dns : "kube-dns");
}

static void nameservers(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->dead_count; i++) {
		if (c->dead[i].role == CLUSTER_DEAD_DNS)
			old_nameserver(c, &c->dead[i], p->dns_address, list);
	}
	for (size_t i = 0; i < c->aliased_count; i++) {
		if (c->aliased[i].role == CLUSTER_DEAD_DNS)
			old_nameserver(c, &c->aliased[i], p->dns_address, list);
	}
}

static void no_dns(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const char *wrong = wrong_dns(p, &c->kubelet_dns);
	struct finding *f;

	if (p->dns_address || !wrong || !is_dead(c, wrong))
		return;
	f = finding_add(list, "KR405", FINDING_ERROR, "Service/kube-system/kube-dns");
	finding_message(f, "Service kube-dns is gone while kubelets send Pods to %s", wrong);
	finding_remedy(
		f, "create it again with 'kubeadm init phase addon coredns' once kubeadm-config "
		   "names the right range, then " DOCTOR_REPAIR);
	finding_evidence(f, "Service/kube-system/kube-dns: not found");
}

/* NodeLocal DNSCache answers on every node at the addresses that it was given, whoever has them. One
 * beside that of kube-dns is right for as long as an alias answers there, too. */
static void local_dns(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; p->dns_address && i < c->local_dns_count; i++) {
		const struct cluster_local_dns *dns = &c->local_dns[i];
		const char *wrong = wrong_dns(p, &dns->addresses);
		bool beside = cluster_texts_contain(&dns->addresses, p->dns_address);
		auto_free char *subject = NULL;
		struct finding *f;

		if (!wrong || (beside && !is_dead(c, wrong)))
			continue;
		subject = alloc_format("DaemonSet/%s/%s", dns->namespace_, dns->name);
		f = finding_add(list, "KR406", FINDING_WARNING, subject);
		finding_message(f, "node-local DNS listens at %s, %s %s", wrong,
				beside ? "beside the address of kube-dns," : "but kube-dns is",
				p->dns_address);
		if (dns->config_map)
			finding_remedy(f, DOCTOR_REPAIR);
		else
			finding_remedy(f,
				       "its Corefile is in none of its ConfigMaps: give it %s in "
				       "both, the Corefile and the argument -localip",
				       p->dns_address);
		finding_evidence(f, "%s: listens at %s", subject, wrong);
		finding_evidence(f, "Service/kube-system/kube-dns: clusterIP %s", p->dns_address);
	}
}

void doctor_dns(const struct patient *p, struct finding_list *list)
{
	kubelet_map(p, list);
	kubelet_files(p, list);
	not_tenth(p, list);
	nameservers(p, list);
	no_dns(p, list);
	local_dns(p, list);
}
