/* SPDX-License-Identifier: MIT */
#include "plan/make.h"

#include <string.h>

#include "lib/observation_case.h"
#include "lib/test.h"
#include "plan/plan.h"
#include "text/json.h"

/* What observe_cluster(OBSERVE_BASIS) brings of a cluster, from all that was observed. */
static json_t *basis_of(const json_t *observation)
{
	static const char *const whole[] = {
		"observedAt", "server",		"context",	"uid",	     "version",
		"nodes",      "serviceCIDRAPI", "serviceCIDRs", "configMaps"};
	json_t *basis = json_object();
	json_t *services = json_array();
	json_t *pods = json_array();
	json_t *entry;
	size_t i;

	for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (json_object_get(observation, whole[i]))
			json_object_set(basis, whole[i], json_object_get(observation, whole[i]));
	json_array_foreach(json_object_get(observation, "services"), i, entry)
		if (json_path_is(entry, "metadata.namespace", "default") &&
		    json_path_is(entry, "metadata.name", "kubernetes"))
			json_array_append(services, entry);
	json_array_foreach(json_object_get(observation, "pods"), i, entry)
		if (json_path_is(entry, "metadata.namespace", "kube-system"))
			json_array_append(pods, entry);
	json_object_set_new(basis, "services", services);
	json_object_set_new(basis, "pods", pods);
	return basis;
}

static json_t *digest_of(json_t *observation)
{
	auto_cluster struct cluster *cluster = NULL;
	auto_error struct error err = {0};

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return NULL;
	return plan_digest(cluster);
}

/* The gate of `apply` compares a digest of the basis with the plan's, of all. */
static void same_digest(const char *dir)
{
	auto_json json_t *observation = observation_case_read(dir);
	auto_json json_t *basis = basis_of(observation);
	auto_json json_t *planned = digest_of(observation);
	auto_json json_t *found = digest_of(basis);
	auto_free char *difference = plan_digest_difference(planned, NULL, found);

	CHECK(json_object_size(planned) > 4);
	CHECK_STR(difference, NULL);
}

int main(void)
{
	test_each_case("doctor", same_digest);
	return test_done();
}
