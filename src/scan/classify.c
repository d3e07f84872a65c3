/* SPDX-License-Identifier: MIT */
#include "scan/classify.h"

#include <fnmatch.h>

#include "base/alloc.h"

/* ---- what is done about it ---- */

static const struct scan_rule rule_moved = {"KR901", SCAN_MOVED, "is changed by the run itself",
					    ""};
static const struct scan_rule rule_pinned = {
	"KR902", SCAN_MUST_CHANGE, "is pinned in a source that will be applied again",
	"take the address out of the source, or put the new one there, before it is applied again"};
static const struct scan_rule rule_workload = {
	"KR903", SCAN_MUST_CHANGE, "is in the configuration of a workload",
	"use the Service's DNS name, or put the new address there and restart what reads it"};
static const struct scan_rule rule_dns = {
	"KR904", SCAN_MUST_CHANGE, "is used as a DNS server",
	"put the new DNS address there once it answers; node-local DNS needs both for a while"};
static const struct scan_rule rule_proxy = {
	"KR905", SCAN_MUST_CHANGE, "is an exception from a proxy",
	"add the new range beside the old one before the run, drop the old one after finalize"};
static const struct scan_rule rule_network = {
	"KR906", SCAN_MUST_CHANGE, "is in a rule of the network: policy, route, mesh or BGP",
	"add the new range or address beside the old one before the run, drop the old one after "
	"finalize"};
static const struct scan_rule rule_server = {
	"KR907", SCAN_MUST_CHANGE, "is the API server's address in a kubeconfig",
	"name the control-plane endpoint there, or the new first address once it answers"};
static const struct scan_rule rule_text = {
	"KR908", SCAN_MUST_CHANGE, "is in a text whose use is not known",
	"look whether something dials it; if so, use a DNS name or the new address"};
static const struct scan_rule rule_record = {"KR909", SCAN_HARMLESS,
					     "is in a comment, a log, an event or a status", ""};
static const struct scan_rule rule_history = {
	"KR909", SCAN_HARMLESS, "is in the history that a controller keeps of a workload", ""};
static const struct scan_rule rule_dashed = {"KR909", SCAN_HARMLESS, "is part of a name", ""};

/* ---- where it stands ---- */

struct row {
	const char *kind;	/* patterns of fnmatch; NULL: any, also none */
	const char *space_name; /* "kube-system/coredns" */
	const char *field;
	const char *path;
	const char *value; /* in lower case */
	const char *label; /* in lower case */
	enum { ANY, LIVE, NOT_LIVE } origin;
	const struct scan_rule *rule;
};

/* The fields of kubeadm, of the allocator and of kubelets that a run moves are known by name; they
 * stand before what is recognised by its use. */
