/* SPDX-License-Identifier: MIT */
#include "lab/scenario.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lab/api.h"
#include "lab/keys.h"
#include "lab/local_dns.h"
#include "lab/node.h"
#include "lab/objects.h"
#include "lab/server.h"
#include "text/json.h"

#define SCENARIO_NEW_API "10.17.0.1"

typedef int scenario_step(struct lab *lab, struct error *err);

/* --- steps ------------------------------------------------------------------------------------ */

/* The range is changed by editing the flag in the manifests of every node. */
static int scenario_flags(struct lab *lab, struct error *err)
{
	static const char *const programs[] = {"kube-apiserver", "kube-controller-manager"};

	for (size_t i = 0; i < lab->server_count; i++) {
		for (size_t k = 0; k < 2; k++) {
			auto_free char *path =
				alloc_format("/etc/kubernetes/manifests/%s.yaml", programs[k]);
			auto_free char *text =
				node_manifest(&lab->nodes[i], programs[k], LAB_NEW_RANGE);

			if (node_put(&lab->nodes[i], path, text, 0600, err) < 0)
				return -1;
		}
	}
	loop_jump(lab->loop, 40000);
	return 0;
}

static void scenario_delete_object(struct lab *lab, const char *plural, const char *space,
				   const char *name)
{
	struct api_target target = {store_type_find(NULL, plural), NULL, NULL, NULL, NULL};
	auto_answer struct answer answer = {0};
	auto_free char *version = alloc_text("v1");
	auto_free char *space_text = space ? alloc_text(space) : NULL;
	auto_free char *name_text = alloc_text(name);

	target.version = version;
	target.space = space_text;
	target.name = name_text;
	(void)api_delete(lab_any_server(lab), &target, NULL, false, &answer);
}

/* What nobody can make or unmake while the network plugin is dead. */
static void scenario_stick_pods(struct lab *lab)
{
	const char *key;
	json_t *pod;
	auto_free char *name = NULL;

	lab_create(lab, "deployments",
		   json_pack("{s:{s:s,s:s,s:i},s:{s:i,s:{s:{s:s}},s:{s:{s:{s:s}},s:{s:[{s:s,s:s}]}}"
			     "}}",
			     "metadata", "name", "created", "namespace", "shop", "generation", 1,
			     "spec", "replicas", 1, "selector", "matchLabels", "app", "created",
			     "template", "metadata", "labels", "app", "created", "spec",
			     "containers", "name", "created", "image", "registry.invalid/shop:1"));
	json_object_foreach(store_all(lab->store, "pods"), key, pod) {
		if (json_path_is(pod, "metadata.labels.app", "echo")) {
			name = alloc_text(json_path_text(pod, "metadata.name"));
			break;
		}
	}
	if (name)
		scenario_delete_object(lab, "pods", "shop", name);
	loop_jump(lab->loop, 20000);
}

/* default/kubernetes is deleted, "because the API server will create it again". */
static int scenario_gone(struct lab *lab, struct error *err)
{
	(void)err;
	scenario_delete_object(lab, "services", "default", "kubernetes");
	loop_jump(lab->loop, 25000);
	return 0;
}

static int scenario_wait_gone(struct lab *lab, struct error *err)
{
	(void)err;
	loop_jump(lab->loop, 90000);
	scenario_stick_pods(lab);
	return 0;
}

/* What a desperate operator does where the ServiceCIDR API is served. */
static int scenario_delete(struct lab *lab, struct error *err)
{
	if (scenario_gone(lab, err) < 0)
		return -1;
	if (lab->options.regime != LAB_BITMAP)
		lab_create(lab, "servicecidrs",
			   json_pack("{s:{s:s},s:{s:[s]},s:{}}", "metadata", "name", "new-range",
				     "spec", "cidrs", LAB_NEW_RANGE, "status"));
	loop_jump(lab->loop, 120000);
	scenario_stick_pods(lab);
	return 0;
}

static void scenario_restart_calico(struct lab *lab)
{
	auto_json json_t *pods = json_copy(store_all(lab->store, "pods"));
	const char *key;
	json_t *pod;

	json_object_foreach(pods, key, pod)
		if (json_path_is(pod, "metadata.labels.k8s-app", "calico-node"))
			scenario_delete_object(lab, "pods", "kube-system",
					       json_path_text(pod, "metadata.name"));
	loop_jump(lab->loop, 30000);
}

