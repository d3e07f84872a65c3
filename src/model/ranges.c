/* SPDX-License-Identifier: MIT */
#include "model/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"

/* Questions about ranges. Their texts come from flags and objects: read as Kubernetes reads them. */
static bool read_range(const char *text, struct net_cidr_list *ret)
{
	auto_error struct error err = {0};

	return text && net_cidr_list_parse_sloppy(slice_of(text), ret, &err) == 0;
}

bool cluster_range_contains(const char *range, const char *address)
{
	struct net_cidr_list list;
	struct net_address a;

	return address && read_range(range, &list) && net_address_read(slice_of(address), &a) &&
	       net_cidr_list_contains(&list, a);
}

bool cluster_range_equal(const char *a, const char *b)
{
	struct net_cidr_list x;
	struct net_cidr_list y;

	return read_range(a, &x) && read_range(b, &y) && net_cidr_list_equal(&x, &y);
}

const char *cluster_nth_address(const struct cluster *cluster, const char *range, uint64_t n)
{
	struct net_cidr_list list;

	if (!read_range(range, &list) || !list.count)
		return NULL;
	return arena_text(cluster->memory, net_address_text(net_cidr_nth(list.item[0], n)).text);
}

const char *cluster_component_range(const struct cluster_component *component)
{
	if (component->running)
		return component->running_range;
	if (component->pod_range)
		return component->pod_range;
	return component->manifest_range;
}

bool cluster_agreed_range(const struct cluster *cluster, const char **ret_range)
{
	const char *agreed = NULL;

	for (size_t i = 0; i < cluster->node_count; i++) {
		const char *range = cluster_component_range(&cluster->nodes[i].host.api_server);

		if (!range)
			continue;
		if (agreed && !cluster_range_equal(agreed, range))
			return false;
		agreed = range;
	}
	if (!agreed)
		return false;
	*ret_range = agreed;
	return true;
}

size_t cluster_control_plane_count(const struct cluster *cluster)
{
	size_t count = 0;

	for (size_t i = 0; i < cluster->node_count; i++)
		count += cluster->nodes[i].control_plane;
	return count;
}

const struct cluster_service_cidr *cluster_default_cidr(const struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->service_cidr_count; i++) {
		if (strcmp(cluster->service_cidrs[i].name, "kubernetes") == 0)
			return &cluster->service_cidrs[i];
	}
	return NULL;
}

const struct cluster_service_cidr *cluster_find_cover(const struct cluster *cluster,
						      const char *address)
{
	for (size_t i = 0; i < cluster->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &cluster->service_cidrs[i];

		for (size_t k = 0; s->ready && !s->deleting && k < s->cidrs.count; k++) {
			if (cluster_range_contains(s->cidrs.items[k], address))
				return s;
		}
	}
	return NULL;
}

/* An operator's second range, which never was the first one. */
static bool is_added(const struct cluster *c, const struct cluster_range *range)
{
	static const char prefix[] = "ServiceCIDR/";
	const char *name = range->source + sizeof(prefix) - 1;

	if (!slice_starts(slice_of(range->source), prefix) || strcmp(name, "kubernetes") == 0)
		return false;
	for (size_t i = 0; i < c->service_cidr_count; i++) {
		const struct cluster_service_cidr *s = &c->service_cidrs[i];

		if (strcmp(s->name, name) == 0)
			return !s->deleting && !s->run && strcmp(name, CLUSTER_OLD_CIDR_NAME) != 0;
	}
	return false;
}

struct former {
	const char *text;
	size_t sources;
	size_t order;
};

static int compare_former(const void *a, const void *b)
{
	const struct former *x = a;
	const struct former *y = b;

	if (x->sources != y->sources)
		return x->sources > y->sources ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

struct cluster_texts cluster_former_ranges(const struct cluster *cluster, const char *current)
{
	struct former *found =
		arena_array(cluster->memory, cluster->range_count + 1, sizeof(*found));
	struct cluster_texts texts = {0};
	size_t count = 0;

	for (size_t i = 0; i < cluster->range_count; i++) {
		const struct cluster_range *range = &cluster->ranges[i];
		size_t k = 0;

		if (!range->text || (current && cluster_range_equal(range->text, current)) ||
		    is_added(cluster, range))
			continue;
		while (k < count && strcmp(found[k].text, range->text) != 0)
			k++;
		if (k == count)
			found[count++] = (struct former){range->text, 0, i};
		/* a guess is worth less than any source that names the range */
		found[k].sources += range->guessed ? 0 : 1;
	}
	qsort(found, count, sizeof(*found), compare_former);
	texts.items = arena_array(cluster->memory, count + 1, sizeof(*texts.items));
	for (size_t i = 0; i < count; i++)
		texts.items[texts.count++] = found[i].text;
	return texts;
}
