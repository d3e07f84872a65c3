/* SPDX-License-Identifier: MIT */
#include "doctor/family.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

/* KR5xx: Pods that fail on the old address or still live on it, and what calico is told. */

static bool is_network_plugin(const struct cluster_pod *pod)
{
	static const char *const words[] = {"calico", "cilium",	     "flannel",	 "weave", "antrea",
					    "canal",  "kube-router", "kube-ovn", "typha"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(pod->name, words[i]))
			return true;
	}
	return false;
}

enum { RESTARTS = 2 };

static bool is_waiting(const struct cluster_pod *pod)
{
	return pod->waiting_reason && (strcmp(pod->waiting_reason, "CrashLoopBackOff") == 0 ||
				       strcmp(pod->waiting_reason, "RunContainerError") == 0 ||
				       strcmp(pod->waiting_reason, "Error") == 0);
}

/* Running once more, for the seconds that it takes to fail. */
static bool is_between_crashes(const struct cluster *c, const struct cluster_pod *pod)
{
	return !pod->ready && pod->restarts >= RESTARTS && pod->last_ended_s &&
	       pod->last_ended_s + CLUSTER_RECENT_S >= c->observed_s;
}

/* What it died of, in its own words. */
static const char *last_words(const struct cluster_pod *pod)
{
	return pod->log_line ? pod->log_line : pod->termination_message;
}

/* "10.96.0.1" is not in "10.96.0.10:53". */
static bool mentions(const char *text, const char *address)
{
	size_t len = strlen(address);

	for (const char *at = text; address[0] && (at = strstr(at, address)) != NULL; at++) {
		bool starts = at == text || !strchr("0123456789.:abcdef", at[-1]);
		bool ends = !strchr("0123456789", at[len]) || !at[len];

		if (starts && ends)
			return true;
	}
	return false;
}

/* Why its last words blame the API servers' address; NULL: they do not. */
static const char *blame(const struct patient *p, const struct cluster_pod *pod)
{
	const struct cluster *c = p->cluster;
	const char *words = last_words(pod);

	if (!words)
		return NULL;
	for (size_t i = 0; i < c->dead_count; i++) {
		if (mentions(words, c->dead[i].address))
			return "the dead old address";
	}
	if (p->address && mentions(words, p->address))
		return strstr(words, "x509") ? "the certificate"
					     : "the address of default/kubernetes";
	if (strstr(words, "KUBERNETES_SERVICE_HOST") || strstr(words, "not in cluster"))
		return "the missing KUBERNETES_SERVICE_HOST";
	for (size_t i = 0; i < c->range_count; i++) {
		const char *first = cluster_nth_address(c, c->ranges[i].text, 1);

		if (first && mentions(words, first))
			return "an API server address of old";
	}
	return NULL;
}

/*
 * One that fell while an API server restarted, and runs again, is not ready for a while; with the
 * address it blames answering, that is over.
 */
static bool is_crashing(const struct patient *p, const struct cluster_pod *pod)
{
	const char *words = last_words(pod);

	if (is_waiting(pod))
		return true;
	if (!is_between_crashes(p->cluster, pod))
		return false;
	return p->address_broken || !p->address || !words || strstr(words, "x509") ||
	       !mentions(words, p->address);
}

/* Static Pods run on their host's network and read files: they say so when it is the address. */
static bool is_blamed(const struct patient *p, const struct cluster_pod *pod)
{
	return blame(p, pod) || (p->address_broken && !pod->static_pod);
}

static void add_crash(struct finding *f, const struct cluster_pod *pod, const char *why)
{
	const char *words = last_words(pod);

	finding_evidence(f, "Pod/%s/%s on %s: %s, %u restarts%s%s%s%.200s", pod->namespace_,
			 pod->name, pod->node ? pod->node : "no node",
			 pod->waiting_reason ? pod->waiting_reason : "not ready", pod->restarts,
			 why ? ", blames " : "", why ? why : "", words ? ": " : "",
			 words ? words : "");
}

