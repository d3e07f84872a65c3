/* SPDX-License-Identifier: MIT */
#include "plan/stage.h"

#include <stddef.h>
#include <string.h>

#include "base/buffer.h"

static const struct {
	const char *name;
	const char *summary;
} plan_stages[PLAN_STAGE_COUNT] = {
	[PLAN_STAGE_TOURNIQUET] = {"tourniquet", "make dead old addresses answer again"},
	[PLAN_STAGE_PREFLIGHT] = {"preflight", "see that it can be done, keep what was"},
	[PLAN_STAGE_CERTIFICATES] = {"certificates",
				     "old and new address in every API server's SANs"},
	[PLAN_STAGE_CONFIGURATION] = {"configuration", "what kubeadm will read next time"},
	[PLAN_STAGE_RANGES] = {"ranges", "every API server gives out the new range"},
	[PLAN_STAGE_SERVICES] = {"services", "move Services, keep their old addresses answering"},
	[PLAN_STAGE_DEFAULTS] = {"defaults", "make the new range the default one"},
	[PLAN_STAGE_NODES] = {"nodes", "kubelets and the network plugin learn the new addresses"},
	[PLAN_STAGE_WORKLOADS] = {"workloads", "restart what still holds old addresses"},
	[PLAN_STAGE_DRAIN] = {"drain", "look who still uses an old address"},
	[PLAN_STAGE_FINALIZE] = {"finalize", "take the old addresses away"},
};

const char *plan_stage_name(enum plan_stage stage)
{
	return plan_stages[stage].name;
}

const char *plan_stage_summary(enum plan_stage stage)
{
	return plan_stages[stage].summary;
}

bool plan_stage_parse(const char *name, enum plan_stage *ret)
{
	for (size_t i = 0; i < PLAN_STAGE_COUNT; i++) {
		if (strcmp(plan_stages[i].name, name) != 0)
			continue;
		*ret = (enum plan_stage)i;
		return true;
	}
	return false;
}

int plan_stage_require(const char *name, enum plan_stage *ret, struct error *err)
{
	auto_buffer struct buffer names = {0};

	if (plan_stage_parse(name, ret))
		return 0;
	for (size_t i = 0; i < PLAN_STAGE_FINALIZE; i++)
		buffer_format(&names, " %s", plan_stages[i].name);
	return error_set(err, ERROR_USAGE, "there is no stage '%s'; the stages are:%s", name,
			 buffer_cstr(&names));
}
