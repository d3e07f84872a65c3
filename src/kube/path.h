/* SPDX-License-Identifier: MIT */
#ifndef KUBE_PATH_H
#define KUBE_PATH_H

#include "base/buffer.h"

/* One object, or a collection when `name` is NULL. group NULL or "": the core group. space NULL:
 * cluster-scoped, or all namespaces. All borrowed. */
struct kube_target {
	const char *group;
	const char *version;
	const char *plural;
	const char *space; /* namespace */
	const char *name;
	const char *subresource; /* "status", "scale", "eviction" …; NULL: none */
};

/* "/api/v1/namespaces/default/services/kubernetes", every part percent-encoded; the caller frees. */
char *kube_path(const struct kube_target *target);

/* "services 'default/kubernetes'": for messages; the caller frees. */
char *kube_path_label(const struct kube_target *target);

/* Appends "?name=value" or "&name=value", both percent-encoded. */
void kube_path_query(struct buffer *path, const char *name, const char *value);

/* True for what Kubernetes takes as the name of a node (DNS-1123 subdomain): it can be no option, no
 * path and no shell's text. */
bool kube_path_is_name(const char *text);

#endif
