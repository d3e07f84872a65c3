/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <string.h>

/* KR0xx: what kind of cluster this is. Information only. */

static void regime(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = finding_add(list, "KR001", FINDING_INFO, "Cluster");

	finding_message(f, "the regime is %s on Kubernetes %s", cluster_regime_name(c->regime),
			c->git_version);
	if (c->service_cidr_api)
		finding_evidence(f, "ServiceCIDRs are served as %s", c->service_cidr_api);
	else
		finding_evidence(f, "no ServiceCIDR API is served");
	for (size_t i = 0; i < c->node_count; i++) {
		const char *gates = c->nodes[i].host.api_server.running_feature_gates;

		if (gates)
			finding_evidence(f, "running kube-apiserver on %s: --feature-gates=%s",
					 c->nodes[i].name, gates);
	}
}

/* How many of the Services' addresses lie in the range. */
static size_t services_in(const struct cluster *c, const char *range)
{
	size_t count = 0;

	for (size_t i = 0; i < c->service_count; i++) {
		count += doctor_has_address(&c->services[i]) &&
			 cluster_range_contains(range, c->services[i].cluster_ips.items[0]);
	}
	return count;
}

static bool is_first_of_its_text(const struct cluster *c, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (strcmp(c->ranges[i].text, c->ranges[at].text) == 0)
			return false;
	}
	return true;
}

/* One line for a range: who names it first, and how many others do. */
static void range_line(const struct cluster *c, size_t at, struct finding *f)
{
	size_t others = 0;

	for (size_t i = at + 1; i < c->range_count; i++)
		others += strcmp(c->ranges[i].text, c->ranges[at].text) == 0;
	if (others)
		finding_evidence(f, "%s: %s and %zu more", c->ranges[at].text, c->ranges[at].source,
				 others);
	else
		finding_evidence(f, "%s: %s", c->ranges[at].text, c->ranges[at].source);
}

static void ranges(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct cluster_texts all = cluster_former_ranges(c, p->range);
	size_t held = p->range ? services_in(c, p->range) : 0;
	struct finding *f = finding_add(list, "KR002", FINDING_INFO, "Service ranges");

	if (p->range && !all.count)
		finding_message(f, "every source names %s, which holds %zu %s", p->range, held,
				finding_plural(held, "Service", "Services"));
	else if (p->range)
		finding_message(f,
				"API servers name %s, which holds %zu %s; other sources "
				"name %s, which holds %zu",
				p->range, held, finding_plural(held, "Service", "Services"),
				all.items[0], services_in(c, all.items[0]));
	else
		finding_message(f, "no range is named by every API server");
	for (size_t i = 0; i < c->range_count; i++) {
		if (is_first_of_its_text(c, i))
			range_line(c, i, f);
	}
}

void doctor_facts(const struct patient *p, struct finding_list *list)
{
	regime(p, list);
	ranges(p, list);
}