static const struct row rows[] = {
	{.kind = "Event", .rule = &rule_record},
	{.kind = "ControllerRevision", .origin = LIVE, .rule = &rule_history},
	{.field = "*metadata.managedFields*", .rule = &rule_record},
	{.field = "*annotations*last-applied-configuration*", .rule = &rule_pinned},
	{.kind = "Service", .field = "*spec.clusterIP*", .origin = NOT_LIVE, .rule = &rule_pinned},
	{.kind = "Service", .field = "*spec.clusterIP*", .rule = &rule_moved},
	{.kind = "Service", .field = "*status.loadBalancer*", .rule = &rule_moved},
	{.kind = "IPAddress", .rule = &rule_moved},
	{.kind = "ServiceCIDR", .rule = &rule_moved},
	{.kind = "RangeAllocation", .rule = &rule_moved},
	{.kind = "ConfigMap", .space_name = "kube-system/kubeadm-config", .rule = &rule_moved},
	{.kind = "ConfigMap", .space_name = "kube-system/kubelet-config*", .rule = &rule_moved},
	{.kind = "ConfigMap", .space_name = "*/kubernetes-services-endpoint", .rule = &rule_moved},
	{.kind = "ClusterConfiguration", .rule = &rule_moved},
	{.kind = "KubeletConfiguration", .field = "clusterDNS*", .rule = &rule_moved},
	{.value = "*--service[-_]cluster[-_]ip[-_]range*", .rule = &rule_moved},
	{.field = "status.*", .kind = "*", .rule = &rule_record},
	{.label = "*no_proxy*", .rule = &rule_proxy},
	{.value = "*no_proxy*", .rule = &rule_proxy},
	{.field = "*[nN][oO]_[pP][rR][oO][xX][yY]*", .rule = &rule_proxy},
	{.kind = "Config", .field = "clusters*.server", .rule = &rule_server},
	{.value = "server: *https://*", .rule = &rule_server},
	{.field = "*dnsConfig.nameservers*", .rule = &rule_dns},
	/* a run knows NodeLocal DNSCache by an argument; here its usual names have to do */
	{.kind = "ConfigMap",
	 .space_name = "kube-system/*node*local*dns*",
	 .field = "data.Corefile",
	 .origin = LIVE,
	 .rule = &rule_moved},
	{.kind = "DaemonSet",
	 .space_name = "kube-system/*node*local*dns*",
	 .field = "spec.template.*",
	 .origin = LIVE,
	 .rule = &rule_moved},
	{.kind = "Pod",
	 .space_name = "kube-system/*node*local*dns*",
	 .field = "spec.*",
	 .origin = LIVE,
	 .rule = &rule_moved},
	{.kind = "*", .space_name = "*/*node*local*dns*", .rule = &rule_dns},
	{.value = "*nameserver *", .rule = &rule_dns},
	{.value = "*cluster[-_]dns*", .rule = &rule_dns},
	{.path = "*resolv.conf*", .rule = &rule_dns},
	{.kind = "*NetworkPolicy*", .rule = &rule_network},
	{.kind = "BGPConfiguration", .rule = &rule_network},
	{.kind = "IPPool", .rule = &rule_network},
	{.kind = "GlobalNetworkSet", .rule = &rule_network},
	{.kind = "Sidecar", .rule = &rule_network},
	{.kind = "ServiceEntry", .rule = &rule_network},
	{.field = "*traffic.sidecar.istio.io*", .rule = &rule_network},
	{.field = "*clusterNetworks*", .rule = &rule_network},
	{.label = "*cluster_ips*", .rule = &rule_network},
	/* kube-proxy writes these anew */
	{.value = "*kube-s[ve][crp]*", .rule = &rule_moved},
	{.value = "*iptables*", .rule = &rule_network},
	{.value = "ip route*", .rule = &rule_network},
	{.value = "-a *", .rule = &rule_network},
	{.value = "*allowedips*", .rule = &rule_network},
	{.path = "*.log", .rule = &rule_record},
	{.path = "/var/log/*", .rule = &rule_record},
	{.path = "*/var/log/*", .rule = &rule_record},
	{.kind = "*", .rule = &rule_workload},
};

static bool fits(const char *pattern, const char *text)
{
	if (!pattern)
		return true;
	return text && fnmatch(pattern, text, 0) == 0;
}

static char *lower(struct slice text)
{
	char *copy = slice_dup(text);

	for (char *c = copy; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
	return copy;
}

const struct scan_rule *scan_classify(const struct scan_reference *r)
{
	const struct scan_where *w = r->where;
	auto_free char *value = lower(slice_trim(r->value));
	auto_free char *label = w->label ? lower(slice_of(w->label)) : NULL;
	auto_free char *name = NULL;

	if (r->form == SCAN_DASHED)
		return &rule_dashed;
	if (w->comment)
		return &rule_record;
	name = alloc_format("%s/%s", w->space ? w->space : "", w->name ? w->name : "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if ((row->origin == LIVE && !w->live) || (row->origin == NOT_LIVE && w->live))
			continue;
		if (fits(row->kind, w->kind) && fits(row->space_name, name) &&
		    fits(row->field, w->field) && fits(row->path, r->path) &&
		    fits(row->value, value) && fits(row->label, label))
			return row->rule;
	}
	return &rule_text;
}

const struct scan_rule *scan_rule_pinned(void)
{
	return &rule_pinned;
}

const char *scan_class_name(enum scan_class class)
{
	switch (class) {
	case SCAN_MOVED:
		return "moved";
	case SCAN_HARMLESS:
		return "harmless";
	case SCAN_MUST_CHANGE:
		break;
	}
	return "must-change";
}
