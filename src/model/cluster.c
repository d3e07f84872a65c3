/* SPDX-License-Identifier: MIT */
#include "model/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/build.h"
#include "model/index.h"
#include "text/json.h"

const char *cluster_regime_name(enum cluster_regime regime)
{
	switch (regime) {
	case CLUSTER_REGIME_BITMAP:
		return "bitmap";
	case CLUSTER_REGIME_DUAL_WRITE:
		return "dual-write";
	case CLUSTER_REGIME_SERVICECIDR:
		return "servicecidr";
	case CLUSTER_REGIME_UNKNOWN:
		break;
	}
	return "unknown";
}

/* "36" and, from managed servers, "36+" */
static unsigned int leading_number(const char *text)
{
	struct slice digits = {text, text ? strspn(text, "0123456789") : 0};
	uint64_t number = 0;

	return slice_to_u64(digits, 100000, &number) ? (unsigned int)number : 0;
}

static int build_identity(struct cluster *c, const json_t *document, struct error *err)
{
	static const char *const lists[] = {"services", "nodes", "pods"};

	if (!json_is_object(document))
		return error_set(err, ERROR_PARSE, "the observation is not a JSON object");
	c->server = json_path_text(document, "server");
	c->context = json_path_text(document, "context");
	c->uid = json_path_text(document, "uid");
	c->git_version = json_path_text(document, "version.gitVersion");
	c->major = leading_number(json_path_text(document, "version.major"));
	c->minor = leading_number(json_path_text(document, "version.minor"));
	c->service_cidr_api = json_path_text(document, "serviceCIDRAPI");
	c->range_allocation = json_path_text(document, "rangeAllocation");
	c->observed_s = build_time(document, "observedAt");
	if (!c->git_version || !c->major)
		return error_set(err, ERROR_PARSE, "observation: 'version' is missing");
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (!json_is_array(json_path(document, lists[i])))
			return error_set(err, ERROR_PARSE, "observation: '%s' is not a list",
					 lists[i]);
	}
	return 0;
}

int cluster_build(json_t *observation, struct cluster **ret, struct error *err)
{
	auto_cluster struct cluster *cluster = ALLOC_NEW(struct cluster);
	struct build build = {
		.cluster = cluster,
		.arena = arena_new(),
		.document = observation,
	};

	cluster->memory = build.arena;
	cluster->document = json_incref(observation);
	if (build_identity(cluster, observation, err) < 0)
		return -1;
	build_objects(&build);
	cluster->index = index_new(build.arena, cluster);
	build_config(&build);
	build_local_dns(&build);
	build_hosts(&build);
	build_surroundings(&build);
	build_regime(&build);
	build_ranges(&build);
	build_dead(&build);
	*ret = steal(cluster);
	return 0;
}

void cluster_free(struct cluster *cluster)
{
	if (!cluster)
		return;
	json_decref(cluster->document);
	arena_free(cluster->memory);
	free(cluster);
}

void cluster_release(struct cluster **cluster)
{
	cluster_free(*cluster);
}

const struct cluster_service *cluster_find_service(const struct cluster *cluster,
						   const char *namespace_, const char *name)
{
	return index_service(cluster->index, namespace_, name);
}

const struct cluster_node *cluster_find_node(const struct cluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->node_count; i++) {
		if (strcmp(cluster->nodes[i].name, name) == 0)
			return &cluster->nodes[i];
	}
	return NULL;
}

const struct cluster_pod *cluster_find_pod_uid(const struct cluster *cluster, const char *uid)
{
	return index_pod(cluster->index, uid);
}

const struct cluster_service *cluster_find_holder(const struct cluster *cluster,
						  const char *address)
{
	enum index_hold hold;
	const struct cluster_service *service = index_holder(cluster->index, address, &hold);

	return service && hold == INDEX_HOLD_CLUSTER_IP ? service : NULL;
}

bool cluster_texts_contain(const struct cluster_texts *texts, const char *text)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (strcmp(texts->items[i], text) == 0)
			return true;
	}
	return false;
}

size_t cluster_dead_addresses(const struct cluster *cluster,
			      const struct cluster_dead_address **ret_list)
{
	*ret_list = cluster->dead;
	return cluster->dead_count;
}
