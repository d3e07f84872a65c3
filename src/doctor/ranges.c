/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

/* KR1xx: flags, ServiceCIDRs and the Services in them. */

static void flags_differ(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	bool any = false;

	for (size_t i = 0; i < c->node_count; i++)
		any |= cluster_component_range(&c->nodes[i].host.api_server) != NULL;
	if (p->range || !any)
		return;
	f = finding_add(list, "KR101", FINDING_ERROR, "kube-apiserver");
	finding_message(f,
			"API servers run with different Service ranges: those that lost the race "
			"cannot give out addresses");
	finding_remedy(f, "run 'kubectl renumber plan --repair --to RANGE --out repair.plan' with "
			  "the range that is to stay, then 'kubectl renumber apply repair.plan'");
	for (size_t i = 0; i < c->node_count; i++) {
		const char *range = cluster_component_range(&c->nodes[i].host.api_server);

		if (range)
			finding_evidence(f, "%s: --service-cluster-ip-range=%s", c->nodes[i].name,
					 range);
	}
}

static void flag_changed(const struct patient *p, struct finding_list *list)
{
	struct finding *f;

	if (!p->range || !p->address || cluster_range_contains(p->range, p->address))
		return;
	f = finding_add(list, "KR102", FINDING_ERROR, "Service/default/kubernetes");
	finding_message(f, "the API servers' range is %s but default/kubernetes still has %s",
			p->range, p->address);
	finding_remedy(f,
		       "do not delete default/kubernetes: every container dials %s; " DOCTOR_REPAIR,
		       p->address);
	finding_evidence(f, "Service/default/kubernetes: clusterIP %s", p->address);
	finding_evidence(f, "API servers: --service-cluster-ip-range=%s", p->range);
}

struct pair {
	const char *program;
	const struct cluster_component *component;
};

static void manifest_differs(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;
		const struct pair pairs[] = {
			{"kube-apiserver", &h->api_server},
			{"kube-controller-manager", &h->controller_manager},
		};

		for (size_t k = 0; k < 2; k++) {
			const struct cluster_component *component = pairs[k].component;
			const char *runs = component->running_range;
			const char *says = component->manifest_range;

			if (!component->running || !component->manifest_known || (!runs && !says) ||
			    cluster_range_equal(runs, says))
				continue;
			if (!f)
				f = finding_add(list, "KR103", FINDING_WARNING,
						"/etc/kubernetes/manifests");
			finding_evidence(f, "%s:%s has %s, the running %s has %s", c->nodes[i].name,
					 component->manifest_path, says ? says : "no range",
					 pairs[k].program, runs ? runs : "none");
		}
	}
	if (!f)
		return;
	finding_message(
		f,
		"%zu running %s another range than the manifest: the restart is pending, or "
		"kubelet runs another file",
		f->evidence_count, finding_plural(f->evidence_count, "server has", "servers have"));
	finding_remedy(f,
		       "look at 'ls -la /etc/kubernetes/manifests' and the kubelet's log on these "
		       "nodes; a restarting API server takes up to a minute; then run "
		       "'kubectl renumber doctor' again");
}

static void manager_differs(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; p->range && i < c->node_count; i++) {
		const char *range = cluster_component_range(&c->nodes[i].host.controller_manager);

		if (!range || cluster_range_equal(range, p->range))
			continue;
		if (!f)
			f = finding_add(list, "KR104", FINDING_WARNING, "kube-controller-manager");
		finding_evidence(f, "%s: --service-cluster-ip-range=%s", c->nodes[i].name, range);
	}
	if (!f)
		return;
	finding_message(f,
			"the controller-manager on %zu %s has another range than the API "
			"servers (%s): node CIDRs may overlap the Services'",
			f->evidence_count, finding_plural(f->evidence_count, "node", "nodes"),
			p->range);
	finding_remedy(f, DOCTOR_REPAIR);
}

/* The ServiceCIDR's ranges as a flag would name them; the caller frees. */
static char *cidr_text(const struct cluster_service_cidr *cidr)
{
	auto_buffer struct buffer b = {0};

	for (size_t i = 0; i < cidr->cidrs.count; i++)
		buffer_format(&b, "%s%s", i ? "," : "", cidr->cidrs.items[i]);
	return buffer_detach(&b);
}

static bool default_matches(const struct patient *p)
{
	const struct cluster_service_cidr *cidr = cluster_default_cidr(p->cluster);
	auto_free char *text = cidr ? cidr_text(cidr) : NULL;

	return cidr && cluster_range_equal(text, p->range);
}

