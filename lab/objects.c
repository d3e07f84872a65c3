/* SPDX-License-Identifier: MIT */
#include "lab/objects.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "lab/api.h"
#include "lab/node.h"
#include "text/json.h"

enum { OBJECTS_PER_SPACE = 100, OBJECTS_AGE_MS = 20 * 60 * 1000 };

static void objects_space(struct lab *lab, const char *name)
{
	json_t *object = json_pack("{s:{s:s},s:{s:s}}", "metadata", "name", name, "status", "phase",
				   "Active");

	if (lab_since(lab, 21))
		json_object_set_new(json_object_get(object, "metadata"), "labels",
				    json_pack("{s:s}", "kubernetes.io/metadata.name", name));
	lab_create(lab, "namespaces", object);
}

static void objects_nodes(struct lab *lab)
{
	auto_free char *version = alloc_format("v1.%u.%u", lab->options.minor, lab->options.patch);

	for (size_t i = 0; i < lab->node_count; i++) {
		const struct lab_node *node = &lab->nodes[i];
		auto_free char *cidr = alloc_format(LAB_POD_PREFIX ".%zu.0/24", i % 256);
		json_t *object = json_pack(
			"{s:{s:s,s:{s:s}},s:{s:s},s:{s:[{s:s,s:s,s:s}],s:[{s:s,s:s},{s:s,s:s}],"
			"s:{s:s}}}",
			"metadata", "name", node->name, "labels", "kubernetes.io/hostname",
			node->name, "spec", "podCIDR", cidr, "status", "conditions", "type",
			"Ready", "status", "True", "reason", "KubeletReady", "addresses", "type",
			"InternalIP", "address", node->address, "type", "Hostname", "address",
			node->name, "nodeInfo", "kubeletVersion", version);

		if (node->control_plane)
			json_object_set_new(json_path(object, "metadata.labels"),
					    lab_since(lab, 24)
						    ? "node-role.kubernetes.io/control-plane"
						    : "node-role.kubernetes.io/master",
					    json_string(""));
		lab_create(lab, "nodes", object);
	}
}

/* --- configuration ---------------------------------------------------------------------------- */

static const char *objects_kubeadm_api(const struct lab *lab)
{
	if (!lab_since(lab, 23))
		return "kubeadm.k8s.io/v1beta2";
	return lab_since(lab, 31) ? "kubeadm.k8s.io/v1beta4" : "kubeadm.k8s.io/v1beta3";
}

char *objects_kubeadm(const struct lab *lab, const char *range, const char *extra_name)
{
	auto_buffer struct buffer text = {0};

	buffer_text(&text, "apiServer:\n  certSANs:\n");
	if (extra_name)
		buffer_format(&text, "  - %s\n", extra_name);
	buffer_format(&text, "  - 127.0.0.1\n  - apiserver.cluster.local\n  - %s\n", lab->endpoint);
	for (size_t i = 0; i < lab->node_count; i++)
		if (lab->nodes[i].control_plane)
			buffer_format(&text, "  - %s\n", lab->nodes[i].address);
	if (lab->options.regime == LAB_DUAL_WRITE && !lab_since(lab, 33))
		buffer_text(&text, "  extraArgs:\n  - name: feature-gates\n    value: "
				   "MultiCIDRServiceAllocator=true\n  - name: runtime-config\n"
				   "    value: networking.k8s.io/v1beta1=true\n");
	buffer_format(&text,
		      "apiVersion: %s\ncertificatesDir: /etc/kubernetes/pki\n"
		      "clusterName: kubernetes\ncontrolPlaneEndpoint: %s:%u\n"
		      "controllerManager: {}\ndns: {}\netcd:\n  local:\n"
		      "    dataDir: /var/lib/etcd\nimageRepository: registry.k8s.io\n"
		      "kind: ClusterConfiguration\nkubernetesVersion: v1.%u.%u\nnetworking:\n"
		      "  dnsDomain: cluster.local\n  podSubnet: " LAB_POD_PREFIX ".0.0/16\n"
		      "  serviceSubnet: %s\nscheduler: {}\n",
		      objects_kubeadm_api(lab), lab->endpoint, lab->port, lab->options.minor,
		      lab->options.patch, range);
	return buffer_detach(&text);
}