/* The network plugin first: while it is down no Pod comes or goes. */
static size_t add_crashes(const struct patient *p, struct finding *f, bool blamed)
{
	const struct cluster *c = p->cluster;
	size_t plugins = 0;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < c->pod_count; i++) {
			const struct cluster_pod *pod = &c->pods[i];
			const char *why = blame(p, pod);

			if (!is_crashing(p, pod) || is_network_plugin(pod) != (round == 0) ||
			    is_blamed(p, pod) != blamed)
				continue;
			plugins += round == 0;
			add_crash(f, pod, why);
		}
	}
	return plugins;
}

static void crashes(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	size_t blamed = 0;
	size_t others = 0;
	struct finding *f;

	for (size_t i = 0; i < c->pod_count; i++) {
		if (!is_crashing(p, &c->pods[i]))
			continue;
		if (is_blamed(p, &c->pods[i]))
			blamed++;
		else
			others++;
	}
	if (blamed) {
		size_t plugins;

		f = finding_add(list, "KR501", FINDING_ERROR, "crash loops");
		plugins = add_crashes(p, f, /* blamed= */ true);
		finding_message(
			f, "%zu %s for want of the API servers' address%s", blamed,
			finding_plural(blamed, "Pod crash-loops", "Pods crash-loop"),
			plugins ? ", the network plugin among them: no Pod can be created or "
				  "deleted on its nodes"
				: "");
		finding_remedy(f, DOCTOR_REPAIR);
	}
	if (others) {
		f = finding_add(list, "KR508", FINDING_INFO, "other crash loops");
		add_crashes(p, f, /* blamed= */ false);
		finding_message(f, "%zu %s, as it seems for reasons of their own", others,
				finding_plural(others, "Pod crash-loops", "Pods crash-loop"));
	}
}

/* ---- kubernetes-services-endpoint ---- */

static const struct cluster_pod *endpoint_reader(const struct cluster *c, bool failing)
{
	for (size_t i = 0; i < c->pod_count; i++) {
		if (c->pods[i].reads_services_endpoint && (!failing || !c->pods[i].ready))
			return &c->pods[i];
	}
	return NULL;
}

static void endpoint_wanted(const struct patient *p, struct finding_list *list)
{
	const struct cluster_pod *reader = endpoint_reader(p->cluster, /* failing= */ true);
	auto_free char *workload = reader ? doctor_workload(reader) : NULL;
	struct finding *f;

	if (p->cluster->services_endpoint.present || !reader || !p->address_broken)
		return;
	f = finding_add(list, "KR502", FINDING_WARNING,
			"ConfigMap/kube-system/kubernetes-services-endpoint");
	finding_message(f,
			"%s would take the API servers' address from ConfigMap "
			"kubernetes-services-endpoint, which does not exist, and the ClusterIP "
			"does not work",
			workload);
	finding_remedy(f, "do not pin one control plane in it; " DOCTOR_REPAIR
			  ": the old address answers again at once and no ConfigMap is needed");
	finding_evidence(f, "Pod/%s/%s: envFrom kubernetes-services-endpoint (optional), not ready",
			 reader->namespace_, reader->name);
}

static const struct cluster_node *pinned_to(const struct cluster *c)
{
	for (size_t i = 0; c->services_endpoint_host && i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];

		if ((n->address && strcmp(n->address, c->services_endpoint_host) == 0) ||
		    strcmp(n->name, c->services_endpoint_host) == 0)
			return n;
	}
	return NULL;
}

static char *endpoint_subject(const struct cluster *c)
{
	return alloc_format("ConfigMap/%s/%s", c->services_endpoint.namespace_,
			    c->services_endpoint.name);
}

