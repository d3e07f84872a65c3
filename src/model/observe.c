/* SPDX-License-Identifier: MIT */
#include "model/observe.h"

#include "base/clock.h"
#include "model/observe_parts.h"
#include "text/json.h"

int observe_cluster(struct kube_client *kube, struct node_pool *pool, unsigned int what,
		    json_t **ret_observation, struct error *err)
{
	const struct kube_config *config = kube_client_config(kube);
	auto_json json_t *document = json_object();
	auto_free char *now = clock_format(clock_wall_s());

	json_object_set_new(document, "observedAt", json_string(now));
	json_object_set_new(document, "server", json_string(kube_client_server(kube)));
	if (config->context)
		json_object_set_new(document, "context", json_string(config->context));
	if (what & OBSERVE_BASIS) {
		if (observe_basis(kube, document, err) < 0)
			return -1;
		*ret_observation = steal(document);
		return 0;
	}
	if (observe_objects(kube, document, err) < 0)
		return -1;
	observe_logs(kube, document);
	if (what & OBSERVE_HOSTS) {
		struct node_pool *nodes = pool && node_pool_reaches_nodes(pool) ? pool : NULL;

		if (nodes)
			observe_hosts(nodes, document);
		observe_served(nodes, document);
	}
	if (what & OBSERVE_SURROUNDINGS) {
		observe_surroundings(kube, document);
		observe_health(kube, document);
	}
	*ret_observation = steal(document);
	return 0;
}
