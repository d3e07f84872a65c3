/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "plan/planner.h"
#include "text/corefile.h"
#include "text/json.h"

/*
 * NodeLocal DNSCache answers at the address of kube-dns on every node, whatever kube-proxy does with
 * it. In stage nodes, before kubelets give Pods the new address, it is made to answer at both: until
 * the end, for Pods that were started before ask the old one. In the copy of its Corefile whom it
 * asks is the new one already.
 */

/* What kubelets' clusterDNS takes for old, too (nodes.c). */
static bool local_dns_is_old(const struct planner *p, const char *address)
{
	if (planner_is_new(p, address))
		return strcmp(address, p->dns) != 0 && !cluster_find_holder(p->cluster, address);
	for (size_t i = 0; i < p->former.count; i++)
		if (cluster_range_contains(p->former.items[i], address))
			return true;
	return false;
}

static void local_dns_add(json_t *moves, const char *from, const char *to)
{
	const json_t *known;
	size_t i;

	json_array_foreach(moves, i, known)
		if (json_path_is(known, "from", from))
			return;
	json_array_append_new(moves, json_pack("{s:s, s:s}", "from", from, "to", to));
}

/* Where it listens: what is no Service's (any more) was cluster DNS. */
static void local_dns_listens(const struct planner *p, const struct cluster_local_dns *dns,
			      json_t *moves)
{
	for (size_t i = 0; i < dns->addresses.count; i++) {
		const char *from = dns->addresses.items[i];
		const struct net_map_pair *pair = NULL;
		struct net_address address;

		if (!local_dns_is_old(p, from))
			continue;
		if (net_address_read(slice_of(from), &address))
			pair = net_map_find(&p->map, address);
		local_dns_add(moves, from, pair ? net_address_text(pair->to).text : p->dns);
	}
}

/* Whom it asks. */
static void local_dns_asks(const struct planner *p, const struct cluster_local_dns *dns,
			   json_t *moves)
{
	struct slice corefile = slice_of(dns->corefile);
	const struct cluster_dead_address *dead;
	size_t count = cluster_dead_addresses(p->cluster, &dead);

	for (size_t i = 0; i < p->map.count; i++) {
		struct net_text from = net_address_text(p->map.pairs[i].from);

		if (corefile_names(corefile, from.text))
			local_dns_add(moves, from.text, net_address_text(p->map.pairs[i].to).text);
	}
	for (size_t i = 0; i < count; i++)
		if (dead[i].role == CLUSTER_DEAD_DNS && local_dns_is_old(p, dead[i].address) &&
		    corefile_names(corefile, dead[i].address))
			local_dns_add(moves, dead[i].address, p->dns);
}

static void local_dns_say(struct planner *p, const struct cluster_local_dns *dns,
			  const char *subject)
{
	plan_note(p->plan,
		  "node-local DNS (%s) is restarted node by node, in stage nodes and once more in "
		  "finalize: for a moment its cache does not answer there, and who asks then has "
		  "to ask again",
		  subject);
	if (dns->leaves_addresses)
		plan_note(
			p->plan,
			"%s has the argument -skipteardown: what it no longer listens at stays on "
			"its interface (nodelocaldns) and in rules of each node, until that is "
			"started anew or somebody takes it away there",
			subject);
	if (!dns->pinned_by)
		return;
	if (!planner_migrates(p)) {
		plan_note(p->plan,
			  "'%s' writes %s and may put the old address back: change it there",
			  dns->pinned_by, subject);
		return;
	}
	plan_consent(p->plan, "pinned-addresses", json_pack("[s]", subject),
		     "where node-local DNS listens stands in a description that somebody applies "
		     "(%s is written by '%s'), which moves it back: do not apply it between the "
		     "stage nodes and 'finalize', and put the new address there before it is "
		     "applied again",
		     subject, dns->pinned_by);
}

static void local_dns_step(struct planner *p, const struct cluster_local_dns *dns, json_t *moves)
{
	auto_free char *subject = planner_subject("DaemonSet", dns->namespace_, dns->name);
	auto_free char *copy = NULL;

	if (!dns->config_map) {
		plan_note(p->plan,
			  "%s is node-local DNS and listens at an old address, but none of its "
			  "volumes is a ConfigMap with a Corefile; give it the new address beside "
			  "the old one by hand",
			  subject);
		return;
	}
	if (strcmp(p->request->restart, "none") == 0) {
		plan_note(p->plan,
			  "%s is node-local DNS and has an old address; --restart none leaves it "
			  "to you, with ConfigMap '%s/%s'",
			  subject, dns->namespace_, dns->config_map);
		return;
	}
	copy = alloc_format("%.240s-renumber", dns->config_map);
	plan_step_why(plan_add(p->plan, PLAN_STAGE_NODES, "local-dns", subject,
			       json_pack("{s:s, s:s, s:s, s:s, s:O}", "namespace", dns->namespace_,
					 "name", dns->name, "configMap", dns->config_map, "copy",
					 copy, "moves", moves)),
		      "it answers at the address of cluster DNS on every node: at the new one it "
		      "has to before Pods get that, at the old one for as long as any has it");
	local_dns_say(p, dns, subject);
}

void planner_local_dns(struct planner *p)
{
	if (p->cluster->local_dns_unseen)
		plan_note(p->plan,
			  "whether there is node-local DNS could not be seen: where it listens at "
			  "the address of cluster DNS it has to get the new one beside the old one "
			  "by hand");
	for (size_t i = 0; i < p->cluster->local_dns_count; i++) {
		const struct cluster_local_dns *dns = &p->cluster->local_dns[i];
		auto_json json_t *moves = json_array();

		local_dns_listens(p, dns, moves);
		local_dns_asks(p, dns, moves);
		if (json_array_size(moves))
			local_dns_step(p, dns, moves);
	}
}

bool planner_local_dns_restarts(const struct planner *p, const char *namespace_, const char *kind,
				const char *name)
{
	if (!kind || strcmp(kind, "DaemonSet") != 0)
		return false;
	for (size_t i = 0; i < p->plan->count; i++) {
		const struct plan_step *step = &p->plan->steps[i];

		if (strcmp(step->kind, "local-dns") == 0 &&
		    json_path_is(step->parameters, "namespace", namespace_) &&
		    json_path_is(step->parameters, "name", name))
			return true;
	}
	return false;
}

void planner_local_dns_end(struct planner *p)
{
	size_t count = p->plan->count;

	for (size_t i = 0; i < count; i++) {
		/* plan_add may move the steps */
		const struct plan_step *step = &p->plan->steps[i];
		auto_free char *subject = NULL;

		if (strcmp(step->kind, "local-dns") != 0)
			continue;
		subject = alloc_text(step->subject);
		plan_step_why(plan_add(p->plan, PLAN_STAGE_FINALIZE, "local-dns-end", subject,
				       json_incref(step->parameters)),
			      "nobody asks at the old address any more");
	}
}