static void endpoint_pinned(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const struct cluster_node *node = pinned_to(c);
	auto_free char *subject = endpoint_subject(c);
	bool alone = cluster_control_plane_count(c) < 2;
	struct finding *f;

	if (!node)
		return;
	f = finding_add(list, "KR503", alone ? FINDING_INFO : FINDING_WARNING, subject);
	finding_message(f,
			"the network plugin is pinned to one control plane, %s (%s): it fails when "
			"that node does",
			node->name, c->services_endpoint_host);
	finding_remedy(f, DOCTOR_REPAIR ": it ends with the stable address in the ConfigMap");
	finding_evidence(f, "%s: KUBERNETES_SERVICE_HOST %s, KUBERNETES_SERVICE_PORT %s", subject,
			 c->services_endpoint_host,
			 c->services_endpoint_port ? c->services_endpoint_port : "not set");
}

static const struct cluster_dead_address *dead_entry(const struct cluster *c, const char *address)
{
	for (size_t i = 0; address && i < c->dead_count; i++) {
		if (strcmp(c->dead[i].address, address) == 0)
			return &c->dead[i];
	}
	return NULL;
}

/* The first control plane whose certificate does not name the address, where it should. */
static const struct cluster_node *unnamed_on(const struct cluster *c, const char *address,
					     const struct cluster_node *only)
{
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_node *n = &c->nodes[i];
		const struct cluster_certificate *seen =
			n->served.known ? &n->served : &n->host.api_server_certificate;

		if ((!only || only == n) && seen->known &&
		    !cluster_texts_contain(&seen->addresses, address) &&
		    !cluster_texts_contain(&seen->dns_names, address))
			return n;
	}
	return NULL;
}

static void endpoint_wrong(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	const char *host = c->services_endpoint_host;
	auto_free char *subject = endpoint_subject(c);
	const struct cluster_node *n = host ? unnamed_on(c, host, pinned_to(c)) : NULL;
	struct finding *f;

	if (dead_entry(c, host)) {
		f = finding_add(list, "KR504", FINDING_ERROR, subject);
		finding_message(f, "the network plugin is sent to %s, where nobody answers", host);
		finding_remedy(f, DOCTOR_REPAIR);
		finding_evidence(f, "%s: KUBERNETES_SERVICE_HOST %s", subject, host);
	}
	if (n) {
		f = finding_add(list, "KR505", FINDING_ERROR, subject);
		finding_message(f,
				"the network plugin is sent to %s, which certificates do not name",
				host);
		finding_remedy(f, DOCTOR_REPAIR);
		finding_evidence(f, "%s: KUBERNETES_SERVICE_HOST %s", subject, host);
		finding_evidence(f, "the API server certificate of %s does not name it", n->name);
	}
}

/* ---- old environment that an alias keeps alive ---- */

struct holder {
	char *workload; /* owned */
	size_t pods;
};

static int compare_holders(const void *a, const void *b)
{
	return strcmp(((const struct holder *)a)->workload, ((const struct holder *)b)->workload);
}

static const struct cluster_pod *pod_named(const struct cluster *c, const char *place)
{
	const char *slash = strchr(place, '/');
	size_t space = slash ? (size_t)(slash - place) : 0;

	for (size_t i = 0; slash && i < c->pod_count; i++) {
		const struct cluster_pod *pod = &c->pods[i];

		if (strcmp(pod->name, slash + 1) == 0 && strlen(pod->namespace_) == space &&
		    strncmp(pod->namespace_, place, space) == 0)
			return pod;
	}
	return NULL;
}

static void add_holders(const struct cluster *c, const struct cluster_dead_address *d,
			struct finding *f)
{
	struct holder *holders = alloc_array(d->users.count ? d->users.count : 1, sizeof(*holders));
	size_t count = 0;

	for (size_t i = 0; i < d->users.count; i++) {
		const struct cluster_pod *pod = pod_named(c, d->users.items[i]);

		holders[count++].workload =
			pod ? doctor_workload(pod) : alloc_text(d->users.items[i]);
	}
	qsort(holders, count, sizeof(*holders), compare_holders);
	for (size_t i = 0; i < count;) {
		size_t end = i + 1;

		while (end < count && strcmp(holders[end].workload, holders[i].workload) == 0)
			end++;
		finding_evidence(f, "%s: %zu", holders[i].workload, end - i);
		i = end;
	}
	for (size_t i = 0; i < count; i++)
		free(holders[i].workload);
	free(holders);
}

