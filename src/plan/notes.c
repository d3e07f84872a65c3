/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/buffer.h"
#include "plan/planner.h"

/*
 * What a migration costs where it costs something, before it is begun. The figures were measured on
 * real clusters with probes at 10 to 100 Hz.
 */
static bool notes_before(const struct cluster *c, unsigned int minor)
{
	return c->major == 1 && c->minor < minor;
}

static const char *notes_proxy_configuration(const struct cluster *c)
{
	return json_string_value(json_object_get(c->kube_proxy.data, "config.conf"));
}

static void notes_servers(struct planner *p)
{
	size_t servers = cluster_control_plane_count(p->cluster);

	if (servers == 1)
		plan_note(p->plan, "there is one API server: each of its restarts is about 40 s "
				   "without the API (Services and DNS go on); expected, and not "
				   "counted as loss");
	else if (notes_before(p->cluster, 30))
		plan_note(p->plan,
			  "before 1.30 what keeps a restarting API server out of "
			  "default/kubernetes is a webhook that nobody serves: for a minute or two "
			  "a server nothing else can change those endpoints either");
}

static void notes_allocation(struct planner *p)
{
	if (p->cluster->regime == CLUSTER_REGIME_BITMAP)
		plan_note(p->plan,
			  "while the API servers' flags differ (stage ranges, a minute or "
			  "two a server) nobody can create Services, for some of the servers "
			  "could not: announce it, and hold back deployments that make Services");
}

static void notes_proxies(struct planner *p)
{
	const char *text = notes_proxy_configuration(p->cluster);

	if (!p->cluster->kube_proxy.present)
		plan_note(p->plan,
			  "there is no kube-proxy of kubeadm's: whether the proxy that does "
			  "its work serves the addresses in a Service's status was not "
			  "measured; stage preflight tries it and stops there if not");
	else if (text && strstr(text, "mode: ipvs"))
		plan_note(p->plan, "kube-proxy works by IPVS, where the flip was not measured");
}

/* Endpoints that change all the time bring proxies out of step. */
static void notes_churn(struct planner *p)
{
	const int64_t window_s = 600;
	size_t started = 0;

	for (size_t i = 0; i < p->cluster->pod_count; i++)
		started +=
			p->cluster->pods[i].newest_container_s + window_s > p->cluster->observed_s;
	if (started > 30)
		plan_note(p->plan,
			  "%zu Pods started containers in the last ten minutes: proxies that are "
			  "always at work miss the moment between the two legs of a flip, and a "
			  "NodePort may then fail for about the distance of the legs (10 to 70 ms) "
			  "on some nodes; a quieter hour is better",
			  started);
}

static void notes_callers(struct planner *p)
{
	size_t count = 0;
	const struct cluster_caller *first = NULL;

	for (size_t i = 0; i < p->cluster->caller_count; i++) {
		const struct cluster_caller *caller = &p->cluster->callers[i];

		if (!caller->sees_services || !caller->fail_closed)
			continue;
		first = first ? first : caller;
		count++;
	}
	if (first)
		plan_note(p->plan,
			  "%s '%s'%s decides about every Service that is written: it has to let "
			  "aliases pass (stage preflight asks it)",
			  first->kind, first->name, count > 1 ? " (and others)" : "");
}

static void notes_unseen(struct planner *p)
{
	auto_buffer struct buffer text = {0};

	if (!p->cluster->surroundings_known) {
		plan_note(p->plan, "webhooks, NetworkPolicies and quotas were not looked at");
		return;
	}
	for (size_t i = 0; i < p->cluster->surroundings_unseen.count; i++)
		buffer_format(&text, "%s%s", i ? ", " : "",
			      p->cluster->surroundings_unseen.items[i]);
	if (text.len)
		plan_note(p->plan, "%s could not be listed, and what they forbid is not known",
			  buffer_cstr(&text));
}

static void notes_nodes(struct planner *p)
{
	size_t unready = 0;

	for (size_t i = 0; i < p->cluster->node_count; i++)
		unready += !p->cluster->nodes[i].ready;
	if (unready)
		plan_note(p->plan,
			  "%zu node%s not ready: %s is done later, with 'resume', and 'status' "
			  "lists it as pending",
			  unready, unready == 1 ? " is" : "s are",
			  unready == 1 ? "its kubelet" : "what concerns them");
}

void planner_notes(struct planner *p)
{
	notes_servers(p);
	notes_allocation(p);
	notes_proxies(p);
	notes_churn(p);
	notes_callers(p);
	notes_nodes(p);
	notes_unseen(p);
}