/* An operator's second range beside a consistent default is as good as the first. */
static bool in_added_range(const struct patient *p, const char *address)
{
	const struct cluster_service_cidr *cover = cluster_find_cover(p->cluster, address);

	return p->has_cidrs && cover && default_matches(p) && !cover->run &&
	       strcmp(cover->name, CLUSTER_NEW_CIDR_NAME) != 0 &&
	       strcmp(cover->name, CLUSTER_OLD_CIDR_NAME) != 0;
}

static bool is_misplaced(const struct patient *p, const struct cluster_service *service)
{
	for (size_t i = 0; i < service->cluster_ips.count; i++) {
		const char *address = service->cluster_ips.items[i];

		if (!cluster_range_contains(p->range, address) && !in_added_range(p, address))
			return true;
	}
	return false;
}

static void two_ranges(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	size_t inside = 0;

	for (size_t i = 0; p->range && i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (!doctor_has_address(s))
			continue;
		if (!is_misplaced(p, s)) {
			inside++;
			continue;
		}
		if (!f)
			f = finding_add(list, "KR105", FINDING_WARNING, "Services");
		finding_evidence(f, "Service/%s/%s: %s", s->namespace_, s->name,
				 s->cluster_ips.items[0]);
	}
	if (!f)
		return;
	if (inside)
		finding_message(f, "Services stand in two ranges: %zu in %s, %zu outside of it",
				inside, p->range, f->evidence_count);
	else
		finding_message(f, "all %zu Services stand outside of the API servers' range %s",
				f->evidence_count, p->range);
	finding_remedy(f, DOCTOR_REPAIR);
}

/* Also one that is being deleted: its IPAddress objects keep the addresses from being given twice. */
static bool in_some_cidr(const struct cluster *c, const char *address)
{
	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_texts *cidrs = &c->service_cidrs[i].cidrs;

		for (size_t k = 0; k < cidrs->count; k++) {
			if (cluster_range_contains(cidrs->items[k], address))
				return true;
		}
	}
	return false;
}

static bool is_outside(const struct patient *p, const char *address)
{
	if (p->has_cidrs)
		return p->cluster->service_cidr_count && !in_some_cidr(p->cluster, address);
	return p->range && !cluster_range_contains(p->range, address);
}

/* Whom the allocator does not know: nobody keeps a second Service from getting the same address. */
static void outside_every(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		if (!doctor_has_address(s) || !is_outside(p, s->cluster_ips.items[0]))
			continue;
		if (!f)
			f = finding_add(list, "KR106", FINDING_ERROR, "Services outside");
		finding_evidence(f, "Service/%s/%s: %s", s->namespace_, s->name,
				 s->cluster_ips.items[0]);
	}
	if (!f)
		return;
	finding_message(f, "%zu Services have addresses outside of every range that %s",
			f->evidence_count,
			p->has_cidrs ? "a ServiceCIDR serves" : "the API servers serve");
	finding_remedy(f, DOCTOR_REPAIR);
}

static const struct cluster_event *event_of(const struct cluster *c, const char *reason)
{
	for (size_t i = 0; i < c->event_count; i++) {
		if (strcmp(c->events[i].reason, reason) == 0)
			return &c->events[i];
	}
	return NULL;
}

static void default_cidr(const struct patient *p, struct finding_list *list)
{
	const struct cluster_service_cidr *cidr = cluster_default_cidr(p->cluster);
	const struct cluster_event *event =
		event_of(p->cluster, "KubernetesDefaultServiceCIDRInconsistent");
	auto_free char *text = cidr ? cidr_text(cidr) : NULL;
	struct finding *f;

	if (!p->has_cidrs || !p->range || !cidr || default_matches(p))
		return;
	f = finding_add(list, "KR107", FINDING_ERROR, "ServiceCIDR/kubernetes");
	finding_message(f, "the default ServiceCIDR is %s but the API servers' flag says %s", text,
			p->range);
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, "ServiceCIDR/kubernetes: %s%s", text,
			 cidr->deleting ? ", being deleted" : "");
	if (event)
		finding_evidence(f, "event %s: %s", event->reason, event->message);
}

static void not_ready(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &c->service_cidrs[i];
		auto_free char *subject = alloc_format("ServiceCIDR/%s", s->name);
		struct finding *f;

		if (s->ready || s->deleting)
			continue;
		f = finding_add(list, "KR108", FINDING_ERROR, subject);
		finding_message(f, "ServiceCIDR '%s' is not ready: no address is given out of it",
				s->name);
		finding_remedy(f, "look at 'kubectl describe servicecidr %s'", s->name);
		finding_evidence(f, "%s: %s", s->reason ? s->reason : "no reason",
				 s->message ? s->message : "no message");
	}
}

