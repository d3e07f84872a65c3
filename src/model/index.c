/* SPDX-License-Identifier: MIT */
#include "model/index.h"

#include <stdlib.h>
#include <string.h>

struct held {
	const char *address;
	enum index_hold hold;
	const struct cluster_service *service;
};

struct named_pod {
	const char *uid;
	const struct cluster_pod *pod;
};

struct cluster_index {
	struct held *held;
	size_t held_count;
	struct named_pod *pods;
	size_t pod_count;
	const struct cluster_service **services;
	size_t service_count;
};

static int compare_held(const void *a, const void *b)
{
	const struct held *x = a;
	const struct held *y = b;
	int order = strcmp(x->address, y->address);

	return order ? order : (int)x->hold - (int)y->hold;
}

static int compare_pods(const void *a, const void *b)
{
	return strcmp(((const struct named_pod *)a)->uid, ((const struct named_pod *)b)->uid);
}

static int compare_services(const void *a, const void *b)
{
	const struct cluster_service *x = *(const struct cluster_service *const *)a;
	const struct cluster_service *y = *(const struct cluster_service *const *)b;
	int order = strcmp(x->namespace_, y->namespace_);

	return order ? order : strcmp(x->name, y->name);
}

static void hold_all(struct cluster_index *index, const struct cluster_service *service,
		     const struct cluster_texts *texts, enum index_hold hold)
{
	for (size_t i = 0; i < texts->count; i++)
		index->held[index->held_count++] = (struct held){texts->items[i], hold, service};
}

static void index_addresses(struct cluster_index *index, struct arena *arena,
			    const struct cluster *c)
{
	size_t room = 0;

	for (size_t i = 0; i < c->service_count; i++)
		room += c->services[i].cluster_ips.count + c->services[i].external_ips.count +
			c->services[i].ingress_ips.count;
	index->held = arena_array(arena, room, sizeof(*index->held));
	for (size_t i = 0; i < c->service_count; i++) {
		const struct cluster_service *s = &c->services[i];

		hold_all(index, s, &s->cluster_ips,
			 s->alias_run ? INDEX_HOLD_OTHER : INDEX_HOLD_CLUSTER_IP);
		hold_all(index, s, &s->external_ips, INDEX_HOLD_OTHER);
		hold_all(index, s, &s->ingress_ips, INDEX_HOLD_OTHER);
	}
	qsort(index->held, index->held_count, sizeof(*index->held), compare_held);
}

struct cluster_index *index_new(struct arena *arena, const struct cluster *c)
{
	struct cluster_index *index = arena_take(arena, sizeof(*index));

	index_addresses(index, arena, c);
	index->pods = arena_array(arena, c->pod_count * 2, sizeof(*index->pods));
	for (size_t i = 0; i < c->pod_count; i++) {
		const struct cluster_pod *p = &c->pods[i];

		if (p->uid)
			index->pods[index->pod_count++] = (struct named_pod){p->uid, p};
		if (p->mirror_uid)
			index->pods[index->pod_count++] = (struct named_pod){p->mirror_uid, p};
	}
	qsort(index->pods, index->pod_count, sizeof(*index->pods), compare_pods);
	index->services = arena_array(arena, c->service_count, sizeof(*index->services));
	for (size_t i = 0; i < c->service_count; i++)
		index->services[index->service_count++] = &c->services[i];
	qsort(index->services, index->service_count, sizeof(*index->services), compare_services);
	return index;
}

const struct cluster_service *index_holder(const struct cluster_index *index, const char *address,
					   enum index_hold *ret_hold)
{
	size_t low = 0;
	size_t high = index->held_count;

	/* the first of equal ones */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->held[middle].address, address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->held_count || strcmp(index->held[low].address, address) != 0)
		return NULL;
	*ret_hold = index->held[low].hold;
	return index->held[low].service;
}

const struct cluster_pod *index_pod(const struct cluster_index *index, const char *uid)
{
	const struct named_pod key = {.uid = uid};
	const struct named_pod *found =
		bsearch(&key, index->pods, index->pod_count, sizeof(*index->pods), compare_pods);

	return found ? found->pod : NULL;
}

const struct cluster_service *index_service(const struct cluster_index *index,
					    const char *namespace_, const char *name)
{
	const struct cluster_service key = {.namespace_ = namespace_, .name = name};
	const struct cluster_service *pointer = &key;
	const struct cluster_service *const *found = bsearch(
		&pointer, index->services, index->service_count, sizeof(pointer), compare_services);

	return found ? *found : NULL;
}