static int scenario_pin(struct lab *lab, struct error *err)
{
	auto_free char *port = alloc_format("%u", lab->port);

	(void)err;
	lab_create(lab, "configmaps",
		   json_pack("{s:{s:s,s:s},s:{s:s,s:s,s:s}}", "metadata", "name",
			     "kubernetes-services-endpoint", "namespace", "kube-system", "data",
			     "KUBERNETES_SERVICE_HOST", lab->nodes[0].address,
			     "KUBERNETES_SERVICE_PORT", port, "KUBERNETES_SERVICE_PORT_HTTPS",
			     port));
	scenario_restart_calico(lab);
	return 0;
}

static int scenario_certificates(struct lab *lab, size_t first, size_t end, struct error *err)
{
	json_t *map = lab_edit(lab, "configmaps", "kube-system", "kubeadm-config");
	auto_free char *text = objects_kubeadm(lab, LAB_OLD_RANGE, SCENARIO_NEW_API);

	json_object_set_new(json_object_get(map, "data"), "ClusterConfiguration",
			    json_string(text));
	lab_put(lab, "configmaps", map);
	for (size_t i = first; i < end && i < lab->server_count; i++) {
		if (keys_renew(&lab->nodes[i], SCENARIO_NEW_API, err) < 0)
			return -1;
		loop_jump(lab->loop, 5000);
	}
	return 0;
}

static int scenario_certs_one(struct lab *lab, struct error *err)
{
	return scenario_certificates(lab, 0, 1, err);
}

static int scenario_certs_all(struct lab *lab, struct error *err)
{
	return scenario_certificates(lab, 1, lab->server_count, err);
}

static void scenario_move(struct lab *lab, const json_t *service)
{
	struct api_target target = {store_type_find("", "services"), NULL, NULL, NULL, NULL};
	auto_answer struct answer answer = {0};
	auto_json json_t *made = json_deep_copy(service);
	auto_free char *version = alloc_text("v1");
	auto_free char *space = alloc_text(json_path_text(service, "metadata.namespace"));
	auto_free char *address =
		alloc_format("10.17.%s", json_path_text(service, "spec.clusterIP") + 6);

	scenario_delete_object(lab, "services", space, json_path_text(service, "metadata.name"));
	json_object_set_new(json_object_get(made, "spec"), "clusterIP", json_string(address));
	json_object_del(json_object_get(made, "spec"), "clusterIPs");
	target.version = version;
	target.space = space;
	(void)api_create(lab_any_server(lab), &target, made, false, &answer);
}

/* Every second of the other Services is made again by hand in the new range. */
static int scenario_half(struct lab *lab, struct error *err)
{
	auto_json json_t *services = json_copy(store_all(lab->store, "services"));
	const struct lab_node *last = &lab->nodes[lab->server_count - 1];
	auto_free char *scheduler = node_manifest(last, "kube-scheduler", LAB_NEW_RANGE);
	const char *key;
	json_t *service;
	int i = 0;

	json_object_foreach(services, key, service) {
		const char *address = json_path_text(service, "spec.clusterIP");

		if (!address || strncmp(address, "10.96.", 6) != 0 ||
		    json_path_is(service, "metadata.name", "kube-dns"))
			continue;
		if (i++ % 2 == 0)
			scenario_move(lab, service);
	}
	loop_jump(lab->loop, 5000);
	/* a backup that the kubelet takes for a manifest */
	return node_put(last, "/etc/kubernetes/manifests/kube-scheduler.yaml.bak", scheduler, 0600,
			err);
}

/* With NodeLocal DNSCache, long ago. */
static int scenario_local_dns(struct lab *lab, struct error *err)
{
	(void)err;
	local_dns_make(lab);
	loop_jump(lab->loop, 1200000);
	return 0;
}

/* --- scenarios -------------------------------------------------------------------------------- */

enum { SCENARIO_STEPS = 6 };

