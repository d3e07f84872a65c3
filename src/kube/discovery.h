/* SPDX-License-Identifier: MIT */
#ifndef KUBE_DISCOVERY_H
#define KUBE_DISCOVERY_H

#include "kube/client.h"

struct kube_version {
	unsigned major;
	unsigned minor; /* 36 */
	char *git;	/* owned: "v1.36.3" */
};

/* GET /version. */
must_check int kube_discovery_version(struct kube_client *kube, struct kube_version *ret,
				      struct error *err);
void kube_version_release(struct kube_version *version);

struct kube_resource {
	char *group; /* "" for the core group */
	char *version;
	char *plural;
	char *kind;
	bool namespaced;
	bool listable;
	bool watchable;
	bool patchable;
	bool preferred; /* its version is the one that the server prefers for this resource */
};

/* Every version of every resource, subresources left out, in the server's order. `failed`: groups
 * ("metrics.k8s.io/v1beta1") whose own server does not answer. */
struct kube_resources {
	struct kube_resource *items;
	size_t count;
	size_t capacity;
	char **failed;
	size_t failed_count;
	size_t failed_capacity;
};

/* In one request where the server has aggregated discovery (1.26 on), else one per group version. */
must_check int kube_discovery_resources(struct kube_client *kube, struct kube_resources *ret,
					struct error *err);
void kube_resources_release(struct kube_resources *resources);

/* The version in which the server prefers to serve it ("networking.k8s.io", "servicecidrs");
 * NULL: not served at all. */
const struct kube_resource *kube_resources_find(const struct kube_resources *resources,
						const char *group, const char *plural);

/* The target for listing a resource in all namespaces; borrows from it. */
struct kube_target kube_resource_target(const struct kube_resource *resource);

/* Only one group, without the rest of discovery: *ret_version is the newest version in which
 * `plural` is served, or NULL when it is not; the caller frees. */
must_check int kube_discovery_served(struct kube_client *kube, const char *group,
				     const char *plural, char **ret_version, struct error *err);

#endif