static void terminating(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &c->service_cidrs[i];
		auto_free char *subject = alloc_format("ServiceCIDR/%s", s->name);
		auto_free char *text = cidr_text(s);
		struct finding *f;

		if (!s->deleting)
			continue;
		f = finding_add(list, "KR109", FINDING_WARNING, subject);
		for (size_t k = 0; k < c->service_count; k++) {
			const struct cluster_service *service = &c->services[k];

			if (service->cluster_ips.count &&
			    cluster_range_contains(text, service->cluster_ips.items[0]))
				finding_evidence(f, "Service/%s/%s: %s", service->namespace_,
						 service->name, service->cluster_ips.items[0]);
		}
		finding_message(f, "ServiceCIDR '%s' (%s) is being deleted, held by %zu Services",
				s->name, text, f->evidence_count);
		if (strcmp(s->name, CLUSTER_OLD_CIDR_NAME) == 0)
			finding_remedy(
				f, "it goes by itself when the last alias does: run "
				   "'kubectl renumber status', then 'kubectl renumber finalize'");
		else
			finding_remedy(f, DOCTOR_REPAIR);
	}
}

static void uncovered(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f;

	if (!p->has_cidrs || !p->first || cluster_find_cover(c, p->first))
		return;
	f = finding_add(list, "KR110", FINDING_ERROR, "ServiceCIDRs");
	finding_message(
		f,
		"no ready ServiceCIDR holds the API servers' range %s: no address of it can "
		"be given out, not even %s for default/kubernetes",
		p->range, p->first);
	finding_remedy(f, DOCTOR_REPAIR);
	for (size_t i = 0; i < c->service_cidr_count; i++) {
		auto_free char *text = cidr_text(&c->service_cidrs[i]);

		finding_evidence(f, "ServiceCIDR/%s: %s%s", c->service_cidrs[i].name, text,
				 c->service_cidrs[i].deleting ? ", being deleted" : "");
	}
	if (!c->service_cidr_count)
		finding_evidence(f, "there is no ServiceCIDR at all");
}

/* The bitmap is written anew for another range by nobody while both allocators are written. */
static void bitmap_behind(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const struct cluster_service_cidr *cidr = cluster_default_cidr(c);
	auto_free char *text = cidr ? cidr_text(cidr) : NULL;
	const char *bitmap = c->range_allocation ? c->range_allocation : text;
	struct finding *f;

	if (c->regime != CLUSTER_REGIME_DUAL_WRITE || !p->range || !bitmap ||
	    cluster_range_equal(bitmap, p->range))
		return;
	f = finding_add(list, "KR111", FINDING_ERROR, "RangeAllocation");
	finding_message(
		f,
		"the old allocator's bitmap holds %s and is still written: API servers with "
		"%s cannot give out an address of it",
		bitmap, p->range);
	finding_remedy(f, DOCTOR_REPAIR);
	finding_evidence(f, "regime dual-write: DisableAllocatorDualWrite is off");
	finding_evidence(f, "%s: %s",
			 c->range_allocation ? "RangeAllocation" : "ServiceCIDR/kubernetes",
			 bitmap);
}

static void host_bits(const struct patient *p, struct finding_list *list)
{
	auto_error struct error err = {0};
	struct net_cidr_list strict;
	struct net_cidr_list sloppy;
	struct finding *f;

	if (!p->range || net_cidr_list_parse(slice_of(p->range), &strict, &err) == 0)
		return;
	error_release(&err);
	if (net_cidr_list_parse_sloppy(slice_of(p->range), &sloppy, &err) < 0)
		return;
	f = finding_add(list, "KR112", FINDING_WARNING, "kube-apiserver");
	finding_message(f,
			"the range in the flag, %s, has host bits: the servers use %s, other "
			"programs may compute another first address",
			p->range, net_cidr_list_text(&sloppy).text);
	finding_remedy(f, "write %s into the manifests and kubeadm-config",
		       net_cidr_list_text(&sloppy).text);
	finding_evidence(f, "--service-cluster-ip-range=%s", p->range);
}

void doctor_ranges(const struct patient *p, struct finding_list *list)
{
	flags_differ(p, list);
	flag_changed(p, list);
	manifest_differs(p, list);
	manager_differs(p, list);
	two_ranges(p, list);
	outside_every(p, list);
	default_cidr(p, list);
	not_ready(p, list);
	terminating(p, list);
	uncovered(p, list);
	bitmap_behind(p, list);
	host_bits(p, list);
}