static const struct {
	const char *name;
	const char *summary;
	scenario_step *steps[SCENARIO_STEPS];
} scenarios[] = {
	{"healthy", "a whole cluster on one range", {0}},
	{"local-dns", "the same with node-local DNS", {scenario_local_dns}},
	{"incident-flag", "the flag was changed on every server, nothing else", {scenario_flags}},
	{"incident-delete",
	 "then default/kubernetes was deleted: the network plugin is dead, no Pod comes or goes",
	 {scenario_flags, scenario_delete}},
	{"incident-local-dns",
	 "the same where node-local DNS runs",
	 {scenario_local_dns, scenario_flags, scenario_delete}},
	{"incident-gone",
	 "deleted where ServiceCIDRs decide, so that it never comes back",
	 {scenario_flags, scenario_gone, scenario_wait_gone}},
	{"incident-pinned",
	 "the network plugin was pinned to one control plane",
	 {scenario_flags, scenario_delete, scenario_pin}},
	{"incident-certs-1of3",
	 "new certificates on one control plane",
	 {scenario_flags, scenario_delete, scenario_pin, scenario_certs_one}},
	{"incident-certs-all",
	 "new certificates on all control planes",
	 {scenario_flags, scenario_delete, scenario_pin, scenario_certs_one, scenario_certs_all}},
	{"incident-half",
	 "every second Service was made again in the new range",
	 {scenario_flags, scenario_delete, scenario_pin, scenario_certs_one, scenario_certs_all,
	  scenario_half}},
};

enum { SCENARIO_COUNT = sizeof(scenarios) / sizeof(scenarios[0]) };

static const struct {
	const char *suffix;
	unsigned int minor;
	unsigned int patch;
	enum lab_regime regime;
} scenario_versions[] = {
	{"-1.20", 20, 2, LAB_BITMAP},	   {"-1.32-dual-write", 32, 2, LAB_DUAL_WRITE},
	{"-1.32", 32, 2, LAB_BITMAP},	   {"-1.33", 33, 13, LAB_DUAL_WRITE},
	{"-1.36", 36, 3, LAB_SERVICECIDR}, {"", 36, 3, LAB_SERVICECIDR},
};

const char *scenario_name(size_t i)
{
	return i < SCENARIO_COUNT ? scenarios[i].name : NULL;
}

const char *scenario_summary(size_t i)
{
	return i < SCENARIO_COUNT ? scenarios[i].summary : NULL;
}

/* The scenario whose name stands before the version; SCENARIO_COUNT when there is none. */
static size_t scenario_find(const char *name, size_t *ret_version)
{
	size_t count = sizeof(scenario_versions) / sizeof(scenario_versions[0]);

	for (size_t v = 0; v < count; v++) {
		struct slice text = slice_of(name);

		if (!slice_ends(text, scenario_versions[v].suffix))
			continue;
		text.len -= strlen(scenario_versions[v].suffix);
		for (size_t i = 0; i < SCENARIO_COUNT; i++) {
			if (!slice_is(text, scenarios[i].name))
				continue;
			*ret_version = v;
			return i;
		}
	}
	return SCENARIO_COUNT;
}

int scenario_parse(const char *name, struct lab_options *options, struct error *err)
{
	size_t version = 0;
	size_t i = scenario_find(name, &version);

	if (i == SCENARIO_COUNT)
		return error_set(err, ERROR_USAGE,
				 "there is no scenario '%s'; 'renumber-lab --list' names them",
				 name);
	options->minor = scenario_versions[version].minor;
	options->patch = scenario_versions[version].patch;
	options->regime = scenario_versions[version].regime;
	if (strcmp(scenarios[i].name, "incident-gone") == 0 && options->regime == LAB_BITMAP)
		return error_set(err, ERROR_USAGE,
				 "where the bitmap decides, default/kubernetes comes back");
	return 0;
}

int scenario_play(struct lab *lab, const char *name, struct error *err)
{
	size_t version = 0;
	size_t i = scenario_find(name, &version);

	for (size_t k = 0; k < SCENARIO_STEPS && scenarios[i].steps[k]; k++)
		if (scenarios[i].steps[k](lab, err) < 0)
			return error_wrap(err, "scenario '%s'", name);
	return 0;
}