static void objects_map(struct lab *lab, const char *name, const char *key, const char *text)
{
	lab_create(lab, "configmaps",
		   json_pack("{s:{s:s,s:s},s:{s:s}}", "metadata", "name", name, "namespace",
			     "kube-system", "data", key, text));
}

static void objects_maps(struct lab *lab)
{
	auto_free char *kubeadm = objects_kubeadm(lab, LAB_OLD_RANGE, NULL);
	auto_free char *kubelet = node_kubelet_config("10.96.0.10");
	auto_free char *kubelet_name =
		lab_since(lab, 24) ? alloc_text("kubelet-config")
				   : alloc_format("kubelet-config-1.%u", lab->options.minor);

	objects_map(lab, "kubeadm-config", "ClusterConfiguration", kubeadm);
	objects_map(lab, kubelet_name, "kubelet", kubelet);
	objects_map(lab, "kube-proxy", "config.conf",
		    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nclusterCIDR: " LAB_POD_PREFIX
		    ".0.0/16\nkind: KubeProxyConfiguration\nmode: iptables\n");
	objects_map(
		lab, "coredns", "Corefile",
		".:53 {\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    cache 30\n}\n");
}

/* --- workloads -------------------------------------------------------------------------------- */

static json_t *objects_workload(const char *space, const char *name, const char *label,
				const char *value, int replicas, json_t *pod_spec)
{
	json_t *object =
		json_pack("{s:{s:s,s:s,s:i,s:{s:s}},s:{s:{s:{s:s}},s:{s:{s:{s:s}},s:o}}}",
			  "metadata", "name", name, "namespace", space, "generation", 1, "labels",
			  label, value, "spec", "selector", "matchLabels", label, value, "template",
			  "metadata", "labels", label, value, "spec", pod_spec);

	if (replicas)
		json_object_set_new(json_object_get(object, "spec"), "replicas",
				    json_integer(replicas));
	return object;
}

static json_t *objects_pod(const char *container, bool host, json_t *ports)
{
	json_t *spec =
		json_pack("{s:[{s:s,s:s,s:o}],s:s}", "containers", "name", container, "image",
			  "registry.invalid/shop:1", "ports", ports, "dnsPolicy", "ClusterFirst");

	if (host)
		json_object_set_new(spec, "hostNetwork", json_true());
	return spec;
}

static void objects_system(struct lab *lab)
{
	json_t *calico = objects_pod("calico-node", true, json_array());
	json_t *proxy = objects_pod("kube-proxy", true, json_array());

	json_object_set_new(json_path(calico, "containers.0"), "envFrom",
			    json_pack("[{s:{s:s,s:b}}]", "configMapRef", "name",
				      "kubernetes-services-endpoint", "optional", 1));
	lab_create(lab, "daemonsets",
		   objects_workload("kube-system", "calico-node", "k8s-app", "calico-node", 0,
				    calico));
	lab_create(
		lab, "daemonsets",
		objects_workload("kube-system", "kube-proxy", "k8s-app", "kube-proxy", 0, proxy));
	lab_create(lab, "deployments",
		   objects_workload("kube-system", "coredns", "k8s-app", "kube-dns", 2,
				    objects_pod("coredns", false,
						json_pack("[{s:s,s:i,s:s},{s:s,s:i,s:s}]", "name",
							  "dns", "containerPort", 53, "protocol",
							  "UDP", "name", "dns-tcp", "containerPort",
							  53, "protocol", "TCP"))));
}

static void objects_shop(struct lab *lab)
{
	lab_create(lab, "deployments",
		   objects_workload("shop", "echo", "app", "echo", 3,
				    objects_pod("echo", false,
						json_pack("[{s:s,s:i}]", "name", "http",
							  "containerPort", 8080))));
	lab_create(lab, "deployments",
		   objects_workload("shop", "client", "app", "client", 2,
				    objects_pod("client", false, json_array())));
	lab_create(lab, "statefulsets",
		   objects_workload("shop", "store", "app", "store", 2,
				    objects_pod("store", false, json_array())));
}

/* --- services --------------------------------------------------------------------------------- */