static void kept_alive(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;

	for (size_t i = 0; i < c->aliased_count; i++) {
		const struct cluster_dead_address *d = &c->aliased[i];
		auto_free char *subject = alloc_format("address/%s", d->address);
		struct finding *f;

		if (d->role == CLUSTER_DEAD_OTHER)
			continue;
		f = finding_add(list, "KR506", FINDING_WARNING, subject);
		finding_message(f,
				"%zu containers and files still use the old address %s, which "
				"Service %s/%s keeps alive",
				d->user_count, d->address, d->alias->namespace_, d->alias->name);
		finding_remedy(f, "restart these workloads, the network plugin first, then "
				  "'kubectl renumber finalize'");
		add_holders(c, d, f);
	}
}

/* Of these there may be thousands: one finding for all. */
static void others_alive(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->aliased_count; i++) {
		const struct cluster_dead_address *d = &c->aliased[i];

		if (d->role != CLUSTER_DEAD_OTHER)
			continue;
		if (!f)
			f = finding_add(list, "KR511", FINDING_WARNING, "addresses");
		finding_evidence(f, "%s: %zu %s, kept alive by Service/%s/%s", d->address,
				 d->user_count,
				 finding_plural(d->user_count, "container", "containers"),
				 d->alias->namespace_, d->alias->name);
	}
	if (!f)
		return;
	finding_message(
		f, "%zu old Service %s", f->evidence_count,
		finding_plural(f->evidence_count,
			       "address stands in the environment of running containers and "
			       "is kept alive by an alias",
			       "addresses stand in the environment of running containers and "
			       "are kept alive by aliases"));
	finding_remedy(
		f, "restart the workloads that use them ('kubectl renumber status' lists them), "
		   "then 'kubectl renumber finalize'");
}

static void cni_files(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;
	bool dead = false;

	for (size_t i = 0; i < c->dead_count + c->aliased_count; i++) {
		const struct cluster_dead_address *d =
			i < c->dead_count ? &c->dead[i] : &c->aliased[i - c->dead_count];

		for (size_t k = 0; k < d->users.count; k++) {
			if (!strstr(d->users.items[k], ":/etc/cni/"))
				continue;
			if (!f)
				f = finding_add(list, "KR507", FINDING_WARNING, "/etc/cni/net.d");
			dead |= !d->alias;
			finding_evidence(f, "%s dials %s", d->users.items[k], d->address);
		}
	}
	if (!f)
		return;
	f->severity = dead ? FINDING_ERROR : FINDING_WARNING;
	finding_message(f, "the CNI kubeconfig on %zu nodes names an old API server address%s",
			f->evidence_count,
			dead ? ": Pods can neither be created nor deleted there" : "");
	finding_remedy(f, "%s; the network plugin writes the file anew when it starts",
		       dead ? DOCTOR_REPAIR : "restart the network plugin");
}

/* A container that started while default/kubernetes had no address. Only looked for where that
 * Service is younger than containers: some programs overwrite their environment. */
static void no_environment(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_host *h = &c->nodes[i].host;

		for (size_t k = 0; k < h->container_count; k++) {
			const struct cluster_container *container = &h->containers[k];
			const struct cluster_pod *pod = cluster_find_pod_uid(c, container->pod_uid);

			if (container->kubernetes_host || !pod || pod->static_pod ||
			    (p->kubernetes && container->started_s >= p->kubernetes->created_s))
				continue;
			if (!f)
				f = finding_add(list, "KR509", FINDING_WARNING,
						"containers without KUBERNETES_SERVICE_HOST");
			finding_evidence(f, "Pod/%s/%s on %s", pod->namespace_, pod->name,
					 c->nodes[i].name);
		}
	}
	if (!f)
		return;
	finding_message(f,
			"%zu %s started while default/kubernetes did not exist, without "
			"KUBERNETES_SERVICE_HOST",
			f->evidence_count,
			finding_plural(f->evidence_count, "container was", "containers were"));
	finding_remedy(f, "%s; then restart these Pods",
		       p->kubernetes ? "default/kubernetes is there again" : DOCTOR_REPAIR);
}

