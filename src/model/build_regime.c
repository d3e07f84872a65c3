/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <string.h>
#include <strings.h>

/*
 * Which allocator decides. MultiCIDRServiceAllocator: beta and off to 1.32, on from 1.33, locked
 * from 1.34. DisableAllocatorDualWrite: off to 1.33, on from 1.34, locked from 1.35. Where servers
 * differ, the regime that allows least counts: the bitmap, then dual writing.
 */
enum gate { GATE_UNSET, GATE_ON, GATE_OFF };

static bool means_true(struct slice text)
{
	static const char *const spellings[] = {"true", "True", "TRUE", "t", "T", "1"};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		if (slice_is(text, spellings[i]))
			return true;
	}
	return false;
}

/* The last setting of `name` in "A=true,B=false". */
static enum gate gate_in(const char *gates, const char *name)
{
	struct slice rest = slice_of(gates);
	struct slice part;
	enum gate gate = GATE_UNSET;

	while (gates && slice_next(&rest, ',', &part)) {
		struct slice value = slice_trim(part);
		struct slice key;

		if (slice_next(&value, '=', &key) && slice_is(slice_trim(key), name) && value.ptr)
			gate = means_true(slice_trim(value)) ? GATE_ON : GATE_OFF;
	}
	return gate;
}

static bool gate_holds(const char *gates, const char *name, bool beta, bool fallback)
{
	enum gate own = gate_in(gates, name);
	enum gate all = beta ? gate_in(gates, "AllBeta") : GATE_UNSET;

	if (own != GATE_UNSET)
		return own == GATE_ON;
	if (all != GATE_UNSET)
		return all == GATE_ON;
	return fallback;
}

static enum cluster_regime regime_of(const struct cluster *c, const char *gates, bool known)
{
	unsigned int minor = c->major == 1 ? c->minor : 1000;
	bool beta = minor >= 31 && minor <= 32;
	/* Who switched the beta API on without its allocator? Without flags assume nobody. */
	bool allocator = minor >= 34 || gate_holds(gates, "MultiCIDRServiceAllocator", beta,
						   minor >= 33 || !known);
	bool single_write = minor >= 35 || gate_holds(gates, "DisableAllocatorDualWrite",
						      minor == 33, minor >= 34);

	if (!allocator)
		return CLUSTER_REGIME_BITMAP;
	return single_write ? CLUSTER_REGIME_SERVICECIDR : CLUSTER_REGIME_DUAL_WRITE;
}

void build_regime(const struct build *b)
{
	struct cluster *c = b->cluster;
	bool known = false;

	if (!c->service_cidr_api) {
		c->regime = CLUSTER_REGIME_BITMAP;
		return;
	}
	for (size_t i = 0; i < c->node_count; i++) {
		const struct cluster_component *api = &c->nodes[i].host.api_server;
		const char *gates = api->running     ? api->running_feature_gates
				    : api->pod_range ? api->pod_feature_gates
						     : api->manifest_feature_gates;
		enum cluster_regime regime;

		if (!api->running && !api->pod_range && !api->manifest_known)
			continue;
		regime = regime_of(c, gates, /* known= */ true);
		if (!known || regime < c->regime)
			c->regime = regime;
		known = true;
	}
	if (!known)
		c->regime = regime_of(c, NULL, /* known= */ false);
}