/* Through the API, so that it gets what an API server gives it. Takes the reference. */
static void objects_service(struct lab *lab, const char *space, json_t *made)
{
	struct api_target target = {store_type_find("", "services"), NULL, NULL, NULL, NULL};
	auto_answer struct answer answer = {0};
	auto_json json_t *service = made;

	target.version = alloc_text("v1");
	target.space = alloc_text(space);
	if (api_create(lab_any_server(lab), &target, service, false, &answer) < 0)
		log_warning("%s", answer.message);
	free(target.version);
	free(target.space);
}

static json_t *objects_simple(const char *name, const char *app, int port, int target)
{
	return json_pack("{s:{s:s},s:{s:{s:s},s:[{s:i,s:i}]}}", "metadata", "name", name, "spec",
			 "selector", "app", app, "ports", "port", port, "targetPort", target);
}

static void objects_services(struct lab *lab)
{
	json_t *front = objects_simple("front", "echo", 80, 8080);
	json_t *pair = objects_simple("pair", "echo", 80, 8080);
	json_t *headless = objects_simple("store", "store", 8080, 8080);
	json_t *datagram = objects_simple("datagram", "echo", 5000, 8080);

	objects_service(
		lab, "kube-system",
		json_pack("{s:{s:s,s:{s:s,s:s}},s:{s:s,s:{s:s},s:[{s:s,s:i,s:i,s:s},{s:s,s:i,s:i,s:"
			  "s}]}}",
			  "metadata", "name", "kube-dns", "labels", "k8s-app", "kube-dns",
			  "kubernetes.io/name", "CoreDNS", "spec", "clusterIP", "10.96.0.10",
			  "selector", "k8s-app", "kube-dns", "ports", "name", "dns", "port", 53,
			  "targetPort", 53, "protocol", "UDP", "name", "dns-tcp", "port", 53,
			  "targetPort", 53, "protocol", "TCP"));
	json_object_set_new(json_object_get(front, "spec"), "type", json_string("NodePort"));
	json_object_set_new(json_path(front, "spec.ports.0"), "nodePort", json_integer(30080));
	json_object_set_new(json_object_get(front, "spec"), "clusterIP",
			    json_string("10.96.120.7"));
	objects_service(lab, "shop", front);
	json_object_set_new(json_path(pair, "spec.ports.0"), "name", json_string("one"));
	json_array_append_new(
		json_path(pair, "spec.ports"),
		json_pack("{s:s,s:i,s:i}", "name", "two", "port", 81, "targetPort", 8081));
	json_object_set_new(json_object_get(pair, "spec"), "sessionAffinity",
			    json_string("ClientIP"));
	objects_service(lab, "shop", pair);
	json_object_set_new(json_path(datagram, "spec.ports.0"), "protocol", json_string("UDP"));
	objects_service(lab, "shop", datagram);
	objects_service(lab, "shop", objects_simple("plain", "echo", 8080, 8080));
	json_object_set_new(json_object_get(headless, "spec"), "clusterIP", json_string("None"));
	objects_service(lab, "shop", headless);
	objects_service(lab, "shop",
			json_pack("{s:{s:s},s:{s:s,s:s}}", "metadata", "name", "elsewhere", "spec",
				  "type", "ExternalName", "externalName", "example.invalid"));
}

void objects_make_services(struct lab *lab, int count)
{
	for (int i = 0; i < count; i++) {
		auto_free char *space = alloc_format("load-%d", i / OBJECTS_PER_SPACE);
		auto_free char *name = alloc_format("service-%d", i);

		if (i % OBJECTS_PER_SPACE == 0)
			objects_space(lab, space);
		objects_service(lab, space, objects_simple(name, "nobody", 80, 8080));
	}
}

void objects_make(struct lab *lab)
{
	static const char *const spaces[] = {"default", "kube-system", "kube-public",
					     "kube-node-lease", "shop"};

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		objects_space(lab, spaces[i]);
	objects_nodes(lab);
	objects_maps(lab);
	/* the servers come up, and with them default/kubernetes */
	node_watch(lab);
	loop_jump(lab->loop, 12000);
	objects_services(lab);
	objects_make_services(lab, lab->options.services);
	objects_system(lab);
	objects_shop(lab);
	/* long ago, as on a cluster that nobody has just made */
	loop_jump(lab->loop, OBJECTS_AGE_MS);
}
