/* SPDX-License-Identifier: MIT */
#include "lab/local_dns.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "lab/answer.h"
#include "lab/api.h"
#include "lab/server.h"
#include "text/json.h"
#include "text/local_dns.h"

#define LOCAL_DNS_NAME "node-local-dns"
#define LOCAL_DNS_SPACE "kube-system"

static const char local_dns_corefile[] = "cluster.local:53 {\n"
					 "    errors\n"
					 "    cache {\n"
					 "            success 9984 30\n"
					 "            denial 9984 5\n"
					 "    }\n"
					 "    reload\n"
					 "    loop\n"
					 "    bind 169.254.20.10 10.96.0.10\n"
					 "    forward . __PILLAR__CLUSTER__DNS__ {\n"
					 "            force_tcp\n"
					 "    }\n"
					 "    prometheus :9253\n"
					 "    health 169.254.20.10:8080\n"
					 "    }\n"
					 ".:53 {\n"
					 "    errors\n"
					 "    cache 30\n"
					 "    reload\n"
					 "    loop\n"
					 "    bind 169.254.20.10 10.96.0.10\n"
					 "    forward . __PILLAR__UPSTREAM__SERVERS__\n"
					 "    prometheus :9253\n"
					 "    }\n";

static void local_dns_upstream(struct lab *lab)
{
	struct api_target target = {store_type_find("", "services"), NULL, NULL, NULL, NULL};
	auto_answer struct answer answer = {0};
	auto_free char *version = alloc_text("v1");
	auto_free char *space = alloc_text(LOCAL_DNS_SPACE);
	auto_json json_t *service = json_pack(
		"{s:{s:s},s:{s:{s:s},s:[{s:s,s:i,s:i,s:s},{s:s,s:i,s:i,s:s}]}}", "metadata", "name",
		"kube-dns-upstream", "spec", "selector", "k8s-app", "kube-dns", "ports", "name",
		"dns", "port", 53, "targetPort", 53, "protocol", "UDP", "name", "dns-tcp", "port",
		53, "targetPort", 53, "protocol", "TCP");

	target.version = version;
	target.space = space;
	if (api_create(lab_any_server(lab), &target, service, false, &answer) < 0)
		log_warning("%s", answer.message);
}

static json_t *local_dns_pod(void)
{
	return json_pack("{s:[{s:s,s:s,s:[s,s,s,s,s,s],s:{s:{s:s,s:i,s:s}},s:[{s:s,s:s}]}],"
			 "s:[{s:s,s:{s:s,s:b}},{s:s,s:{s:s,s:[{s:s,s:s}]}}],s:b,s:s}",
			 "containers", "name", "node-cache", "image",
			 "registry.invalid/node-cache:1", "args", "-localip",
			 "169.254.20.10,10.96.0.10", "-conf", "/etc/Corefile", "-upstreamsvc",
			 "kube-dns-upstream", "livenessProbe", "httpGet", "host", "169.254.20.10",
			 "port", 8080, "path", "/health", "volumeMounts", "name", "config-volume",
			 "mountPath", "/etc/coredns", "volumes", "name", "kube-dns-config",
			 "configMap", "name", "kube-dns", "optional", 1, "name", "config-volume",
			 "configMap", "name", LOCAL_DNS_NAME, "items", "key", "Corefile", "path",
			 "Corefile.base", "hostNetwork", 1, "dnsPolicy", "Default");
}

void local_dns_make(struct lab *lab)
{
	local_dns_upstream(lab);
	lab_create(lab, "configmaps",
		   json_pack("{s:{s:s,s:s},s:{s:s}}", "metadata", "name", LOCAL_DNS_NAME,
			     "namespace", LOCAL_DNS_SPACE, "data", "Corefile", local_dns_corefile));
	lab_create(lab, "daemonsets",
		   json_pack("{s:{s:s,s:s,s:i,s:{s:s}},s:{s:{s:{s:s}},s:{s:{s:{s:s}},s:o}}}",
			     "metadata", "name", LOCAL_DNS_NAME, "namespace", LOCAL_DNS_SPACE,
			     "generation", 1, "labels", "k8s-app", LOCAL_DNS_NAME, "spec",
			     "selector", "matchLabels", "k8s-app", LOCAL_DNS_NAME, "template",
			     "metadata", "labels", "k8s-app", LOCAL_DNS_NAME, "spec",
			     local_dns_pod()));
}

/* --- its Pods --------------------------------------------------------------------------------- */

/* Of a volume that is a ConfigMap; NULL: another one, or a ConfigMap that may be absent and is. */
static const json_t *local_dns_map(struct lab *lab, const json_t *pod, const json_t *volume,
				   const char **ret_missing)
{
	const char *name = json_path_text(volume, "configMap.name");
	const json_t *map = name ? store_find(lab->store, "configmaps",
					      json_path_text(pod, "metadata.namespace"), name)
				 : NULL;

	if (name && !map && !json_path_bool(volume, "configMap.optional", false))
		*ret_missing = name;
	return map;
}

const char *local_dns_missing(struct lab *lab, const json_t *pod)
{
	const char *missing = NULL;
	const json_t *volume;
	size_t i;

	json_array_foreach(json_path(pod, "spec.volumes"), i, volume)
		(void)local_dns_map(lab, pod, volume, &missing);
	return missing;
}

/* Without a comment and without quotes: it is ours. */
static char *local_dns_unbound(const char *corefile, const char *addresses)
{
	struct slice text = slice_of(corefile);
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		struct slice word;

		line = slice_trim(line);
		if (!slice_starts(line, "bind "))
			continue;
		line = (struct slice){line.ptr + 5, line.len - 5};
		while (slice_next(&line, ' ', &word)) {
			struct slice rest = slice_of(addresses);
			struct slice item;
			bool there = word.len == 0;

			while (slice_next(&rest, ',', &item))
				there = there || slice_equal(item, word);
			if (!there)
				return slice_dup(word);
		}
	}
	return NULL;
}

char *local_dns_crash(struct lab *lab, const json_t *pod)
{
	auto_free char *addresses = local_dns_addresses(pod);
	const char *corefile = NULL;
	const char *missing = NULL;
	auto_free char *unbound = NULL;
	const json_t *volume;
	size_t i;

	if (!addresses)
		return NULL;
	json_array_foreach(json_path(pod, "spec.volumes"), i, volume) {
		const json_t *map = local_dns_map(lab, pod, volume, &missing);

		if (json_path_text(map, "data.Corefile"))
			corefile = json_path_text(map, "data.Corefile");
	}
	if (!corefile)
		return alloc_text("open /etc/coredns/Corefile.base: no such file or directory");
	unbound = local_dns_unbound(corefile, addresses);
	return unbound ? alloc_format("listen udp %s:53: bind: cannot assign requested address",
				      unbound)
		       : NULL;
}