/* Other failures are kubelet's or the runtime's own. */
static bool is_network_failure(const struct cluster_event *e)
{
	static const char *const words[] = {"failed to setup network",	 "failed to set up sandbox",
					    "failed to destroy network", "failed to teardown",
					    "networkPlugin cni failed",	 "plugin type="};

	if (strcmp(e->reason, "FailedCreatePodSandBox") != 0 &&
	    strcmp(e->reason, "FailedKillPod") != 0)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(e->message, words[i]))
			return true;
	}
	return false;
}

/* True while the Pod of the event ("Pod/namespace/name") still waits to be born or to die. */
static bool is_stuck(const struct cluster *c, const char *object)
{
	const struct cluster_pod *pod =
		slice_starts(slice_of(object), "Pod/") ? pod_named(c, object + 4) : NULL;

	return pod &&
	       (pod->deleting || (!pod->ready && pod->phase && strcmp(pod->phase, "Pending") == 0));
}

/* kubelet takes its time to try again: what failed before the plugin of its node came back is over. */
static bool is_before_plugin(const struct cluster *c, const struct cluster_event *e)
{
	const struct cluster_pod *pod = pod_named(c, e->object + 4);

	for (size_t i = 0; pod && pod->node && i < c->pod_count; i++) {
		const struct cluster_pod *plugin = &c->pods[i];
		int64_t since =
			plugin->ready_since_s ? plugin->ready_since_s : plugin->newest_container_s;

		if (is_network_plugin(plugin) && plugin->ready && plugin->node &&
		    strcmp(plugin->node, pod->node) == 0 && since >= e->last_s)
			return true;
	}
	return false;
}

/* Each try has an event of its own, with another sandbox in its text: the newest one counts. */
static bool is_repeated(const struct cluster *c, size_t at)
{
	const struct cluster_event *own = &c->events[at];

	for (size_t i = 0; i < c->event_count; i++) {
		const struct cluster_event *e = &c->events[i];

		if (strcmp(e->object, own->object) == 0 && strcmp(e->reason, own->reason) == 0 &&
		    (e->last_s > own->last_s || (e->last_s == own->last_s && i > at)))
			return true;
	}
	return false;
}

/* Pods that kubelet could not give a network to, or take it from, in the last minutes. */
static void sandboxes(const struct patient *p, struct finding_list *list)
{
	const struct cluster *c = p->cluster;
	struct finding *f = NULL;

	for (size_t i = 0; p->address_broken && i < c->event_count; i++) {
		const struct cluster_event *e = &c->events[i];

		if (!is_network_failure(e) || e->last_s + CLUSTER_RECENT_S < c->observed_s ||
		    !is_stuck(c, e->object) || is_repeated(c, i) || is_before_plugin(c, e))
			continue;
		if (!f)
			f = finding_add(list, "KR510", FINDING_ERROR, "Pod sandboxes");
		finding_evidence(f, "%s: %s: %.200s", e->object, e->reason, e->message);
	}
	if (!f)
		return;
	finding_message(f,
			"Pods cannot be created or deleted: the network of %zu %s could not be "
			"set up or torn down lately",
			f->evidence_count, finding_plural(f->evidence_count, "Pod", "Pods"));
	finding_remedy(f, DOCTOR_REPAIR);
}

void doctor_workloads(const struct patient *p, struct finding_list *list)
{
	crashes(p, list);
	endpoint_wanted(p, list);
	endpoint_pinned(p, list);
	endpoint_wrong(p, list);
	kept_alive(p, list);
	others_alive(p, list);
	cni_files(p, list);
	no_environment(p, list);
	sandboxes(p, list);
}
